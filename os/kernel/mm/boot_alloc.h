#ifndef OS_KERNEL_MM_BOOT_ALLOC_H
#define OS_KERNEL_MM_BOOT_ALLOC_H

/*
 * The allocator of the time before the frame manager: takes whole frames from the USABLE regions, never gives
 * back. Each allocation is painted into the region list (BOOT_PAGE_TABLE or BOOT_ALLOCATION), so the list
 * stays the one truth of what must survive. Sealed for ever by boot_alloc_seal; a call after that goes to
 * panic().
 */

#include "mm/region.h"

/*
 * Starts on a list; allocations are taken from usable memory in [from, limit) only (what is mapped early; the
 * limit is exclusive, from is rounded up). Frames are taken from the highest fitting region downwards, so
 * that low memory stays free for DMA.
 */
void boot_alloc_init(struct region_list *list, uint64_t from, uint64_t limit);

/*
 * `frames` contiguous frames, aligned to align_frames (power of two), typed BOOT_PAGE_TABLE or
 * BOOT_ALLOCATION. Contents are whatever was there. Fails with STATUS_ERR_NO_MEMORY, STATUS_ERR_ARGUMENT,
 * STATUS_ERR_LIMIT. Panics when sealed or not started.
 */
MUST_CHECK status_t boot_alloc_frames(uint64_t frames, uint64_t align_frames, enum region_type type,
                                      paddr_t *out);

/* Why the last refused request was refused. */
struct boot_alloc_shortage {
    uint64_t wanted_frames; /* of that request; 0: none was refused */
    uint64_t used_frames;   /* given out before */
    uint64_t left_frames;   /* usable frames of the window, in whatever pieces */
};

void boot_alloc_shortage(struct boot_alloc_shortage *out);

/* Ends the boot allocator for ever. Calling it twice panics. */
void boot_alloc_seal(void);

bool boot_alloc_sealed(void);

/* Frames given out so far. */
uint64_t boot_alloc_used(void);

#endif
