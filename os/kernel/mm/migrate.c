/*
 * Moves the pages of a range to another node. A page is write-protected on every CPU before it is copied, and the old
 * frame goes only when no CPU can reach it any more; a write in between faults and waits at the space's gate. Deviations:
 * pages that several spaces share stay where they are.
 */

#include "lib/string.h"
#include "mm/vm_internal.h"

/* No CPU writes to the page from here on. */
static status_t freeze(struct address_space *space, vaddr_t va, page_flags_t flags)
{
    struct tlb_gather gather;
    tlb_gather_init(&gather, space, space->table.allocator);
    status_t status =
        pt_protect(&space->table, va, page_flags_without(flags, PAGE_FLAGS(PAGE_WRITABLE)), &gather);
    tlb_gather_finish(&gather);
    return status;
}

static status_t move(struct address_space *space, vaddr_t va, const struct pt_leaf *leaf, unsigned node)
{
    struct tlb_gather gather;
    page_flags_t flags = PAGE_FLAGS(leaf->flags.bits & ~(PAGE_ACCESSED | PAGE_DIRTY | PAGE_PRESENT));
    pfn_t copy;
    status_t status =
        frame_alloc(FRAME_NODE(node) | FRAME_STRICT, FRAME_OWNER_USER, space->pid.number, &copy);
    if (status != STATUS_OK) {
        return status;
    }
    status = freeze(space, va, flags);
    if (status == STATUS_OK) {
        memcpy(arch_phys_to_virt(paddr_from_pfn(copy)), arch_phys_to_virt(leaf->address), PAGE_SIZE);
        tlb_gather_init(&gather, space, space->table.allocator);
        status = pt_replace(&space->table, va, paddr_from_pfn(copy), flags, &gather);
    }
    if (status != STATUS_OK) {
        frame_put(copy);
        return status;
    }
    tlb_gather_frame(&gather, paddr_pfn(leaf->address));
    tlb_gather_finish(&gather);
    space->stats.migrated_pages++;
    return STATUS_OK;
}

/* One page; *moved counts it when it has come to another node. Gated. */
static status_t migrate_page(struct address_space *space, vaddr_t va, unsigned node, uint64_t *moved)
{
    struct pt_leaf leaf;
    if (pt_query(&space->table, va, &leaf) != STATUS_OK ||
        page_flags_contain(leaf.flags, PAGE_FLAGS(PAGE_DEVICE))) {
        return STATUS_OK;
    }
    const struct page_frame *frame = frame_lookup(paddr_pfn(leaf.address));
    if (frame == NULL || frame->node == node) {
        return STATUS_OK;
    }
    if (frame_refs(paddr_pfn(leaf.address)) != 1) {
        return STATUS_ERR_SHARED;
    }
    status_t status = move(space, va, &leaf, node);
    *moved += status == STATUS_OK ? 1 : 0;
    return status;
}

status_t vm_migrate(struct address_space *space, vaddr_t start, uint64_t bytes, unsigned node,
                    uint64_t *moved)
{
    *moved = 0;
    if (!vaddr_aligned(start, PAGE_SIZE)) {
        return STATUS_ERR_UNALIGNED;
    }
    uint64_t pages = (bytes + PAGE_MASK) / PAGE_SIZE;
    if (bytes > USER_END || start.number > USER_END || pages > VM_POPULATE_MAX ||
        pages * PAGE_SIZE > USER_END - start.number) {
        return STATUS_ERR_RANGE;
    }
    if (node >= frame_manager_get()->node_count) {
        return STATUS_ERR_ARGUMENT;
    }
    status_t status = STATUS_OK;
    vm_gate_enter(space);
    for (uint64_t i = 0; i < pages && status == STATUS_OK; i++) {
        status = migrate_page(space, vaddr_add(start, i * PAGE_SIZE), node, moved);
    }
    vm_gate_leave(space);
    return status;
}
