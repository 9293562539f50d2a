/* The MC146818: calendar, formats, UIP, the three interrupts, divider control. */

#include "dev/rtc.h"

#include "dev_harness.h"

#define SECOND CLOCK_TSC_HZ

struct fixture {
    struct event_queue *q;
    struct rtc rtc;
    struct line_log irq;
};

static struct fixture f;

static void start_at(struct rtc_date date)
{
    f.q = event_queue_create();
    f.irq.count = 0;
    struct irq_line line = line_to(&f.irq, 8);
    rtc_init(&f.rtc, &date, f.q, &line);
}

static int setup(void **state)
{
    (void)state;
    start_at((struct rtc_date){2026, 1, 1, 0, 0, 0});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    return 0;
}

static void restart_at(struct rtc_date date)
{
    event_queue_destroy(f.q);
    start_at(date);
}

static unsigned get(unsigned index, uint64_t at)
{
    run_until(f.q, at);
    out8(&rtc_ops, &f.rtc, 0x70, index, at);
    return in8(&rtc_ops, &f.rtc, 0x71, at);
}

static void put(unsigned index, unsigned value, uint64_t at)
{
    run_until(f.q, at);
    out8(&rtc_ops, &f.rtc, 0x70, index, at);
    out8(&rtc_ops, &f.rtc, 0x71, value, at);
}

/* The moment at which 32768 Hz tick n after cycle 0 completes. */
static uint64_t tick(uint64_t n)
{
    return clock_cycles(n, 32768);
}

static void assert_date(unsigned century, unsigned year, unsigned month, unsigned day, unsigned weekday,
                        uint64_t at)
{
    assert_int_equal(get(0x32, at), century);
    assert_int_equal(get(9, at), year);
    assert_int_equal(get(8, at), month);
    assert_int_equal(get(7, at), day);
    assert_int_equal(get(6, at), weekday);
}

static void starts_at_the_date_given_in_bcd_and_24_hours(void **state)
{
    (void)state;
    assert_date(0x20, 0x26, 1, 1, 5, 0); /* a Thursday */
    assert_int_equal(get(0, 0), 0);
    assert_int_equal(get(0x0b, 0), 0x02);
    assert_int_equal(get(0x0a, 0), 0x26);
    assert_int_equal(get(0x0d, 0), 0x80);
}

static void second_passes_at_the_exact_cycle(void **state)
{
    (void)state;
    assert_int_equal(get(0, SECOND - 1), 0x00);
    assert_int_equal(get(0, SECOND), 0x01);
    assert_int_equal(get(0, 59 * SECOND), 0x59);
    assert_int_equal(get(0, 60 * SECOND), 0x00);
    assert_int_equal(get(2, 60 * SECOND), 0x01);
}

static void hour_of_updates_does_not_drift(void **state)
{
    (void)state;
    assert_int_equal(get(4, 3600 * SECOND - 1), 0x00);
    assert_int_equal(get(4, 3600 * SECOND), 0x01);
    assert_int_equal(get(2, 3600 * SECOND), 0x00);
}

static void year_and_century_roll_over(void **state)
{
    (void)state;
    restart_at((struct rtc_date){1999, 12, 31, 23, 59, 59});
    assert_date(0x19, 0x99, 0x12, 0x31, 6, 0);
    assert_date(0x20, 0x00, 1, 1, 7, SECOND);
    assert_int_equal(get(4, SECOND), 0);
}

static void february_has_29_days_in_leap_years_only(void **state)
{
    (void)state;
    restart_at((struct rtc_date){2024, 2, 28, 23, 59, 59});
    assert_int_equal(get(7, SECOND), 0x29);
    restart_at((struct rtc_date){2024, 2, 29, 23, 59, 59});
    assert_date(0x20, 0x24, 3, 1, 6, SECOND);
    restart_at((struct rtc_date){2026, 2, 28, 23, 59, 59});
    assert_int_equal(get(7, SECOND), 0x01);
    restart_at((struct rtc_date){2000, 2, 28, 23, 59, 59});
    assert_int_equal(get(7, SECOND), 0x29);
    restart_at((struct rtc_date){1900, 2, 28, 23, 59, 59});
    assert_int_equal(get(7, SECOND), 0x01);
}

static void month_of_30_days_ends_after_30(void **state)
{
    (void)state;
    restart_at((struct rtc_date){2026, 4, 30, 23, 59, 59});
    assert_date(0x20, 0x26, 5, 1, 6, SECOND);
}

static void binary_mode_counts_in_binary(void **state)
{
    (void)state;
    put(0x0b, 0x06, 0);
    put(0, 59, 0);
    put(2, 59, 0);
    put(4, 18, 0);
    assert_int_equal(get(4, SECOND), 19);
    assert_int_equal(get(0, 12 * SECOND), 11);
}

static void twelve_hour_mode_has_a_pm_bit(void **state)
{
    (void)state;
    put(0x0b, 0x00, 0); /* BCD, 12 hours */
    put(0, 0x59, 0);
    put(2, 0x59, 0);
    put(4, 0x11, 0);                        /* 11 AM */
    assert_int_equal(get(4, SECOND), 0x92); /* 12 PM */
    put(0, 0x59, SECOND);
    put(2, 0x59, SECOND);
    assert_int_equal(get(4, 2 * SECOND), 0x81); /* 1 PM */
    put(0, 0x59, 2 * SECOND);
    put(2, 0x59, 2 * SECOND);
    put(4, 0x91, 2 * SECOND);                   /* 11 PM */
    assert_int_equal(get(4, 3 * SECOND), 0x12); /* 12 AM */
    assert_int_equal(get(7, 3 * SECOND), 0x02);
}

static void uip_is_set_for_2228_microseconds_before_an_update(void **state)
{
    (void)state;
    assert_int_equal(get(0x0a, tick(32768 - 73) - 1) & 0x80, 0);
    assert_int_equal(get(0x0a, tick(32768 - 73)) & 0x80, 0x80);
    assert_int_equal(get(0x0a, SECOND - 1) & 0x80, 0x80);
    assert_int_equal(get(0x0a, SECOND) & 0x80, 0);
}

static void set_bit_freezes_the_time_and_clears_uie(void **state)
{
    (void)state;
    put(0x0b, 0x92, 0);
    assert_int_equal(get(0x0b, 0), 0x82);
    assert_int_equal(get(0, 5 * SECOND), 0);
    assert_int_equal(get(0x0a, 5 * SECOND - 1) & 0x80, 0);
    put(0x0b, 0x02, 5 * SECOND);
    assert_int_equal(get(0, 6 * SECOND), 1);
}

static void update_interrupt_comes_with_every_second(void **state)
{
    (void)state;
    get(0x0c, 0);
    put(0x0b, 0x12, 0);
    run_until(f.q, SECOND);
    assert_int_equal(f.irq.count, 1);
    assert_change(&f.irq, 0, true, SECOND);
    run_until(f.q, 2 * SECOND);
    assert_int_equal(f.irq.count, 1); /* stays until C is read */
    assert_int_equal(get(0x0c, 2 * SECOND) & 0x90, 0x90);
    assert_change(&f.irq, 1, false, 2 * SECOND);
    run_until(f.q, 3 * SECOND);
    assert_change(&f.irq, 2, true, 3 * SECOND);
}

static void alarm_matches_hours_minutes_and_seconds(void **state)
{
    (void)state;
    put(1, 0x02, 0);
    put(3, 0x01, 0);
    put(5, 0x00, 0);
    put(0x0b, 0x22, 0);
    run_until(f.q, 200 * SECOND);
    assert_int_equal(f.irq.count, 1);
    assert_change(&f.irq, 0, true, 62 * SECOND);
    assert_int_equal(get(0x0c, 200 * SECOND) & 0xa0, 0xa0);
}

static void alarm_with_dont_care_matches_every_minute(void **state)
{
    (void)state;
    put(1, 0x05, 0);
    put(3, 0xc0, 0);
    put(5, 0xff, 0);
    put(0x0b, 0x22, 0);
    run_until(f.q, 5 * SECOND);
    get(0x0c, 5 * SECOND);
    run_until(f.q, 65 * SECOND);
    assert_int_equal(f.irq.count, 3);
    assert_change(&f.irq, 2, true, 65 * SECOND);
}

static void periodic_rate_is_exact(unsigned rs, uint64_t period_ticks)
{
    restart_at((struct rtc_date){2026, 1, 1, 0, 0, 0});
    put(0x0a, 0x20 | rs, 0);
    put(0x0b, 0x42, 0);
    for (unsigned i = 1; i <= 5; i++) {
        run_until(f.q, tick(i * period_ticks) - 1);
        assert_int_equal(f.irq.count, 2 * (i - 1));
        run_until(f.q, tick(i * period_ticks));
        assert_int_equal(f.irq.count, 2 * i - 1);
        assert_true(get(0x0c, tick(i * period_ticks)) & 0x40);
    }
}

static void periodic_interrupt_comes_at_all_fifteen_rates(void **state)
{
    (void)state;
    periodic_rate_is_exact(1, 128);
    periodic_rate_is_exact(2, 256);
    for (unsigned rs = 3; rs <= 15; rs++) {
        periodic_rate_is_exact(rs, UINT64_C(1) << (rs - 1));
    }
}

static void periodic_rate_zero_is_off(void **state)
{
    (void)state;
    put(0x0a, 0x20, 0);
    put(0x0b, 0x42, 0);
    run_until(f.q, 3 * SECOND);
    assert_int_equal(f.irq.count, 0);
    assert_int_equal(get(0x0c, 3 * SECOND) & 0x40, 0);
}

static void periodic_flag_is_set_without_its_enable(void **state)
{
    (void)state;
    assert_int_equal(get(0x0c, tick(32) - 1) & 0xc0, 0);
    assert_int_equal(get(0x0c, tick(32)) & 0xc0, 0x40);
    assert_int_equal(get(0x0c, tick(32)) & 0xc0, 0);
    assert_int_equal(f.irq.count, 0);
}

static void divider_reset_stops_time_and_first_update_is_half_a_second_after(void **state)
{
    (void)state;
    put(0x0a, 0x66, SECOND / 4);
    assert_int_equal(get(0, 10 * SECOND), 0);
    put(0x0a, 0x26, 10 * SECOND);
    assert_int_equal(get(0, 10 * SECOND + SECOND / 2 - 1), 0);
    assert_int_equal(get(0, 10 * SECOND + SECOND / 2), 1);
    assert_int_equal(get(0, 11 * SECOND + SECOND / 2), 2);
}

static void cmos_memory_keeps_what_is_written_and_c_and_d_do_not(void **state)
{
    (void)state;
    put(0x40, 0xa5, 0);
    assert_int_equal(get(0x40, 0), 0xa5);
    assert_int_equal(get(0xc0, 0), 0xa5); /* bit 7 is the NMI mask */
    put(0x0d, 0x00, 0);
    assert_int_equal(get(0x0d, 0), 0x80);
    rtc_set_cmos(&f.rtc, 0x15, 0x80);
    assert_int_equal(get(0x15, 0), 0x80);
    assert_int_equal(in8(&rtc_ops, &f.rtc, 0x70, 0), 0xff);
}

static void reset_line_clears_enables_but_not_time(void **state)
{
    (void)state;
    put(0x0b, 0x72, 0);
    run_until(f.q, 7 * SECOND);
    assert_true(f.rtc.irq_level);
    rtc_reset(&f.rtc, 7 * SECOND);
    assert_false(f.rtc.irq_level);
    assert_int_equal(get(0x0b, 7 * SECOND), 0x02);
    assert_int_equal(get(0, 8 * SECOND), 0x08);
}

static void state_moves(void **state)
{
    (void)state;
    put(0x0b, 0x42, 0);
    run_until(f.q, SECOND + 12345);
    struct rtc other;
    rtc_init(&other, &(struct rtc_date){2000, 2, 2, 2, 2, 2}, f.q, &(struct irq_line){0});
    assert_state_moves(&rtc_ops, &f.rtc, &other);
}

static void rewriting_register_a_does_not_disturb_the_phase(void **state)
{
    (void)state;
    put(0x0a, 0x2f, SECOND / 3);
    assert_int_equal(get(0, SECOND - 1), 0);
    assert_int_equal(get(0, SECOND), 1);
}

static void months_of_31_days_and_weekdays_through_the_year(void **state)
{
    (void)state;
    restart_at((struct rtc_date){2026, 12, 30, 23, 59, 59});
    assert_date(0x20, 0x26, 0x12, 0x31, 5, SECOND);
    restart_at((struct rtc_date){2026, 3, 1, 0, 0, 0});
    assert_int_equal(get(6, 0), 1); /* a Sunday */
    restart_at((struct rtc_date){2026, 2, 28, 0, 0, 0});
    assert_int_equal(get(6, 0), 7);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(starts_at_the_date_given_in_bcd_and_24_hours),
        T(second_passes_at_the_exact_cycle),
        T(hour_of_updates_does_not_drift),
        T(year_and_century_roll_over),
        T(february_has_29_days_in_leap_years_only),
        T(month_of_30_days_ends_after_30),
        T(binary_mode_counts_in_binary),
        T(twelve_hour_mode_has_a_pm_bit),
        T(uip_is_set_for_2228_microseconds_before_an_update),
        T(set_bit_freezes_the_time_and_clears_uie),
        T(update_interrupt_comes_with_every_second),
        T(alarm_matches_hours_minutes_and_seconds),
        T(alarm_with_dont_care_matches_every_minute),
        T(periodic_interrupt_comes_at_all_fifteen_rates),
        T(periodic_rate_zero_is_off),
        T(periodic_flag_is_set_without_its_enable),
        T(divider_reset_stops_time_and_first_update_is_half_a_second_after),
        T(cmos_memory_keeps_what_is_written_and_c_and_d_do_not),
        T(reset_line_clears_enables_but_not_time),
        T(state_moves),
        T(rewriting_register_a_does_not_disturb_the_phase),
        T(months_of_31_days_and_weekdays_through_the_year),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
