/* TLB gather: what to invalidate, and what to free only after every CPU acknowledged. Deviations: none. */

#include "mm/tlb.h"

#include "mm/frame.h"
#include "panic.h"

static tlb_flush_hook flush_hook;

void tlb_set_flush(tlb_flush_hook hook)
{
    flush_hook = hook;
}

void tlb_gather_init(struct tlb_gather *gather, struct address_space *space,
                     const struct pt_allocator *allocator)
{
    gather->space = space;
    gather->allocator = allocator;
    gather->page_count = 0;
    gather->frame_count = 0;
    gather->table_count = 0;
    gather->full = false;
    gather->tables_freed = false;
}

void tlb_gather_page(struct tlb_gather *gather, vaddr_t va)
{
    if (gather->page_count == TLB_GATHER_PAGES) {
        gather->full = true;
        return;
    }
    gather->pages[gather->page_count++] = va;
}

void tlb_gather_frame(struct tlb_gather *gather, pfn_t pfn)
{
    if (gather->frame_count == TLB_GATHER_FRAMES) {
        panic("tlb gather: too many frames");
    }
    gather->frames[gather->frame_count++] = pfn;
}

void tlb_gather_table(struct tlb_gather *gather, paddr_t table)
{
    if (gather->table_count == TLB_GATHER_FRAMES) {
        panic("tlb gather: too many tables");
    }
    gather->tables[gather->table_count++] = table;
    gather->tables_freed = true;
}

uint32_t tlb_gather_room(const struct tlb_gather *gather)
{
    return gather->table_count + 3 <= TLB_GATHER_FRAMES ? TLB_GATHER_FRAMES - gather->frame_count : 0;
}

static void free_tables(const struct tlb_gather *gather)
{
    const struct pt_allocator *allocator = gather->allocator;
    if (gather->table_count != 0 && allocator->free_some != NULL) {
        allocator->free_some(allocator->context, gather->table_count, gather->tables);
        return;
    }
    for (uint32_t i = 0; i < gather->table_count; i++) {
        allocator->free(allocator->context, gather->tables[i]);
    }
}

void tlb_gather_finish(struct tlb_gather *gather)
{
    if (flush_hook && (gather->page_count > 0 || gather->full || gather->tables_freed)) {
        flush_hook(gather);
    }
    for (uint32_t i = 0; i < gather->frame_count; i++) {
        frame_put(gather->frames[i]);
    }
    free_tables(gather);
    tlb_gather_init(gather, gather->space, gather->allocator);
}
