/*
 * Areas whose pages belong to something outside the address space: shared memory, and devices that can be taken away. A
 * backing knows the areas that use it, in whatever space, so that its pages can be taken out everywhere. It reaches a
 * space from outside, which may be ending: it pins the space under its own lock while an area still says that the space
 * is there, and the end waits for pins. Deviations: pages of 4 KiB only.
 */
#include "mm/vm_internal.h"

void vm_backing_init(struct vm_backing *backing, const struct vm_backing_ops *ops)
{
    *backing = (struct vm_backing){.ops = ops};
    spinlock_init(&backing->lock, "vm.backing", LOCK_CLASS_VM_BACKING);
    list_init(&backing->areas);
}

void vm_backing_join(struct address_space *space, struct vm_area *area)
{
    struct vm_backing *backing = area->backing;
    uint64_t flags = spin_lock_irqsave(&backing->lock);
    area->space = space;
    area->drained = 0;
    list_init(&area->backing_link);
    list_push_back(&backing->areas, &area->backing_link);
    spin_unlock_irqrestore(&backing->lock, flags);
}

void vm_backing_leave(struct vm_area *area)
{
    struct vm_backing *backing = area->backing;
    uint64_t flags = spin_lock_irqsave(&backing->lock);
    list_remove(&area->backing_link);
    bool last = list_empty(&backing->areas);
    spin_unlock_irqrestore(&backing->lock, flags);
    if (last) {
        backing->ops->unused(backing);
    }
}

static uint64_t page_of(const struct vm_area *area, uint64_t address)
{
    return area->physical + (address - area->start) / PAGE_SIZE;
}

bool vm_backing_shares(const struct vm_area *area, uint64_t address, const struct pt_leaf *leaf)
{
    pfn_t pfn;
    bool copy;
    status_t status = area->backing->ops->pages(area->backing, page_of(area, address), 1, &pfn, &copy);
    return status == STATUS_OK && !copy && !area->copy && pfn == paddr_pfn(leaf->address);
}

static page_flags_t flags_of(const struct vm_area *area, bool copy)
{
    return page_flags_or(vm_leaf_flags(area, copy || area->copy), cache_policy_flags(area->cache));
}

bool vm_backing_frames(const struct vm_area *area, uint64_t address, unsigned n, pfn_t *frames,
                       page_flags_t *flags)
{
    bool copy;
    if (area->backing->ops->pages(area->backing, page_of(area, address), n, frames, &copy) != STATUS_OK) {
        return false;
    }
    frame_get_many(frames, n);
    *flags = flags_of(area, copy);
    return true;
}

status_t vm_backing_page_in(struct address_space *space, const struct vm_area *area, uint64_t address)
{
    pfn_t pfn;
    bool copy;
    status_t status = area->backing->ops->pages(area->backing, page_of(area, address), 1, &pfn, &copy);
    if (status != STATUS_OK) {
        area->backing->ops->denied(area->backing, status);
    }
    if (status == STATUS_OK && !vm_may_grow(space, 1)) {
        status = STATUS_ERR_LIMIT;
    }
    if (status != STATUS_OK) {
        return status;
    }
    frame_get(pfn);
    status = pt_map(&space->table, vaddr_make(address), paddr_from_pfn(pfn), PAGE_4K, flags_of(area, copy));
    if (status != STATUS_OK) {
        frame_put(pfn);
        return status;
    }
    space->stats.resident_pages++;
    return STATUS_OK;
}

status_t vm_backing_device_fault(const struct vm_area *area)
{
    bool copy;
    status_t status = area->backing->ops->pages(area->backing, 0, 0, NULL, &copy);
    if (status == STATUS_OK) {
        return STATUS_ERR_NOT_MAPPED;
    }
    area->backing->ops->denied(area->backing, status);
    return status;
}

status_t vm_map_backing(struct address_space *space, vaddr_t hint, uint64_t bytes, uint32_t flags,
                        enum cache_policy cache, struct vm_backing *backing, uint64_t first, uint32_t allowed,
                        bool copy, vaddr_t *out)
{
    const struct vm_area properties = {.kind = VM_BACKED,
                                       .physical = first,
                                       .cache = cache,
                                       .allowed = allowed,
                                       .copy = copy,
                                       .backing = backing};
    return vm_map_area(space, hint, bytes, flags, &properties, out);
}

/* ---- draining ---- */

/* A space with pages that this drain has not taken out yet, pinned; null when there is none left. */
static struct address_space *next_space(struct vm_backing *backing, uint64_t drain)
{
    struct address_space *space = NULL;
    uint64_t flags = spin_lock_irqsave(&backing->lock);
    list_for_each(node, &backing->areas)
    {
        const struct vm_area *area = list_entry(node, struct vm_area, backing_link);
        if (area->drained < drain) {
            space = area->space;
            __atomic_add_fetch(&space->pins, 1, __ATOMIC_ACQUIRE);
            break;
        }
    }
    spin_unlock_irqrestore(&backing->lock, flags);
    return space;
}

/* Gated. */
static void drain_space(struct address_space *space, struct vm_backing *backing)
{
    uint64_t drain = __atomic_load_n(&backing->drain, __ATOMIC_ACQUIRE);
    list_for_each(node, &space->areas)
    {
        struct vm_area *area = list_entry(node, struct vm_area, link);
        if (area->backing == backing) {
            vm_pages_out(space, area->start, area->end);
            uint64_t flags = spin_lock_irqsave(&backing->lock);
            area->drained = drain;
            spin_unlock_irqrestore(&backing->lock, flags);
        }
    }
}

void vm_backing_drain(struct vm_backing *backing)
{
    uint64_t drain = __atomic_add_fetch(&backing->drain, 1, __ATOMIC_ACQ_REL);
    for (struct address_space *space; (space = next_space(backing, drain)) != NULL;) {
        vm_gate_enter(space);
        drain_space(space, backing);
        vm_gate_leave(space);
        __atomic_sub_fetch(&space->pins, 1, __ATOMIC_RELEASE);
    }
}

void vm_backing_unpinned(const struct address_space *space)
{
    while (__atomic_load_n(&space->pins, __ATOMIC_ACQUIRE) != 0) {
        vm_relax();
    }
}
