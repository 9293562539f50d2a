#ifndef OS_KERNEL_IPC_DMA_H
#define OS_KERNEL_IPC_DMA_H

/*
 * Memory that devices read and write on their own: contiguous runs of frames, for good. Nothing stops a device whose driver has
 * died (there is no IOMMU): it goes on writing where it was told to. So a run never goes back to the frame manager; it is
 * kept for the next driver that asks for memory, and what a forgotten device does can hurt nobody else.
 */

#include "abi/status.h"
#include "types.h"

#define DMA_RUNS_MAX  64u
#define DMA_MAX_PAGES 256u /* of one run */

struct dma_run {
    pfn_t first;    /* FRAME_OWNER_DEVICE, one reference each */
    uint64_t pages; /* 0: not made yet */
    bool taken;
};

/*
 * A run of at least `pages` pages (1..DMA_MAX_PAGES), of which the first `pages` are zeroed: the smallest that is kept and fits,
 * else a new one. STATUS_ERR_NO_MEMORY (also: no run so long), STATUS_ERR_LIMIT (DMA_RUNS_MAX runs).
 */
MUST_CHECK status_t dma_take(uint64_t pages, struct dma_run **out);

/* Frames of all runs that were ever made. Any context. */
uint64_t dma_frames(void);

/* Keeps the run for the next one. */
void dma_give(struct dma_run *run);

#endif
