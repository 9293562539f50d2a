#ifndef OS_KERNEL_MM_FRAME_CACHE_H
#define OS_KERNEL_MM_FRAME_CACHE_H

/*
 * Slab caches of objects that fill whole frames: page tables, the records of capabilities, the messages of channels. A slab here
 * is one object and has no header, which would align the rest of a frame away: the frame table says whose it is.
 *
 *   name, figures    as those of any slab cache, in the same listing (kheap_dump)
 *   constructed      an object is full of zeros when it is taken; one that was left so goes to the next taker as it is
 *   a CPU's front    the stacks of the frame manager (frame_cpu.c), of which one keeps what is full of zeros; all caches share it
 *   under pressure   what lies in a front counts as free, and is taken from every CPU before an allocation fails
 *   double free      refused: STATUS_ERR_DOUBLE_FREE
 *   foreign free     refused, of another cache too, or not from the first frame, or of another length: STATUS_ERR_FOREIGN
 *   heap=full        freed objects are overwritten; a write to a freed one of one frame is reported when it is taken again, and
 *                    one that is not as full of zeros as its user said when it is given back (slab.h, report hook)
 *
 * Context as of the frame manager.
 */

#include "abi/status.h"
#include "mm/frame.h"
#include "mm/slab.h"
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

/* The debug level, with the heap's; until then nothing is checked beyond what a free refuses. */
void frame_cache_init(enum heap_debug debug);

/*
 * An object of n frames that follow one another, full of zeros. n: 1, but for messages. Flags (with FRAME_ZERO, or without when
 * the user fills all of it) and failures as frame_alloc, for n > 1 frame_alloc_contiguous. owner_id: the user's, for its frame's
 * entry in the frame table; of messages the length stands there.
 */
MUST_CHECK status_t frame_cache_alloc(enum frame_cache cache, uint64_t n, uint32_t flags, uint32_t owner_id,
                                      pfn_t *out);

/* Up to n objects of one frame, as frame_alloc_some: how many. */
unsigned frame_cache_alloc_some(enum frame_cache cache, unsigned n, uint32_t flags, uint32_t owner_id,
                                pfn_t *out);

/* Gives back an object of n frames. Fails as frame_free_run, and with STATUS_ERR_FOREIGN, changing nothing. */
MUST_CHECK status_t frame_cache_free(enum frame_cache cache, uint64_t n, pfn_t pfn);

/*
 * Gives back n objects of one frame that the caller has left full of zeros, up to the first that is refused as by
 * frame_free_zeroed: how many.
 */
unsigned frame_cache_free_zeroed(enum frame_cache cache, unsigned n, const paddr_t *addresses);

/* Sums over all CPUs; each figure is exact when the machine is at rest. Bound: O(CPUs). */
void frame_cache_stats_read(enum frame_cache cache, struct frame_cache_stats *out);

/* One line a cache, as kheap_dump's of a slab cache. Allocates nothing. */
void frame_cache_dump(const struct text_sink *sink);

#endif
