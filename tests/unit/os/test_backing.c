/* Host tests of areas with a backing: sharing, copies, forks, splits, protection, and draining it out of every space. */
#include "fake/fake_arch.h"

#include "mm/kheap.h"
#include "mm/vm.h"

#define BASE  0x10000000ull
#define RW    (VM_READ | VM_WRITE)
#define PAGES 8u

static struct {
    struct vm_backing backing;
    pfn_t frames[PAGES];
    status_t gone;
    bool copy;
    unsigned unused;
    unsigned denied;
} shared;

static struct address_space spaces[3];

static status_t pages_of(struct vm_backing *backing, uint64_t index, unsigned n, pfn_t *out, bool *copy)
{
    assert_ptr_equal(backing, &shared.backing);
    assert_true(index + n <= PAGES);
    assert_true((n != 0) == (out != NULL)); /* of a device nobody asks for frames */
    for (unsigned i = 0; i < n; i++) {
        out[i] = shared.frames[index + i];
    }
    *copy = shared.copy;
    return shared.gone;
}

static void on_denied(struct vm_backing *backing, status_t why)
{
    assert_ptr_equal(backing, &shared.backing);
    assert_int_equal(why, shared.gone);
    shared.denied++;
}

static void unused(struct vm_backing *backing)
{
    assert_ptr_equal(backing, &shared.backing);
    shared.unused++;
}

static const struct vm_backing_ops ops = {.pages = pages_of, .denied = on_denied, .unused = unused};

static void start(void)
{
    fake_machine(64, 2);
    tlb_set_flush(NULL);
    assert_ok(kheap_init(&(struct kheap_config){.debug = HEAP_DEBUG_FULL}));
    assert_ok(vm_init(NULL, NULL));
    for (uint32_t i = 0; i < 3; i++) {
        assert_ok(vm_space_init(&spaces[i], (struct pid){i + 1}));
    }
    for (unsigned i = 0; i < PAGES; i++) {
        assert_ok(frame_alloc(FRAME_ZERO, FRAME_OWNER_IPC, 0, &shared.frames[i]));
    }
    vm_backing_init(&shared.backing, &ops);
    shared.gone = STATUS_OK;
    shared.copy = false;
    shared.unused = 0;
    shared.denied = 0;
}

static void expect_references(uint32_t wanted)
{
    for (unsigned i = 0; i < PAGES; i++) {
        assert_int_equal(frame_refs(shared.frames[i]), wanted);
    }
}

static void finish(void)
{
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vm_check(&spaces[i]), 0);
        vm_space_deinit(&spaces[i]);
    }
    expect_references(1);
    assert_int_equal(shared.unused, 1);
    for (unsigned i = 0; i < PAGES; i++) {
        assert_ok(frame_free(shared.frames[i]));
    }
    assert_int_equal(slab_report_live(0, NULL), 0);
    assert_frames_sound();
}

/* An access of a user program; the kernel's answer. */
static status_t access(struct address_space *space, uint64_t address, bool write, uint64_t **word)
{
    for (unsigned tries = 0; tries < 3; tries++) {
        struct pt_leaf leaf;
        bool present = pt_query(&space->table, vaddr_make(address), &leaf) == STATUS_OK;
        if (present && (!write || (leaf.flags.bits & PAGE_WRITABLE))) {
            *word = (uint64_t *)((char *)arch_phys_to_virt(leaf.address) + address % PAGE_SIZE);
            return STATUS_OK;
        }
        status_t status = vm_fault(space, vaddr_make(address), write ? FAULT_WRITE : 0);
        if (status != STATUS_OK) {
            return status;
        }
    }
    fail_msg("a served fault did not help");
    return STATUS_ERR_STATE;
}

static void store(struct address_space *space, uint64_t address, uint64_t value)
{
    uint64_t *word = NULL;
    assert_ok(access(space, address, true, &word));
    *word = value;
}

static uint64_t load(struct address_space *space, uint64_t address)
{
    uint64_t *word = NULL;
    assert_ok(access(space, address, false, &word));
    return *word;
}

static status_t denied(struct address_space *space, uint64_t address, bool write)
{
    uint64_t *word = NULL;
    return access(space, address, write, &word);
}

static status_t map(struct address_space *space, uint64_t at, uint64_t first, uint64_t pages,
                    uint32_t protection, uint32_t allowed, bool copy)
{
    vaddr_t out;
    return vm_map_backing(space, vaddr_make(at), pages * PAGE_SIZE, protection | VM_FIXED, CACHE_WRITE_BACK,
                          &shared.backing, first, allowed, copy, &out);
}

static void spaces_see_each_others_writes(void **state)
{
    (void)state;
    start();
    assert_ok(map(&spaces[0], BASE, 0, PAGES, RW, RW, false));
    assert_ok(map(&spaces[1], BASE + PAGE_SIZE, 2, 4, RW, RW, false));
    for (uint64_t i = 0; i < PAGES; i++) {
        store(&spaces[0], BASE + i * PAGE_SIZE, i + 1);
    }
    for (uint64_t i = 0; i < 4; i++) {
        assert_int_equal(load(&spaces[1], BASE + (i + 1) * PAGE_SIZE), i + 3);
    }
    store(&spaces[1], BASE + PAGE_SIZE, 99);
    assert_int_equal(load(&spaces[0], BASE + 2 * PAGE_SIZE), 99);
    assert_int_equal(map(&spaces[1], BASE, 0, 2, RW, RW, false), STATUS_ERR_EXISTS);
    assert_int_equal(spaces[1].stats.resident_pages, 4);
    finish();
}

static void a_populated_mapping_has_all_its_pages_without_a_fault(void **state)
{
    (void)state;
    start();
    vaddr_t at = vaddr_make(BASE);
    struct pt_leaf leaf;
    assert_ok(map(&spaces[0], BASE, 0, PAGES, RW, RW, false));
    store(&spaces[0], BASE + 3 * PAGE_SIZE, 7); /* one is there, the others come in two batches */
    assert_ok(vm_populate(&spaces[0], at, PAGES * PAGE_SIZE, true));
    assert_int_equal(spaces[0].stats.resident_pages, PAGES);
    assert_int_equal(spaces[0].stats.faults, 1);
    assert_ok(map(&spaces[1], BASE, 0, PAGES, RW, RW, true));
    assert_ok(vm_populate(&spaces[1], at, PAGES * PAGE_SIZE, true));
    assert_int_equal(spaces[1].stats.faults, 0);
    expect_references(3);
    for (unsigned i = 0; i < PAGES; i++) {
        assert_ok(pt_query(&spaces[0].table, vaddr_make(BASE + i * PAGE_SIZE), &leaf));
        assert_true(leaf.flags.bits & PAGE_WRITABLE);
        assert_int_equal(paddr_pfn(leaf.address), shared.frames[i]);
        assert_ok(pt_query(&spaces[1].table, vaddr_make(BASE + i * PAGE_SIZE), &leaf));
        assert_false(leaf.flags.bits & PAGE_WRITABLE); /* its writers get copies */
    }
    vm_backing_drain(&shared.backing);
    expect_references(1);
    shared.gone = STATUS_ERR_CAP_REVOKED;
    assert_int_equal(vm_populate(&spaces[0], at, PAGES * PAGE_SIZE, true), STATUS_ERR_CAP_REVOKED);
    assert_int_equal(spaces[0].stats.resident_pages, 0);
    expect_references(1);
    finish();
}

static void populating_stays_below_the_limit_of_the_space(void **state)
{
    (void)state;
    start();
    assert_ok(map(&spaces[0], BASE, 0, PAGES, RW, RW, false));
    for (uint64_t limit = 1; limit < PAGES + 4; limit++) { /* the root, three tables, the pages */
        spaces[0].frame_limit = limit;
        assert_int_equal(vm_populate(&spaces[0], vaddr_make(BASE), PAGES * PAGE_SIZE, true),
                         STATUS_ERR_LIMIT);
        assert_int_equal(spaces[0].stats.resident_pages, 0);
        expect_references(1);
    }
    spaces[0].frame_limit = PAGES + 4;
    assert_ok(vm_populate(&spaces[0], vaddr_make(BASE), PAGES * PAGE_SIZE, true));
    assert_int_equal(spaces[0].stats.resident_pages, PAGES);
    finish();
}

/* covers: VM-16 */
static void a_drain_reaches_every_space_fork_and_piece(void **state)
{
    (void)state;
    start();
    vm_space_deinit(&spaces[2]);
    assert_ok(map(&spaces[0], BASE, 0, PAGES, RW, RW, false));
    for (uint64_t i = 0; i < PAGES; i++) {
        store(&spaces[0], BASE + i * PAGE_SIZE, i);
    }
    assert_ok(vm_clone(&spaces[0], &spaces[2], (struct pid){3}));
    store(&spaces[2], BASE, 42);
    assert_int_equal(load(&spaces[0], BASE), 42); /* a fork shares as well */
    assert_ok(vm_unmap(&spaces[2], vaddr_make(BASE + 3 * PAGE_SIZE), 2 * PAGE_SIZE));
    assert_int_equal(load(&spaces[2], BASE + 6 * PAGE_SIZE), 6);
    assert_ok(map(&spaces[1], BASE, 4, 4, VM_READ, VM_READ, false));
    assert_int_equal(load(&spaces[1], BASE), 4);
    assert_int_equal(vm_check(&spaces[2]), 0);
    vm_backing_drain(&shared.backing);
    expect_references(1);
    assert_int_equal(load(&spaces[1], BASE + PAGE_SIZE), 5); /* comes back while it is allowed */
    shared.gone = STATUS_ERR_CAP_REVOKED;
    vm_backing_drain(&shared.backing);
    expect_references(1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(denied(&spaces[i], BASE, false), STATUS_ERR_CAP_REVOKED);
        assert_int_equal(shared.denied, i + 1);
        assert_int_equal(spaces[i].stats.resident_pages, 0);
        assert_true(spaces[i].stats.denied > 0);
    }
    finish();
}

static bool is_mapped(struct address_space *space, uint64_t address, uint64_t *physical)
{
    struct pt_leaf leaf;
    bool present = pt_query(&space->table, vaddr_make(address), &leaf) == STATUS_OK;
    *physical = present ? leaf.address.number : 0;
    return present;
}

/* covers: VM-16 (devices) */
static void a_drain_takes_a_device_away_for_good(void **state)
{
    (void)state;
    start();
    vm_space_deinit(&spaces[2]);
    const struct vm_device device = {
        .physical = {0xfeb00000}, .cache = CACHE_UNCACHED, .backing = &shared.backing, .allowed = VM_READ};
    vaddr_t at = vaddr_make(BASE);
    uint64_t physical;
    assert_ok(vm_map_device(&spaces[0], at, 3 * PAGE_SIZE, VM_READ | VM_FIXED, &device, &at));
    assert_ok(vm_map_device(&spaces[1], at, PAGE_SIZE, VM_READ | VM_FIXED, &device, &at));
    assert_int_equal(vm_map_device(&spaces[1], at, PAGE_SIZE, VM_READ | VM_FIXED, &device, &at),
                     STATUS_ERR_EXISTS);
    assert_int_equal(vm_protect(&spaces[0], at, PAGE_SIZE, RW), STATUS_ERR_PROTECTION);
    assert_ok(vm_unmap(&spaces[0], vaddr_make(BASE + PAGE_SIZE), PAGE_SIZE)); /* in two pieces now */
    assert_ok(vm_clone(&spaces[0], &spaces[2], (struct pid){3}));
    assert_true(is_mapped(&spaces[2], BASE + 2 * PAGE_SIZE, &physical));
    assert_int_equal(physical, 0xfeb02000);
    assert_int_equal(spaces[0].stats.device_pages, 2);
    shared.gone = STATUS_ERR_CAP_REVOKED;
    vm_backing_drain(&shared.backing);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(is_mapped(&spaces[i], BASE, &physical));
        assert_int_equal(spaces[i].stats.device_pages, 0);
        assert_int_equal(vm_fault(&spaces[i], at, 0), STATUS_ERR_CAP_REVOKED);
        assert_int_equal(shared.denied, i + 1);
    }
    shared.gone = STATUS_OK; /* even so */
    assert_int_equal(vm_fault(&spaces[0], at, 0), STATUS_ERR_NOT_MAPPED);
    assert_false(is_mapped(&spaces[2], BASE + 2 * PAGE_SIZE, &physical));
    finish();
}

static void protection_grows_no_further_than_allowed(void **state)
{
    (void)state;
    start();
    vaddr_t base = vaddr_make(BASE);
    assert_ok(map(&spaces[0], BASE, 0, PAGES, VM_READ, VM_READ, false));
    assert_int_equal(load(&spaces[0], BASE), 0);
    assert_int_equal(denied(&spaces[0], BASE, true), STATUS_ERR_PROTECTION);
    assert_int_equal(vm_protect(&spaces[0], base, PAGE_SIZE, RW), STATUS_ERR_PROTECTION);
    assert_ok(map(&spaces[1], BASE, 0, PAGES, VM_READ, RW, false));
    assert_int_equal(load(&spaces[1], BASE), 0);
    assert_ok(vm_protect(&spaces[1], base, PAGE_SIZE, RW));
    store(&spaces[1], BASE, 5);
    assert_int_equal(load(&spaces[0], BASE), 5); /* the page itself, not a copy */
    assert_int_equal(vm_check(&spaces[1]), 0);
    assert_ok(vm_protect(&spaces[1], base, PAGES * PAGE_SIZE, VM_READ));
    assert_int_equal(denied(&spaces[1], BASE, true), STATUS_ERR_PROTECTION);
    finish();
}

/* covers: IP-05 (copy-on-write) */
static void writers_of_copies_change_nobody_elses(void **state)
{
    (void)state;
    start();
    vm_space_deinit(&spaces[2]);
    assert_ok(map(&spaces[0], BASE, 0, PAGES, RW, RW, false));
    store(&spaces[0], BASE, 1);
    assert_ok(map(&spaces[1], BASE, 0, PAGES, RW, RW, true));
    assert_int_equal(load(&spaces[1], BASE), 1);
    store(&spaces[0], BASE, 2);
    assert_int_equal(load(&spaces[1], BASE), 2); /* not yet a copy */
    store(&spaces[1], BASE, 3);
    assert_int_equal(load(&spaces[0], BASE), 2);
    store(&spaces[0], BASE, 4);
    assert_int_equal(load(&spaces[1], BASE), 3);
    assert_ok(vm_clone(&spaces[1], &spaces[2], (struct pid){3}));
    store(&spaces[2], BASE, 5);
    assert_int_equal(load(&spaces[1], BASE), 3); /* a copy is private to each side of a fork */
    assert_int_equal(load(&spaces[0], BASE), 4);
    shared.copy = true; /* from now on everybody's */
    vm_backing_drain(&shared.backing);
    store(&spaces[0], BASE, 6);
    assert_int_equal(*(uint64_t *)arch_phys_to_virt(paddr_from_pfn(shared.frames[0])), 4);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vm_check(&spaces[i]), 0);
    }
    finish();
}

/* Random maps, unmaps, accesses, forks and drains against what each page must hold. */
static void random_use_keeps_every_reference(void **state)
{
    (void)state;
    start();
    uint64_t seed = 9;
    uint64_t content[PAGES] = {0};
    bool mapped[2][PAGES] = {{false}};
    unsigned ends = 0;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t r = fake_random(&seed);
        unsigned who = (unsigned)(r % 2);
        uint64_t at = (r >> 8) % PAGES;
        uint64_t count = 1 + (r >> 16) % (PAGES - at);
        uint64_t address = BASE + at * PAGE_SIZE;
        bool any = false;
        for (uint64_t p = at; p < at + count; p++) {
            any |= mapped[who][p];
        }
        switch ((r >> 32) % 5) {
        case 0:
            assert_int_equal(map(&spaces[who], address, at, count, RW, RW, false),
                             any ? STATUS_ERR_EXISTS : STATUS_OK);
            for (uint64_t p = at; p < at + count && !any; p++) {
                mapped[who][p] = true;
            }
            break;
        case 1:
            assert_ok(vm_unmap(&spaces[who], vaddr_make(address), count * PAGE_SIZE));
            for (uint64_t p = at; p < at + count; p++) {
                mapped[who][p] = false;
            }
            break;
        case 2:
            if (mapped[who][at]) {
                content[at] = r;
                store(&spaces[who], address, r);
            }
            break;
        case 3:
            if (mapped[who][at]) {
                assert_int_equal(load(&spaces[who], address), content[at]);
            } else {
                assert_int_equal(denied(&spaces[who], address, false), STATUS_ERR_BAD_ADDRESS);
            }
            break;
        default:
            if ((r >> 40) % 20 == 0) {
                vm_backing_drain(&shared.backing);
                expect_references(1);
            }
            break;
        }
        if (i % 500 == 0) {
            assert_int_equal(vm_check(&spaces[0]) + vm_check(&spaces[1]), 0);
        }
        ends = shared.unused;
    }
    assert_true(ends > 0);
    assert_ok(vm_unmap(&spaces[0], vaddr_make(BASE), PAGES * PAGE_SIZE));
    assert_ok(vm_unmap(&spaces[1], vaddr_make(BASE), PAGES * PAGE_SIZE));
    expect_references(1);
    shared.unused = 1;
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spaces_see_each_others_writes),
        cmocka_unit_test(a_populated_mapping_has_all_its_pages_without_a_fault),
        cmocka_unit_test(populating_stays_below_the_limit_of_the_space),
        cmocka_unit_test(a_drain_reaches_every_space_fork_and_piece),
        cmocka_unit_test(a_drain_takes_a_device_away_for_good),
        cmocka_unit_test(protection_grows_no_further_than_allowed),
        cmocka_unit_test(writers_of_copies_change_nobody_elses),
        cmocka_unit_test(random_use_keeps_every_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
