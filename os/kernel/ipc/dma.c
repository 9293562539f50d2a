/* Runs of memory for DMA. Deviations: none is ever given back or cut, so that the most that was ever in use stays taken. */
#include "ipc/dma.h"

#include "lib/spinlock.h"
#include "lib/string.h"
#include "mm/frame.h"
#include "mm/layout.h"

static struct spinlock runs_lock = SPINLOCK_INIT("ipc.dma", IPC_DMA);
static struct dma_run runs[DMA_RUNS_MAX];
static uint64_t frames_made;

/* The smallest kept run of enough pages, else one that is still to be made, else null; taken from now on. */
static struct dma_run *choose(uint64_t pages)
{
    struct dma_run *best = NULL;
    struct dma_run *blank = NULL;
    uint64_t flags = spin_lock_irqsave(&runs_lock);
    for (unsigned i = 0; i < DMA_RUNS_MAX; i++) {
        struct dma_run *run = &runs[i];
        if (run->taken) {
            continue;
        }
        if (run->pages == 0) {
            blank = blank == NULL ? run : blank;
        } else if (run->pages >= pages && (best == NULL || run->pages < best->pages)) {
            best = run;
        }
    }
    best = best == NULL ? blank : best;
    if (best != NULL) {
        best->taken = true;
    }
    spin_unlock_irqrestore(&runs_lock, flags);
    return best;
}

status_t dma_take(uint64_t pages, struct dma_run **out)
{
    struct dma_run *run = choose(pages);
    if (run == NULL) {
        return STATUS_ERR_LIMIT;
    }
    if (run->pages == 0) {
        status_t status = frame_alloc_contiguous(pages, FRAME_ZERO, FRAME_OWNER_DEVICE, 0, &run->first);
        if (status != STATUS_OK) {
            dma_give(run);
            return status;
        }
        run->pages = pages;
        __atomic_add_fetch(&frames_made, pages, __ATOMIC_RELAXED);
    } else {
        memset(arch_phys_to_virt(paddr_from_pfn(run->first)), 0, pages * PAGE_SIZE);
    }
    *out = run;
    return STATUS_OK;
}

void dma_give(struct dma_run *run)
{
    uint64_t flags = spin_lock_irqsave(&runs_lock);
    run->taken = false;
    spin_unlock_irqrestore(&runs_lock, flags);
}

uint64_t dma_frames(void)
{
    return __atomic_load_n(&frames_made, __ATOMIC_RELAXED);
}
