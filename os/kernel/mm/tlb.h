#ifndef OS_KERNEL_MM_TLB_H
#define OS_KERNEL_MM_TLB_H

/*
 * TLB gather: collects pages to invalidate and frames to free while page tables change. tlb_gather_finish
 * calls the flush hook, which returns only when every CPU that may hold stale entries has acknowledged, and
 * then frees.
 *
 * The hook is called with no spinlock of mm/ held, so a target CPU that spins with interrupts off inside mm/
 * still gets to its acknowledgement; an address space's gate may be held (waiters call vm_hooks.wait and
 * sleep, see vm.h).
 */

#include "mm/pagetable.h"
#include "types.h"

#define TLB_GATHER_PAGES  32u /* beyond: flush everything */
#define TLB_GATHER_FRAMES 64u /* bound of what one gather can free */

struct address_space;

struct tlb_gather {
    struct address_space *space; /* null: kernel half, on all CPUs */
    uint32_t page_count;
    uint32_t frame_count;
    uint32_t table_count;
    bool full;         /* flush the whole space: pages[] is not complete */
    bool tables_freed; /* paging-structure caches must go too (INVLPG drops them for its address; full flush
                          drops all) */
    const struct pt_allocator *allocator;
    vaddr_t pages[TLB_GATHER_PAGES];
    pfn_t frames[TLB_GATHER_FRAMES];   /* references dropped with frame_put after the flush */
    paddr_t tables[TLB_GATHER_FRAMES]; /* page tables freed after the flush */
};

typedef void (*tlb_flush_hook)(const struct tlb_gather *gather);

/* Sets the flush hook (kernel: shootdown). Null: nothing to flush (host tests, before paging is ours). */
void tlb_set_flush(tlb_flush_hook hook);

void tlb_gather_init(struct tlb_gather *gather, struct address_space *space,
                     const struct pt_allocator *allocator);

/* Notes a page for invalidation. */
void tlb_gather_page(struct tlb_gather *gather, vaddr_t va);

/* Notes a frame whose reference is dropped after the flush. Panics when full: see tlb_gather_room. */
void tlb_gather_frame(struct tlb_gather *gather, pfn_t pfn);

/* Notes a page table to be freed after the flush. */
void tlb_gather_table(struct tlb_gather *gather, paddr_t table);

/* Frames that still fit; 0 also when 3 tables more might not. Finish then. */
uint32_t tlb_gather_room(const struct tlb_gather *gather);

/* Flushes if anything was noted, frees, and leaves the gather empty and usable again. */
void tlb_gather_finish(struct tlb_gather *gather);

#endif
