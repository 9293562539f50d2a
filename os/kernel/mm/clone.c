/*
 * Copy-on-write clone of an address space. The parent's gate is held until its write-protection has reached
 * every CPU, so no thread of the parent can break a page while another still writes to it through a stale
 * entry. Deviations: device areas are mapped again, not copied on write.
 */

#include "mm/vm_internal.h"

struct clone_walk {
    struct address_space *parent;
    struct address_space *child;
    struct tlb_gather *gather;
    const struct vm_area *area;
};

static status_t clone_areas(struct address_space *parent, struct address_space *child)
{
    list_for_each(it, &parent->areas)
    {
        const struct vm_area *area = list_entry(it, struct vm_area, link);
        struct vm_area *copy = vm_area_new(area);
        if (copy == NULL) {
            return STATUS_ERR_NO_MEMORY;
        }
        vm_area_insert(child, copy);
    }
    return STATUS_OK;
}

#define SHARE_BATCH 64u

/* What follows each other in one table, with the same flags. */
struct page_run {
    uint64_t at;
    unsigned count;
    page_flags_t flags;
    pfn_t frames[SHARE_BATCH];
};

/* Shares pages: write-protected in the parent, the same leaves in the child, one more reference. */
static status_t share(const struct clone_walk *walk, const struct page_run *run)
{
    const struct vm_area *area = walk->area;
    const struct pt_leaf first = {paddr_from_pfn(run->frames[0]), PAGE_4K, run->flags};
    bool device = page_flags_contain(run->flags, PAGE_FLAGS(PAGE_DEVICE));
    bool writable = page_flags_contain(run->flags, PAGE_FLAGS(PAGE_WRITABLE));
    page_flags_t shared = run->flags;
    bool private = !device && !(area->kind == VM_BACKED && vm_backing_shares(area, run->at, &first));
    if (writable && private) {
        shared = page_flags_or(page_flags_without(shared, PAGE_FLAGS(PAGE_WRITABLE)),
                               PAGE_FLAGS(PAGE_COPY_ON_WRITE));
    }
    if (!vm_may_grow(walk->child, run->count)) {
        return STATUS_ERR_LIMIT;
    }
    status_t status =
        pt_map_frames(&walk->child->table, vaddr_make(run->at), run->frames, run->count, shared);
    if (status != STATUS_OK) {
        return status;
    }
    if (device) {
        walk->child->stats.device_pages += run->count;
        return STATUS_OK;
    }
    frame_get_many(run->frames, run->count);
    walk->child->stats.resident_pages += run->count;
    return writable && private
               ? pt_protect_run(&walk->parent->table, vaddr_make(run->at), run->count, shared, walk->gather)
               : STATUS_OK;
}

/* Of a backing, one page may be shared and the next a copy. */
static status_t clone_area(const struct clone_walk *walk)
{
    const struct vm_area *area = walk->area;
    unsigned most = area->kind == VM_BACKED ? 1 : SHARE_BATCH;
    struct page_run run;
    run.at = area->start;
    status_t status = STATUS_OK;
    for (; status == STATUS_OK; run.at += run.count * PAGE_SIZE) {
        run.count = pt_run(&walk->parent->table, &run.at, area->end, most, run.frames, &run.flags);
        if (run.count == 0) {
            return STATUS_OK;
        }
        status = share(walk, &run);
    }
    return status;
}

/* Area by area: in a sparse space most of the table would be walked for nothing. */
static status_t clone_pages(struct clone_walk *walk)
{
    status_t status = STATUS_OK;
    list_for_each(it, &walk->parent->areas)
    {
        walk->area = list_entry(it, struct vm_area, link);
        if (status == STATUS_OK) {
            status = clone_area(walk);
        }
    }
    return status;
}

status_t vm_clone(struct address_space *parent, struct address_space *child, struct pid child_pid)
{
    status_t status = vm_space_init(child, child_pid);
    if (status != STATUS_OK) {
        return status;
    }
    struct tlb_gather gather;
    struct clone_walk walk = {parent, child, &gather, NULL};
    tlb_gather_init(&gather, parent, parent->table.allocator);
    vm_gate_enter(parent);
    vm_gate_enter(child); /* a backing that both use may be drained */
    child->frame_limit = parent->frame_limit;
    status = clone_areas(parent, child);
    if (status == STATUS_OK) {
        status = clone_pages(&walk);
    }
    tlb_gather_finish(&gather);
    vm_gate_leave(child);
    vm_gate_leave(parent);
    child->stats.table_frames = child->table.tables;
    if (status != STATUS_OK) {
        vm_space_deinit(child);
    }
    return status;
}
