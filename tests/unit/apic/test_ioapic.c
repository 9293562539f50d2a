/* The I/O APIC alone; its port is a recorder. */

#include "apic/ioapic.h"

#include "../dev/dev_harness.h"

struct fixture {
    struct ioapic io;
    struct apic_message sent;
    unsigned sends;
    enum apic_send_result answer;
};

static struct fixture f;

static enum apic_send_result fake_send(void *target, unsigned source, const struct apic_message *m,
                                       uint64_t now)
{
    (void)target;
    (void)now;
    assert_int_equal(source, 77);
    f.sent = *m;
    f.sends++;
    return f.answer;
}

static int setup(void **state)
{
    (void)state;
    f = (struct fixture){.answer = APIC_SENT};
    ioapic_init(&f.io, &(struct ioapic_config){.id = 9, .low_active_pins = 0xff0000});
    f.io.port = (struct apic_port){.send = fake_send, .source = 77};
    return 0;
}

static const struct bus_cx cx = {5, 0};

static uint32_t rd(unsigned reg)
{
    ioapic_ops.mmio_write(&f.io, &cx, 0x00, reg, 4);
    return (uint32_t)ioapic_ops.mmio_read(&f.io, &cx, 0x10, 4);
}

static void wr(unsigned reg, uint32_t value)
{
    ioapic_ops.mmio_write(&f.io, &cx, 0x00, reg, 4);
    ioapic_ops.mmio_write(&f.io, &cx, 0x10, value, 4);
}

static void program(unsigned pin, uint32_t low, unsigned destination)
{
    wr(0x11 + 2 * pin, destination << 24);
    wr(0x10 + 2 * pin, low);
}

static void set(unsigned pin, bool level)
{
    ioapic_set_pin(&f.io, pin, level, 6);
}

static void registers_after_reset(void **state)
{
    (void)state;
    assert_int_equal(rd(0), 0x09000000);
    assert_int_equal(rd(1), 0x00170020);
    assert_int_equal(rd(2), 0x09000000);
    for (unsigned pin = 0; pin < 24; pin++) {
        assert_int_equal(rd(0x10 + 2 * pin), 0x10000);
        assert_int_equal(rd(0x11 + 2 * pin), 0);
    }
    assert_int_equal(rd(0x40), 0);
    assert_int_equal(rd(3), 0);
}

static void id_is_writable_and_arbitration_id_follows(void **state)
{
    (void)state;
    wr(0, 0xff123456);
    assert_int_equal(rd(0), 0x0f000000);
    assert_int_equal(rd(2), 0x0f000000);
    wr(1, 0);
    assert_int_equal(rd(1), 0x00170020);
    assert_int_equal(ioapic_ops.mmio_read(&f.io, &cx, 0, 4), 1);
}

static void redirection_entry_keeps_its_writable_bits(void **state)
{
    (void)state;
    wr(0x10 + 46, 0xffffffff);
    assert_int_equal(rd(0x10 + 46), 0x1afff);
    wr(0x11 + 46, 0xffffffff);
    assert_int_equal(rd(0x11 + 46), 0xff000000);
}

static void edge_sends_once_with_every_field(void **state)
{
    (void)state;
    program(4, 0x0941, 0x12); /* lowest priority, logical */
    set(4, true);
    assert_int_equal(f.sends, 1);
    assert_int_equal(f.sent.vector, 0x41);
    assert_int_equal(f.sent.delivery, APIC_LOWEST_PRIORITY);
    assert_int_equal(f.sent.destination, 0x12);
    assert_true(f.sent.logical);
    assert_false(f.sent.level_triggered);
    assert_false(f.sent.wide);
    set(4, true);
    set(4, false);
    assert_int_equal(f.sends, 1);
    set(4, true);
    assert_int_equal(f.sends, 2);
}

static void masked_edge_is_lost(void **state)
{
    (void)state;
    program(4, 0x10041, 0);
    set(4, true);
    program(4, 0x00041, 0);
    assert_int_equal(f.sends, 0);
}

static void low_active_edge_is_the_falling_line(void **state)
{
    (void)state;
    program(4, 0x2041, 0); /* a pin that the board drives high when asserted */
    set(4, true);
    assert_int_equal(f.sends, 0);
    set(4, false);
    assert_int_equal(f.sends, 1);
    program(20, 0x2042, 0); /* a pin that the board drives low when asserted */
    set(20, true);
    assert_int_equal(f.sends, 2);
}

static void level_sets_remote_irr_and_waits_for_eoi(void **state)
{
    (void)state;
    program(5, 0x8051, 0);
    set(5, true);
    assert_int_equal(f.sends, 1);
    assert_true(f.sent.level_triggered);
    assert_int_equal(rd(0x10 + 10), 0xc051);
    set(5, false);
    set(5, true);
    assert_int_equal(f.sends, 1);
    ioapic_eoi(&f.io, 0x52, 7);
    assert_int_equal(f.sends, 1);
    ioapic_eoi(&f.io, 0x51, 7); /* still active: again */
    assert_int_equal(f.sends, 2);
    set(5, false);
    ioapic_ops.mmio_write(&f.io, &cx, 0x40, 0x51, 4); /* the EOI register does the same */
    assert_int_equal(rd(0x10 + 10), 0x8051);
    assert_int_equal(f.sends, 2);
}

static void level_that_was_masked_comes_when_unmasked(void **state)
{
    (void)state;
    program(5, 0x18051, 0);
    set(5, true);
    assert_int_equal(f.sends, 0);
    wr(0x10 + 10, 0x8051);
    assert_int_equal(f.sends, 1);
}

static void unused_low_active_pin_with_the_wrong_polarity_storms_as_on_hardware(void **state)
{
    (void)state;
    program(20, 0x8051, 0); /* idles high, programmed active high */
    assert_int_equal(f.sends, 1);
    ioapic_eoi(&f.io, 0x51, 7);
    assert_int_equal(f.sends, 2);
}

static void changing_to_edge_clears_remote_irr(void **state)
{
    (void)state;
    program(5, 0x8051, 0);
    set(5, true);
    wr(0x10 + 10, 0x10051);
    assert_int_equal(rd(0x10 + 10), 0x10051);
    wr(0x10 + 10, 0x8051);
    assert_int_equal(f.sends, 2);
}

static void writing_an_entry_does_not_disturb_remote_irr(void **state)
{
    (void)state;
    program(5, 0x8051, 0);
    set(5, true);
    wr(0x11 + 10, 0x03000000);
    wr(0x10 + 10, 0x8051);
    assert_int_equal(rd(0x10 + 10), 0xc051);
    assert_int_equal(f.sends, 1);
}

static void nmi_init_smi_and_extint_have_no_end_of_interrupt(void **state)
{
    (void)state;
    static const enum apic_delivery modes[] = {APIC_SMI, APIC_NMI, APIC_INIT, APIC_EXTINT};
    for (unsigned i = 0; i < 4; i++) {
        program(i, 0x8000 | (uint32_t)modes[i] << 8, 0);
        set(i, true);
        assert_int_equal(f.sends, i + 1);
        assert_int_equal(f.sent.delivery, modes[i]);
        assert_false(f.sent.level_triggered);
        assert_false(f.io.rte[i] & IOAPIC_RTE_REMOTE_IRR);
    }
    program(7, 0x0600, 0); /* reserved */
    set(7, true);
    assert_int_equal(f.sends, 4);
}

static void delivery_status_holds_what_found_no_room(void **state)
{
    (void)state;
    f.answer = APIC_NO_ROOM;
    program(5, 0x8051, 0);
    set(5, true);
    assert_int_equal(rd(0x10 + 10), 0x9051);
    set(5, true);
    assert_int_equal(f.sends, 1);
    f.answer = APIC_SENT;
    ioapic_bus_room(&f.io, 8);
    assert_int_equal(f.sends, 2);
    assert_int_equal(rd(0x10 + 10), 0xc051);
    ioapic_bus_room(&f.io, 9);
    assert_int_equal(f.sends, 2);
}

static void level_that_nobody_takes_is_tried_again_with_the_next_change(void **state)
{
    (void)state;
    f.answer = APIC_NOBODY;
    program(5, 0x8051, 0);
    set(5, true);
    assert_int_equal(rd(0x10 + 10), 0x8051);
    f.answer = APIC_SENT;
    wr(0x11 + 10, 0x01000000);
    assert_int_equal(f.sends, 2);
}

static void window_takes_32_bit_writes_only(void **state)
{
    (void)state;
    ioapic_ops.mmio_write(&f.io, &cx, 0x00, 0x10, 1);
    ioapic_ops.mmio_write(&f.io, &cx, 0x10, 0x41, 1);
    assert_int_equal(rd(0x10), 0x10000);
    assert_int_equal(ioapic_ops.mmio_read(&f.io, &cx, 0x20, 4), 0);
}

static void state_moves_and_reset_keeps_the_lines(void **state)
{
    (void)state;
    program(5, 0x8051, 3);
    set(5, true);
    struct ioapic other;
    ioapic_init(&other, &f.io.config);
    assert_state_moves(&ioapic_ops, &f.io, &other);
    assert_int_equal(other.rte[5], f.io.rte[5]);
    ioapic_reset(&f.io, 9);
    assert_int_equal(f.io.rte[5], IOAPIC_RTE_MASKED);
    wr(0x10 + 10, 0x8051);
    assert_int_equal(f.sends, 2);
}

static void pin_that_does_not_exist_is_ignored(void **state)
{
    (void)state;
    struct ioapic before = f.io;
    set(24, true);
    set(31, true);
    assert_int_equal(f.io.pins, before.pins);
    wr(0x10 + 48, 0x41);
    assert_int_equal(rd(0x10 + 48), 0);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(registers_after_reset),
        T(id_is_writable_and_arbitration_id_follows),
        T(redirection_entry_keeps_its_writable_bits),
        T(edge_sends_once_with_every_field),
        T(masked_edge_is_lost),
        T(low_active_edge_is_the_falling_line),
        T(level_sets_remote_irr_and_waits_for_eoi),
        T(level_that_was_masked_comes_when_unmasked),
        T(unused_low_active_pin_with_the_wrong_polarity_storms_as_on_hardware),
        T(changing_to_edge_clears_remote_irr),
        T(writing_an_entry_does_not_disturb_remote_irr),
        T(nmi_init_smi_and_extint_have_no_end_of_interrupt),
        T(delivery_status_holds_what_found_no_room),
        T(level_that_nobody_takes_is_tried_again_with_the_next_change),
        T(window_takes_32_bit_writes_only),
        T(state_moves_and_reset_keeps_the_lines),
        T(pin_that_does_not_exist_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
