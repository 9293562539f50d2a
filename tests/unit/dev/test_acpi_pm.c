/* ACPI fixed hardware: PM1 blocks, PM timer, SCI, GPE0, S5, reset register. */

#include "dev/acpi_pm.h"

#include "dev_harness.h"

#define PM  0x600u
#define GPE 0x620u

struct fixture {
    struct event_queue *q;
    struct acpi_pm pm;
    struct line_log sci;
    struct request_log request;
};

static struct fixture f;

static void make(bool wide)
{
    f = (struct fixture){.q = event_queue_create()};
    struct acpi_pm_config config = {PM, GPE, wide, 5};
    struct irq_line sci = line_to(&f.sci, 9);
    struct request_line request = {log_request, &f.request};
    acpi_pm_init(&f.pm, &config, f.q, &sci, &request);
}

static int setup(void **state)
{
    (void)state;
    make(false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    return 0;
}

static unsigned in(unsigned port, unsigned size, uint64_t at)
{
    run_until(f.q, at);
    return in_sized(&acpi_pm_ops, &f.pm, (uint16_t)port, size, at);
}

static void out(unsigned port, unsigned value, unsigned size, uint64_t at)
{
    run_until(f.q, at);
    out_sized(&acpi_pm_ops, &f.pm, (uint16_t)port, value, size, at);
}

static uint64_t tick(uint64_t n)
{
    return clock_cycles(n, ACPI_PM_HZ);
}

static void timer_counts_24_bits_and_wraps(void **state)
{
    (void)state;
    assert_int_equal(in(PM + 8, 4, tick(1000) - 1), 999);
    assert_int_equal(in(PM + 8, 4, tick(1000)), 1000);
    assert_int_equal(in(PM + 8, 4, tick(0xffffff)), 0xffffff);
    assert_int_equal(in(PM + 8, 4, tick(0x1000005)), 5);
}

static void timer_counts_32_bits_when_the_board_says_so(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    make(true);
    assert_int_equal(in(PM + 8, 4, tick(0x1000005)), 0x1000005);
    assert_int_equal(in(PM + 9, 1, tick(0x1000005)), 0x00);
    assert_int_equal(event_next(f.q),
                     EVENT_NEVER); /* nobody listens: an idle machine has nothing to wake for */
    out(PM + 2, 1, 2, tick(0x1000005));
    assert_int_equal(event_next(f.q), tick(UINT64_C(1) << 31));
}

static void timer_status_is_there_without_an_event(void **state)
{
    (void)state;
    assert_int_equal(in(PM, 2, tick(0x800000) - 1) & 1, 0);
    assert_int_equal(in(PM, 2, tick(0x800000)) & 1, 1);
    out(PM, 1, 2, tick(0x800001));
    assert_int_equal(in(PM, 2, tick(0xffffff)) & 1, 0);
    assert_int_equal(in(PM, 2, tick(0x1000000)) & 1, 1);
}

static void timer_status_marks_every_change_of_the_top_bit(void **state)
{
    (void)state;
    out(PM + 2, 1, 2, 0);
    run_until(f.q, tick(0x800000) - 1);
    assert_int_equal(f.sci.count, 0);
    run_until(f.q, tick(0x800000));
    assert_change(&f.sci, 0, true, tick(0x800000));
    assert_int_equal(in(PM, 2, tick(0x800000)), 1);
    out(PM, 1, 2, tick(0x800000));
    assert_change(&f.sci, 1, false, tick(0x800000));
    run_until(f.q, tick(0x1000000));
    assert_change(&f.sci, 2, true, tick(0x1000000));
}

static void power_button_raises_sci_until_its_status_is_cleared(void **state)
{
    (void)state;
    acpi_pm_power_button(&f.pm, 5);
    assert_int_equal(f.sci.count, 0);
    out(PM + 3, 0x01, 1, 6); /* PWRBTN_EN by byte */
    assert_change(&f.sci, 0, true, 6);
    assert_int_equal(in(PM, 4, 7), 0x01000100);
    out(PM, 0xfeff, 2, 8);
    assert_int_equal(f.sci.count, 1);
    out(PM + 1, 0x01, 1, 9);
    assert_change(&f.sci, 1, false, 9);
}

static void enable_register_keeps_known_bits_only(void **state)
{
    (void)state;
    out(PM + 2, 0xffff, 2, 0);
    assert_int_equal(in(PM + 2, 2, 0), 0x0721);
}

static void general_event_raises_sci(void **state)
{
    (void)state;
    acpi_pm_general_event(&f.pm, 9, 1);
    assert_int_equal(in(GPE, 2, 1), 0x0200);
    out(GPE + 2, 0x0200, 2, 2);
    assert_change(&f.sci, 0, true, 2);
    assert_int_equal(in(GPE, 4, 2), 0x02000200);
    out(GPE, 0x0200, 2, 3);
    assert_change(&f.sci, 1, false, 3);
}

static void control_reads_sci_enabled_and_sleep_type(void **state)
{
    (void)state;
    assert_int_equal(in(PM + 4, 2, 0), 0x0001);
    out(PM + 4, 0x1c00, 2, 0);
    assert_int_equal(in(PM + 4, 2, 0), 0x1c01);
    assert_int_equal(f.request.count, 0);
}

static void sleep_enable_with_the_type_of_s5_powers_off(void **state)
{
    (void)state;
    out(PM + 4, 0x2000 | 1 << 10, 2, 3);
    assert_int_equal(f.request.count, 0);
    out(PM + 4, 0x2000 | 5 << 10, 2, 4);
    assert_int_equal(f.request.count, 1);
    assert_int_equal(f.request.last, REQUEST_POWER_OFF);
    assert_int_equal(f.request.at, 4);
    out(PM + 5, 0x34, 1, 5); /* the upper byte alone */
    assert_int_equal(f.request.count, 2);
    out(PM + 4, 0x2000 | 5 << 10, 4, 6);
    assert_int_equal(f.request.count, 3);
}

static void reset_register_resets_on_the_rising_bit(void **state)
{
    (void)state;
    out(0xcf9, 0x02, 1, 1);
    assert_int_equal(f.request.count, 0);
    out(0xcf9, 0x06, 1, 2);
    assert_int_equal(f.request.last, REQUEST_RESET);
    out(0xcf9, 0x06, 1, 3);
    assert_int_equal(f.request.count, 1);
    assert_int_equal(in(0xcf9, 1, 3), 0x06);
}

static void state_moves_and_reset_clears(void **state)
{
    (void)state;
    out(PM + 2, 0x0100, 2, 0);
    acpi_pm_power_button(&f.pm, 1);
    struct acpi_pm other;
    acpi_pm_init(&other, &f.pm.config, f.q, &(struct irq_line){0}, &(struct request_line){0});
    assert_state_moves(&acpi_pm_ops, &f.pm, &other);
    acpi_pm_reset(&f.pm, 10);
    assert_change(&f.sci, 1, false, 10);
    assert_int_equal(in(PM, 4, 10), 0);
}

static void events_add_to_the_status_and_interrupt_at_once(void **state)
{
    (void)state;
    out(PM + 2, 0x0101, 2, 0);
    out(GPE + 2, 0xffff, 2, 0);
    run_until(f.q, tick(0x800000));
    acpi_pm_power_button(&f.pm, tick(0x800000));
    assert_int_equal(in(PM, 2, tick(0x800000)), 0x0101);
    out(PM, 0x0101, 2, tick(0x800001));
    acpi_pm_general_event(&f.pm, 3, tick(0x800002));
    assert_change(&f.sci, 2, true, tick(0x800002));
    out(GPE + 2, 0, 1, tick(0x800003));
    assert_change(&f.sci, 3, false, tick(0x800003));
    assert_int_equal(in(GPE + 2, 2, tick(0x800003)), 0xff00);
    assert_int_equal(in(GPE + 4, 1, tick(0x800003)), 0xff);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(timer_counts_24_bits_and_wraps),
        T(timer_counts_32_bits_when_the_board_says_so),
        T(timer_status_is_there_without_an_event),
        T(timer_status_marks_every_change_of_the_top_bit),
        T(power_button_raises_sci_until_its_status_is_cleared),
        T(enable_register_keeps_known_bits_only),
        T(general_event_raises_sci),
        T(control_reads_sci_enabled_and_sleep_type),
        T(sleep_enable_with_the_type_of_s5_powers_off),
        T(reset_register_resets_on_the_rising_bit),
        T(state_moves_and_reset_clears),
        T(events_add_to_the_status_and_interrupt_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
