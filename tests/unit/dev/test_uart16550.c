/* The 16550A: registers, line timing to the cycle, FIFOs, every interrupt source, modem lines, loop. */

#include "dev/uart16550.h"

#include "dev_harness.h"

#define COM1 0x3f8u

/* Cycles of 10 bits at 115200 baud: 1/11520 of a second. */
#define BYTES(n) clock_cycles((uint64_t)(n)*160, UART_CLOCK_HZ)

struct fixture {
    struct event_queue *q;
    struct uart16550 uart;
    struct line_log irq;
    struct byte_log out;
};

static struct fixture f;

static void make(enum uart_rate rate, bool out2)
{
    f = (struct fixture){.q = event_queue_create()};
    struct uart16550_config config = {COM1, rate, out2};
    struct irq_line line = line_to(&f.irq, 4);
    struct byte_sink sink = {log_byte, &f.out};
    uart16550_init(&f.uart, &config, f.q, &line, &sink);
}

static void out(unsigned reg, unsigned value, uint64_t at)
{
    run_until(f.q, at);
    out8(&uart16550_ops, &f.uart, (uint16_t)(COM1 + reg), value, at);
}

static unsigned in(unsigned reg, uint64_t at)
{
    run_until(f.q, at);
    return in8(&uart16550_ops, &f.uart, (uint16_t)(COM1 + reg), at);
}

static void receive(unsigned byte, uint64_t at)
{
    run_until(f.q, at);
    assert_true(uart_receive(&f.uart, (uint8_t)byte, at));
}

/* 115200 baud, 8N1. */
static void set_line(uint64_t at)
{
    out(3, 0x83, at);
    out(0, 1, at);
    out(1, 0, at);
    out(3, 0x03, at);
}

static int setup(void **state)
{
    (void)state;
    make(UART_BAUD, false);
    set_line(0);
    return 0;
}

static int setup_instant(void **state)
{
    (void)state;
    make(UART_INSTANT, false);
    set_line(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    return 0;
}

static void divisor_latch_hides_data_and_interrupt_enable(void **state)
{
    (void)state;
    out(3, 0x83, 0);
    out(0, 0x34, 0);
    out(1, 0x12, 0);
    assert_int_equal(in(0, 0), 0x34);
    assert_int_equal(in(1, 0), 0x12);
    out(3, 0x03, 0);
    assert_int_equal(in(1, 0), 0);
    out(7, 0x5a, 0);
    assert_int_equal(in(7, 0), 0x5a);
    assert_int_equal(in(3, 0), 0x03);
}

static void byte_takes_ten_bit_times_to_leave(void **state)
{
    (void)state;
    out(0, 'A', 1000);
    assert_int_equal(in(5, 1000), 0x20); /* THR empty at once, shift register not */
    run_until(f.q, 1000 + BYTES(1) - 1);
    assert_int_equal(f.out.count, 0);
    assert_int_equal(in(5, 1000 + BYTES(1)), 0x60);
    assert_int_equal(f.out.count, 1);
    assert_int_equal(f.out.bytes[0], 'A');
    assert_int_equal(f.out.at[0], 1000 + BYTES(1));
}

static void burst_from_the_fifo_does_not_drift(void **state)
{
    (void)state;
    out(2, 0x01, 0);
    for (unsigned i = 0; i < 17; i++) { /* one in the shift register, sixteen in the FIFO */
        out(0, i, 0);
    }
    out(0, 99, 0); /* lost: full */
    run_until(f.q, BYTES(100));
    assert_int_equal(f.out.count, 17);
    for (unsigned i = 0; i < 17; i++) {
        assert_int_equal(f.out.bytes[i], i);
        assert_int_equal(f.out.at[i], BYTES(i + 1));
    }
}

static void without_fifos_the_holding_register_is_overwritten(void **state)
{
    (void)state;
    out(0, 1, 0);
    out(0, 2, 0);
    out(0, 3, 0);
    run_until(f.q, BYTES(10));
    assert_int_equal(f.out.count, 2);
    assert_int_equal(f.out.bytes[1], 3);
}

static void character_time_follows_word_length_parity_and_stop_bits(void **state)
{
    (void)state;
    out(3, 0x0c, 0); /* 5 data bits, parity, 1.5 stop bits: 8.5 bits */
    out(0, 0xff, 0);
    run_until(f.q, BYTES(10));
    assert_int_equal(f.out.at[0], clock_cycles(136, UART_CLOCK_HZ));
    assert_int_equal(f.out.bytes[0], 0x1f);
    out(3, 0x87, BYTES(10)); /* 8 data bits, 2 stop bits, half the rate */
    out(0, 2, BYTES(10));
    out(3, 0x07, BYTES(10));
    out(0, 0xff, BYTES(10));
    run_until(f.q, BYTES(20));
    assert_int_equal(f.out.at[1], BYTES(10) + clock_cycles(16 * 11 * 2, UART_CLOCK_HZ));
}

static void thre_interrupt_comes_with_its_enable_and_goes_with_iir(void **state)
{
    (void)state;
    out(1, 0x02, 10);
    assert_change(&f.irq, 0, true, 10);
    assert_int_equal(in(2, 20), 0x02);
    assert_change(&f.irq, 1, false, 20);
    assert_int_equal(in(2, 20), 0x01);
    out(0, 'x', 30); /* into the shift register: THR is empty again */
    assert_change(&f.irq, 2, true, 30);
    out(0, 'y', 40);
    assert_change(&f.irq, 3, false, 40);
    run_until(f.q, 30 + BYTES(1));
    assert_change(&f.irq, 4, true, 30 + BYTES(1));
}

static void fifo_thre_interrupt_comes_when_the_last_byte_moves_on(void **state)
{
    (void)state;
    out(2, 0x01, 0);
    out(1, 0x02, 0);
    in(2, 0);
    out(0, 'a', 0);
    in(2, 0);
    out(0, 'b', 0);
    out(0, 'c', 0);
    unsigned before = f.irq.count;
    run_until(f.q, BYTES(2) - 1);
    assert_int_equal(f.irq.count, before);
    run_until(f.q, BYTES(2));
    assert_int_equal(f.irq.count, before + 1);
    assert_int_equal(in(2, BYTES(2)), 0xc2);
}

static void received_byte_arrives_after_its_line_time(void **state)
{
    (void)state;
    out(1, 0x01, 0);
    receive('k', 500);
    run_until(f.q, 500 + BYTES(1) - 1);
    assert_int_equal(f.irq.count, 0);
    run_until(f.q, 500 + BYTES(1));
    assert_change(&f.irq, 0, true, 500 + BYTES(1));
    assert_int_equal(in(5, 500 + BYTES(1)) & 1, 1);
    assert_int_equal(in(2, 500 + BYTES(1)), 0x04);
    assert_int_equal(in(0, 500 + BYTES(1)), 'k');
    assert_change(&f.irq, 1, false, 500 + BYTES(1));
    assert_int_equal(in(5, 500 + BYTES(1)) & 1, 0);
}

static void received_burst_does_not_drift(void **state)
{
    (void)state;
    out(2, 0xc1, 0); /* trigger at 14 */
    out(1, 0x01, 0);
    for (unsigned i = 0; i < 14; i++) {
        receive(i, 0);
    }
    run_until(f.q, BYTES(14) - 1);
    assert_int_equal(f.irq.count, 0);
    run_until(f.q, BYTES(14));
    assert_change(&f.irq, 0, true, BYTES(14));
    for (unsigned i = 0; i < 14; i++) {
        assert_int_equal(in(0, BYTES(14)), i);
    }
    assert_change(&f.irq, 1, false, BYTES(14));
}

static void receive_trigger_levels_are_1_4_8_and_14(void **state)
{
    (void)state;
    static const unsigned levels[4] = {1, 4, 8, 14};
    uint64_t at = 0;
    out(1, 0x01, 0);
    for (unsigned i = 0; i < 4; i++) {
        out(2, 0x03 | i << 6, at);
        unsigned before = f.irq.count;
        for (unsigned n = 0; n < levels[i]; n++) {
            receive(n, at);
        }
        run_until(f.q, at + BYTES(levels[i]) - 1);
        assert_int_equal(f.irq.count, before);
        run_until(f.q, at + BYTES(levels[i]));
        assert_int_equal(f.irq.count, before + 1);
        at += BYTES(100);
        out(2, 0x03 | i << 6, at); /* clears the FIFO, and with it the interrupt */
        assert_int_equal(f.irq.count, before + 2);
    }
}

static void timeout_interrupt_comes_four_characters_after_the_last_byte(void **state)
{
    (void)state;
    out(2, 0xc1, 0);
    out(1, 0x01, 0);
    receive('a', 0);
    receive('b', 0);
    uint64_t due = BYTES(2) + BYTES(4);
    run_until(f.q, due - 1);
    assert_int_equal(f.irq.count, 0);
    run_until(f.q, due);
    assert_change(&f.irq, 0, true, due);
    assert_int_equal(in(2, due), 0xcc);
    assert_int_equal(in(0, due), 'a');
    assert_int_equal(in(2, due), 0xc1); /* a read starts it anew */
    run_until(f.q, due + BYTES(4));
    assert_int_equal(in(2, due + BYTES(4)), 0xcc);
}

static void overrun_without_fifos_replaces_the_byte(void **state)
{
    (void)state;
    out(1, 0x04, 0);
    receive('a', 0);
    receive('b', 0);
    run_until(f.q, BYTES(2));
    assert_change(&f.irq, 0, true, BYTES(2));
    assert_int_equal(in(2, BYTES(2)), 0x06);
    assert_int_equal(in(5, BYTES(2)), 0x63);
    assert_change(&f.irq, 1, false, BYTES(2));
    assert_int_equal(in(5, BYTES(2)), 0x61);
    assert_int_equal(in(0, BYTES(2)), 'b');
}

static void overrun_with_fifos_loses_the_new_byte(void **state)
{
    (void)state;
    out(2, 0x01, 0);
    for (unsigned i = 0; i < 17; i++) {
        receive(i, 0);
    }
    run_until(f.q, BYTES(17));
    assert_int_equal(in(5, BYTES(17)) & 0x02, 0x02);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(in(0, BYTES(17)), i);
    }
    assert_int_equal(in(5, BYTES(17)) & 0x01, 0);
}

static void break_shows_when_it_is_the_first_byte(void **state)
{
    (void)state;
    out(2, 0x01, 0);
    out(1, 0x04, 0);
    receive('a', 0);
    run_until(f.q, BYTES(1));
    uart_receive_break(&f.uart, BYTES(1));
    assert_int_equal(f.irq.count, 0);
    assert_int_equal(in(5, BYTES(1)), 0xe1); /* an error somewhere in the FIFO */
    in(0, BYTES(1));
    assert_int_equal(f.irq.count, 1);
    assert_int_equal(in(5, BYTES(1)), 0xf9); /* BI, FE */
    assert_int_equal(in(5, BYTES(1)), 0x61);
    assert_int_equal(in(0, BYTES(1)), 0);
}

static void interrupts_are_identified_in_order_of_priority(void **state)
{
    (void)state;
    out(1, 0x0f, 0);
    uart_set_modem(&f.uart, 0xa0, 0); /* CTS drops */
    assert_int_equal(in(2, 0), 0x02);
    assert_int_equal(in(2, 0), 0x00);
    receive('a', 0);
    receive('b', 0);
    run_until(f.q, BYTES(2));
    assert_int_equal(in(2, BYTES(2)), 0x06);
    in(5, BYTES(2));
    assert_int_equal(in(2, BYTES(2)), 0x04);
    in(0, BYTES(2));
    assert_int_equal(in(2, BYTES(2)), 0x00);
    assert_int_equal(in(6, BYTES(2)), 0xa1);
    assert_int_equal(in(2, BYTES(2)), 0x01);
}

static void modem_status_reports_changes_and_the_trailing_edge_of_ri(void **state)
{
    (void)state;
    assert_int_equal(in(6, 0), 0xb0);
    uart_set_modem(&f.uart, 0xf0, 0); /* RI rises: no delta */
    assert_int_equal(in(6, 0), 0xf0);
    uart_set_modem(&f.uart, 0x00, 0);
    assert_int_equal(in(6, 0), 0x0f);
    assert_int_equal(in(6, 0), 0x00);
}

static void loop_connects_transmitter_to_receiver_and_outputs_to_inputs(void **state)
{
    (void)state;
    out(4, 0x1f, 0);
    assert_int_equal(in(6, 0) & 0xf0, 0xf0);
    out(4, 0x12, 0);
    assert_int_equal(in(6, 0) & 0xf0, 0x10);
    out(0, 0x5c, 0);
    assert_int_equal(in(5, BYTES(1)) & 1, 1);
    assert_int_equal(in(0, BYTES(1)), 0x5c);
    assert_int_equal(f.out.count, 0);
}

static void bytes_from_outside_wait_for_the_end_of_the_loop(void **state)
{
    (void)state;
    out(4, 0x10, 0);
    receive('z', 0);
    assert_int_equal(in(5, BYTES(9)) & 1, 0);
    out(4, 0x00, BYTES(10));
    assert_int_equal(in(5, BYTES(10) + BYTES(1)) & 1, 1);
    assert_int_equal(in(0, BYTES(12)), 'z');
}

static void out2_gates_the_interrupt_on_a_pc(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    make(UART_BAUD, true);
    out(1, 0x02, 0);
    assert_int_equal(f.irq.count, 0);
    assert_int_equal(f.uart.thre_pending, true);
    out(4, 0x08, 5);
    assert_change(&f.irq, 0, true, 5);
    out(4, 0x18, 6); /* the loop takes the pins away */
    assert_change(&f.irq, 1, false, 6);
}

static void fcr_reports_fifos_and_toggling_them_clears(void **state)
{
    (void)state;
    assert_int_equal(in(2, 0), 0x01);
    out(2, 0x01, 0);
    assert_int_equal(in(2, 0), 0xc1);
    receive('a', 0);
    assert_int_equal(in(5, BYTES(1)) & 1, 1);
    out(2, 0x00, BYTES(1));
    assert_int_equal(in(5, BYTES(1)) & 1, 0);
    assert_int_equal(in(2, BYTES(1)), 0x01);
}

static void host_queue_is_bounded(void **state)
{
    (void)state;
    for (unsigned i = 0; i < UART_HOST_BYTES; i++) {
        assert_true(uart_receive(&f.uart, (uint8_t)i, 0));
    }
    assert_false(uart_receive(&f.uart, 0, 0));
    run_until(f.q, BYTES(1));
    assert_true(uart_receive(&f.uart, 0, BYTES(1)));
}

static void instant_rate_sends_at_once(void **state)
{
    (void)state;
    out(1, 0x02, 1);
    in(2, 1);
    unsigned before = f.irq.count;
    out(0, 'A', 7);
    assert_int_equal(f.out.count, 1);
    assert_int_equal(f.out.at[0], 7);
    assert_int_equal(in(5, 7), 0x60);
    assert_int_equal(f.irq.count, before + 1);
    out(0, 'B', 8); /* the line drops and rises */
    assert_int_equal(f.irq.count, before + 3);
    assert_change(&f.irq, before + 1, false, 8);
    assert_change(&f.irq, before + 2, true, 8);
}

static void instant_rate_fills_the_fifo_and_never_overruns(void **state)
{
    (void)state;
    out(2, 0x01, 0);
    for (unsigned i = 0; i < 40; i++) {
        receive(i, 3);
    }
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(in(5, 3), 0x61);
        assert_int_equal(in(0, 3), i);
    }
    assert_int_equal(in(5, 3), 0x60);
}

static void reset_keeps_what_is_still_on_its_way_from_outside(void **state)
{
    (void)state;
    receive('q', 0);
    out(7, 1, 0);
    uart16550_reset(&f.uart, 100);
    assert_int_equal(in(7, 100), 0);
    assert_int_equal(in(5, 100), 0x60);
    run_until(f.q, 100 + BYTES(1) * 12);
    assert_int_equal(in(0, 100 + BYTES(1) * 12), 'q');
}

static void state_moves_with_bytes_in_every_queue(void **state)
{
    (void)state;
    out(2, 0x01, 0);
    for (unsigned i = 0; i < 9; i++) {
        receive(i, 0);
        out(0, i, 0);
    }
    run_until(f.q, BYTES(4));
    struct uart16550 other;
    uart16550_init(&other, &f.uart.config, f.q, &(struct irq_line){0}, &(struct byte_sink){0});
    assert_state_moves(&uart16550_ops, &f.uart, &other);
    assert_int_equal(other.host_count, 5);
    assert_int_equal(in8(&uart16550_ops, &other, COM1, BYTES(4)), 0);
}

static void disabled_sources_raise_nothing(void **state)
{
    (void)state;
    out(1, 0x02, 0);
    out(1, 0x00, 1);
    assert_int_equal(f.irq.count, 2);
    assert_int_equal(in(2, 1), 0x01);
    receive('a', 1);
    receive('b', 1);
    uart_set_modem(&f.uart, 0, BYTES(3));
    run_until(f.q, BYTES(3));
    assert_int_equal(f.irq.count, 2);
}

static void modem_change_interrupts_at_once(void **state)
{
    (void)state;
    out(1, 0x08, 0);
    uart_set_modem(&f.uart, 0x30, 9);
    assert_change(&f.irq, 0, true, 9);
    in(6, 10);
    assert_change(&f.irq, 1, false, 10);
}

static void reset_drops_the_interrupt(void **state)
{
    (void)state;
    out(1, 0x02, 0);
    uart16550_reset(&f.uart, 100);
    assert_change(&f.irq, 1, false, 100);
    out(1, 0x02, 101);
    assert_change(&f.irq, 2, true, 101);
}

static void clearing_an_empty_transmit_fifo_raises_nothing(void **state)
{
    (void)state;
    out(2, 0x01, 0);
    out(1, 0x02, 0);
    in(2, 0);
    unsigned before = f.irq.count;
    out(2, 0x05, 1);
    assert_int_equal(f.irq.count, before);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define I(name) cmocka_unit_test_setup_teardown(name, setup_instant, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(divisor_latch_hides_data_and_interrupt_enable),
        T(byte_takes_ten_bit_times_to_leave),
        T(burst_from_the_fifo_does_not_drift),
        T(without_fifos_the_holding_register_is_overwritten),
        T(character_time_follows_word_length_parity_and_stop_bits),
        T(thre_interrupt_comes_with_its_enable_and_goes_with_iir),
        T(fifo_thre_interrupt_comes_when_the_last_byte_moves_on),
        T(received_byte_arrives_after_its_line_time),
        T(received_burst_does_not_drift),
        T(receive_trigger_levels_are_1_4_8_and_14),
        T(timeout_interrupt_comes_four_characters_after_the_last_byte),
        T(overrun_without_fifos_replaces_the_byte),
        T(overrun_with_fifos_loses_the_new_byte),
        T(break_shows_when_it_is_the_first_byte),
        T(interrupts_are_identified_in_order_of_priority),
        T(modem_status_reports_changes_and_the_trailing_edge_of_ri),
        T(loop_connects_transmitter_to_receiver_and_outputs_to_inputs),
        T(bytes_from_outside_wait_for_the_end_of_the_loop),
        T(out2_gates_the_interrupt_on_a_pc),
        T(fcr_reports_fifos_and_toggling_them_clears),
        T(host_queue_is_bounded),
        I(instant_rate_sends_at_once),
        I(instant_rate_fills_the_fifo_and_never_overruns),
        T(reset_keeps_what_is_still_on_its_way_from_outside),
        T(state_moves_with_bytes_in_every_queue),
        T(disabled_sources_raise_nothing),
        T(modem_change_interrupts_at_once),
        T(reset_drops_the_interrupt),
        T(clearing_an_empty_transmit_fifo_raises_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
