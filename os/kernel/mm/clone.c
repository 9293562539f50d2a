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

/* Shares one page: write-protected in the parent, the same leaf in the child, one more reference. */
static status_t clone_leaf(void *context, vaddr_t va, const struct pt_leaf *leaf)
{
    const struct clone_walk *walk = context;
    page_flags_t kept = PAGE_FLAGS(leaf->flags.bits & ~(PAGE_ACCESSED | PAGE_DIRTY));
    bool device = page_flags_contain(kept, PAGE_FLAGS(PAGE_DEVICE));
    bool writable = page_flags_contain(kept, PAGE_FLAGS(PAGE_WRITABLE));
    page_flags_t shared = kept;
    bool private =
        !device && !(walk->area->kind == VM_BACKED && vm_backing_shares(walk->area, va.number, leaf));
    if (writable && private) {
        shared = page_flags_or(page_flags_without(kept, PAGE_FLAGS(PAGE_WRITABLE)),
                               PAGE_FLAGS(PAGE_COPY_ON_WRITE));
    }
    if (!vm_may_grow(walk->child, 1)) {
        return STATUS_ERR_LIMIT;
    }
    status_t status = pt_map(&walk->child->table, va, leaf->address, PAGE_4K, shared);
    if (status != STATUS_OK) {
        return status;
    }
    if (device) {
        walk->child->stats.device_pages++;
        return STATUS_OK;
    }
    frame_get(paddr_pfn(leaf->address));
    walk->child->stats.resident_pages++;
    return writable && private ? pt_protect(&walk->parent->table, va, shared, walk->gather) : STATUS_OK;
}

/* Area by area: in a sparse space most of the table would be walked for nothing. */
static status_t clone_pages(struct clone_walk *walk)
{
    status_t status = STATUS_OK;
    list_for_each(it, &walk->parent->areas)
    {
        const struct vm_area *area = list_entry(it, struct vm_area, link);
        walk->area = area;
        if (status == STATUS_OK) {
            status = pt_walk(&walk->parent->table, vaddr_make(area->start), vaddr_make(area->end), clone_leaf,
                             walk);
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
