#ifndef OS_BOOT_TABLES_H
#define OS_BOOT_TABLES_H

/* The kernel's final page tables, built on the early ones. */

#include "abi/status.h"
#include "mm/region.h"

/* Where the temporary heap is mapped while it lives. */
#define BOOT_TEMPORARY_HEAP_VA (KERNEL_MAP_BASE + (3ull << 29))

/*
 * Builds image (W^X by section), physmap of all managed RAM, frame-manager metadata (zeroed) and temporary
 * heap from the boot allocator, and loads them. Afterwards nothing is mapped below the high half.
 */
MUST_CHECK status_t boot_tables_build(const struct region_list *regions, const struct handoff *block);

/* Takes the temporary heap's own mapping away. */
MUST_CHECK status_t boot_tables_drop_temporary_heap(uint64_t bytes);

#endif
