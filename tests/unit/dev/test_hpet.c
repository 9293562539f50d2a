/* The HPET: capabilities, counter, one-shot and periodic comparators, routes, levels, legacy replacement. */

#include "dev/hpet.h"

#include "base/bits.h"
#include "dev_harness.h"

#define TICK 300u /* cycles of a 10 MHz tick */

#define T_CONF(n) (HPET_TIMER_CONFIGURATION + 0x20u * (n))
#define T_CMP(n)  (HPET_TIMER_COMPARATOR + 0x20u * (n))
#define ROUTE(r)  ((uint64_t)(r) << 9)

struct fixture {
    struct event_queue *q;
    struct hpet hpet;
    struct line_log ioapic, legacy, legacy_on;
};

static struct fixture f;

static void make(uint64_t hz, unsigned timers)
{
    f.q = event_queue_create();
    f.ioapic.count = f.legacy.count = f.legacy_on.count = 0;
    struct hpet_config config = {timers, hz, 0x00f00000};
    struct hpet_wiring wiring = {
        .ioapic = line_to(&f.ioapic, 0),
        .legacy = {line_to(&f.legacy, 0), line_to(&f.legacy, 8)},
        .legacy_on = line_to(&f.legacy_on, 0),
    };
    hpet_init(&f.hpet, &config, &wiring, f.q);
}

static int setup(void **state)
{
    (void)state;
    make(HPET_HZ_10M, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    return 0;
}

static uint64_t rd(uint64_t offset, unsigned size, uint64_t at)
{
    run_until(f.q, at);
    struct bus_cx cx = {at, 0};
    return hpet_ops.mmio_read(&f.hpet, &cx, offset, size) & bits_size_mask(size); /* as the bus does */
}

static void wr_sized(uint64_t offset, uint64_t value, unsigned size, uint64_t at)
{
    run_until(f.q, at);
    struct bus_cx cx = {at, 0};
    hpet_ops.mmio_write(&f.hpet, &cx, offset, value, size);
}

static void wr(uint64_t offset, uint64_t value, uint64_t at)
{
    wr_sized(offset, value, 8, at);
}

static void capabilities_tell_period_and_number_of_comparators(void **state)
{
    (void)state;
    assert_int_equal(rd(0, 8, 0), UINT64_C(0x05f5e1008086a201));
    assert_int_equal(rd(4, 4, 0), 0x05f5e100);
    assert_int_equal(rd(T_CONF(0), 8, 0), UINT64_C(0x00f0000000000030) | ROUTE(20));
    event_queue_destroy(f.q);
    make(HPET_HZ_14M, 4);
    assert_int_equal(rd(4, 4, 0), 69841279); /* 69.841279 ns */
    assert_int_equal(rd(0, 4, 0), 0x8086a301);
}

static void counter_stands_until_enabled_and_then_follows_the_clock(void **state)
{
    (void)state;
    assert_int_equal(rd(0xf0, 8, 100 * TICK), 0);
    wr(0x10, 1, 1000);
    assert_int_equal(rd(0xf0, 8, 1000 + TICK - 1), 0);
    assert_int_equal(rd(0xf0, 8, 1000 + TICK), 1);
    assert_int_equal(rd(0xf0, 8, 1000 + UINT64_C(10000000) * TICK), 10000000);
    wr(0x10, 0, 1000 + UINT64_C(10000000) * TICK);
    assert_int_equal(rd(0xf0, 8, UINT64_C(9000000000)), 10000000);
}

static void counter_is_written_in_halves(void **state)
{
    (void)state;
    wr_sized(0xf0, 0x11112222, 4, 0);
    wr_sized(0xf4, 0x33334444, 4, 0);
    assert_int_equal(rd(0xf0, 8, 0), UINT64_C(0x3333444411112222));
    assert_int_equal(rd(0xf4, 4, 0), 0x33334444);
}

static void legacy_bit_does_not_disturb_the_phase_of_the_counter(void **state)
{
    (void)state;
    wr(0x10, 1, 0);
    wr(0x10, 3, 100);
    assert_int_equal(rd(0xf0, 8, TICK), 1);
}

static void one_shot_edge_fires_once_at_the_exact_cycle(void **state)
{
    (void)state;
    wr(T_CONF(2), HPET_TN_INT_ENB | ROUTE(21), 0);
    wr(T_CMP(2), 1000, 0);
    wr(0x10, 1, 500);
    run_until(f.q, 500 + 1000 * TICK - 1);
    assert_int_equal(f.ioapic.count, 0);
    run_until(f.q, UINT64_C(1) << 40);
    assert_int_equal(f.ioapic.count, 1);
    assert_change(&f.ioapic, 0, true, 500 + 1000 * TICK);
    assert_int_equal(f.ioapic.changes[0].line, 21);
    assert_int_equal(rd(0x20, 8, UINT64_C(1) << 40), 0); /* edge: no status */
}

static void each_edge_is_a_fall_and_a_rise(void **state)
{
    (void)state;
    wr(T_CONF(0), HPET_TN_INT_ENB | HPET_TN_PERIODIC | HPET_TN_VAL_SET | ROUTE(20), 0);
    wr(T_CMP(0), 100, 0);
    wr(0x10, 1, 0);
    run_until(f.q, 200 * TICK);
    assert_int_equal(f.ioapic.count, 3);
    assert_change(&f.ioapic, 1, false, 200 * TICK);
    assert_change(&f.ioapic, 2, true, 200 * TICK);
}

static void periodic_comparator_does_not_drift_at_14_mhz(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    make(HPET_HZ_14M, 3);
    wr(T_CONF(0), HPET_TN_INT_ENB | HPET_TN_PERIODIC | HPET_TN_VAL_SET | ROUTE(20), 0);
    wr(T_CMP(0), 14318, 0);
    wr(0x10, 1, 777);
    run_until(f.q, 777 + clock_cycles(UINT64_C(14318) * 1000, HPET_HZ_14M));
    assert_int_equal(f.ioapic.count, 1999);
    assert_change(&f.ioapic, 1998, true, 777 + clock_cycles(UINT64_C(14318) * 1000, HPET_HZ_14M));
    assert_int_equal(rd(T_CMP(0), 8, f.ioapic.changes[1998].at), UINT64_C(14318) * 1001);
}

static void val_set_opens_the_accumulator_for_one_write_and_the_next_sets_the_period(void **state)
{
    (void)state;
    wr(T_CONF(1), HPET_TN_INT_ENB | HPET_TN_PERIODIC | HPET_TN_VAL_SET | ROUTE(22), 0);
    wr(T_CMP(1), 500, 0);
    assert_int_equal(rd(T_CONF(1), 4, 0) & HPET_TN_VAL_SET, 0);
    wr(T_CMP(1), 70, 0);
    wr(0x10, 1, 0);
    run_until(f.q, 570 * TICK);
    assert_change(&f.ioapic, 0, true, 500 * TICK);
    assert_change(&f.ioapic, 2, true, 570 * TICK);
}

static void level_interrupt_stays_until_its_status_bit_is_cleared(void **state)
{
    (void)state;
    wr(T_CONF(1), HPET_TN_INT_ENB | HPET_TN_INT_TYPE_LEVEL | ROUTE(23), 0);
    wr(T_CMP(1), 10, 0);
    wr(0x10, 1, 0);
    assert_int_equal(rd(0x20, 8, 10 * TICK), 2);
    assert_int_equal(f.ioapic.count, 1);
    wr(0x20, 1, 11 * TICK);
    assert_int_equal(f.ioapic.count, 1);
    wr(0x20, 2, 12 * TICK);
    assert_change(&f.ioapic, 1, false, 12 * TICK);
    assert_int_equal(rd(0x20, 8, 12 * TICK), 0);
}

static void level_status_is_set_without_the_interrupt_enable(void **state)
{
    (void)state;
    wr(T_CONF(1), HPET_TN_INT_TYPE_LEVEL | ROUTE(23), 0);
    wr(T_CMP(1), 10, 0);
    wr(0x10, 1, 0);
    assert_int_equal(rd(0x20, 8, 10 * TICK), 2);
    assert_int_equal(f.ioapic.count, 0);
    wr(T_CONF(1), HPET_TN_INT_TYPE_LEVEL | HPET_TN_INT_ENB | ROUTE(23), 11 * TICK);
    assert_change(&f.ioapic, 0, true, 11 * TICK);
}

static void shared_level_route_is_the_or_of_its_comparators(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2; n++) {
        wr(T_CONF(n), HPET_TN_INT_ENB | HPET_TN_INT_TYPE_LEVEL | ROUTE(23), 0);
        wr(T_CMP(n), 10 + n, 0);
    }
    wr(0x10, 1, 0);
    run_until(f.q, 20 * TICK);
    assert_int_equal(f.ioapic.count, 1);
    wr(0x20, 1, 20 * TICK);
    assert_int_equal(f.ioapic.count, 1);
    wr(0x20, 2, 21 * TICK);
    assert_int_equal(f.ioapic.count, 2);
}

static void legacy_replacement_moves_comparators_0_and_1(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 3; n++) {
        wr(T_CONF(n), HPET_TN_INT_ENB | ROUTE(20), 0);
        wr(T_CMP(n), 10 + n, 0);
    }
    wr(0x10, 3, 0);
    assert_change(&f.legacy_on, 0, true, 0);
    run_until(f.q, 20 * TICK);
    assert_int_equal(f.legacy.count, 2);
    assert_int_equal(f.legacy.changes[0].line, 0);
    assert_int_equal(f.legacy.changes[1].line, 8);
    assert_change(&f.legacy, 1, true, 11 * TICK);
    assert_int_equal(f.ioapic.count, 1);
    assert_change(&f.ioapic, 0, true, 12 * TICK);
    wr(0x10, 1, 30 * TICK);
    assert_change(&f.legacy_on, 1, false, 30 * TICK);
}

static void comparator_in_the_past_waits_for_the_counter_to_come_round(void **state)
{
    (void)state;
    wr(0xf0, 1000, 0);
    wr(T_CONF(0), HPET_TN_INT_ENB | ROUTE(20), 0);
    wr(T_CMP(0), 999, 0);
    wr(0x10, 1, 0);
    assert_int_equal(event_next(f.q), EVENT_NEVER); /* 2^64 ticks are beyond the machine's clock */
    wr(T_CONF(0), HPET_TN_INT_ENB | HPET_TN_32MODE | ROUTE(20), 0);
    assert_int_equal(event_next(f.q), ((UINT64_C(1) << 32) - 1) * TICK);
}

static void mode_32_matches_the_low_half(void **state)
{
    (void)state;
    wr(0xf0, UINT64_C(0xfffffffffffffff0), 0);
    wr(T_CONF(0), HPET_TN_INT_ENB | HPET_TN_32MODE | ROUTE(20), 0);
    wr(T_CMP(0), 4, 0);
    wr(0x10, 1, 0);
    run_until(f.q, 100 * TICK);
    assert_int_equal(f.ioapic.count, 1);
    assert_change(&f.ioapic, 0, true, 20 * TICK);
}

static void disabling_the_counter_cancels_and_deasserts(void **state)
{
    (void)state;
    wr(T_CONF(0), HPET_TN_INT_ENB | HPET_TN_INT_TYPE_LEVEL | ROUTE(20), 0);
    wr(T_CMP(0), 10, 0);
    wr(0x10, 1, 0);
    run_until(f.q, 10 * TICK);
    wr(0x10, 0, 11 * TICK);
    assert_change(&f.ioapic, 1, false, 11 * TICK);
    assert_int_equal(event_next(f.q), EVENT_NEVER);
}

static void route_outside_the_mask_is_not_taken(void **state)
{
    (void)state;
    wr(T_CONF(0), HPET_TN_INT_ENB | ROUTE(21), 0);
    wr(T_CONF(0), HPET_TN_INT_ENB | ROUTE(3), 0);
    assert_int_equal(rd(T_CONF(0), 4, 0) & HPET_TN_INT_ROUTE, ROUTE(21));
}

static void odd_accesses_do_nothing(void **state)
{
    (void)state;
    wr_sized(0x10, 1, 1, 0);
    wr_sized(0x0e, 1, 4, 0);
    assert_int_equal(rd(0x10, 4, 0), 0);
    assert_int_equal(rd(2, 4, 0), 0);
    assert_int_equal(rd(0x300, 8, 0), 0);
}

static void state_moves_and_reset_clears(void **state)
{
    (void)state;
    wr(T_CONF(0), HPET_TN_INT_ENB | HPET_TN_INT_TYPE_LEVEL | ROUTE(20), 0);
    wr(T_CMP(0), 10, 0);
    wr(0x10, 3, 0);
    run_until(f.q, 50 * TICK);
    struct hpet other;
    struct hpet_config config = {3, HPET_HZ_10M, 0x00f00000};
    hpet_init(&other, &config, &(struct hpet_wiring){0}, f.q);
    assert_state_moves(&hpet_ops, &f.hpet, &other);
    hpet_reset(&f.hpet, 60 * TICK);
    assert_int_equal(rd(0x10, 8, 60 * TICK), 0);
    assert_int_equal(f.legacy_on.changes[f.legacy_on.count - 1].level, false);
}

static void absent_comparator_reads_zero_and_ignores_writes(void **state)
{
    (void)state;
    wr(T_CONF(3), HPET_TN_INT_ENB, 0);
    wr(T_CMP(3), 5, 0);
    assert_int_equal(rd(T_CONF(3), 8, 0), 0);
    assert_int_equal(rd(T_CMP(3), 8, 0), 0);
}

static void changing_the_trigger_type_drops_the_interrupt(void **state)
{
    (void)state;
    wr(T_CONF(0), HPET_TN_INT_ENB | HPET_TN_INT_TYPE_LEVEL | ROUTE(20), 0);
    wr(T_CMP(0), 10, 0);
    wr(0x10, 1, 0);
    run_until(f.q, 10 * TICK);
    wr(T_CONF(0), HPET_TN_INT_ENB | ROUTE(20), 11 * TICK);
    assert_change(&f.ioapic, 1, false, 11 * TICK);
    assert_int_equal(rd(0x20, 8, 11 * TICK), 0);
}

static void mode_32_cuts_the_comparator(void **state)
{
    (void)state;
    wr(T_CMP(0), UINT64_C(0x1234567890), 0);
    wr(T_CONF(0), HPET_TN_32MODE | ROUTE(20), 0);
    assert_int_equal(rd(T_CMP(0), 8, 0), 0x34567890);
    wr(T_CMP(0), UINT64_C(0xff00000001), 0);
    assert_int_equal(rd(T_CMP(0), 8, 0), 1);
}

static void edge_that_was_not_enabled_does_not_come_later(void **state)
{
    (void)state;
    wr(T_CONF(0), ROUTE(20), 0);
    wr(T_CMP(0), 10, 0);
    wr(0x10, 1, 0);
    run_until(f.q, 20 * TICK);
    wr(T_CONF(0), HPET_TN_INT_ENB | ROUTE(20), 21 * TICK);
    assert_int_equal(f.ioapic.count, 0);
    wr(T_CMP(0), 30, 22 * TICK);
    run_until(f.q, 30 * TICK);
    wr(T_CONF(0), ROUTE(20), 31 * TICK); /* falls with its enable, and stays so */
    wr(T_CONF(0), HPET_TN_INT_ENB | ROUTE(20), 32 * TICK);
    assert_int_equal(f.ioapic.count, 2);
}

static void writing_the_counter_moves_the_match(void **state)
{
    (void)state;
    wr(T_CONF(0), HPET_TN_INT_ENB | ROUTE(20), 0);
    wr(T_CMP(0), 1000, 0);
    wr(0x10, 1, 0);
    wr(0xf0, 900, 50 * TICK);
    assert_int_equal(event_next(f.q), 150 * TICK);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(capabilities_tell_period_and_number_of_comparators),
        T(counter_stands_until_enabled_and_then_follows_the_clock),
        T(counter_is_written_in_halves),
        T(legacy_bit_does_not_disturb_the_phase_of_the_counter),
        T(one_shot_edge_fires_once_at_the_exact_cycle),
        T(each_edge_is_a_fall_and_a_rise),
        T(periodic_comparator_does_not_drift_at_14_mhz),
        T(val_set_opens_the_accumulator_for_one_write_and_the_next_sets_the_period),
        T(level_interrupt_stays_until_its_status_bit_is_cleared),
        T(level_status_is_set_without_the_interrupt_enable),
        T(shared_level_route_is_the_or_of_its_comparators),
        T(legacy_replacement_moves_comparators_0_and_1),
        T(comparator_in_the_past_waits_for_the_counter_to_come_round),
        T(mode_32_matches_the_low_half),
        T(disabling_the_counter_cancels_and_deasserts),
        T(route_outside_the_mask_is_not_taken),
        T(odd_accesses_do_nothing),
        T(state_moves_and_reset_clears),
        T(absent_comparator_reads_zero_and_ignores_writes),
        T(changing_the_trigger_type_drops_the_interrupt),
        T(mode_32_cuts_the_comparator),
        T(edge_that_was_not_enabled_does_not_come_later),
        T(writing_the_counter_moves_the_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
