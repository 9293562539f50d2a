/* The store commit stage: what its owner sees, what the others see and when. */

#include "mem_fixture.h"

#include "base/rng.h"
#include "core/event.h"

#define RW (PTE_P | PTE_W)
#define X  0x5000u
#define Y  0x6000u

static struct fixture f;

static void start(uint32_t capacity, uint32_t drain_cycles)
{
    fixture_init(&f, capacity, drain_cycles);
    fixture_map(&f, X, 0x123000, RW);
    fixture_map(&f, Y, 0x124000, RW);
    for (unsigned i = 0; i < FIXTURE_CPUS; i++) {
        f.cpu[i]->deadline_cycles = 1000000;
        f.cpu[i]->left_cycles = 1000000;
    }
}

static int teardown(void **state)
{
    (void)state;
    fixture_deinit(&f);
    return 0;
}

static uint64_t load(unsigned n, uint64_t a, unsigned size_bytes)
{
    uint64_t value = 0;
    assert_true(mem_read(f.cpu[n], lin(a), size_bytes, &value));
    return value;
}

static void store(unsigned n, uint64_t a, unsigned size_bytes, uint64_t value)
{
    assert_true(mem_write(f.cpu[n], lin(a), size_bytes, value));
}

static uint64_t exchange(unsigned n, uint64_t a, uint64_t value)
{
    struct mem_rmw rmw;
    assert_true(mem_rmw_begin(f.cpu[n], lin(a), 8, true, &rmw));
    mem_rmw_commit(f.cpu[n], &rmw, value, 0);
    return rmw.old;
}

static void tick(unsigned n, unsigned cycles)
{
    f.cpu[n]->left_cycles -= cycles;
}

/* ---- visibility
 * -------------------------------------------------------------------------------------------------- */

static void with_capacity_0_a_store_is_seen_at_once(void **state)
{
    (void)state;
    start(0, 100);
    store(0, X, 8, 5);
    assert_int_equal(load(1, X, 8), 5);
    assert_true(mem_drain_next(f.cpu[0]) == EVENT_NEVER);
}

static void stores_that_are_taken_back_were_never_made(void **state)
{
    (void)state;
    start(8, 100);
    store(0, Y, 8, 0); /* setting the dirty bits drains */
    store(0, X, 8, 0);
    store_queue_drain(f.cpu[0]);
    store(0, X, 8, 5);
    store(0, X, 4, 6);
    store(0, Y, 8, 7);
    store_queue_take_back(f.cpu[0], 2);
    assert_int_equal(f.cpu[0]->stores.count, 1);
    assert_int_equal(load(0, X, 8), 5);
    assert_int_equal(load(0, Y, 8), 0);
    assert_true(mem_store_pending(f.cpu[0], phys(0x123000)));
    assert_false(mem_store_pending(f.cpu[0], phys(0x124000)));
    store_queue_drain(f.cpu[0]);
    assert_int_equal(load(1, X, 8), 5);
    assert_int_equal(load(1, Y, 8), 0);
}

static void a_queued_store_is_seen_by_its_owner_only_until_it_drains(void **state)
{
    (void)state;
    start(8, 100);
    load(0, X, 8); /* a host read entry that must not survive the store */
    assert_non_null(mem_host_read(f.cpu[0], X, 8));
    store(0, X, 8, 5);
    assert_null(mem_host_read(f.cpu[0], X, 8));
    assert_int_equal(load(0, X, 8), 5);
    assert_null(mem_host_read(f.cpu[0], X, 8));
    assert_null(mem_host_write(f.cpu[0], X, 8));
    assert_int_equal(load(1, X, 8), 0);
    mem_drain(f.cpu[0]);
    assert_int_equal(load(1, X, 8), 5);
    assert_int_equal(load(0, X, 8), 5);
    assert_non_null(mem_host_read(f.cpu[0], X, 8));
}

static void a_store_through_one_linear_page_is_seen_through_another(void **state)
{
    (void)state;
    start(8, 100);
    fixture_map(&f, 0x9000, 0x123000, RW);
    for (unsigned i = 0; i < 3; i++) {
        load(0, X, 8);
        load(0, 0x9000, 8);
        store(0, i & 1 ? X : 0x9000, 8, 10 + i);
        fixture_check_host_entries(f.cpu[0]);
        assert_int_equal(load(0, X, 8), 10 + i);
        assert_int_equal(load(0, 0x9000, 8), 10 + i);
        mem_drain(f.cpu[0]);
        load(0, 0x9000, 8);
        load(0, X, 8);
        fixture_check_host_entries(f.cpu[0]);
    }
}

static void stores_of_pages_that_share_a_bucket_do_not_hide_each_other(void **state)
{
    (void)state;
    start(8, 100);
    uint64_t twin = 0x123000 + ((uint64_t)TLB_ALIAS_BUCKETS << PAGE_SHIFT);
    fixture_map(&f, 0x9000, twin, RW | PTE_A | PTE_D); /* no walk of it drains */
    load(0, 0x9000, 8);
    store(0, X, 8, 1);
    store(0, 0x9000, 8, 2);
    fixture_check_host_entries(f.cpu[0]);
    mem_drain_one(f.cpu[0]);
    assert_int_equal(load(0, 0x9000, 8), 2);
    assert_int_equal(fixture_word(&f, twin), 0);
    fixture_check_host_entries(f.cpu[0]);
}

static void loads_are_assembled_from_the_queue_byte_by_byte(void **state)
{
    (void)state;
    start(64, 1000000);
    static uint8_t model[64];
    memset(model, 0, sizeof model);
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (unsigned i = 0; i < 50000; i++) {
        unsigned size = 1u << rng_below(&rng, 4);
        unsigned at = (unsigned)rng_below(&rng, 64 - size + 1);
        uint64_t base = Y - 32; /* half of it in the page before */
        if (rng_below(&rng, 3) == 0) {
            uint64_t value = rng_next(&rng);
            uint8_t bytes[8];
            store_le64(bytes, value);
            store(0, base + at, size, value);
            memcpy(model + at, bytes, size);
        } else if (rng_below(&rng, 40) == 0) {
            uint8_t block[64];
            assert_true(mem_read_bytes(f.cpu[0], lin(base), block, 64));
            assert_memory_equal(block, model, 64);
        } else if (rng_below(&rng, 100) == 0) {
            mem_drain_one(f.cpu[0]->stores.count ? f.cpu[0] : (store(0, base, 1, model[0]), f.cpu[0]));
        } else {
            uint8_t bytes[8] = {0};
            memcpy(bytes, model + at, size);
            assert_int_equal(load(0, base + at, size), load_le64(bytes));
        }
    }
    mem_drain(f.cpu[0]);
    assert_memory_equal(ram_at(&f.bus.ram, phys(0x124000)), model + 32, 32);
    assert_memory_equal(ram_at(&f.bus.ram, phys(0x123fe0)), model, 32);
}

static void fetches_and_page_walks_see_the_own_stores(void **state)
{
    (void)state;
    start(8, 100);
    uint8_t bytes[2];
    unsigned got;
    phys_t at;
    store(0, X + 1, 1, 0xf4);
    assert_true(mem_store_pending(f.cpu[0], phys(0x123000)));
    assert_false(mem_store_pending(f.cpu[0], phys(0x124000)));
    assert_true(mem_fetch(f.cpu[0], lin(X), bytes, 2, &got, &at));
    assert_int_equal(bytes[1], 0xf4);
    assert_int_equal(*ram_at(&f.bus.ram, phys(0x123001)), 0);
    /* The page table itself is mapped at 0x9000; a store to it maps 0xa000. */
    uint64_t entry_at = fixture_entry_at(&f, f.cpu[0]->cr3, 0xa000, 1);
    fixture_map(&f, 0x9000, align_down(entry_at, PAGE_SIZE_BYTES), RW);
    store(0, 0x9000 + (entry_at & PAGE_MASK_BITS), 8, 0x124000 | RW | PTE_A);
    assert_int_equal(load(0, 0xa000, 8), 0);
    assert_int_equal(fixture_word(&f, entry_at), 0); /* still queued: the walk saw it there */
    uint64_t value;
    assert_false(mem_read(f.cpu[1], lin(0xa000), 8, &value));
}

static void setting_an_accessed_bit_drains(void **state)
{
    (void)state;
    start(8, 100);
    store(0, X, 8, 5);
    assert_int_equal(f.cpu[0]->stores.count, 1);
    load(0, Y, 8); /* sets A */
    assert_int_equal(f.cpu[0]->stores.count, 0);
    store(0, X, 8, 6);
    load(0, Y + 8, 8);
    assert_int_equal(f.cpu[0]->stores.count, 1);
    store(0, Y, 8, 7); /* sets D */
    assert_int_equal(f.cpu[0]->stores.count, 1);
}

/* ---- drains
 * ------------------------------------------------------------------------------------------------------ */

static void stores_are_due_after_the_delay_and_never_before_an_older_one(void **state)
{
    (void)state;
    start(8, 100);
    store(0, X, 8, 1);
    tick(0, 10);
    f.cpu[0]->stores.drain_cycles = 20;
    store(0, X + 8, 8, 2);
    assert_int_equal(f.cpu[0]->stores.entries[1].due_cycles, 100);
    assert_int_equal(mem_drain_next(f.cpu[0]), 100);
    mem_drain_due(f.cpu[0], 99);
    assert_int_equal(f.cpu[0]->stores.count, 2);
    mem_drain_due(f.cpu[0], 100);
    assert_int_equal(f.cpu[0]->stores.count, 0);
    assert_int_equal(fixture_word(&f, 0x123008), 2);
}

static void a_new_store_drains_what_is_due_by_then(void **state)
{
    (void)state;
    start(8, 100);
    store(0, X, 8, 1);
    tick(0, 100);
    store(0, X + 8, 8, 2);
    assert_int_equal(f.cpu[0]->stores.count, 1);
    assert_int_equal(fixture_word(&f, 0x123000), 1);
    assert_int_equal(mem_drain_next(f.cpu[0]), 200);
}

static void a_full_queue_drains_its_head(void **state)
{
    (void)state;
    start(3, 100000);
    for (unsigned i = 0; i < 5; i++) {
        store(0, X + 8 * i, 8, i + 1);
        assert_true(f.cpu[0]->stores.count <= 3);
    }
    assert_int_equal(fixture_word(&f, 0x123000), 1);
    assert_int_equal(fixture_word(&f, 0x123008), 2);
    assert_int_equal(fixture_word(&f, 0x123010), 0);
    assert_int_equal(load(0, X + 16, 8), 3);
}

static void the_queue_holds_exactly_its_capacity(void **state)
{
    (void)state;
    for (unsigned capacity = 1; capacity <= STORE_QUEUE_MAX; capacity += 21) {
        start(capacity, 100000);
        for (unsigned i = 0; i < capacity; i++) {
            store(0, X + 8 * i, 8, 1);
        }
        assert_int_equal(fixture_word(&f, 0x123000), 0);
        store(0, X + 8 * capacity, 8, 1);
        assert_int_equal(fixture_word(&f, 0x123000), 1);
        if (capacity + 21 <= STORE_QUEUE_MAX) {
            fixture_deinit(&f);
        }
    }
}

static void locked_operations_drain_before_and_are_not_queued(void **state)
{
    (void)state;
    start(8, 100);
    store(0, X, 8, 5);
    assert_int_equal(exchange(0, Y, 6), 0);
    assert_int_equal(fixture_word(&f, 0x123000), 5);
    assert_int_equal(fixture_word(&f, 0x124000), 6);
    assert_int_equal(f.cpu[0]->stores.count, 0);
    struct mem_rmw rmw;
    store(0, X, 8, 9);
    assert_true(mem_rmw_begin(f.cpu[0], lin(Y), 8, true, &rmw));
    assert_int_equal(fixture_word(&f, 0x123000), 9); /* before it reads */
    mem_rmw_commit(f.cpu[0], &rmw, rmw.old, 0);
    assert_true(mem_rmw_begin(f.cpu[0], lin(Y), 8, false, &rmw)); /* without LOCK it is a load and a store */
    mem_rmw_commit(f.cpu[0], &rmw, 7, 0);
    assert_int_equal(fixture_word(&f, 0x124000), 6);
    assert_int_equal(load(0, Y, 8), 7);
}

static void devices_and_uncached_ram_are_reached_after_the_queue_has_drained(void **state)
{
    (void)state;
    start(8, 100);
    fixture_map(&f, 0x9000, FIXTURE_DEVICE, RW | PTE_A | PTE_D);
    fixture_map(&f, 0xa000, 0x200000, RW | PTE_PCD | PTE_PWT | PTE_A | PTE_D);
    store(0, X, 8, 1);
    load(0, 0x9000, 4);
    assert_int_equal(f.device_reads, 1);
    assert_int_equal(f.device_pending, 0);
    store(0, X, 8, 2);
    store(0, 0x9000, 4, 2);
    assert_int_equal(f.device_writes, 1);
    assert_int_equal(f.device_pending, 0);
    store(0, X, 8, 3);
    store(0, 0xa000, 8, 4);
    assert_int_equal(f.cpu[0]->stores.count, 0);
    assert_int_equal(fixture_word(&f, 0x200000), 4);
    store(0, X, 8, 5);
    assert_int_equal(load(0, 0xa000, 8), 4);
    assert_int_equal(fixture_word(&f, 0x123000), 5);
    assert_null(mem_host_read(f.cpu[0], 0xa000, 8));
}

static void special_pages_hear_of_a_store_when_it_drains(void **state)
{
    (void)state;
    start(8, 100);
    f.bus.ram.flags[0x123] = PAGE_CODE;
    store(0, X + 4, 2, 1);
    assert_int_equal(f.special_writes, 0);
    assert_true(
        f.cpu[0]->chain_cut); /* own code is fetched with the store in view from the next instruction on */
    mem_drain(f.cpu[0]);
    assert_int_equal(f.special_writes, 1);
    assert_int_equal(f.special_at, 0x123004);
    assert_int_equal(f.special_size, 2);
}

/* ---- litmus tests by hand, two vCPUs
 * ------------------------------------------------------------------------------ */

static void sb_both_loads_may_see_zero(void **state)
{
    (void)state;
    start(8, 100);
    load(0, Y, 1); /* walks first, so that accessed bits do not drain in the middle */
    load(1, X, 1);
    store(0, X, 8, 0);
    store(1, Y, 8, 0);
    mem_drain(f.cpu[0]);
    mem_drain(f.cpu[1]);
    store(0, X, 8, 1);
    store(1, Y, 8, 1);
    assert_int_equal(load(0, Y, 8), 0);
    assert_int_equal(load(1, X, 8), 0);
}

static void sb_with_exchanges_forbids_two_zeros(void **state)
{
    (void)state;
    for (unsigned order = 0; order < 2; order++) {
        start(8, 100);
        exchange(order, order ? Y : X, 1);
        uint64_t first = load(order, order ? X : Y, 8);
        exchange(!order, order ? X : Y, 1);
        uint64_t second = load(!order, order ? Y : X, 8);
        assert_true(first + second > 0);
        if (order == 0) {
            fixture_deinit(&f);
        }
    }
}

static void mp_stores_are_seen_in_order_at_every_moment(void **state)
{
    (void)state;
    start(8, 100);
    store(0, Y, 1, 0); /* dirty bits are set before, so that nothing below drains */
    store(0, X, 1, 0);
    mem_drain(f.cpu[0]);
    store(0, X, 8, 1);
    store(0, Y, 8, 1);
    for (unsigned drained = 0;; drained++) {
        uint64_t y = load(1, Y, 8), x = load(1, X, 8);
        assert_true(x >= y);
        assert_int_equal(x + y, drained);
        if (!f.cpu[0]->stores.count) {
            break;
        }
        mem_drain_one(f.cpu[0]);
    }
}

static void n6_a_load_may_be_forwarded_before_the_store_is_seen(void **state)
{
    (void)state;
    start(8, 100);
    load(0, Y, 1);
    store(0, X, 1, 0);
    mem_drain(f.cpu[0]);
    store(0, X, 8, 1);
    assert_int_equal(load(0, X, 8), 1);
    assert_int_equal(load(0, Y, 8), 0);
    store(1, Y, 8, 2);
    store(1, X, 8, 2);
    mem_drain(f.cpu[1]);
    mem_drain(f.cpu[0]);
    assert_int_equal(fixture_word(&f, 0x123000), 1);
}

/* ---- state
 * ------------------------------------------------------------------------------------------------------- */

static void equal_queues_are_equal_bytes_wherever_the_ring_stands(void **state)
{
    (void)state;
    struct state_buffer buffer = {0};
    struct buffer_visitor visitor;
    start(4, 1000);
    store(0, Y, 1, 0);
    store(0, X, 1, 0);
    mem_drain(f.cpu[0]);
    assert_true(f.cpu[0]->stores.head != 0);
    store(0, X, 8, 1);
    store(0, X + 4, 2, 0xabcd);
    save_visitor_init(&visitor, VISIT_MACHINE, &buffer);
    mem_visit(f.cpu[0], &visitor.base);
    mem_init(f.cpu[0]);
    assert_int_equal(load(0, X, 8), 0);
    load_visitor_init(&visitor, VISIT_MACHINE, &buffer);
    mem_visit(f.cpu[0], &visitor.base);
    fixture_check_host_entries(f.cpu[0]);
    assert_int_equal(load(0, X, 8), UINT64_C(0x0000abcd00000001));
    compare_visitor_init(&visitor, VISIT_MACHINE, &buffer);
    mem_visit(f.cpu[0], &visitor.base);
    assert_false(visitor.differs);
    f.cpu[0]->stores.entries[1].value ^= 1;
    compare_visitor_init(&visitor, VISIT_MACHINE, &buffer);
    mem_visit(f.cpu[0], &visitor.base);
    assert_true(visitor.differs);
    mem_drain(f.cpu[0]);
    assert_false(mem_store_pending(f.cpu[0], phys(0x123000)));
    state_buffer_deinit(&buffer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        TEST(with_capacity_0_a_store_is_seen_at_once),
        TEST(stores_that_are_taken_back_were_never_made),
        TEST(a_queued_store_is_seen_by_its_owner_only_until_it_drains),
        TEST(a_store_through_one_linear_page_is_seen_through_another),
        TEST(stores_of_pages_that_share_a_bucket_do_not_hide_each_other),
        TEST(loads_are_assembled_from_the_queue_byte_by_byte),
        TEST(fetches_and_page_walks_see_the_own_stores),
        TEST(setting_an_accessed_bit_drains),
        TEST(stores_are_due_after_the_delay_and_never_before_an_older_one),
        TEST(a_new_store_drains_what_is_due_by_then),
        TEST(a_full_queue_drains_its_head),
        TEST(the_queue_holds_exactly_its_capacity),
        TEST(locked_operations_drain_before_and_are_not_queued),
        TEST(devices_and_uncached_ram_are_reached_after_the_queue_has_drained),
        TEST(special_pages_hear_of_a_store_when_it_drains),
        TEST(sb_both_loads_may_see_zero),
        TEST(sb_with_exchanges_forbids_two_zeros),
        TEST(mp_stores_are_seen_in_order_at_every_moment),
        TEST(n6_a_load_may_be_forwarded_before_the_store_is_seen),
        TEST(equal_queues_are_equal_bytes_wherever_the_ring_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
