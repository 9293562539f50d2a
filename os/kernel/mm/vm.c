/*
 * Address spaces: gate, creation and end, mapping, unmapping, protection, questions. Faults are in fault.c,
 * the copy-on-write clone in clone.c, copies to and from user memory in vm_copy.c. Deviations: user areas use
 * 4 KiB pages.
 */

#include "mm/vm.h"

#include "lib/string.h"
#include "mm/vm_internal.h"

static const struct page_table *kernel_table;
static struct vm_hooks vm_hooks;
static uint64_t contexts_given;

status_t vm_init(const struct page_table *kernel, const struct vm_hooks *hooks)
{
    kernel_table = kernel;
    vm_hooks = hooks ? *hooks : (struct vm_hooks){.relax = NULL};
    return vm_area_start();
}

/* ---- gate ---- */

void vm_relax(void)
{
    if (vm_hooks.relax) {
        vm_hooks.relax();
    } else {
        arch_pause();
    }
}

static bool wait_at(const uint32_t *gate, bool overtaken)
{
    if (vm_hooks.wait) {
        return vm_hooks.wait(gate, overtaken);
    }
    arch_pause();
    return false;
}

/* 0 open, 1 shut, 2 shut and perhaps somebody sleeps there. */
void vm_gate_enter(struct address_space *space)
{
    uint32_t open = 0;
    if (__atomic_compare_exchange_n(&space->gate, &open, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        return;
    }
    bool mine = false;
    for (bool overtaken = false; !mine && __atomic_exchange_n(&space->gate, 2, __ATOMIC_ACQUIRE) != 0;
         overtaken = true) {
        mine = wait_at(&space->gate, overtaken);
    }
}

void vm_gate_leave(struct address_space *space)
{
    uint32_t shut = 1;
    if (__atomic_compare_exchange_n(&space->gate, &shut, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
        return;
    }
    if (vm_hooks.leave) {
        vm_hooks.leave(&space->gate);
    } else {
        __atomic_store_n(&space->gate, 0, __ATOMIC_RELEASE);
    }
}

static status_t leave(struct address_space *space, status_t status)
{
    space->stats.table_frames = space->table.tables;
    vm_gate_leave(space);
    return status;
}

/* ---- creation ---- */

status_t vm_space_init(struct address_space *space, struct pid pid)
{
    memset(space, 0, sizeof *space);
    list_init(&space->areas);
    space->pid = pid;
    space->tlb_context = __atomic_add_fetch(&contexts_given, 1, __ATOMIC_RELAXED);
    status_t status = pt_init_user(&space->table, &pt_frame_allocator, kernel_table);
    if (status == STATUS_OK) {
        frame_set_owner(paddr_pfn(space->table.root), 1, FRAME_OWNER_PAGE_TABLE, pid.number);
    }
    space->stats.table_frames = space->table.tables;
    return status;
}

static void all_pages_out(struct address_space *space);

void vm_space_deinit(struct address_space *space)
{
    vm_gate_enter(space);
    all_pages_out(space);
    list_for_each_safe(it, after, &space->areas)
    {
        vm_area_drop(space, list_entry(it, struct vm_area, link));
    }
    vm_gate_leave(space);
    vm_backing_unpinned(space);
    pt_deinit(&space->table);
}

/* ---- mapping ---- */

static status_t check_range(uint64_t start, uint64_t bytes)
{
    if (start % PAGE_SIZE != 0) {
        return STATUS_ERR_UNALIGNED;
    }
    bool inside = bytes != 0 && start >= PAGE_SIZE && start <= USER_END && bytes <= USER_END - start;
    return inside ? STATUS_OK : STATUS_ERR_RANGE;
}

static status_t check_protection(uint32_t protection)
{
    if ((protection & ~VM_PROTECTION_ALL) != 0) {
        return STATUS_ERR_ARGUMENT;
    }
    bool both = (protection & VM_WRITE) != 0 && (protection & VM_EXECUTE) != 0;
    return both ? STATUS_ERR_WRITE_EXECUTE : STATUS_OK;
}

/* Decides where an area of bytes goes. Gated. */
static status_t place(struct address_space *space, uint64_t hint, uint64_t bytes, bool fixed, uint64_t *start)
{
    const struct vm_area *hit = vm_area_first(space, hint);
    bool taken = hit && hit->start < hint + bytes;
    *start = hint;
    if (check_range(hint, bytes) == STATUS_OK && !taken) {
        return STATUS_OK;
    }
    if (fixed) {
        return taken ? STATUS_ERR_EXISTS : STATUS_ERR_RANGE;
    }
    *start = vm_area_gap(space, hint, bytes);
    return *start != 0 ? STATUS_OK : STATUS_ERR_NO_MEMORY;
}

/* Adds an area at its start or, unless fixed, elsewhere; *start is where. Gated. */
static status_t add_area(struct address_space *space, const struct vm_area *wanted, bool fixed,
                         uint64_t *start)
{
    uint64_t bytes = wanted->end - wanted->start;
    status_t status = place(space, wanted->start, bytes, fixed, start);
    if (status == STATUS_OK && space->area_count >= VM_MAX_AREAS) {
        status = STATUS_ERR_LIMIT;
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct vm_area *area = vm_area_new(wanted);
    if (area == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    area->start = *start;
    area->end = *start + bytes;
    vm_area_insert(space, area);
    return STATUS_OK;
}

/* What vm_map and its like have in common: checks, and rounds bytes up. */
static status_t check_map(vaddr_t hint, uint64_t *bytes, uint32_t flags)
{
    if ((flags & ~(VM_PROTECTION_ALL | VM_FIXED)) != 0) {
        return STATUS_ERR_ARGUMENT;
    }
    if (!vaddr_aligned(hint, PAGE_SIZE)) {
        return STATUS_ERR_UNALIGNED;
    }
    if (*bytes == 0 || *bytes > USER_END || hint.number > USER_END) {
        return STATUS_ERR_RANGE;
    }
    *bytes = align_up(*bytes, PAGE_SIZE);
    return check_protection(flags & VM_PROTECTION_ALL);
}

status_t vm_map_area(struct address_space *space, vaddr_t hint, uint64_t bytes, uint32_t flags,
                     const struct vm_area *properties, vaddr_t *out)
{
    status_t status = check_map(hint, &bytes, flags);
    if (status != STATUS_OK) {
        return status;
    }
    struct vm_area wanted = *properties;
    wanted.start = hint.number;
    wanted.end = hint.number + bytes;
    wanted.protection = flags & VM_PROTECTION_ALL;
    vm_gate_enter(space);
    status = add_area(space, &wanted, (flags & VM_FIXED) != 0, &out->number);
    return leave(space, status);
}

status_t vm_map(struct address_space *space, vaddr_t hint, uint64_t bytes, uint32_t flags, vaddr_t *out)
{
    static const struct vm_area anonymous = {.kind = VM_ANONYMOUS};
    return vm_map_area(space, hint, bytes, flags, &anonymous, out);
}

/* Guard page and stack. Gated. */
static status_t add_stack(struct address_space *space, uint64_t base, uint64_t top)
{
    struct vm_area stack = {.start = base, .end = top, .protection = VM_READ | VM_WRITE, .kind = VM_STACK};
    struct vm_area guard = {.start = base - PAGE_SIZE, .end = base, .kind = VM_GUARD};
    uint64_t at;
    status_t status = add_area(space, &guard, true, &at);
    if (status == STATUS_OK) {
        status = add_area(space, &stack, true, &at);
        if (status != STATUS_OK) {
            vm_area_drop(space, vm_area_find(space, guard.start));
        }
    }
    return status;
}

status_t vm_map_stack(struct address_space *space, vaddr_t top, uint64_t bytes)
{
    if (!vaddr_aligned(top, PAGE_SIZE) || bytes % PAGE_SIZE != 0) {
        return STATUS_ERR_UNALIGNED;
    }
    if (bytes == 0 || top.number > USER_END || bytes > top.number - 2 * PAGE_SIZE ||
        top.number < 3 * PAGE_SIZE) {
        return STATUS_ERR_RANGE;
    }
    vm_gate_enter(space);
    status_t status = add_stack(space, top.number - bytes, top.number);
    return leave(space, status);
}

status_t vm_map_stack_near(struct address_space *space, vaddr_t hint, uint64_t bytes, uint64_t *top)
{
    if (!vaddr_aligned(hint, PAGE_SIZE) || bytes % PAGE_SIZE != 0) {
        return STATUS_ERR_UNALIGNED;
    }
    if (bytes == 0 || bytes > USER_END - PAGE_SIZE || hint.number > USER_END) {
        return STATUS_ERR_RANGE;
    }
    vm_gate_enter(space);
    uint64_t gap = vm_area_gap(space, hint.number, bytes + PAGE_SIZE);
    *top = gap + PAGE_SIZE + bytes;
    status_t status = gap != 0 ? add_stack(space, gap + PAGE_SIZE, *top) : STATUS_ERR_NO_MEMORY;
    return leave(space, status);
}

/* Maps the pages of a device area that stands already. Gated. */
static status_t map_device_pages(struct address_space *space, uint64_t start, const struct vm_area *wanted)
{
    uint64_t bytes = wanted->end - wanted->start;
    page_flags_t flags = page_flags_or(vm_leaf_flags(wanted, false), cache_policy_flags(wanted->cache));
    flags = page_flags_or(flags, PAGE_FLAGS(PAGE_DEVICE));
    uint64_t before = space->table.leaves_4k;
    status_t status =
        pt_map_range(&space->table, vaddr_make(start), paddr_make(wanted->physical), bytes, flags, false);
    space->stats.device_pages += space->table.leaves_4k - before;
    if (status != STATUS_OK) {
        vm_pages_out(space, start, start + bytes); /* another thread may have touched them */
    }
    return status;
}

status_t vm_map_device(struct address_space *space, vaddr_t hint, uint64_t bytes, uint32_t flags,
                       const struct vm_device *device, vaddr_t *out)
{
    status_t status = check_map(hint, &bytes, flags);
    if (status == STATUS_OK && (flags & VM_EXECUTE) != 0) {
        status = STATUS_ERR_PROTECTION;
    }
    if (status == STATUS_OK && !paddr_aligned(device->physical, PAGE_SIZE)) {
        status = STATUS_ERR_UNALIGNED;
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct vm_area wanted = {.start = hint.number,
                             .end = hint.number + bytes,
                             .protection = flags & VM_PROTECTION_ALL,
                             .kind = VM_DEVICE,
                             .physical = device->physical.number,
                             .cache = device->cache,
                             .allowed = device->allowed,
                             .backing = device->backing};
    vm_gate_enter(space);
    status = place(space, hint.number, bytes, (flags & VM_FIXED) != 0, &out->number);
    if (status == STATUS_OK) {
        status = map_device_pages(space, out->number, &wanted);
    }
    if (status == STATUS_OK) {
        status = add_area(space, &wanted, (flags & VM_FIXED) != 0, &out->number);
        if (status != STATUS_OK) {
            vm_pages_out(space, out->number, out->number + bytes);
        }
    }
    return leave(space, status);
}

/* ---- unmapping ---- */

#define OUT_BATCH 64u

/* Pages that have left the tables: their frames go to the gather, which has room for them. */
static void pages_gone(struct address_space *space, const struct pt_taken *pages, unsigned count,
                       struct tlb_gather *gather)
{
    for (unsigned i = 0; i < count; i++) {
        if (page_flags_contain(pages[i].flags, PAGE_FLAGS(PAGE_DEVICE))) {
            space->stats.device_pages--;
        } else {
            space->stats.resident_pages--;
            tlb_gather_frame(gather, pages[i].frame);
        }
    }
}

static void range_out(struct address_space *space, uint64_t start, uint64_t end, struct tlb_gather *gather)
{
    struct pt_taken pages[OUT_BATCH];
    while (start < end) {
        if (tlb_gather_room(gather) == 0) {
            tlb_gather_finish(gather);
        }
        uint32_t room = tlb_gather_room(gather);
        unsigned count =
            pt_take(&space->table, &start, end, room < OUT_BATCH ? room : OUT_BATCH, gather, pages);
        pages_gone(space, pages, count, gather);
    }
}

void vm_pages_out(struct address_space *space, uint64_t start, uint64_t end)
{
    struct tlb_gather gather;
    tlb_gather_init(&gather, space, space->table.allocator);
    range_out(space, start, end, &gather);
    tlb_gather_finish(&gather);
}

/* All pages: they lie in areas, and walking those alone is what makes it cheap in a sparse space. */
static void all_pages_out(struct address_space *space)
{
    struct tlb_gather gather;
    tlb_gather_init(&gather, space, space->table.allocator);
    list_for_each(it, &space->areas)
    {
        const struct vm_area *area = list_entry(it, struct vm_area, link);
        range_out(space, area->start, area->end, &gather);
    }
    tlb_gather_finish(&gather);
}

void vm_drop_stacks(struct address_space *space, uint64_t a, uint64_t b)
{
    vm_gate_enter(space);
    struct vm_area *below = NULL;
    list_for_each_safe(it, after, &space->areas)
    {
        struct vm_area *area = list_entry(it, struct vm_area, link);
        bool kept = (a >= area->start && a < area->end) || (b >= area->start && b < area->end);
        if (area->kind != VM_STACK || kept) {
            below = area;
            continue;
        }
        vm_pages_out(space, area->start, area->end);
        if (below != NULL && below->kind == VM_GUARD && below->end == area->start) {
            vm_area_drop(space, below);
        }
        vm_area_drop(space, area);
        below = NULL;
    }
    space->stats.table_frames = space->table.tables;
    vm_gate_leave(space);
}

status_t vm_unmap(struct address_space *space, vaddr_t start, uint64_t bytes)
{
    status_t status = check_range(start.number, bytes);
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t end = start.number + align_up(bytes, PAGE_SIZE);
    vm_gate_enter(space);
    status = vm_area_cut(space, start.number, end);
    if (status == STATUS_OK) {
        struct vm_area *area = vm_area_first(space, start.number);
        while (area && area->start < end) {
            vm_area_drop(space, area);
            area = vm_area_first(space, start.number);
        }
        vm_pages_out(space, start.number, end);
    }
    return leave(space, status);
}

/* ---- protection ---- */

/* Every byte of the range is in areas that may get the protection. Gated. */
static status_t check_covered(struct address_space *space, uint64_t start, uint64_t end, uint32_t protection)
{
    for (uint64_t at = start; at < end;) {
        const struct vm_area *area = vm_area_find(space, at);
        if (area == NULL || area->kind == VM_GUARD) {
            return STATUS_ERR_NOT_MAPPED;
        }
        if (area->kind == VM_DEVICE && (protection & VM_EXECUTE) != 0) {
            return STATUS_ERR_PROTECTION;
        }
        if (area->backing != NULL && (protection & ~area->allowed) != 0) {
            return STATUS_ERR_PROTECTION;
        }
        at = area->end;
    }
    return STATUS_OK;
}

struct protect_walk {
    struct address_space *space;
    struct vm_area *area;
    struct tlb_gather *gather;
};

static status_t protect_leaf(void *context, vaddr_t va, const struct pt_leaf *leaf)
{
    const struct protect_walk *walk = context;
    bool device = walk->area->kind == VM_DEVICE;
    /* A page that became writable is taken by its next write, which knows whether it is shared. */
    bool shared = walk->area->kind == VM_BACKED && vm_backing_shares(walk->area, va.number, leaf);
    page_flags_t flags = vm_leaf_flags(walk->area, !device && !shared);
    if (device) {
        flags = page_flags_or(flags, cache_policy_flags(walk->area->cache));
        flags = page_flags_or(flags, PAGE_FLAGS(PAGE_DEVICE));
    } else if (shared) {
        flags = page_flags_or(flags, cache_policy_flags(walk->area->cache));
    } else if (page_flags_contain(leaf->flags, PAGE_FLAGS(PAGE_WRITABLE)) &&
               (walk->area->protection & VM_WRITE)) {
        return STATUS_OK;
    }
    return pt_protect(&walk->space->table, va, flags, walk->gather);
}

/* Gives every present page of an area its new flags. Gated. */
static void protect_area(struct address_space *space, struct vm_area *area, struct tlb_gather *gather)
{
    struct protect_walk walk = {space, area, gather};
    status_t status =
        pt_walk(&space->table, vaddr_make(area->start), vaddr_make(area->end), protect_leaf, &walk);
    if (status != STATUS_OK) {
        panic("vm: protection of space %u: %s", space->pid.number, status_text(status));
    }
}

status_t vm_protect(struct address_space *space, vaddr_t start, uint64_t bytes, uint32_t protection)
{
    status_t status = check_range(start.number, bytes);
    if (status == STATUS_OK) {
        status = check_protection(protection);
    }
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t end = start.number + align_up(bytes, PAGE_SIZE);
    struct tlb_gather gather;
    tlb_gather_init(&gather, space, space->table.allocator);
    vm_gate_enter(space);
    status = check_covered(space, start.number, end, protection);
    if (status == STATUS_OK) {
        status = vm_area_cut(space, start.number, end);
    }
    if (status == STATUS_OK) {
        for (struct vm_area *area = vm_area_find(space, start.number); area;
             area = vm_area_find(space, area->end)) {
            if (area->start >= end) {
                break;
            }
            area->protection = protection;
            protect_area(space, area, &gather);
        }
        vm_area_join(space, start.number, end + 1);
        tlb_gather_finish(&gather);
    }
    return leave(space, status);
}

/* ---- questions ---- */

status_t vm_find_area(struct address_space *space, vaddr_t va, struct vm_area *out)
{
    vm_gate_enter(space);
    const struct vm_area *area = vm_area_find(space, va.number);
    if (area) {
        *out = *area;
    }
    return leave(space, area ? STATUS_OK : STATUS_ERR_NOT_FOUND);
}

status_t vm_translate(struct address_space *space, vaddr_t va, paddr_t *out)
{
    if (!vaddr_canonical(va)) {
        return STATUS_ERR_NON_CANONICAL;
    }
    if (va.number >= USER_END) {
        return STATUS_ERR_BAD_ADDRESS;
    }
    vm_gate_enter(space);
    return leave(space, pt_translate(&space->table, va, out));
}

void vm_stats_read(struct address_space *space, struct vm_stats *out)
{
    vm_gate_enter(space);
    *out = space->stats;
    (void)leave(space, STATUS_OK);
}

/* ---- check ---- */

struct vm_walk {
    struct address_space *space;
    uint64_t resident;
    uint64_t device;
    uint64_t wrong;
};

static status_t check_leaf(void *context, vaddr_t va, const struct pt_leaf *leaf)
{
    struct vm_walk *walk = context;
    const struct vm_area *area = vm_area_find(walk->space, va.number);
    bool writable = page_flags_contain(leaf->flags, PAGE_FLAGS(PAGE_WRITABLE));
    bool device = page_flags_contain(leaf->flags, PAGE_FLAGS(PAGE_DEVICE));
    bool closed = page_flags_contain(leaf->flags, PAGE_FLAGS(PAGE_NO_ACCESS));
    uint32_t refs = frame_refs(paddr_pfn(leaf->address));
    walk->resident += device ? 0 : 1;
    walk->device += device ? 1 : 0;
    walk->wrong += area == NULL || area->kind == VM_GUARD || device != (area->kind == VM_DEVICE) ? 1 : 0;
    walk->wrong += area && writable && (area->protection & VM_WRITE) == 0 ? 1 : 0;
    walk->wrong += area && closed != ((area->protection & VM_PROTECTION_ALL) == 0) ? 1 : 0;
    bool shared = area && area->kind == VM_BACKED && vm_backing_shares(area, va.number, leaf);
    walk->wrong += !device && (refs == 0 || (writable && !shared && refs != 1)) ? 1 : 0;
    return STATUS_OK;
}

uint64_t vm_check(struct address_space *space)
{
    struct vm_walk walk = {.space = space};
    uint64_t bad_tables;
    uint64_t area_bytes = 0;
    uint64_t before = 0;
    vm_gate_enter(space);
    status_t status =
        pt_walk(&space->table, vaddr_make(0), vaddr_make(USER_END + PAGE_SIZE), check_leaf, &walk);
    list_for_each(it, &space->areas)
    {
        const struct vm_area *area = list_entry(it, struct vm_area, link);
        walk.wrong += area->start < before || area->start >= area->end ? 1 : 0;
        before = area->end;
        area_bytes += area->kind == VM_GUARD ? 0 : area->end - area->start;
    }
    uint64_t tables = pt_count_tables(&space->table, &bad_tables);
    walk.wrong += bad_tables;
    walk.wrong += tables != space->table.tables ? 1 : 0;
    walk.wrong += area_bytes != space->stats.area_bytes ? 1 : 0;
    walk.wrong += walk.resident != space->stats.resident_pages ? 1 : 0;
    walk.wrong += walk.device != space->stats.device_pages ? 1 : 0;
    walk.wrong += space->table.leaves_4k != walk.resident + walk.device || status != STATUS_OK ? 1 : 0;
    (void)leave(space, STATUS_OK);
    return walk.wrong;
}
