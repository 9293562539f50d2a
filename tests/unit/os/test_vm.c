/* Host tests of address spaces: areas, demand paging, copy-on-write clone, accounting, roll-back, user
 * copies. */

#include "fake/fake_arch.h"

#include "mm/kheap.h"
#include "mm/vm.h"

#define BASE 0x10000000ull
#define RW   (VM_READ | VM_WRITE)

static struct address_space space;
static struct address_space child;
static uint64_t frames_before; /* free, before `space` existed */

/* Frames that processes hold: heap memory is left out, since its caches keep some. */
static uint64_t user_frames(void)
{
    uint64_t count = 0;
    for (pfn_t pfn = 0; pfn < frame_manager.limit; pfn++) {
        const struct page_frame *frame = frame_lookup(pfn);
        bool theirs = frame && frame->state == FRAME_ALLOCATED &&
                      (frame->owner == FRAME_OWNER_USER || frame->owner == FRAME_OWNER_PAGE_TABLE);
        count += theirs ? 1 : 0;
    }
    return count;
}

static void start(void)
{
    fake_machine(64, 2);
    tlb_set_flush(NULL);
    assert_ok(kheap_init(&(struct kheap_config){.debug = HEAP_DEBUG_FULL}));
    assert_ok(vm_init(NULL, NULL));
    frames_before = user_frames();
    assert_ok(vm_space_init(&space, (struct pid){7}));
}

#define assert_space_sound(which)             \
    do {                                      \
        assert_int_equal(vm_check(which), 0); \
        assert_frames_sound();                \
    } while (0)

static void finish(void)
{
    assert_space_sound(&space);
    vm_space_deinit(&space);
    assert_int_equal(user_frames(), frames_before);
    assert_int_equal(slab_report_live(0, NULL), 0);
    assert_int_equal(kheap_check(), 0);
    assert_frames_sound();
}

/* The access of a user program: faults in until it goes through. The kernel's answer otherwise. */
static status_t touch(struct address_space *in, uint64_t address, int write, uint8_t *value)
{
    for (unsigned tries = 0; tries < 3; tries++) {
        struct pt_leaf leaf;
        status_t status = pt_query(&in->table, vaddr_make(address), &leaf);
        bool present = status == STATUS_OK && (leaf.flags.bits & PAGE_PRESENT);
        uint64_t error = FAULT_USER | (write ? FAULT_WRITE : 0) | (present ? FAULT_PRESENT : 0);
        if (present && (!write || (leaf.flags.bits & PAGE_WRITABLE))) {
            uint8_t *at = (uint8_t *)arch_phys_to_virt(leaf.address) + address % PAGE_SIZE;
            if (write) {
                *at = *value;
            } else {
                *value = *at;
            }
            return STATUS_OK;
        }
        status = vm_fault(in, vaddr_make(address), error);
        if (status != STATUS_OK) {
            return status;
        }
    }
    fail_msg("a served fault did not help");
    return STATUS_ERR_STATE;
}

static status_t store(struct address_space *in, uint64_t address, uint8_t value)
{
    return touch(in, address, 1, &value);
}

static uint8_t load(struct address_space *in, uint64_t address)
{
    uint8_t value = 0;
    assert_ok(touch(in, address, 0, &value));
    return value;
}

static void load_all(struct address_space *in, char *to, uint64_t from, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++) {
        to[i] = (char)load(in, from + i);
    }
}

static status_t map(struct address_space *in, uint64_t at, uint64_t bytes, uint32_t flags)
{
    vaddr_t got;
    status_t status = vm_map(in, vaddr_make(at), bytes, flags | VM_FIXED, &got);
    assert_true(status != STATUS_OK || got.number == at);
    return status;
}

/* ---- areas ---- */

static void areas_go_where_asked_merge_and_split(void **state)
{
    (void)state;
    start();
    vaddr_t at;
    assert_ok(map(&space, BASE, 3 * PAGE_SIZE, RW));
    assert_ok(map(&space, BASE + 3 * PAGE_SIZE, PAGE_SIZE, RW));
    assert_int_equal(space.area_count, 1);
    assert_ok(map(&space, BASE + 4 * PAGE_SIZE, PAGE_SIZE, VM_READ));
    assert_int_equal(space.area_count, 2);
    assert_int_equal(map(&space, BASE + 2 * PAGE_SIZE, PAGE_SIZE, RW), STATUS_ERR_EXISTS);
    assert_ok(vm_map(&space, vaddr_make(BASE + PAGE_SIZE), 2 * PAGE_SIZE, RW, &at));
    assert_int_equal(at.number, BASE + 5 * PAGE_SIZE);
    assert_ok(vm_map(&space, vaddr_make(0), PAGE_SIZE, RW, &at));
    assert_int_equal(at.number, USER_BASE);
    assert_int_equal(map(&space, BASE + 100 * PAGE_SIZE, PAGE_SIZE, RW | VM_EXECUTE),
                     STATUS_ERR_WRITE_EXECUTE);
    assert_int_equal(map(&space, BASE + 1, PAGE_SIZE, RW), STATUS_ERR_UNALIGNED);
    assert_int_equal(map(&space, 0, PAGE_SIZE, RW), STATUS_ERR_RANGE);
    assert_int_equal(map(&space, USER_END, PAGE_SIZE, RW), STATUS_ERR_RANGE);
    assert_int_equal(map(&space, BASE, 0, RW), STATUS_ERR_RANGE);
    assert_int_equal(map(&space, BASE, ~0ull, RW), STATUS_ERR_RANGE);
    assert_int_equal(map(&space, 0xffff800000000000, PAGE_SIZE, RW), STATUS_ERR_RANGE);
    assert_int_equal(map(&space, BASE, PAGE_SIZE, 0x80), STATUS_ERR_ARGUMENT);
    struct vm_area area;
    assert_ok(vm_find_area(&space, vaddr_make(BASE + 4 * PAGE_SIZE + 5), &area));
    assert_int_equal(area.protection, VM_READ);
    assert_int_equal(vm_find_area(&space, vaddr_make(BASE - 1), &area), STATUS_ERR_NOT_FOUND);
    assert_ok(vm_unmap(&space, vaddr_make(BASE + PAGE_SIZE), PAGE_SIZE));
    assert_int_equal(vm_find_area(&space, vaddr_make(BASE + PAGE_SIZE), &area), STATUS_ERR_NOT_FOUND);
    assert_space_sound(&space);
    finish();
}

#define MODEL_PAGES 96u

/* covers: VM-18 (host part), MM-21 (host part) */
static void random_run_equals_a_page_model(void **state)
{
    (void)state;
    start();
    int protection[MODEL_PAGES]; /* -1: no area */
    uint8_t bytes[MODEL_PAGES];
    uint64_t seed = 21;
    memset(protection, 0xff, sizeof protection);
    memset(bytes, 0, sizeof bytes);
    static const uint32_t kinds[] = {VM_READ, RW, VM_READ | VM_EXECUTE, 0};
    for (unsigned i = 0; i < 60000; i++) {
        unsigned page = (unsigned)(fake_random(&seed) % MODEL_PAGES);
        unsigned n = 1 + (unsigned)(fake_random(&seed) % 8);
        n = page + n > MODEL_PAGES ? MODEL_PAGES - page : n;
        uint64_t at = BASE + page * PAGE_SIZE;
        uint32_t flags = kinds[fake_random(&seed) % 4];
        unsigned have = 0;
        for (unsigned p = page; p < page + n; p++) {
            have += protection[p] >= 0;
        }
        switch (fake_random(&seed) % 8) {
        case 0:
            assert_int_equal(map(&space, at, n * PAGE_SIZE, flags), have ? STATUS_ERR_EXISTS : STATUS_OK);
            for (unsigned p = page; p < page + n && have == 0; p++) {
                protection[p] = (int)flags;
                bytes[p] = 0;
            }
            break;
        case 1:
            assert_ok(vm_unmap(&space, vaddr_make(at), n * PAGE_SIZE));
            memset(protection + page, 0xff, n * sizeof protection[0]);
            break;
        case 2:
            assert_int_equal(vm_protect(&space, vaddr_make(at), n * PAGE_SIZE, flags),
                             have == n ? STATUS_OK : STATUS_ERR_NOT_MAPPED);
            for (unsigned p = page; p < page + n && have == n; p++) {
                protection[p] = (int)flags;
            }
            break;
        case 3:
        case 4: {
            status_t want = protection[page] < 0
                                ? STATUS_ERR_BAD_ADDRESS
                                : (protection[page] & (int)VM_WRITE ? STATUS_OK : STATUS_ERR_PROTECTION);
            assert_int_equal(store(&space, at, (uint8_t)i), want);
            bytes[page] = want == STATUS_OK ? (uint8_t)i : bytes[page];
            break;
        }
        default:
            if (protection[page] > 0) {
                assert_int_equal(load(&space, at), bytes[page]);
            } else if (protection[page] == 0) { /* closed, present or not */
                uint8_t value;
                assert_int_equal(touch(&space, at, 0, &value), STATUS_ERR_PROTECTION);
            }
            break;
        }
        if (i % 500 == 0) {
            assert_int_equal(vm_check(&space), 0);
            assert_int_equal(space.stats.resident_pages + space.stats.table_frames,
                             user_frames() - frames_before);
        }
    }
    finish();
}

static void large_ranges_are_unmapped_in_bounded_batches(void **state)
{
    (void)state;
    start();
    assert_ok(map(&space, BASE, 1000 * PAGE_SIZE, RW));
    for (unsigned i = 0; i < 1000; i++) {
        assert_ok(store(&space, BASE + i * PAGE_SIZE, 1));
    }
    assert_ok(vm_unmap(&space, vaddr_make(BASE + 100 * PAGE_SIZE), 700 * PAGE_SIZE));
    assert_int_equal(space.stats.resident_pages, 300);
    assert_int_equal(load(&space, BASE + 99 * PAGE_SIZE), 1);
    assert_int_equal(load(&space, BASE + 800 * PAGE_SIZE), 1);
    finish();
}

/* ---- faults ---- */

/* covers: TH-03 (guard page), VM-13 (host part) */
static void faults_are_served_or_named(void **state)
{
    (void)state;
    start();
    assert_ok(map(&space, BASE, 4 * PAGE_SIZE, RW));
    assert_ok(map(&space, BASE + 16 * PAGE_SIZE, PAGE_SIZE, VM_READ | VM_EXECUTE));
    assert_ok(map(&space, BASE + 32 * PAGE_SIZE, PAGE_SIZE, 0));
    assert_ok(vm_map_stack(&space, vaddr_make(0x7fff0000), 16 * PAGE_SIZE));
    assert_int_equal(vm_map_stack(&space, vaddr_make(0x7fff0000), PAGE_SIZE), STATUS_ERR_EXISTS);
    assert_ok(vm_fault(&space, vaddr_make(BASE + 5), FAULT_USER));
    assert_int_equal(load(&space, BASE + 4095), 0);
    assert_ok(store(&space, 0x7fff0000 - 8, 1));
    assert_ok(store(&space, 0x7fff0000 - 16 * PAGE_SIZE, 1));
    assert_int_equal(store(&space, 0x7fff0000 - 16 * PAGE_SIZE - 1, 1), STATUS_ERR_GUARD);
    assert_int_equal(store(&space, 0x7fff0000 - 17 * PAGE_SIZE - 1, 1), STATUS_ERR_BAD_ADDRESS);
    assert_int_equal(vm_fault(&space, vaddr_make(BASE), FAULT_USER | FAULT_FETCH), STATUS_ERR_PROTECTION);
    assert_ok(vm_fault(&space, vaddr_make(BASE + 16 * PAGE_SIZE), FAULT_USER | FAULT_FETCH));
    assert_int_equal(store(&space, BASE + 16 * PAGE_SIZE, 1), STATUS_ERR_PROTECTION);
    assert_int_equal(vm_fault(&space, vaddr_make(BASE + 32 * PAGE_SIZE), FAULT_USER), STATUS_ERR_PROTECTION);
    assert_int_equal(vm_fault(&space, vaddr_make(1ull << 50), FAULT_USER), STATUS_ERR_BAD_ADDRESS);
    assert_int_equal(vm_fault(&space, vaddr_make(0xffff800000000000), FAULT_USER), STATUS_ERR_BAD_ADDRESS);
    assert_int_equal(vm_fault(&space, vaddr_make(BASE), FAULT_USER | FAULT_RESERVED), STATUS_ERR_BAD_ADDRESS);
    struct vm_stats stats;
    vm_stats_read(&space, &stats);
    assert_int_equal(stats.resident_pages, 4);
    assert_int_equal(stats.zero_fills, 4);
    assert_int_equal(stats.area_bytes, (4 + 1 + 1 + 16) * PAGE_SIZE);
    assert_int_equal(stats.denied, 5);
    finish();
}

static unsigned flush_count;

static void count_flush(const struct tlb_gather *gather)
{
    assert_ptr_equal(gather->space, &space);
    assert_false(fake_irqs_off); /* the hook is called with no spinlock held */
    flush_count++;
}

static void fault_that_another_cpu_served_drops_the_stale_entry(void **state)
{
    (void)state;
    start();
    assert_ok(map(&space, BASE, PAGE_SIZE, RW));
    assert_ok(store(&space, BASE, 1));
    tlb_set_flush(count_flush);
    flush_count = 0;
    assert_ok(vm_fault(&space, vaddr_make(BASE), FAULT_USER | FAULT_WRITE | FAULT_PRESENT));
    assert_int_equal(flush_count, 1);
    assert_ok(vm_unmap(&space, vaddr_make(BASE), PAGE_SIZE));
    assert_int_equal(flush_count, 2);
    tlb_set_flush(NULL);
    finish();
}

/* covers: VM-08 */
static void translation_crosses_spaces_and_names_errors(void **state)
{
    (void)state;
    start();
    paddr_t mine;
    paddr_t theirs;
    assert_ok(vm_space_init(&child, (struct pid){8}));
    assert_ok(map(&space, BASE, PAGE_SIZE, RW));
    assert_ok(map(&child, BASE, PAGE_SIZE, RW));
    assert_int_equal(vm_translate(&space, vaddr_make(BASE), &mine), STATUS_ERR_NOT_MAPPED);
    assert_ok(store(&space, BASE, 1));
    assert_ok(store(&child, BASE, 2));
    assert_ok(vm_translate(&space, vaddr_make(BASE + 0x321), &mine));
    assert_ok(vm_translate(&child, vaddr_make(BASE + 0x321), &theirs));
    assert_int_not_equal(mine.number, theirs.number);
    assert_int_equal(mine.number % PAGE_SIZE, 0x321);
    assert_int_equal(frame_lookup(paddr_pfn(theirs))->owner_id, 8);
    assert_int_equal(vm_translate(&space, vaddr_make(1ull << 47), &mine), STATUS_ERR_NON_CANONICAL);
    assert_int_equal(vm_translate(&space, vaddr_make(0xffff800000000000), &mine), STATUS_ERR_BAD_ADDRESS);
    vm_space_deinit(&child);
    finish();
}

static const struct vm_device registers = {.physical = {0xfee00000}, .cache = CACHE_UNCACHED};

static void device_memory_is_mapped_at_once_and_never_counted_as_frames(void **state)
{
    (void)state;
    start();
    vaddr_t at;
    struct pt_leaf leaf;
    assert_ok(vm_map_device(&space, vaddr_make(BASE), 3 * PAGE_SIZE, RW, &registers, &at));
    assert_ok(pt_query(&space.table, vaddr_make(BASE + 2 * PAGE_SIZE), &leaf));
    assert_int_equal(leaf.address.number, 0xfee02000);
    assert_int_equal(leaf.flags.bits & (PAGE_WRITE_THROUGH | PAGE_CACHE_DISABLE | PAGE_PAT),
                     PAGE_WRITE_THROUGH | PAGE_CACHE_DISABLE);
    assert_int_equal(vm_map_device(&space, at, PAGE_SIZE, RW | VM_FIXED, &registers, &at), STATUS_ERR_EXISTS);
    assert_int_equal(vm_map_device(&space, at, PAGE_SIZE, VM_READ | VM_EXECUTE, &registers, &at),
                     STATUS_ERR_PROTECTION);
    assert_int_equal(vm_protect(&space, vaddr_make(BASE), PAGE_SIZE, VM_READ | VM_EXECUTE),
                     STATUS_ERR_PROTECTION);
    assert_ok(vm_protect(&space, vaddr_make(BASE + PAGE_SIZE), PAGE_SIZE, VM_READ));
    struct vm_area area;
    assert_ok(vm_find_area(&space, vaddr_make(BASE + 2 * PAGE_SIZE), &area));
    assert_int_equal(area.physical, 0xfee02000);
    assert_ok(vm_unmap(&space, vaddr_make(BASE + PAGE_SIZE), PAGE_SIZE));
    assert_int_equal(space.stats.device_pages, 2);
    assert_int_equal(space.stats.resident_pages, 0);
    finish();
}

/* ---- clone ---- */

/* covers: VM-15 (host part), PS-03 (memory) */
static void clone_isolates_writes_and_the_last_writer_takes_the_page(void **state)
{
    (void)state;
    start();
    assert_ok(map(&space, BASE, 4 * PAGE_SIZE, RW));
    assert_ok(map(&space, BASE + 8 * PAGE_SIZE, PAGE_SIZE, VM_READ));
    for (unsigned i = 0; i < 3; i++) {
        assert_ok(store(&space, BASE + i * PAGE_SIZE, (uint8_t)(10 + i)));
    }
    assert_int_equal(load(&space, BASE + 8 * PAGE_SIZE), 0);
    paddr_t page;
    assert_ok(vm_translate(&space, vaddr_make(BASE), &page));
    assert_ok(vm_clone(&space, &child, (struct pid){9}));
    assert_int_equal(frame_refs(paddr_pfn(page)), 2);
    assert_int_equal(child.stats.resident_pages, 4);
    assert_space_sound(&space);
    assert_space_sound(&child);
    assert_int_equal(load(&child, BASE), 10);
    assert_ok(store(&child, BASE, 99)); /* copies: two references */
    assert_int_equal(child.stats.cow_copies, 1);
    assert_int_equal(load(&space, BASE), 10);
    assert_int_equal(frame_refs(paddr_pfn(page)), 1);
    assert_ok(store(&space, BASE, 50)); /* the last writer takes it */
    assert_int_equal(space.stats.cow_takes, 1);
    assert_int_equal(space.stats.cow_copies, 0);
    paddr_t same;
    assert_ok(vm_translate(&space, vaddr_make(BASE), &same));
    assert_int_equal(same.number, page.number);
    assert_int_equal(load(&child, BASE), 99);
    assert_ok(store(&space, BASE + 3 * PAGE_SIZE, 5)); /* not there at the time of the clone: private */
    assert_int_equal(load(&child, BASE + 3 * PAGE_SIZE), 0);
    assert_int_equal(store(&child, BASE + 8 * PAGE_SIZE, 1), STATUS_ERR_PROTECTION);
    assert_ok(vm_protect(&child, vaddr_make(BASE + 8 * PAGE_SIZE), PAGE_SIZE, RW));
    assert_ok(store(&child, BASE + 8 * PAGE_SIZE,
                    77)); /* a shared read-only page that became writable is copied too */
    assert_int_equal(load(&space, BASE + 8 * PAGE_SIZE), 0);
    assert_space_sound(&space);
    assert_space_sound(&child);
    vm_space_deinit(&child);
    assert_ok(store(&space, BASE + PAGE_SIZE, 1));
    assert_int_equal(space.stats.cow_takes, 2);
    finish();
}

#define FAMILY 5u

/* covers: VM-15 (host part), MM-21 (host part) */
static void family_of_clones_never_sees_each_others_writes(void **state)
{
    (void)state;
    start();
    static struct address_space family[FAMILY];
    uint8_t bytes[FAMILY][8] = {{0}};
    bool alive[FAMILY] = {true};
    uint64_t seed = 31;
    assert_ok(vm_space_init(&family[0], (struct pid){100}));
    assert_ok(map(&family[0], BASE, 8 * PAGE_SIZE, RW));
    for (unsigned i = 0; i < 20000; i++) {
        unsigned who = (unsigned)(fake_random(&seed) % FAMILY);
        unsigned other = (unsigned)(fake_random(&seed) % FAMILY);
        unsigned page = (unsigned)(fake_random(&seed) % 8);
        unsigned action = (unsigned)(fake_random(&seed) % 32);
        unsigned count = 0;
        for (unsigned f = 0; f < FAMILY; f++) {
            count += alive[f];
        }
        if (alive[who] && !alive[other] && action == 0) {
            assert_ok(vm_clone(&family[who], &family[other], (struct pid){100 + other}));
            memcpy(bytes[other], bytes[who], 8);
            alive[other] = true;
        } else if (alive[who] && count > 1 && action == 1) {
            vm_space_deinit(&family[who]);
            alive[who] = false;
        } else if (alive[who] && action < 12) {
            assert_ok(store(&family[who], BASE + page * PAGE_SIZE, (uint8_t)i));
            bytes[who][page] = (uint8_t)i;
        } else if (alive[who]) {
            assert_int_equal(load(&family[who], BASE + page * PAGE_SIZE), bytes[who][page]);
        }
        for (unsigned f = 0; i % 250 == 0 && f < FAMILY; f++) {
            assert_int_equal(alive[f] ? vm_check(&family[f]) : 0, 0);
        }
    }
    for (unsigned f = 0; f < FAMILY; f++) {
        if (alive[f]) {
            vm_space_deinit(&family[f]);
        }
    }
    finish();
}

/* ---- out of memory ---- */

static uint32_t hog_count;
static pfn_t hogs[20000];

static void hog_all_but(uint64_t left)
{
    hog_count = 0;
    frame_cpu_drain_all();
    while (frame_alloc(FRAME_CRITICAL, FRAME_OWNER_TEST, 0, &hogs[hog_count]) == STATUS_OK) {
        hog_count++;
    }
    for (; left > 0; left--) {
        assert_ok(frame_free(hogs[--hog_count]));
    }
}

static void free_hogs(void)
{
    while (hog_count > 0) {
        assert_ok(frame_free(hogs[--hog_count]));
    }
    frame_cpu_drain_all();
}

/* covers: VM-19 */
static void populate_and_clone_roll_back_at_every_allocation_that_can_fail(void **state)
{
    (void)state;
    start();
    assert_ok(map(&space, BASE, 40 * PAGE_SIZE, RW));
    assert_ok(map(&space, BASE + (1ull << 30), 4 * PAGE_SIZE, RW));
    assert_ok(store(&space, BASE + 7 * PAGE_SIZE, 3));
    for (unsigned i = 0; i < 4; i++) {
        assert_ok(store(&space, BASE + (1ull << 30) + i * PAGE_SIZE, 4));
    }
    kheap_trim();
    /* The marks are out of the way: what counts here is exactly how many frames are left. */
    for (unsigned zone = 0; zone < FRAME_ZONE_COUNT; zone++) {
        frame_manager.nodes[0].zones[zone].min_mark = 0;
        frame_manager.nodes[0].zones[zone].low_mark = 0;
    }
    unsigned populated = 0;
    unsigned cloned = 0;
    for (unsigned n = 0; n < 60; n++) {
        hog_all_but(n);
        struct vm_stats before = space.stats;
        uint64_t left = frame_free_count();
        status_t status = vm_populate(&space, vaddr_make(BASE), 40 * PAGE_SIZE, true);
        if (status != STATUS_OK) {
            assert_int_equal(status, STATUS_ERR_NO_MEMORY);
            assert_int_equal(space.stats.resident_pages, before.resident_pages);
            assert_int_equal(space.table.tables, before.table_frames);
            assert_int_equal(frame_free_count(), left);
        } else {
            populated++;
            assert_ok(vm_unmap(&space, vaddr_make(BASE), 40 * PAGE_SIZE));
            assert_ok(map(&space, BASE, 40 * PAGE_SIZE, RW));
            assert_ok(store(&space, BASE + 7 * PAGE_SIZE, 3));
        }
        assert_space_sound(&space);
        left = frame_free_count();
        assert_ok(map(&space, BASE + (1ull << 40), PAGE_SIZE, RW)); /* one page that needs three tables */
        status = store(&space, BASE + (1ull << 40), 1);
        assert_int_equal(status, left < 4 ? STATUS_ERR_NO_MEMORY : STATUS_OK);
        assert_ok(vm_unmap(&space, vaddr_make(BASE + (1ull << 40)), PAGE_SIZE));
        assert_int_equal(frame_free_count(), left);
        uint64_t free_before = frame_free_count();
        status = vm_clone(&space, &child, (struct pid){9});
        if (status == STATUS_OK) {
            cloned++;
            vm_space_deinit(&child);
        } else {
            assert_int_equal(status, STATUS_ERR_NO_MEMORY);
        }
        assert_int_equal(frame_free_count(), free_before);
        assert_int_equal(load(&space, BASE + 7 * PAGE_SIZE), 3);
        assert_space_sound(&space);
        free_hogs();
    }
    assert_true(populated > 5 && populated < 55);
    assert_true(cloned > 5 && cloned < 59);
    finish();
}

static uint64_t flushed_pages;
static bool flushed_all;

static void note_flush(const struct tlb_gather *gather)
{
    assert_ptr_equal(gather->space, &space);
    flushed_pages += gather->page_count;
    flushed_all |= gather->full;
}

/* Seven pages over the edge of a table: whichever table is refused, nothing stays and nothing stays in a TLB. covers:
 * VM-19 */
static void device_map_rolls_back_with_a_flush_whichever_table_is_refused(void **state)
{
    (void)state;
    start();
    for (unsigned zone = 0; zone < FRAME_ZONE_COUNT; zone++) {
        frame_manager.nodes[0].zones[zone].min_mark = 0;
        frame_manager.nodes[0].zones[zone].low_mark = 0;
    }
    const uint64_t at = BASE + (1ull << 41) + HUGE_PAGE_SIZE - 3 * PAGE_SIZE;
    unsigned mapped = 0;
    for (unsigned n = 0; n < 8; n++) {
        vaddr_t out;
        hog_all_but(n);
        uint64_t left = frame_free_count();
        flushed_pages = 0;
        flushed_all = false;
        tlb_set_flush(note_flush);
        status_t status =
            vm_map_device(&space, vaddr_make(at), 7 * PAGE_SIZE, RW | VM_FIXED, &registers, &out);
        if (status != STATUS_OK) {
            assert_int_equal(status, STATUS_ERR_NO_MEMORY);
            assert_int_equal(space.stats.device_pages, 0);
            assert_int_equal(space.table.tables, 1);
            assert_int_equal(frame_free_count(), left);
            assert_true(flushed_all ||
                        flushed_pages == (n < 3 ? 0 : 3)); /* the first table holds three of them */
        } else {
            mapped++;
            assert_int_equal(flushed_pages, 0);
            assert_int_equal(space.stats.device_pages, 7);
            assert_ok(vm_unmap(&space, vaddr_make(at), 7 * PAGE_SIZE));
        }
        tlb_set_flush(NULL);
        free_hogs();
        assert_space_sound(&space);
    }
    assert_in_range(mapped, 3, 4);
    finish();
}

static void frame_limit_bounds_a_process(void **state)
{
    (void)state;
    start();
    assert_ok(map(&space, BASE, 100 * PAGE_SIZE, RW));
    space.frame_limit = 20;
    unsigned served = 0;
    status_t status = STATUS_OK;
    while (status == STATUS_OK) {
        status = store(&space, BASE + served * PAGE_SIZE, 1);
        served += status == STATUS_OK ? 1 : 0;
    }
    assert_int_equal(status, STATUS_ERR_LIMIT);
    assert_true(space.stats.resident_pages + space.table.tables >= 18);
    assert_true(space.stats.resident_pages + space.table.tables <=
                23); /* the tables of the last page may come on top */
    finish();
}

/* ---- user copies ---- */

/* covers: VM-12 (host part) */
static void user_copies_stop_at_the_first_bad_byte(void **state)
{
    (void)state;
    start();
    static char kernel[3 * PAGE_SIZE];
    static char back[3 * PAGE_SIZE];
    uint64_t done;
    assert_ok(map(&space, BASE, 2 * PAGE_SIZE, RW));
    assert_ok(map(&space, BASE + 4 * PAGE_SIZE, PAGE_SIZE, VM_READ));
    for (unsigned i = 0; i < sizeof kernel; i++) {
        kernel[i] = (char)(i * 7 + 1);
    }
    for (uint64_t start_at = 0; start_at < 2 * PAGE_SIZE; start_at += 511) {
        uint64_t room = 2 * PAGE_SIZE - start_at;
        assert_ok(vm_copy_out(&space, vaddr_make(BASE + start_at), kernel, room, &done));
        assert_int_equal(done, room);
        assert_int_equal(vm_copy_out(&space, vaddr_make(BASE + start_at), kernel, room + 1, &done),
                         STATUS_ERR_BAD_ADDRESS);
        assert_int_equal(done, room);
        load_all(&space, back, BASE + start_at, room);
        assert_memory_equal(back, kernel, room);
    }
    assert_int_equal(vm_copy_out(&space, vaddr_make(BASE + 4 * PAGE_SIZE), kernel, 1, &done),
                     STATUS_ERR_PROTECTION);
    static const uint64_t wild[] = {
        0, ~0ull, ~0ull - 8, 1ull << 47, 0xffff800000000000, 0xffffffff80000000, USER_END, USER_END - 1};
    for (unsigned i = 0; i < sizeof wild / sizeof wild[0]; i++) {
        assert_int_equal(vm_copy_out(&space, vaddr_make(wild[i]), back, 16, &done), STATUS_ERR_BAD_ADDRESS);
        assert_int_equal(done, 0);
        assert_int_equal(vm_copy_out(&space, vaddr_make(wild[i]), back, ~0ull, &done),
                         STATUS_ERR_BAD_ADDRESS);
    }
    assert_ok(vm_copy_out(&space, vaddr_make(0), back, 0, &done));
    finish();
}

static void image_is_written_into_pages_the_program_cannot_write(void **state)
{
    (void)state;
    start();
    char back[16];
    assert_ok(map(&space, BASE, PAGE_SIZE, VM_READ | VM_EXECUTE));
    assert_ok(vm_write_image(&space, vaddr_make(BASE + 100), "machine code", 13));
    load_all(&space, back, BASE + 100, 13);
    assert_string_equal(back, "machine code");
    assert_int_equal(store(&space, BASE, 1), STATUS_ERR_PROTECTION);
    assert_ok(vm_clone(&space, &child, (struct pid){9}));
    assert_int_equal(vm_write_image(&space, vaddr_make(BASE), "x", 1), STATUS_ERR_SHARED);
    vm_space_deinit(&child);
    finish();
}

static unsigned waited;
static unsigned left;

/* The holder opens the gate; before that to a newcomer, unless who waits has been overtaken: it is handed the gate. */
static bool overtakes;

static bool holder_leaves(const uint32_t *gate, bool overtaken)
{
    assert_ptr_equal(gate, &space.gate);
    assert_int_equal(*gate, 2); /* so that the holder tells */
    assert_int_equal(overtaken, waited != 0);
    waited++;
    space.gate = overtaken ? 2 : overtakes ? 1 : 0;
    return overtaken;
}

static void count_leave(uint32_t *gate)
{
    assert_ptr_equal(gate, &space.gate);
    assert_int_equal(*gate, 2);
    *gate = 0;
    left++;
}

static void start_with_gate(void)
{
    static const struct vm_hooks hooks = {.relax = NULL, .wait = holder_leaves, .leave = count_leave};
    fake_machine(64, 2);
    assert_ok(kheap_init(&(struct kheap_config){.debug = HEAP_DEBUG_OFF}));
    assert_ok(vm_init(NULL, &hooks));
    frames_before = user_frames();
    assert_ok(vm_space_init(&space, (struct pid){7}));
    waited = 0;
    left = 0;
}

/* Who has waited tells that it leaves: others may have come meanwhile. */
static void who_finds_the_gate_shut_waits_for_it(void **state)
{
    (void)state;
    start_with_gate();
    overtakes = false;
    assert_ok(map(&space, BASE, PAGE_SIZE, RW));
    assert_int_equal(waited + left, 0);
    space.gate = 1;
    assert_ok(map(&space, BASE + 2 * PAGE_SIZE, PAGE_SIZE, RW));
    assert_int_equal(waited, 1);
    assert_int_equal(left, 1);
    assert_int_equal(space.gate, 0);
    vm_space_deinit(&space);
    assert_int_equal(user_frames(), frames_before);
}

static void who_was_overtaken_at_the_gate_is_handed_it(void **state)
{
    (void)state;
    start_with_gate();
    overtakes = true;
    space.gate = 1;
    assert_ok(map(&space, BASE, PAGE_SIZE, RW));
    assert_int_equal(waited, 2);
    assert_int_equal(left, 1);
    assert_int_equal(space.gate, 0);
    vm_space_deinit(&space);
    assert_int_equal(user_frames(), frames_before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(areas_go_where_asked_merge_and_split),
        cmocka_unit_test(random_run_equals_a_page_model),
        cmocka_unit_test(large_ranges_are_unmapped_in_bounded_batches),
        cmocka_unit_test(faults_are_served_or_named),
        cmocka_unit_test(fault_that_another_cpu_served_drops_the_stale_entry),
        cmocka_unit_test(translation_crosses_spaces_and_names_errors),
        cmocka_unit_test(device_memory_is_mapped_at_once_and_never_counted_as_frames),
        cmocka_unit_test(clone_isolates_writes_and_the_last_writer_takes_the_page),
        cmocka_unit_test(family_of_clones_never_sees_each_others_writes),
        cmocka_unit_test(populate_and_clone_roll_back_at_every_allocation_that_can_fail),
        cmocka_unit_test(device_map_rolls_back_with_a_flush_whichever_table_is_refused),
        cmocka_unit_test(frame_limit_bounds_a_process),
        cmocka_unit_test(user_copies_stop_at_the_first_bad_byte),
        cmocka_unit_test(image_is_written_into_pages_the_program_cannot_write),
        cmocka_unit_test(who_finds_the_gate_shut_waits_for_it),
        cmocka_unit_test(who_was_overtaken_at_the_gate_is_handed_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
