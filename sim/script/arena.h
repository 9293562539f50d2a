#ifndef ORRERY_SCRIPT_ARENA_H
#define ORRERY_SCRIPT_ARENA_H

/*
 * The memory of a Lua state. Lua hashes objects by the low 32 bits of their address, and that shows (in the length of a
 * table with holes, for one). Here they are offsets: the same calls give the same ones in every process.
 */

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define ARENA_BYTES   (UINT64_C(1) << 30)
#define ARENA_CLASSES 256u

struct arena {
    uint8_t *base;                      /* a multiple of 4 GiB */
    uint32_t free_lists[ARENA_CLASSES]; /* unit of the first free block of a class of sizes; 0: none */
    uint64_t classes_filled[ARENA_CLASSES / 64]; /* a bit for each list that is not empty */
};

/* Reserves address space; pages cost memory once touched. False when the host refuses. */
bool arena_init(struct arena *a, struct error *e);
void arena_deinit(struct arena *a);

/* Aligned to 8 bytes. NULL when no free block is large enough. size > 0. */
void *arena_alloc(struct arena *a, size_t size);
void arena_free(struct arena *a, void *p);

/* Never fails to make a block smaller. NULL: the block is as it was. */
void *arena_resize(struct arena *a, void *p, size_t size);

#endif
