/* The 8254 and port 0x61: every mode, to the exact clock pulse. */

#include "dev/pit.h"

#include "dev_harness.h"

struct fixture {
    struct event_queue *q;
    struct pit pit;
    struct line_log out0;
};

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    f = (struct fixture){.q = event_queue_create()};
    struct irq_line line = line_to(&f.out0, 0);
    pit_init(&f.pit, f.q, &line);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    return 0;
}

/* The first cycle of clock pulse n. */
static uint64_t pulse(uint64_t n)
{
    return clock_cycles(n, PIT_HZ);
}

static void out(uint16_t port, unsigned value, uint64_t at)
{
    run_until(f.q, at);
    out8(&pit_ops, &f.pit, port, value, at);
}

static unsigned in(uint16_t port, uint64_t at)
{
    run_until(f.q, at);
    return in8(&pit_ops, &f.pit, port, at);
}

/* Control word for both bytes, then the count; all between pulses T and T + 1, so that the load is at T + 1.
 * */
static void program(unsigned channel, unsigned mode, unsigned count, uint64_t t)
{
    uint64_t at = pulse(t) + 5;
    out(0x43, channel << 6 | 0x30 | mode << 1, at);
    out((uint16_t)(0x40 + channel), count & 0xff, at + 1);
    out((uint16_t)(0x40 + channel), count >> 8, at + 2);
}

static unsigned read_count(unsigned channel, uint64_t at)
{
    out(0x43, channel << 6, at); /* latch */
    unsigned low = in((uint16_t)(0x40 + channel), at);
    return low | in((uint16_t)(0x40 + channel), at) << 8;
}

static bool out2(uint64_t at)
{
    return in(0x61, at) & 0x20;
}

static void mode_0_raises_out_n_pulses_after_the_load(void **state)
{
    (void)state;
    program(0, 0, 100, 10);
    run_until(f.q, pulse(11 + 100) - 1);
    assert_int_equal(f.out0.count, 0);
    run_until(f.q, pulse(11 + 100));
    assert_int_equal(f.out0.count, 1);
    assert_change(&f.out0, 0, true, pulse(111));
    run_until(f.q, pulse(1000000));
    assert_int_equal(f.out0.count, 1);
}

static void mode_0_counts_on_through_zero_from_ffff(void **state)
{
    (void)state;
    program(0, 0, 100, 10);
    assert_int_equal(read_count(0, pulse(11)), 100);
    assert_int_equal(read_count(0, pulse(12) - 1), 100);
    assert_int_equal(read_count(0, pulse(12)), 99);
    assert_int_equal(read_count(0, pulse(111)), 0);
    assert_int_equal(read_count(0, pulse(112)), 0xffff);
}

static void mode_0_first_byte_of_a_new_count_stops_and_clears_out(void **state)
{
    (void)state;
    program(0, 0, 100, 10);
    out(0x40, 50, pulse(200)); /* OUT is high since 111 */
    assert_change(&f.out0, 1, false, pulse(200));
    run_until(f.q, pulse(5000));
    assert_int_equal(f.out0.count, 2);
    out(0x40, 0, pulse(5000));
    run_until(f.q, pulse(6000));
    assert_change(&f.out0, 2, true, pulse(5001 + 50));
}

static void mode_0_gate_low_holds_the_count(void **state)
{
    (void)state;
    out(0x61, 1, 0);
    program(2, 0, 100, 10);
    out(0x61, 0, pulse(31));
    assert_int_equal(read_count(2, pulse(500)), 80);
    out(0x61, 1, pulse(1000));
    assert_int_equal(read_count(2, pulse(1000)), 80);
    assert_int_equal(read_count(2, pulse(1001)), 79);
    assert_false(out2(pulse(1080) - 1));
    assert_true(out2(pulse(1080)));
}

static void mode_1_gives_a_pulse_of_n_after_each_trigger(void **state)
{
    (void)state;
    program(2, 1, 30, 10);
    assert_true(out2(pulse(50)));
    out(0x61, 1, pulse(100));
    assert_true(out2(pulse(101) - 1));
    assert_false(out2(pulse(101)));
    assert_false(out2(pulse(131) - 1));
    assert_true(out2(pulse(131)));
    assert_true(out2(pulse(70000))); /* wrapping does not start it again */
}

static void mode_1_retrigger_lengthens_the_pulse(void **state)
{
    (void)state;
    program(2, 1, 30, 10);
    out(0x61, 1, pulse(100));
    out(0x61, 0, pulse(110)); /* no effect */
    out(0x61, 1, pulse(120));
    assert_false(out2(pulse(151) - 1));
    assert_true(out2(pulse(151)));
}

static void mode_1_new_count_waits_for_the_next_trigger(void **state)
{
    (void)state;
    program(2, 1, 30, 10);
    out(0x61, 1, pulse(100));
    out(0x42, 5, pulse(105));
    out(0x42, 0, pulse(105));
    assert_false(out2(pulse(130)));
    assert_true(out2(pulse(131)));
    out(0x61, 0, pulse(200));
    out(0x61, 1, pulse(300));
    assert_false(out2(pulse(305)));
    assert_true(out2(pulse(306)));
}

static void mode_2_is_low_for_the_last_pulse_of_each_cycle(void **state)
{
    (void)state;
    program(0, 2, 10, 20); /* OUT goes high with the control word */
    assert_change(&f.out0, 0, true, pulse(20) + 5);
    run_until(f.q, pulse(21 + 25));
    assert_int_equal(f.out0.count, 5);
    assert_change(&f.out0, 1, false, pulse(21 + 9));
    assert_change(&f.out0, 2, true, pulse(21 + 10));
    assert_change(&f.out0, 3, false, pulse(21 + 19));
    assert_change(&f.out0, 4, true, pulse(21 + 20));
}

static void mode_2_does_not_drift_over_a_thousand_periods(void **state)
{
    (void)state;
    program(0, 2, 11931, 20);
    run_until(f.q, pulse(21 + UINT64_C(1000) * 11931));
    assert_int_equal(f.out0.count, 2001);
    assert_change(&f.out0, 2000, true, pulse(21 + UINT64_C(11931000)));
}

static void mode_2_new_count_takes_over_at_the_end_of_the_cycle(void **state)
{
    (void)state;
    program(0, 2, 100, 20);
    out(0x40, 7, pulse(50));
    out(0x40, 0, pulse(50));
    run_until(f.q, pulse(121 + 7));
    assert_change(&f.out0, 1, false, pulse(120));
    assert_change(&f.out0, 2, true, pulse(121));
    assert_change(&f.out0, 3, false, pulse(121 + 6));
    assert_change(&f.out0, 4, true, pulse(121 + 7));
}

static void mode_2_gate_forces_out_high_and_restarts(void **state)
{
    (void)state;
    out(0x61, 1, 0);
    program(2, 2, 10, 20);
    assert_false(out2(pulse(30)));
    out(0x61, 0, pulse(30) + 100); /* during the low pulse */
    assert_true(out2(pulse(30) + 200));
    assert_true(out2(pulse(40)));
    out(0x61, 1, pulse(55));
    assert_true(out2(pulse(56 + 8)));
    assert_false(out2(pulse(56 + 9)));
}

static void mode_2_count_reads_n_down_to_1(void **state)
{
    (void)state;
    program(0, 2, 4, 20);
    assert_int_equal(read_count(0, pulse(21)), 4);
    assert_int_equal(read_count(0, pulse(24)), 1);
    assert_int_equal(read_count(0, pulse(25)), 4);
}

static void mode_3_even_count_is_a_square_wave(void **state)
{
    (void)state;
    program(0, 3, 8, 20);
    run_until(f.q, pulse(21 + 12));
    assert_int_equal(f.out0.count, 4);
    assert_change(&f.out0, 1, false, pulse(21 + 4));
    assert_change(&f.out0, 2, true, pulse(21 + 8));
    assert_change(&f.out0, 3, false, pulse(21 + 12));
}

static void mode_3_odd_count_is_high_one_pulse_longer(void **state)
{
    (void)state;
    program(0, 3, 9, 20);
    run_until(f.q, pulse(21 + 18));
    assert_change(&f.out0, 1, false, pulse(21 + 5));
    assert_change(&f.out0, 2, true, pulse(21 + 9));
    assert_change(&f.out0, 3, false, pulse(21 + 14));
    assert_change(&f.out0, 4, true, pulse(21 + 18));
}

static void mode_3_counts_down_by_two(void **state)
{
    (void)state;
    program(0, 3, 9, 20);
    assert_int_equal(read_count(0, pulse(21)), 8);
    assert_int_equal(read_count(0, pulse(22)), 6);
    assert_int_equal(read_count(0, pulse(25)), 0);
    assert_int_equal(read_count(0, pulse(26)), 8);
    assert_int_equal(read_count(0, pulse(29)), 2);
}

static void mode_3_new_count_takes_over_at_the_end_of_the_half_cycle(void **state)
{
    (void)state;
    program(0, 3, 100, 20);
    out(0x40, 6, pulse(30));
    out(0x40, 0, pulse(30));
    run_until(f.q, pulse(71 + 6));
    assert_change(&f.out0, 1, false, pulse(71));
    assert_change(&f.out0, 2, true, pulse(74));
    assert_change(&f.out0, 3, false, pulse(77));
}

static void mode_3_gate_forces_out_high_and_restarts_with_a_high_half(void **state)
{
    (void)state;
    out(0x61, 1, 0);
    program(2, 3, 8, 20);
    assert_false(out2(pulse(26)));
    out(0x61, 0, pulse(26));
    assert_true(out2(pulse(26)));
    out(0x61, 1, pulse(100));
    assert_true(out2(pulse(104)));
    assert_false(out2(pulse(105)));
    assert_true(out2(pulse(109)));
}

static void mode_4_strobes_low_for_one_pulse_once(void **state)
{
    (void)state;
    program(0, 4, 10, 20);
    run_until(f.q, pulse(200000));
    assert_int_equal(f.out0.count, 3);
    assert_change(&f.out0, 0, true, pulse(20) + 5);
    assert_change(&f.out0, 1, false, pulse(31));
    assert_change(&f.out0, 2, true, pulse(32));
}

static void mode_5_strobes_n_pulses_after_the_trigger(void **state)
{
    (void)state;
    program(2, 5, 10, 20);
    assert_true(out2(pulse(31)));
    out(0x61, 1, pulse(50));
    assert_true(out2(pulse(61) - 1));
    assert_false(out2(pulse(61)));
    assert_true(out2(pulse(62)));
}

static void modes_6_and_7_are_modes_2_and_3(void **state)
{
    (void)state;
    program(0, 6, 10, 20);
    run_until(f.q, pulse(31));
    assert_change(&f.out0, 1, false, pulse(30));
    out(0x43, 0x3e, pulse(100));
    out(0x43, 0xe2, pulse(100)); /* read-back status of channel 0 */
    assert_int_equal(in(0x40, pulse(100)) & 0x0e, 0x06);
}

static void count_zero_is_65536(void **state)
{
    (void)state;
    program(0, 2, 0, 20);
    run_until(f.q, pulse(21 + 65536));
    assert_change(&f.out0, 1, false, pulse(21 + 65535));
    assert_change(&f.out0, 2, true, pulse(21 + 65536));
}

static void bcd_counts_in_decimal(void **state)
{
    (void)state;
    out(0x43, 0x31, pulse(10)); /* mode 0, BCD */
    out(0x40, 0x00, pulse(10));
    out(0x40, 0x10, pulse(10)); /* 1000 */
    assert_int_equal(read_count(0, pulse(11)), 0x1000);
    assert_int_equal(read_count(0, pulse(12)), 0x0999);
    run_until(f.q, pulse(2000));
    assert_change(&f.out0, 0, true, pulse(1011));
    assert_int_equal(read_count(0, pulse(2011)), 0x9000);
}

static void one_byte_access_reads_and_writes_that_byte(void **state)
{
    (void)state;
    out(0x43, 0x10, pulse(10)); /* LSB only, mode 0 */
    out(0x40, 0x34, pulse(10));
    assert_int_equal(in(0x40, pulse(11)), 0x34);
    assert_int_equal(in(0x40, pulse(11)), 0x34);
    out(0x43, 0x20, pulse(20)); /* MSB only */
    out(0x40, 0x12, pulse(20));
    assert_int_equal(in(0x40, pulse(21)), 0x12);
    assert_int_equal(in(0x40, pulse(22)), 0x11);
}

static void latched_count_stays_until_read_and_a_second_latch_is_ignored(void **state)
{
    (void)state;
    program(0, 0, 0x1234, 10);
    out(0x43, 0x00, pulse(11));
    out(0x43, 0x00, pulse(500));
    assert_int_equal(in(0x40, pulse(600)), 0x34);
    assert_int_equal(in(0x40, pulse(700)), 0x12);
    assert_int_equal(in(0x40, pulse(11 + 0x34)), 0x00); /* live again */
}

static void read_back_gives_status_then_count(void **state)
{
    (void)state;
    program(0, 2, 0x1234, 10);
    out(0x43, 0xc2, pulse(10) + 50); /* both, channel 0, before the load */
    assert_int_equal(in(0x40, pulse(11)), 0x80 | 0x40 | 0x34);
    in(0x40, pulse(11));
    in(0x40, pulse(11));
    out(0x43, 0xc2, pulse(13));
    assert_int_equal(in(0x40, pulse(20)), 0x80 | 0x34);
    assert_int_equal(in(0x40, pulse(20)), 0x32);
    assert_int_equal(in(0x40, pulse(20)), 0x12);
}

static void read_back_serves_several_channels_at_once(void **state)
{
    (void)state;
    program(0, 2, 50, 10);
    program(1, 3, 60, 10);
    out(0x43, 0xe6, pulse(20)); /* status of channels 0 and 1 */
    assert_int_equal(in(0x40, pulse(20)), 0x80 | 0x34);
    assert_int_equal(in(0x41, pulse(20)), 0x80 | 0x36);
}

static void count_of_one_in_mode_2_never_pulses(void **state)
{
    (void)state;
    program(0, 2, 1, 10);
    run_until(f.q, pulse(1000));
    assert_true(f.out0.count <= 2);
}

static void port_61_toggles_its_refresh_bit_every_18_pulses(void **state)
{
    (void)state;
    assert_int_equal(in(0x61, pulse(18) - 1) & 0x10, 0);
    assert_int_equal(in(0x61, pulse(18)) & 0x10, 0x10);
    assert_int_equal(in(0x61, pulse(36)) & 0x10, 0);
}

static void port_61_reads_back_its_low_bits(void **state)
{
    (void)state;
    out(0x61, 0xff, 0);
    assert_int_equal(in(0x61, 0) & 0xcf, 0x0f);
}

static void control_port_cannot_be_read(void **state)
{
    (void)state;
    assert_int_equal(in(0x43, 0), 0xff);
}

static void state_moves_to_another_chip_in_mid_period(void **state)
{
    (void)state;
    program(0, 3, 1001, 20);
    program(2, 0, 500, 20);
    run_until(f.q, pulse(300));
    struct line_log log = {.count = 0};
    struct irq_line line = line_to(&log, 0);
    struct pit other;
    pit_init(&other, f.q, &line);
    assert_state_moves(&pit_ops, &f.pit, &other);
    assert_int_equal(in8(&pit_ops, &other, 0x40, pulse(300)), in8(&pit_ops, &f.pit, 0x40, pulse(300)));
}

static void reset_stops_the_channels(void **state)
{
    (void)state;
    program(0, 2, 10, 20);
    run_until(f.q, pulse(50));
    pit_reset(&f.pit, pulse(50));
    assert_int_equal(event_next(f.q), EVENT_NEVER);
    assert_false(f.pit.out0_level);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(mode_0_raises_out_n_pulses_after_the_load),
        T(mode_0_counts_on_through_zero_from_ffff),
        T(mode_0_first_byte_of_a_new_count_stops_and_clears_out),
        T(mode_0_gate_low_holds_the_count),
        T(mode_1_gives_a_pulse_of_n_after_each_trigger),
        T(mode_1_retrigger_lengthens_the_pulse),
        T(mode_1_new_count_waits_for_the_next_trigger),
        T(mode_2_is_low_for_the_last_pulse_of_each_cycle),
        T(mode_2_does_not_drift_over_a_thousand_periods),
        T(mode_2_new_count_takes_over_at_the_end_of_the_cycle),
        T(mode_2_gate_forces_out_high_and_restarts),
        T(mode_2_count_reads_n_down_to_1),
        T(mode_3_even_count_is_a_square_wave),
        T(mode_3_odd_count_is_high_one_pulse_longer),
        T(mode_3_counts_down_by_two),
        T(mode_3_new_count_takes_over_at_the_end_of_the_half_cycle),
        T(mode_3_gate_forces_out_high_and_restarts_with_a_high_half),
        T(mode_4_strobes_low_for_one_pulse_once),
        T(mode_5_strobes_n_pulses_after_the_trigger),
        T(modes_6_and_7_are_modes_2_and_3),
        T(count_zero_is_65536),
        T(bcd_counts_in_decimal),
        T(one_byte_access_reads_and_writes_that_byte),
        T(latched_count_stays_until_read_and_a_second_latch_is_ignored),
        T(read_back_gives_status_then_count),
        T(read_back_serves_several_channels_at_once),
        T(count_of_one_in_mode_2_never_pulses),
        T(port_61_toggles_its_refresh_bit_every_18_pulses),
        T(port_61_reads_back_its_low_bits),
        T(control_port_cannot_be_read),
        T(state_moves_to_another_chip_in_mid_period),
        T(reset_stops_the_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
