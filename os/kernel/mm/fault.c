/*
 * Page faults and populating: demand-zero pages, copy-on-write. A copy-on-write page with one reference left
 * is taken by its last writer without a copy. Deviations: no shared zero page; a first read allocates.
 */

#include "lib/string.h"
#include "mm/pressure.h"
#include "mm/vm_internal.h"

page_flags_t vm_leaf_flags(const struct vm_area *area, bool cow)
{
    uint64_t bits = PAGE_USER;
    if ((area->protection & VM_WRITE) != 0) {
        bits |= cow ? PAGE_COPY_ON_WRITE : PAGE_WRITABLE;
    }
    bits |= (area->protection & VM_EXECUTE) == 0 ? PAGE_NO_EXECUTE : 0;
    bits |= (area->protection & VM_PROTECTION_ALL) == 0 ? PAGE_NO_ACCESS : 0;
    return PAGE_FLAGS(bits);
}

bool vm_may_grow(const struct address_space *space, uint64_t frames)
{
    return space->frame_limit == 0 ||
           space->stats.resident_pages + space->table.tables + frames <= space->frame_limit;
}

/* Runs the shrinkers, or waits for another CPU that does. False: nothing came of it. */
static bool shrink(void)
{
    bool elsewhere = pressure_shrinking();
    if (pressure_shrink(PRESSURE_CRITICAL) > 0) {
        return true;
    }
    while (pressure_shrinking()) {
        elsewhere = true;
        vm_relax();
    }
    return elsewhere;
}

/* A frame for a user page; on exhaustion once more after the shrinkers ran. */
static status_t user_frame(const struct address_space *space, uint32_t flags, pfn_t *pfn)
{
    if (!vm_may_grow(space, 1)) {
        return STATUS_ERR_LIMIT;
    }
    status_t status = frame_alloc(flags, FRAME_OWNER_USER, space->pid.number, pfn);
    if (status == STATUS_ERR_NO_MEMORY && shrink()) {
        status = frame_alloc(flags, FRAME_OWNER_USER, space->pid.number, pfn);
    }
    return status;
}

static status_t fill_zero(struct address_space *space, const struct vm_area *area, uint64_t address)
{
    pfn_t pfn;
    status_t status = user_frame(space, FRAME_ZERO, &pfn);
    if (status != STATUS_OK) {
        return status;
    }
    status =
        pt_map(&space->table, vaddr_make(address), paddr_from_pfn(pfn), PAGE_4K, vm_leaf_flags(area, false));
    if (status != STATUS_OK) {
        frame_put(pfn);
        return status;
    }
    space->stats.resident_pages++;
    space->stats.zero_fills++;
    return STATUS_OK;
}

/* Gives the writer a page of its own. */
static status_t break_cow(struct address_space *space, const struct vm_area *area, uint64_t address,
                          const struct pt_leaf *leaf)
{
    struct tlb_gather gather;
    pfn_t old = paddr_pfn(leaf->address);
    vaddr_t va = vaddr_make(address);
    tlb_gather_init(&gather, space, space->table.allocator);
    if (frame_refs(old) == 1) {
        status_t taken = pt_protect(&space->table, va, vm_leaf_flags(area, false), &gather);
        space->stats.cow_takes += taken == STATUS_OK ? 1 : 0;
        tlb_gather_finish(&gather);
        return taken;
    }
    pfn_t copy;
    status_t status = user_frame(space, 0, &copy);
    if (status != STATUS_OK) {
        return status;
    }
    memcpy(arch_phys_to_virt(paddr_from_pfn(copy)), arch_phys_to_virt(leaf->address), PAGE_SIZE);
    status = pt_replace(&space->table, va, paddr_from_pfn(copy), vm_leaf_flags(area, false), &gather);
    if (status != STATUS_OK) {
        frame_put(copy);
        return status;
    }
    tlb_gather_frame(&gather, old);
    tlb_gather_finish(&gather);
    space->stats.cow_copies++;
    return STATUS_OK;
}

status_t vm_page_in(struct address_space *space, const struct vm_area *area, uint64_t address, bool write,
                    bool *added)
{
    struct pt_leaf leaf;
    status_t status = pt_query(&space->table, vaddr_make(address), &leaf);
    if (added) {
        *added = status == STATUS_ERR_NOT_MAPPED;
    }
    if (status == STATUS_ERR_NOT_MAPPED) {
        if (area->kind == VM_BACKED) {
            return vm_backing_page_in(space, area, address);
        }
        if (area->kind == VM_DEVICE) {
            return area->backing != NULL ? vm_backing_device_fault(area) : STATUS_ERR_NOT_MAPPED;
        }
        return fill_zero(space, area, address);
    }
    bool writable = page_flags_contain(leaf.flags, PAGE_FLAGS(PAGE_WRITABLE));
    if (status != STATUS_OK || !write || writable || area->kind == VM_DEVICE) {
        return status;
    }
    return break_cow(space, area, address, &leaf);
}

/* What the area says to an access. */
static status_t check_access(const struct vm_area *area, uint64_t error_code)
{
    if (area == NULL) {
        return STATUS_ERR_BAD_ADDRESS;
    }
    if (area->kind == VM_GUARD) {
        return STATUS_ERR_GUARD;
    }
    uint32_t wanted =
        (error_code & FAULT_WRITE) != 0 ? VM_WRITE : ((error_code & FAULT_FETCH) != 0 ? VM_EXECUTE : VM_READ);
    /* The architecture cannot map a page that is writable or executable but not readable. */
    bool readable = wanted == VM_READ && (area->protection & VM_PROTECTION_ALL) != 0;
    return (area->protection & wanted) != 0 || readable ? STATUS_OK : STATUS_ERR_PROTECTION;
}

/* A fault on a page that allows the access: this CPU's entry is stale, or another CPU was first. */
static void drop_stale(struct address_space *space, uint64_t address)
{
    struct tlb_gather gather;
    tlb_gather_init(&gather, space, space->table.allocator);
    tlb_gather_page(&gather, vaddr_make(address));
    tlb_gather_finish(&gather);
}

status_t vm_fault(struct address_space *space, vaddr_t va, uint64_t error_code)
{
    if (!vaddr_canonical(va) || va.number >= USER_END || (error_code & FAULT_RESERVED) != 0) {
        return STATUS_ERR_BAD_ADDRESS;
    }
    uint64_t address = align_down(va.number, PAGE_SIZE);
    vm_gate_enter(space);
    space->stats.faults++;
    struct vm_area *area = vm_area_find(space, address);
    status_t status = check_access(area, error_code);
    if (status == STATUS_OK) {
        uint64_t copies = space->stats.cow_copies + space->stats.cow_takes;
        bool added = false;
        status = vm_page_in(space, area, address, (error_code & FAULT_WRITE) != 0, &added);
        if (status == STATUS_OK && !added && copies == space->stats.cow_copies + space->stats.cow_takes) {
            drop_stale(space, address);
        }
    }
    space->stats.denied += status == STATUS_OK ? 0 : 1;
    space->stats.table_frames = space->table.tables;
    vm_gate_leave(space);
    return status;
}

/* Pages of [start, end) that the bits say were there before stay, the others go. */
static void undo_populate(struct address_space *space, uint64_t start, uint64_t end, const uint64_t *kept)
{
    for (uint64_t at = start; at < end; at += PAGE_SIZE) {
        uint64_t index = (at - start) / PAGE_SIZE;
        if (((kept[index / 64] >> (index % 64)) & 1) == 0) {
            vm_pages_out(space, at, at + PAGE_SIZE);
        }
    }
}

#define POPULATE_BATCH  64u
#define POPULATE_TABLES 3u /* that one walk may add */

/*
 * Makes pages from `at` on present, many at once: how many. None when there is more to it than that: the page is there, memory
 * or the limit is near. Gated.
 */
static unsigned page_in_many(struct address_space *space, const struct vm_area *area, uint64_t at,
                             uint64_t end)
{
    pfn_t frames[POPULATE_BATCH];
    page_flags_t flags = vm_leaf_flags(area, false);
    uint64_t pages = ((end < area->end ? end : area->end) - at) / PAGE_SIZE;
    unsigned n = pages < POPULATE_BATCH ? (unsigned)pages : POPULATE_BATCH;
    n = area->kind != VM_DEVICE ? pt_absent(&space->table, vaddr_make(at), n) : 0;
    if (n == 0 || !vm_may_grow(space, n + POPULATE_TABLES)) {
        return 0;
    }
    if (area->kind == VM_BACKED) {
        n = vm_backing_frames(area, at, n, frames, &flags) ? n : 0;
    } else {
        n = frame_alloc_some(n, FRAME_ZERO, FRAME_OWNER_USER, space->pid.number, frames);
    }
    if (n != 0 && pt_map_frames(&space->table, vaddr_make(at), frames, n, flags) != STATUS_OK) {
        for (unsigned i = 0; i < n; i++) {
            frame_put(frames[i]);
        }
        return 0;
    }
    space->stats.resident_pages += n;
    space->stats.zero_fills += area->kind != VM_BACKED ? n : 0;
    return n;
}

status_t vm_populate(struct address_space *space, vaddr_t start, uint64_t bytes, bool write)
{
    uint64_t kept[VM_POPULATE_MAX / 64];
    uint64_t pages = (bytes + PAGE_MASK) / PAGE_SIZE;
    if (!vaddr_aligned(start, PAGE_SIZE)) {
        return STATUS_ERR_UNALIGNED;
    }
    if (pages > VM_POPULATE_MAX || start.number > USER_END || pages * PAGE_SIZE > USER_END - start.number) {
        return STATUS_ERR_RANGE;
    }
    for (uint64_t i = 0; i < pages; i += 64) {
        kept[i / 64] = 0;
    }
    status_t status = STATUS_OK;
    uint64_t end = start.number + pages * PAGE_SIZE;
    vm_gate_enter(space);
    for (uint64_t at = start.number; at < end && status == STATUS_OK;) {
        const struct vm_area *area = vm_area_find(space, at);
        bool added = false;
        status = check_access(area, write ? FAULT_WRITE : 0);
        unsigned many = status == STATUS_OK ? page_in_many(space, area, at, end) : 0;
        if (status == STATUS_OK && many == 0) {
            status = vm_page_in(space, area, at, write, &added);
            uint64_t index = (at - start.number) / PAGE_SIZE;
            kept[index / 64] |= added && status == STATUS_OK ? 0 : 1ull << (index % 64);
        }
        if (status != STATUS_OK) {
            undo_populate(space, start.number, at, kept);
        }
        at += (many != 0 ? many : 1) * PAGE_SIZE;
    }
    space->stats.table_frames = space->table.tables;
    vm_gate_leave(space);
    return status;
}

status_t vm_populate_new(struct address_space *space, vaddr_t start, uint64_t bytes, bool write)
{
    status_t status = vm_populate(space, start, bytes, write);
    if (status == STATUS_OK) {
        return STATUS_OK;
    }
    /* another thread may have mapped something across its ends meanwhile */
    status_t undone = vm_unmap(space, start, bytes);
    return undone == STATUS_OK ? status : undone;
}
