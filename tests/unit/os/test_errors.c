/*
 * Host tests of statuses on their way: from the fault of a copy to the result of the call. The machine's part of a copy
 * (entry.S, trap.c) is here: a fault that is not served ends the copy, and its answer is kept.
 */

#include "fake/fake_arch.h"

#include "lib/fail.h"
#include "mm/kheap.h"
#include "mm/vm.h"
#include "proc/usercopy.h"

#define BASE 0x10000000ull
#define RW   (VM_READ | VM_WRITE)

static struct address_space space;
static status_t forced; /* what every fault is answered with; STATUS_OK: what the address space says */
static status_t kept;   /* of the last copy that ended early */
static status_t noted;  /* as the place of the failure was */

size_t user_copy_raw(void *to, const void *from, size_t bytes);
int user_load_raw(uint32_t *to, const uint32_t *from);

status_t failure_note(status_t status, const char *file, uint32_t line, uint64_t value, uint64_t bound)
{
    assert_non_null(strstr(file, "proc/usercopy.c"));
    assert_true(line != 0 && (value != 0 || bound != 0));
    noted = status;
    return status;
}

status_t failure_of_copy(void)
{
    return kept;
}

/* Every page of the user's side is faulted in; which side that is tells the address. */
size_t user_copy_raw(void *to, const void *from, size_t bytes)
{
    bool write = (uint64_t)(uintptr_t)to - BASE < (1ull << 30);
    uint64_t at = (uint64_t)(uintptr_t)(write ? to : from);
    for (size_t done = 0; done < bytes; done += PAGE_SIZE - (at + done) % PAGE_SIZE) {
        status_t status = forced;
        if (status == STATUS_OK) {
            status = vm_fault(&space, vaddr_make(at + done), FAULT_USER | (write ? FAULT_WRITE : 0));
        }
        if (status != STATUS_OK) {
            kept = status;
            return bytes - done;
        }
    }
    if (!write) {
        memset(to, 0, bytes);
    }
    return 0;
}

int user_load_raw(uint32_t *to, const uint32_t *from)
{
    (void)from;
    *to = 7;
    return forced != STATUS_OK ? 1 : 0;
}

static const status_t all[] = {
#define STATUS_ROW(name, value, text) name,
#include "abi/status.def"
#undef STATUS_ROW
};

#define COUNT (sizeof all / sizeof all[0])

/* ---- every status, through every copy ---- */

/* covers: ER-01 (copies) */
static void every_status_comes_through_every_copy_as_it_was(void **state)
{
    (void)state;
    char buffer[16];
    uint64_t length;
    for (unsigned i = 1; i < COUNT; i++) { /* 0: STATUS_OK */
        forced = all[i];
        noted = STATUS_OK;
        assert_int_equal(user_read(buffer, vaddr_make(BASE), sizeof buffer), all[i]);
        assert_int_equal(noted, all[i]);
        noted = STATUS_OK;
        assert_int_equal(user_write(vaddr_make(BASE), buffer, sizeof buffer), all[i]);
        assert_int_equal(noted, all[i]);
        assert_int_equal(user_read_string(buffer, vaddr_make(BASE), sizeof buffer, &length), all[i]);
        int64_t result = all[i]; /* in the register of the program, and out of it */
        assert_int_equal((status_t)(int64_t)(uint64_t)result, all[i]);
        for (unsigned k = 0; k < i; k++) {
            assert_int_not_equal(all[k], all[i]);
            assert_string_not_equal(status_name(all[k]), status_name(all[i]));
            assert_string_not_equal(status_text(all[k]), status_text(all[i]));
        }
    }
    forced = STATUS_OK;
}

/* ---- every cause of a fault, from where it arises ---- */

static struct {
    struct vm_backing backing;
    status_t gone;
} shared;

static status_t shared_pages(struct vm_backing *backing, uint64_t index, unsigned n, pfn_t *out, bool *copy)
{
    (void)backing;
    (void)index;
    (void)n;
    (void)out;
    *copy = false;
    return shared.gone;
}

static void shared_denied(struct vm_backing *backing, status_t why)
{
    (void)backing;
    assert_int_equal(why, shared.gone);
}

static void shared_unused(struct vm_backing *backing)
{
    (void)backing;
}

static const struct vm_backing_ops shared_ops = {
    .pages = shared_pages, .denied = shared_denied, .unused = shared_unused};

enum place { NOTHING, READABLE, CLOSED, GUARD, FREE, REGION };

#define ANONYMOUS 8u

static uint64_t address_of(enum place place)
{
    return place == GUARD ? BASE + 0x1000000 - ANONYMOUS * PAGE_SIZE - PAGE_SIZE : BASE + place * 0x10000ull;
}

static void map_places(void)
{
    vaddr_t at;
    fake_machine(64, 1);
    tlb_set_flush(NULL);
    assert_ok(kheap_init(&(struct kheap_config){.debug = HEAP_DEBUG_OFF}));
    assert_ok(vm_init(NULL, NULL));
    assert_ok(vm_space_init(&space, (struct pid){7}));
    assert_ok(vm_map(&space, vaddr_make(address_of(READABLE)), PAGE_SIZE, VM_READ | VM_FIXED, &at));
    assert_ok(vm_map(&space, vaddr_make(address_of(CLOSED)), PAGE_SIZE, VM_FIXED, &at));
    assert_ok(vm_map(&space, vaddr_make(address_of(FREE)), ANONYMOUS * PAGE_SIZE, RW | VM_FIXED, &at));
    assert_ok(vm_map_stack(&space, vaddr_make(BASE + 0x1000000), ANONYMOUS * PAGE_SIZE));
    vm_backing_init(&shared.backing, &shared_ops);
    assert_ok(vm_map_backing(&space, vaddr_make(address_of(REGION)), PAGE_SIZE, RW | VM_FIXED,
                             CACHE_WRITE_BACK, &shared.backing, 0, RW, false, &at));
}

/* Frames linked through their first words; null: none is left. */
static void *take_every_frame(void)
{
    void *first = NULL;
    pfn_t pfn;
    while (frame_alloc(FRAME_CRITICAL, FRAME_OWNER_TEST, 0, &pfn) == STATUS_OK) {
        void **memory = arch_phys_to_virt(paddr_from_pfn(pfn));
        *memory = first;
        first = memory;
    }
    return first;
}

static void give_every_frame(void *first)
{
    while (first != NULL) {
        void *next = *(void **)first;
        assert_true(frame_put(paddr_pfn(arch_virt_to_phys(first))));
        first = next;
    }
}

struct cause {
    enum place place;
    bool write;
    bool no_memory;
    bool at_limit;
    status_t gone; /* what the region says */
    status_t status;
};

static const struct cause causes[] = {
    {NOTHING, false, false, false, STATUS_OK, STATUS_ERR_BAD_ADDRESS},
    {NOTHING, true, false, false, STATUS_OK, STATUS_ERR_BAD_ADDRESS},
    {READABLE, false, false, false, STATUS_OK, STATUS_OK},
    {READABLE, true, false, false, STATUS_OK, STATUS_ERR_PROTECTION},
    {CLOSED, false, false, false, STATUS_OK, STATUS_ERR_PROTECTION},
    {CLOSED, true, false, false, STATUS_OK, STATUS_ERR_PROTECTION},
    {GUARD, false, false, false, STATUS_OK, STATUS_ERR_GUARD},
    {GUARD, true, false, false, STATUS_OK, STATUS_ERR_GUARD},
    {FREE, true, false, true, STATUS_OK, STATUS_ERR_LIMIT},
    {FREE, true, true, false, STATUS_OK, STATUS_ERR_NO_MEMORY},
    {FREE, false, true, false, STATUS_OK, STATUS_ERR_NO_MEMORY},
    {FREE, true, false, false, STATUS_OK, STATUS_OK},
    {REGION, false, false, false, STATUS_ERR_CAP_REVOKED, STATUS_ERR_CAP_REVOKED},
    {REGION, true, false, false, STATUS_ERR_CAP_INVALID, STATUS_ERR_CAP_INVALID},
    {REGION, true, false, false, STATUS_ERR_DEAD, STATUS_ERR_DEAD},
};

static status_t copy_at(const struct cause *cause)
{
    char buffer[16] = {0};
    vaddr_t at = vaddr_make(address_of(cause->place));
    return cause->write ? user_write(at, buffer, sizeof buffer) : user_read(buffer, at, sizeof buffer);
}

/* covers: ER-01 */
static void the_cause_of_a_fault_is_the_result_of_the_copy(void **state)
{
    (void)state;
    map_places();
    for (unsigned i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        const struct cause *cause = &causes[i];
        void *frames = cause->no_memory ? take_every_frame() : NULL;
        space.frame_limit = cause->at_limit ? space.stats.resident_pages + space.table.tables : 0;
        shared.gone = cause->gone;
        noted = STATUS_OK;
        assert_int_equal(copy_at(cause), cause->status);
        assert_int_equal(noted, cause->status);
        give_every_frame(frames);
    }
    space.frame_limit = 0;
    vm_space_deinit(&space);
}

/* ---- where one status stands for another ---- */

/* With interrupts off nobody asks why: the caller looks again with them on, and gets the cause. covers: ER-01 */
static void what_cannot_be_read_at_once_is_not_mapped(void **state)
{
    (void)state;
    uint32_t value = 0;
    forced = STATUS_ERR_NO_MEMORY;
    assert_int_equal(user_load_now(&value, vaddr_make(BASE)), STATUS_ERR_NOT_MAPPED);
    assert_int_equal(user_read(&value, vaddr_make(BASE), sizeof value), STATUS_ERR_NO_MEMORY);
    forced = STATUS_OK;
    assert_ok(user_load_now(&value, vaddr_make(BASE)));
    assert_int_equal(value, 7);
}

/* What is no address of a program is refused before it is touched. covers: ER-01 */
static void addresses_of_the_kernel_are_bad_addresses(void **state)
{
    (void)state;
    static const uint64_t bad[] = {0, USER_BASE - 1, USER_END - 3, USER_END, 0xffffffff80100000, UINT64_MAX};
    uint32_t value = 0;
    forced = STATUS_ERR_NO_MEMORY;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(user_read(&value, vaddr_make(bad[i]), sizeof value), STATUS_ERR_BAD_ADDRESS);
        assert_int_equal(user_write(vaddr_make(bad[i]), &value, sizeof value), STATUS_ERR_BAD_ADDRESS);
        assert_int_equal(user_range(vaddr_make(bad[i]), sizeof value), STATUS_ERR_BAD_ADDRESS);
        assert_int_equal(user_load_now(&value, vaddr_make(bad[i])), STATUS_ERR_BAD_ADDRESS);
    }
    forced = STATUS_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_comes_through_every_copy_as_it_was),
        cmocka_unit_test(the_cause_of_a_fault_is_the_result_of_the_copy),
        cmocka_unit_test(what_cannot_be_read_at_once_is_not_mapped),
        cmocka_unit_test(addresses_of_the_kernel_are_bad_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
