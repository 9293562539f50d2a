/* The keyboard controller and port 0x92. */

#include "dev/i8042.h"

#include "dev_harness.h"

struct fixture {
    struct i8042 k;
    struct line_log keyboard, mouse, a20;
    struct request_log request;
};

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    f = (struct fixture){0};
    struct i8042_wiring wiring = {
        .keyboard = line_to(&f.keyboard, 1),
        .mouse = line_to(&f.mouse, 12),
        .a20 = line_to(&f.a20, 20),
        .request = {log_request, &f.request},
    };
    i8042_init(&f.k, &wiring);
    return 0;
}

static void out(uint16_t port, unsigned value)
{
    out8(&i8042_ops, &f.k, port, value, 7);
}

static unsigned in(uint16_t port)
{
    return in8(&i8042_ops, &f.k, port, 7);
}

static unsigned ask(unsigned command)
{
    out(0x64, command);
    assert_int_equal(in(0x64) & 1, 1);
    unsigned value = in(0x60);
    assert_int_equal(in(0x64) & 1, 0);
    return value;
}

static void self_tests_answer_as_good(void **state)
{
    (void)state;
    assert_int_equal(ask(0xaa), 0x55);
    assert_int_equal(ask(0xab), 0x00);
    assert_int_equal(ask(0xa9), 0x00);
    assert_int_equal(ask(0xc0), 0x00);
}

static void command_byte_is_written_and_read(void **state)
{
    (void)state;
    out(0x64, 0x60);
    assert_int_equal(in(0x64) & 0x08, 0x08);
    out(0x60, 0x45);
    assert_int_equal(in(0x64) & 0x08, 0x00);
    assert_int_equal(in(0x64) & 0x04, 0x04); /* the system flag shows in the status */
    assert_int_equal(ask(0x20), 0x45);
    out(0x64, 0xad);
    out(0x64, 0xa7);
    assert_int_equal(ask(0x20), 0x75);
    out(0x64, 0xae);
    out(0x64, 0xa8);
    assert_int_equal(ask(0x20), 0x45);
}

static void pulsing_output_line_0_resets(void **state)
{
    (void)state;
    out(0x64, 0xff);
    out(0x64, 0xfd);
    assert_int_equal(f.request.count, 0);
    out(0x64, 0xfe);
    assert_int_equal(f.request.count, 1);
    assert_int_equal(f.request.last, REQUEST_RESET);
    assert_int_equal(f.request.at, 7);
}

static void output_port_carries_reset_and_a20(void **state)
{
    (void)state;
    out(0x92, 0x00);
    assert_int_equal(f.a20.count, 0); /* the output port still opens it */
    out(0x64, 0xd1);
    out(0x60, 0xdd);
    assert_change(&f.a20, 0, false, 7);
    assert_int_equal(ask(0xd0), 0xdd);
    out(0x64, 0xdf);
    assert_change(&f.a20, 1, true, 7);
    out(0x64, 0xdd);
    assert_change(&f.a20, 2, false, 7);
    out(0x92, 0x02);
    assert_change(&f.a20, 3, true, 7);
    out(0x64, 0xd1);
    out(0x60, 0xde);
    assert_int_equal(f.request.last, REQUEST_RESET);
}

static void port_92_resets_on_the_rising_bit_only(void **state)
{
    (void)state;
    assert_int_equal(in(0x92), 0x02);
    out(0x92, 0x03);
    out(0x92, 0x03);
    assert_int_equal(f.request.count, 1);
    out(0x92, 0x02);
    out(0x92, 0x03);
    assert_int_equal(f.request.count, 2);
}

static void absent_keyboard_never_answers(void **state)
{
    (void)state;
    out(0x60, 0xff);
    assert_int_equal(in(0x64) & 1, 0);
    out(0x64, 0xd4);
    out(0x60, 0xf4);
    assert_int_equal(in(0x64) & 1, 0);
}

static void bytes_put_into_the_buffers_interrupt_when_enabled(void **state)
{
    (void)state;
    out(0x64, 0x60);
    out(0x60, 0x03);
    out(0x64, 0xd2);
    out(0x60, 0x1c);
    assert_change(&f.keyboard, 0, true, 7);
    assert_int_equal(in(0x64) & 0x21, 0x01);
    assert_int_equal(in(0x60), 0x1c);
    assert_change(&f.keyboard, 1, false, 7);
    out(0x64, 0xd3);
    out(0x60, 0x99);
    assert_change(&f.mouse, 0, true, 7);
    assert_int_equal(in(0x64) & 0x21, 0x21);
    assert_int_equal(in(0x60), 0x99);
    assert_change(&f.mouse, 1, false, 7);
}

static void state_moves(void **state)
{
    (void)state;
    out(0x92, 0x00);
    out(0x64, 0xdd);
    out(0x64, 0xd2);
    struct i8042 other;
    i8042_init(&other, &(struct i8042_wiring){0});
    assert_state_moves(&i8042_ops, &f.k, &other);
    assert_int_equal(other.awaits, 0xd2);
}

static void a_new_controller_is_enabled_at_neither_device_and_opens_a20(void **state)
{
    (void)state;
    assert_int_equal(in(0x64), 0x10);
    assert_int_equal(ask(0x20), 0x30);
    assert_int_equal(ask(0xd0), 0xcf);
    out(0x64, 0xdd);
    out(0x64, 0xdf);
    assert_int_equal(ask(0xd0), 0xcf);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(self_tests_answer_as_good),
        T(command_byte_is_written_and_read),
        T(pulsing_output_line_0_resets),
        T(output_port_carries_reset_and_a20),
        T(port_92_resets_on_the_rising_bit_only),
        T(absent_keyboard_never_answers),
        T(bytes_put_into_the_buffers_interrupt_when_enabled),
        T(state_moves),
        T(a_new_controller_is_enabled_at_neither_device_and_opens_a20),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
