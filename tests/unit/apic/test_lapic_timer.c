/* The timer of the local APIC, to the exact cycle. */

#include "lapic_harness.h"

/* Cycles until n ticks of the divided bus clock have passed (1 GHz: 3 cycles). */
static uint64_t bus(uint64_t n)
{
    return 3 * n;
}

static void one_shot_timer_fires_once_at_the_exact_cycle(void **state)
{
    (void)state;
    wr(LAPIC_TIMER_DIVIDE, 0xb, 0);
    wr(LAPIC_LVT_TIMER, 0x40, 0);
    wr(LAPIC_TIMER_INITIAL, 1000, 100);
    assert_int_equal(rd(LAPIC_TIMER_CURRENT, 100), 1000);
    assert_int_equal(rd(LAPIC_TIMER_CURRENT, 100 + bus(1) - 1), 1000);
    assert_int_equal(rd(LAPIC_TIMER_CURRENT, 100 + bus(1)), 999);
    run_until(f.q, 100 + bus(1000) - 1);
    assert_int_equal(f.intr.count, 0);
    run_until(f.q, 100 + bus(1000));
    assert_change(&f.intr, 0, true, 100 + bus(1000));
    assert_int_equal(rd(LAPIC_TIMER_CURRENT, 100 + bus(1000)), 0);
    assert_int_equal(event_next(f.q), EVENT_NEVER);
}

static void periodic_timer_does_not_drift_on_an_odd_clock(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    config.bus_hz = 99999999;
    make();
    config.bus_hz = LAPIC_BUS_HZ;
    wr(LAPIC_SVR, 0x1ff, 0);
    wr(LAPIC_LVT_TIMER, 0x20040, 0);
    wr(LAPIC_TIMER_DIVIDE, 0x3, 0); /* 16 */
    wr(LAPIC_TIMER_INITIAL, 777, 55);
    uint64_t due = 0;
    for (unsigned i = 1; i <= 1000; i++) {
        due = event_next(f.q);
        assert_int_equal(due, 55 + clock_cycles(UINT64_C(777) * 16 * i, 99999999));
        run_until(f.q, due);
        assert_int_equal(lapic_acknowledge(&f.l, due), 0x40);
        wr(LAPIC_EOI, 0, due);
    }
    assert_int_equal(rd(LAPIC_TIMER_CURRENT, due), 777);
}

static void divide_configuration_has_eight_ratios(void **state)
{
    (void)state;
    static const struct {
        uint32_t code;
        unsigned ratio;
    } rows[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
    wr(LAPIC_LVT_TIMER, 0x40, 0);
    for (unsigned i = 0; i < 8; i++) {
        wr(LAPIC_TIMER_DIVIDE, rows[i].code, 0);
        assert_int_equal(rd(LAPIC_TIMER_DIVIDE, 0), rows[i].code);
        wr(LAPIC_TIMER_INITIAL, 10, 0);
        assert_int_equal(event_next(f.q), bus(10 * rows[i].ratio));
    }
}

static void changing_the_divider_keeps_the_count(void **state)
{
    (void)state;
    wr(LAPIC_TIMER_DIVIDE, 0xb, 0);
    wr(LAPIC_LVT_TIMER, 0x40, 0);
    wr(LAPIC_TIMER_INITIAL, 1000, 0);
    wr(LAPIC_TIMER_DIVIDE, 0x0, bus(400));
    assert_int_equal(rd(LAPIC_TIMER_CURRENT, bus(400)), 600);
    assert_int_equal(event_next(f.q), bus(400 + 1200));
}

static void masked_timer_counts_silently_and_periodic_phase_survives(void **state)
{
    (void)state;
    wr(LAPIC_TIMER_DIVIDE, 0xb, 0);
    wr(LAPIC_LVT_TIMER, 0x30040, 0);
    wr(LAPIC_TIMER_INITIAL, 100, 0);
    assert_int_equal(event_next(f.q), EVENT_NEVER);
    assert_int_equal(rd(LAPIC_TIMER_CURRENT, bus(250)), 50);
    wr(LAPIC_LVT_TIMER, 0x20040, bus(250));
    assert_int_equal(event_next(f.q), bus(300));
}

static void writing_zero_stops_the_timer(void **state)
{
    (void)state;
    wr(LAPIC_LVT_TIMER, 0x20040, 0);
    wr(LAPIC_TIMER_INITIAL, 100, 0);
    wr(LAPIC_TIMER_INITIAL, 0, 10);
    assert_int_equal(event_next(f.q), EVENT_NEVER);
    assert_int_equal(rd(LAPIC_TIMER_CURRENT, 20), 0);
}

static void changing_the_timer_mode_disarms(void **state)
{
    (void)state;
    wr(LAPIC_LVT_TIMER, 0x40, 0);
    wr(LAPIC_TIMER_INITIAL, 100, 0);
    wr(LAPIC_LVT_TIMER, 0x20040, 10);
    assert_int_equal(event_next(f.q), EVENT_NEVER);
    assert_int_equal(rd(LAPIC_TIMER_CURRENT, 10), 0);
}

static void tsc_deadline_fires_at_the_deadline_and_clears_itself(void **state)
{
    (void)state;
    uint64_t value;
    wr(LAPIC_LVT_TIMER, 0x40040, 0);
    wr(LAPIC_TIMER_INITIAL, 100, 0); /* ignored */
    assert_int_equal(event_next(f.q), EVENT_NEVER);
    assert_int_equal(set_msr(MSR_TSC_DEADLINE, 12345), OK);
    assert_int_equal(get_msr(MSR_TSC_DEADLINE, &value), OK);
    assert_int_equal(value, 12345);
    run_until(f.q, 12344);
    assert_int_equal(f.intr.count, 0);
    run_until(f.q, 12345);
    assert_change(&f.intr, 0, true, 12345);
    assert_int_equal(get_msr(MSR_TSC_DEADLINE, &value), OK);
    assert_int_equal(value, 0);
}

static void tsc_deadline_in_the_past_fires_at_once_and_zero_disarms(void **state)
{
    (void)state;
    wr(LAPIC_LVT_TIMER, 0x40040, 0);
    run_until(f.q, 1000);
    assert_int_equal(lapic_msr_write(&f.l, MSR_TSC_DEADLINE, 5000, 1000), OK);
    assert_int_equal(lapic_msr_write(&f.l, MSR_TSC_DEADLINE, 0, 1001), OK);
    assert_int_equal(event_next(f.q), EVENT_NEVER);
    assert_int_equal(lapic_msr_write(&f.l, MSR_TSC_DEADLINE, 999, 1002), OK);
    run_until(f.q, 1002);
    assert_change(&f.intr, 0, true, 1002);
}

static void tsc_deadline_follows_the_tsc_offset(void **state)
{
    (void)state;
    wr(LAPIC_LVT_TIMER, 0x40040, 0);
    set_msr(MSR_TSC_DEADLINE, 5000);
    lapic_set_tsc_offset(&f.l, 1000, 10);
    assert_int_equal(event_next(f.q), 4000);
    lapic_set_tsc_offset(&f.l, (uint64_t)0 - 1000, 2000);
    assert_int_equal(event_next(f.q), 6000);
}

static void tsc_deadline_msr_is_ignored_in_other_modes(void **state)
{
    (void)state;
    uint64_t value;
    assert_int_equal(set_msr(MSR_TSC_DEADLINE, 12345), OK);
    get_msr(MSR_TSC_DEADLINE, &value);
    assert_int_equal(value, 0);
    assert_int_equal(event_next(f.q), EVENT_NEVER);
}

static void without_tsc_deadline_its_msr_and_mode_do_not_exist(void **state)
{
    (void)state;
    uint64_t value;
    f.l.config.tsc_deadline = false;
    assert_int_equal(set_msr(MSR_TSC_DEADLINE, 1), GP);
    assert_int_equal(get_msr(MSR_TSC_DEADLINE, &value), GP);
    wr(LAPIC_LVT_TIMER, 0x40040, 0);
    assert_int_equal(rd(LAPIC_LVT_TIMER, 0), 0x40);
}

static void periodic_phase_survives_a_change_of_the_divider(void **state)
{
    (void)state;
    wr(LAPIC_TIMER_DIVIDE, 0xb, 0);
    wr(LAPIC_LVT_TIMER, 0x20040, 0);
    wr(LAPIC_TIMER_INITIAL, 100, 0);
    wr(LAPIC_TIMER_DIVIDE, 0x0, bus(30));
    assert_int_equal(event_next(f.q), bus(30 + 140));
    run_until(f.q, bus(170));
    assert_int_equal(rd(LAPIC_TIMER_CURRENT, bus(170)), 100);
    assert_int_equal(rd(LAPIC_TIMER_CURRENT, bus(170 + 60)), 70);
    assert_int_equal(event_next(f.q), bus(170 + 200));
}

static void leaving_tsc_deadline_mode_forgets_the_deadline(void **state)
{
    (void)state;
    uint64_t value;
    wr(LAPIC_LVT_TIMER, 0x40040, 0);
    set_msr(MSR_TSC_DEADLINE, 5000);
    wr(LAPIC_LVT_TIMER, 0x00040, 1);
    wr(LAPIC_LVT_TIMER, 0x40040, 2);
    get_msr(MSR_TSC_DEADLINE, &value);
    assert_int_equal(value, 0);
    assert_int_equal(event_next(f.q), EVENT_NEVER);
}

static void masked_tsc_deadline_expires_silently(void **state)
{
    (void)state;
    uint64_t value;
    wr(LAPIC_LVT_TIMER, 0x50040, 0);
    set_msr(MSR_TSC_DEADLINE, 5000);
    run_until(f.q, 5000);
    assert_int_equal(f.intr.count, 0);
    get_msr(MSR_TSC_DEADLINE, &value);
    assert_int_equal(value, 0);
}

static void reset_disarms_the_timer(void **state)
{
    (void)state;
    uint64_t value;
    wr(LAPIC_LVT_TIMER, 0x40040, 0);
    set_msr(MSR_TSC_DEADLINE, 5000);
    lapic_init_reset(&f.l, 10);
    assert_int_equal(event_next(f.q), EVENT_NEVER);
    get_msr(MSR_TSC_DEADLINE, &value);
    assert_int_equal(value, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_shot_timer_fires_once_at_the_exact_cycle),
        T(periodic_timer_does_not_drift_on_an_odd_clock),
        T(divide_configuration_has_eight_ratios),
        T(changing_the_divider_keeps_the_count),
        T(masked_timer_counts_silently_and_periodic_phase_survives),
        T(writing_zero_stops_the_timer),
        T(changing_the_timer_mode_disarms),
        T(tsc_deadline_fires_at_the_deadline_and_clears_itself),
        T(tsc_deadline_in_the_past_fires_at_once_and_zero_disarms),
        T(tsc_deadline_follows_the_tsc_offset),
        T(tsc_deadline_msr_is_ignored_in_other_modes),
        T(without_tsc_deadline_its_msr_and_mode_do_not_exist),
        T(periodic_phase_survives_a_change_of_the_divider),
        T(leaving_tsc_deadline_mode_forgets_the_deadline),
        T(masked_tsc_deadline_expires_silently),
        T(reset_disarms_the_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
