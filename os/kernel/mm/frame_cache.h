#ifndef OS_KERNEL_MM_FRAME_CACHE_H
#define OS_KERNEL_MM_FRAME_CACHE_H

/*
 * Caches of objects that are whole frames: page tables, the records of capabilities, the messages of channels. A slab would
 * put a header in front of them and align the rest away, so free ones lie in the per-CPU caches of the frame manager, which
 * all of these share and which keep those full of zeros apart (frame_cpu.c). A cache here has the name and the figures, as a
 * slab cache has them, and is in the same listing (kheap_dump). Context as of the frame manager.
 */

#include "abi/status.h"
#include "mm/frame.h"
#include "types.h"

enum frame_cache {
    FRAME_CACHE_PAGE_TABLE,
    FRAME_CACHE_CAP_RECORDS, /* a leaf of a capability space */
    FRAME_CACHE_MESSAGES,    /* an object is the memory of a channel */
    FRAME_CACHES
};

struct frame_cache_stats {
    const char *name;
    uint64_t live;   /* objects with users */
    uint64_t allocs; /* objects ever */
    uint64_t frees;
    uint64_t failures;
    uint64_t frames; /* of the objects with users */
};

/* An object of n frames that follow one another. Flags and failures as frame_alloc, for n > 1 frame_alloc_contiguous. */
MUST_CHECK status_t frame_cache_alloc(enum frame_cache cache, uint64_t n, uint32_t flags, uint32_t owner_id,
                                      pfn_t *out);

/* Up to n objects of one frame, as frame_alloc_some: how many. */
unsigned frame_cache_alloc_some(enum frame_cache cache, unsigned n, uint32_t flags, uint32_t owner_id,
                                pfn_t *out);

/* Gives back an object of n frames. Fails as frame_free_run, changing nothing. */
MUST_CHECK status_t frame_cache_free(enum frame_cache cache, uint64_t n, pfn_t pfn);

/* Gives back n objects of one frame that the caller has left full of zeros, up to the first that frame_free_zeroed refuses: how many. */
unsigned frame_cache_free_zeroed(enum frame_cache cache, unsigned n, const paddr_t *addresses);

/* Sums over all CPUs; each figure is exact when the machine is at rest. Bound: O(CPUs). */
void frame_cache_stats_read(enum frame_cache cache, struct frame_cache_stats *out);

/* One line a cache, as kheap_dump's of a slab cache. Allocates nothing. */
void frame_cache_dump(const struct text_sink *sink);

#endif
