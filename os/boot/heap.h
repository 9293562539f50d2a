#ifndef OS_BOOT_HEAP_H
#define OS_BOOT_HEAP_H

/*
 * The temporary heap: what the boot needs for its own lists, at an address of its own
 * (BOOT_TEMPORARY_HEAP_VA) on the early tables and on the final ones, until stage "reclaim" unmaps it and
 * gives its frames back.
 */

#include <stddef.h>
#include <stdint.h>

#include "abi/handoff.h"

/* Maps the heap on the early tables. */
void boot_heap_init(const struct handoff_span *span);

/* Zeroed memory, 16-byte aligned; panics when the heap is full or gone. Nothing is ever freed. */
void *boot_heap_alloc(size_t bytes);

/* From now on an allocation panics. */
void boot_heap_close(void);

#endif
