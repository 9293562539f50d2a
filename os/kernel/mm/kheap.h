#ifndef OS_KERNEL_MM_KHEAP_H
#define OS_KERNEL_MM_KHEAP_H

/*
 * The kernel heap: kmalloc sizes up to 2 KiB from slab caches
 * "kmalloc-16".."kmalloc-2048", larger ones up to 1 MiB from buddy arenas (orders 4 KiB..1 MiB), larger still
 * as contiguous runs of the frame manager. All memory is physmap memory. Any context, interrupts on or off.
 */

#include "abi/status.h"
#include "mm/heap_buddy.h"
#include "mm/slab.h"
#include "types.h"

#define KHEAP_MAX_ARENAS  1024u
#define KHEAP_KEEP_ARENAS 1u /* free arenas kept, the floor of the heap */

struct kheap_config {
    enum heap_debug debug;
};

/* Starts the heap on the published frame manager: first arena, kmalloc caches, shrinker.
 * STATUS_ERR_NO_MEMORY. */
MUST_CHECK status_t kheap_init(const struct kheap_config *config);

/* size bytes aligned to 16 (powers of two from 4 KiB: to their size up to 1 MiB), null when out or size is 0
 * or above FRAME_RUN_MAX frames. */
void *kheap_alloc(size_t size, const char *site);
void *kheap_alloc_zero(size_t size, const char *site);

/* Frees what kheap_alloc or a slab cache gave; null is allowed. Faults go to the report hook of slab.h. */
void kheap_free(void *pointer, const char *site);

/* Bytes usable at pointer (at least what was asked for). */
size_t kheap_size(const void *pointer);

#define kmalloc(size)  kheap_alloc((size), SLAB_SITE)
#define kzalloc(size)  kheap_alloc_zero((size), SLAB_SITE)
#define kfree(pointer) kheap_free((pointer), SLAB_SITE)

/* ---- buddy blocks, used by slabs and by large kmalloc ---- */

/* A block of 4 KiB << order, aligned to its size, tagged with owner and owner_id in the frame table; null
 * when out. */
void *kheap_pages_alloc(unsigned order, enum frame_owner owner, uint32_t owner_id);
void kheap_pages_free(void *block, unsigned order);

struct kheap_stats {
    uint32_t arenas;
    uint64_t arena_bytes;
    uint64_t arena_free_bytes;
    uint64_t large_bytes; /* runs straight from the frame manager */
    uint64_t large_count;
    uint64_t splits;
    uint64_t merges;
    uint64_t allocs; /* buddy blocks ever */
    uint64_t frees;
    uint64_t failures;
    uint64_t slab_bytes;
    uint64_t live_objects;
};

void kheap_stats_read(struct kheap_stats *out);

/* Prints the heap and all caches, those of whole frames (frame_cache.h) too; allocates nothing. */
void kheap_dump(const struct text_sink *sink);

/* Gives back everything that can be: front caches, empty slabs, free arenas beyond none. Returns frames. */
uint64_t kheap_trim(void);

/* Number of violated invariants of arenas and slabs. */
uint64_t kheap_check(void);

#endif
