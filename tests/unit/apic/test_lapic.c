/* The local APIC: registers, priorities, local vector table, commands, destinations. */

#include "lapic_harness.h"

static void reset_values_are_those_of_the_manual(void **state)
{
    (void)state;
    lapic_reset(&f.l, 0);
    assert_int_equal(rd(LAPIC_ID, 0), 0x25000000);
    assert_int_equal(rd(LAPIC_VERSION, 0), 0x01060014);
    assert_int_equal(rd(LAPIC_TPR, 0), 0);
    assert_int_equal(rd(LAPIC_LDR, 0), 0);
    assert_int_equal(rd(LAPIC_DFR, 0), 0xffffffff);
    assert_int_equal(rd(LAPIC_SVR, 0), 0xff);
    assert_int_equal(rd(LAPIC_ICR_LO, 0), 0);
    for (uint32_t offset = LAPIC_LVT_TIMER; offset <= LAPIC_LVT_ERROR; offset += 16) {
        assert_int_equal(rd(offset, 0), 0x10000);
    }
    assert_int_equal(rd(LAPIC_LVT_CMCI, 0), 0x10000);
    assert_int_equal(rd(LAPIC_TIMER_DIVIDE, 0), 0);
    assert_int_equal(f.l.apic_base, 0xfee00900);
}

static void fixed_interrupt_goes_from_irr_to_isr_and_ends_with_eoi(void **state)
{
    (void)state;
    arrive(APIC_FIXED, 0x41, false);
    assert_int_equal(lapic_pending(&f.l), 0x41);
    assert_change(&f.intr, 0, true, 50);
    assert_int_equal(f.intr.changes[0].line, 3);
    assert_int_equal(rd(LAPIC_IRR + 0x20, 60), 2);
    assert_int_equal(lapic_acknowledge(&f.l, 60), 0x41);
    assert_change(&f.intr, 1, false, 60);
    assert_int_equal(rd(LAPIC_IRR + 0x20, 60), 0);
    assert_int_equal(rd(LAPIC_ISR + 0x20, 60), 2);
    assert_int_equal(rd(LAPIC_PPR, 60), 0x40);
    wr(LAPIC_EOI, 0, 70);
    assert_int_equal(rd(LAPIC_ISR + 0x20, 70), 0);
    assert_int_equal(rd(LAPIC_PPR, 70), 0);
    assert_int_equal(f.eois, 0); /* edge: nothing to broadcast */
}

static void only_a_higher_class_interrupts_the_one_in_service(void **state)
{
    (void)state;
    arrive(APIC_FIXED, 0x41, false);
    lapic_acknowledge(&f.l, 60);
    arrive(APIC_FIXED, 0x4f, false);
    assert_int_equal(lapic_pending(&f.l), LAPIC_NO_VECTOR);
    arrive(APIC_FIXED, 0x50, false);
    assert_int_equal(lapic_pending(&f.l), 0x50);
    lapic_acknowledge(&f.l, 61);
    wr(LAPIC_EOI, 0, 62); /* ends 0x50 */
    assert_int_equal(lapic_pending(&f.l), LAPIC_NO_VECTOR);
    wr(LAPIC_EOI, 0, 63);
    assert_int_equal(lapic_pending(&f.l), 0x4f);
}

static void tpr_holds_back_its_class_and_below(void **state)
{
    (void)state;
    wr(LAPIC_TPR, 0x45, 0);
    arrive(APIC_FIXED, 0x4e, false);
    assert_int_equal(f.intr.count, 0);
    assert_int_equal(rd(LAPIC_PPR, 50), 0x45);
    arrive(APIC_FIXED, 0x51, false);
    assert_int_equal(lapic_pending(&f.l), 0x51);
    wr(LAPIC_TPR, 0x30, 60);
    lapic_acknowledge(&f.l, 60);
    assert_int_equal(rd(LAPIC_PPR, 60), 0x50);
}

static void cr8_is_the_upper_half_of_tpr(void **state)
{
    (void)state;
    arrive(APIC_FIXED, 0x71, false);
    lapic_set_cr8(&f.l, 7, 51);
    assert_change(&f.intr, 1, false, 51);
    assert_int_equal(rd(LAPIC_TPR, 51), 0x70);
    wr(LAPIC_TPR, 0x6f, 52);
    assert_int_equal(lapic_cr8(&f.l), 6);
    assert_change(&f.intr, 2, true, 52);
}

static void acknowledge_without_a_request_gives_the_spurious_vector(void **state)
{
    (void)state;
    wr(LAPIC_SVR, 0x1ef, 0);
    assert_int_equal(lapic_acknowledge(&f.l, 1), 0xef);
    assert_int_equal(rd(LAPIC_ISR + 0x70, 1), 0);
}

static void arbitration_priority_follows_the_manuals_formula(void **state)
{
    (void)state;
    wr(LAPIC_TPR, 0x35, 0);
    assert_int_equal(rd(LAPIC_APR, 0), 0x35);
    arrive(APIC_FIXED, 0x61, false);
    assert_int_equal(rd(LAPIC_APR, 50), 0x60);
    lapic_acknowledge(&f.l, 51);
    assert_int_equal(rd(LAPIC_APR, 51), 0x20); /* 0x30 and 0x60 */
}

static void level_interrupt_sets_tmr_and_its_eoi_is_broadcast(void **state)
{
    (void)state;
    arrive(APIC_FIXED, 0x91, true);
    assert_int_equal(rd(LAPIC_TMR + 0x40, 50), 0x20000);
    lapic_acknowledge(&f.l, 51);
    wr(LAPIC_EOI, 0, 52);
    assert_int_equal(f.eois, 1);
    assert_int_equal(f.eoi_vector, 0x91);
    arrive(APIC_FIXED, 0x91, false);
    assert_int_equal(rd(LAPIC_TMR + 0x40, 53), 0);
}

static void svr_bit_12_suppresses_the_broadcast(void **state)
{
    (void)state;
    wr(LAPIC_SVR, 0x11ff, 0);
    arrive(APIC_FIXED, 0x91, true);
    lapic_acknowledge(&f.l, 51);
    wr(LAPIC_EOI, 0, 52);
    assert_int_equal(f.eois, 0);
}

static void eoi_without_service_does_nothing(void **state)
{
    (void)state;
    wr(LAPIC_EOI, 0, 0);
    assert_int_equal(f.eois, 0);
}

static void software_disabled_apic_drops_fixed_but_passes_nmi_init_smi_sipi(void **state)
{
    (void)state;
    wr(LAPIC_SVR, 0x0ff, 0);
    arrive(APIC_FIXED, 0x41, false);
    arrive(APIC_LOWEST_PRIORITY, 0x41, false);
    arrive(APIC_EXTINT, 0, false);
    assert_int_equal(f.intr.count, 0);
    arrive(APIC_NMI, 0, false);
    arrive(APIC_INIT, 0, false);
    arrive(APIC_SMI, 0, false);
    arrive(APIC_STARTUP, 0x9a, false);
    assert_int_equal(f.nmis, 1);
    assert_int_equal(f.inits, 1);
    assert_int_equal(f.smis, 1);
    assert_int_equal(f.sipis, 1);
    assert_int_equal(f.sipi_vector, 0x9a);
}

static void software_disable_masks_the_lvt_and_keeps_pending_requests(void **state)
{
    (void)state;
    wr(LAPIC_LVT_TIMER, 0x30, 0);
    arrive(APIC_FIXED, 0x41, false);
    wr(LAPIC_SVR, 0x0ff, 60);
    assert_int_equal(rd(LAPIC_LVT_TIMER, 60), 0x10030);
    wr(LAPIC_LVT_TIMER, 0x30, 61); /* cannot be unmasked */
    assert_int_equal(rd(LAPIC_LVT_TIMER, 61), 0x10030);
    assert_int_equal(lapic_pending(&f.l), 0x41);
    wr(LAPIC_SVR, 0x1ff, 62);
    assert_int_equal(rd(LAPIC_LVT_TIMER, 62), 0x10030);
}

static void illegal_vector_received_is_logged_and_interrupts_once_until_esr_is_written(void **state)
{
    (void)state;
    wr(LAPIC_LVT_ERROR, 0xe0, 0);
    arrive(APIC_FIXED, 0x0f, false);
    assert_int_equal(lapic_pending(&f.l), 0xe0);
    assert_int_equal(rd(LAPIC_ESR, 51), 0);
    lapic_acknowledge(&f.l, 51);
    wr(LAPIC_EOI, 0, 51);
    arrive(APIC_FIXED, 0x03, false);
    assert_int_equal(lapic_pending(&f.l), LAPIC_NO_VECTOR);
    wr(LAPIC_ESR, 0, 52);
    assert_int_equal(rd(LAPIC_ESR, 52), LAPIC_ESR_RECEIVE_ILLEGAL);
    arrive(APIC_FIXED, 0x03, false);
    assert_int_equal(lapic_pending(&f.l), 0xe0);
    wr(LAPIC_ESR, 0, 53);
    wr(LAPIC_ESR, 0, 54);
    assert_int_equal(rd(LAPIC_ESR, 54), 0);
}

static void illegal_vector_sent_is_logged_and_goes_nowhere(void **state)
{
    (void)state;
    wr(LAPIC_ICR_LO, 0x0000400f, 0);
    assert_int_equal(f.sends, 0);
    wr(LAPIC_ESR, 0, 0);
    assert_int_equal(rd(LAPIC_ESR, 0), LAPIC_ESR_SEND_ILLEGAL);
}

static void reserved_register_is_logged(void **state)
{
    (void)state;
    rd(0x3f0, 0);
    wr(LAPIC_ESR, 0, 0);
    assert_int_equal(rd(LAPIC_ESR, 0), LAPIC_ESR_ILLEGAL_REG);
    wr(0x010, 5, 0);
    wr(LAPIC_ESR, 0, 0);
    assert_int_equal(rd(LAPIC_ESR, 0), LAPIC_ESR_ILLEGAL_REG);
}

static void error_interrupt_with_an_illegal_vector_does_not_recurse(void **state)
{
    (void)state;
    wr(LAPIC_LVT_ERROR, 0x05, 0);
    arrive(APIC_FIXED, 0x0f, false);
    assert_int_equal(lapic_pending(&f.l), LAPIC_NO_VECTOR);
}

static void icr_passes_every_field_to_the_bus(void **state)
{
    (void)state;
    wr(LAPIC_ICR_HI, 0x7f123456, 0);
    assert_int_equal(rd(LAPIC_ICR_HI, 0), 0x7f000000);
    wr(LAPIC_ICR_LO, 0x00004000 | 0x0800 | 0x0100 | 0x55, 0);
    assert_int_equal(f.sent.destination, 0x7f);
    assert_int_equal(f.sent.vector, 0x55);
    assert_int_equal(f.sent.delivery, APIC_LOWEST_PRIORITY);
    assert_true(f.sent.logical);
    assert_false(f.sent.wide);
    assert_int_equal(f.sent.shorthand, APIC_TO_DESTINATION);
    wr(LAPIC_ICR_LO, 0x000c4500, 0); /* INIT to all others */
    assert_int_equal(f.sent.delivery, APIC_INIT);
    assert_int_equal(f.sent.shorthand, APIC_TO_OTHERS);
    wr(LAPIC_ICR_LO, 0x000c4608, 0);
    assert_int_equal(f.sent.delivery, APIC_STARTUP);
    assert_int_equal(f.sent.vector, 8);
    wr(LAPIC_ICR_LO, 0x00084041, 0);
    assert_int_equal(f.sent.shorthand, APIC_TO_ALL);
    assert_int_equal(f.sends, 4);
}

static void init_deassert_sends_nothing(void **state)
{
    (void)state;
    wr(LAPIC_ICR_LO, 0x00088500, 0);
    wr(LAPIC_ICR_LO, 0x00008500, 0);
    assert_int_equal(f.sends, 0);
    wr(LAPIC_ICR_LO, 0x0000c500, 0); /* assert, level */
    assert_int_equal(f.sends, 1);
}

static void invalid_combinations_send_nothing(void **state)
{
    (void)state;
    wr(LAPIC_ICR_LO, 0x00044400, 0); /* NMI to self */
    wr(LAPIC_ICR_LO, 0x00084500, 0); /* INIT to all */
    wr(LAPIC_ICR_LO, 0x00004341, 0); /* reserved mode */
    assert_int_equal(f.sends, 0);
    assert_int_equal(f.nmis + f.inits, 0);
}

static void self_shorthand_does_not_cross_the_bus(void **state)
{
    (void)state;
    wr(LAPIC_ICR_LO, 0x00044066, 9);
    assert_int_equal(f.sends, 0);
    assert_change(&f.intr, 0, true, 9);
    assert_int_equal(lapic_pending(&f.l), 0x66);
}

static void delivery_status_shows_messages_in_flight_and_waiting(void **state)
{
    (void)state;
    f.in_flight = true;
    assert_int_equal(rd(LAPIC_ICR_LO, 0) & LAPIC_ICR_PENDING, LAPIC_ICR_PENDING);
    f.in_flight = false;
    f.answer = APIC_NO_ROOM;
    wr(LAPIC_ICR_LO, 0x00004041, 0);
    assert_true(lapic_icr_stalls(&f.l));
    assert_int_equal(rd(LAPIC_ICR_LO, 0), 0x00005041);
    f.answer = APIC_SENT;
    lapic_bus_room(&f.l, 1);
    assert_int_equal(f.sends, 2);
    assert_int_equal(rd(LAPIC_ICR_LO, 1), 0x00004041);
    lapic_bus_room(&f.l, 2);
    assert_int_equal(f.sends, 2);
}

static void lint0_extint_is_a_level_that_the_mask_and_polarity_govern(void **state)
{
    (void)state;
    lapic_set_lint(&f.l, 0, true, 1);
    assert_false(lapic_extint(&f.l)); /* masked */
    wr(LAPIC_LVT_LINT0, 0x700, 2);
    assert_true(lapic_extint(&f.l));
    assert_change(&f.intr, 0, true, 2);
    assert_int_equal(lapic_pending(&f.l), LAPIC_NO_VECTOR);
    lapic_set_lint(&f.l, 0, false, 3);
    assert_change(&f.intr, 1, false, 3);
    wr(LAPIC_LVT_LINT0, 0x2700, 4); /* active low */
    assert_true(lapic_extint(&f.l));
}

static void extint_message_stays_until_acknowledged(void **state)
{
    (void)state;
    arrive(APIC_EXTINT, 0, false);
    assert_true(lapic_extint(&f.l));
    lapic_acknowledge_extint(&f.l, 60);
    assert_false(lapic_extint(&f.l));
    assert_change(&f.intr, 1, false, 60);
}

static void lint1_nmi_fires_on_the_active_edge(void **state)
{
    (void)state;
    wr(LAPIC_LVT_LINT1, 0x400, 0);
    lapic_set_lint(&f.l, 1, true, 5);
    assert_int_equal(f.nmis, 1);
    assert_int_equal(f.nmi_at, 5);
    lapic_set_lint(&f.l, 1, true, 6);
    lapic_set_lint(&f.l, 1, false, 7);
    assert_int_equal(f.nmis, 1);
    lapic_set_lint(&f.l, 1, true, 8);
    assert_int_equal(f.nmis, 2);
    wr(LAPIC_LVT_LINT1, 0x10400, 9);
    lapic_set_lint(&f.l, 1, false, 9);
    lapic_set_lint(&f.l, 1, true, 10);
    assert_int_equal(f.nmis, 2);
}

static void lint_fixed_edge_and_init_and_smi(void **state)
{
    (void)state;
    wr(LAPIC_LVT_LINT0, 0x042, 0);
    lapic_set_lint(&f.l, 0, true, 5);
    assert_int_equal(lapic_pending(&f.l), 0x42);
    wr(LAPIC_LVT_LINT1, 0x500, 0);
    lapic_set_lint(&f.l, 1, true, 6);
    assert_int_equal(f.inits, 1);
    wr(LAPIC_LVT_LINT1, 0x200, 7);
    lapic_set_lint(&f.l, 1, false, 7);
    lapic_set_lint(&f.l, 1, true, 8);
    assert_int_equal(f.smis, 1);
}

static void lint_fixed_level_asks_again_after_eoi(void **state)
{
    (void)state;
    wr(LAPIC_LVT_LINT0, 0x8042, 0);
    lapic_set_lint(&f.l, 0, true, 5);
    assert_int_equal(rd(LAPIC_LVT_LINT0, 5), 0xc042);
    lapic_acknowledge(&f.l, 6);
    assert_int_equal(lapic_pending(&f.l), LAPIC_NO_VECTOR);
    wr(LAPIC_EOI, 0, 7);
    assert_int_equal(lapic_pending(&f.l), 0x42);
    lapic_acknowledge(&f.l, 8);
    lapic_set_lint(&f.l, 0, false, 9);
    wr(LAPIC_EOI, 0, 10);
    assert_int_equal(lapic_pending(&f.l), LAPIC_NO_VECTOR);
    assert_int_equal(rd(LAPIC_LVT_LINT0, 10), 0x8042);
}

static void local_sources_deliver_by_their_lvt(void **state)
{
    (void)state;
    lapic_local_interrupt(&f.l, LVT_PERF, 0); /* masked */
    wr(LAPIC_LVT_PERF, 0x400, 0);
    lapic_local_interrupt(&f.l, LVT_PERF, 1);
    assert_int_equal(f.nmis, 1);
    wr(LAPIC_LVT_THERMAL, 0x0fa, 2);
    lapic_local_interrupt(&f.l, LVT_THERMAL, 2);
    assert_int_equal(lapic_pending(&f.l), 0xfa);
    wr(LAPIC_LVT_CMCI, 0x0fb, 2);
    lapic_local_interrupt(&f.l, LVT_CMCI, 3);
    assert_int_equal(lapic_pending(&f.l), 0xfb);
}

static void lvt_keeps_only_its_own_bits(void **state)
{
    (void)state;
    wr(LAPIC_LVT_TIMER, 0xffffffff, 0);
    assert_int_equal(rd(LAPIC_LVT_TIMER, 0), 0x700ff);
    wr(LAPIC_LVT_LINT0, 0xffffffff, 0);
    assert_int_equal(rd(LAPIC_LVT_LINT0, 0), 0x1a7ff);
    wr(LAPIC_LVT_ERROR, 0xffffffff, 0);
    assert_int_equal(rd(LAPIC_LVT_ERROR, 0), 0x100ff);
    wr(LAPIC_LVT_CMCI, 0xffffffff, 0);
    assert_int_equal(rd(LAPIC_LVT_CMCI, 0), 0x107ff);
}

static bool matches(uint32_t destination, bool logical, bool wide)
{
    struct apic_message m = {.destination = destination, .logical = logical, .wide = wide};
    return lapic_matches(&f.l, &m);
}

static void physical_destination_matches_id_and_broadcast(void **state)
{
    (void)state;
    assert_true(matches(0x25, false, false));
    assert_false(matches(0x24, false, false));
    assert_true(matches(0xff, false, false));
    assert_true(matches(0xffffffff, false, true));
    assert_false(matches(0xff, false, true));
}

static void logical_flat_destination_is_a_bit_mask(void **state)
{
    (void)state;
    wr(LAPIC_LDR, 0x04ffffff, 0);
    assert_int_equal(rd(LAPIC_LDR, 0), 0x04000000);
    assert_true(matches(0x0c, true, false));
    assert_false(matches(0x08, true, false));
    assert_true(matches(0xff, true, false));
}

static void logical_cluster_destination_is_cluster_and_mask(void **state)
{
    (void)state;
    wr(LAPIC_DFR, 0, 0);
    assert_int_equal(rd(LAPIC_DFR, 0), 0x0fffffff);
    wr(LAPIC_LDR, 0x32000000, 0);
    assert_true(matches(0x32, true, false));
    assert_true(matches(0x3f, true, false));
    assert_false(matches(0x31, true, false));
    assert_false(matches(0x22, true, false));
    assert_true(matches(0xff, true, false));
}

static void x2apic_logical_destination_is_cluster_and_mask(void **state)
{
    (void)state;
    assert_true(matches(0x00020020, true, true));
    assert_true(matches(0x0002ffff, true, true));
    assert_false(matches(0x00020010, true, true));
    assert_false(matches(0x00030020, true, true));
    assert_true(matches(0xffffffff, true, true));
}

static void state_moves_with_its_derived_values(void **state)
{
    (void)state;
    arrive(APIC_FIXED, 0x41, false);
    wr(LAPIC_TIMER_INITIAL, 5000, 60);
    struct lapic other;
    lapic_init(&other, &config, &(struct lapic_signals){0}, f.q);
    struct state_buffer buffer = {0};
    struct buffer_visitor save, load;
    save_visitor_init(&save, VISIT_MODEL, &buffer);
    lapic_visit(&f.l, &save.base);
    load_visitor_init(&load, VISIT_MODEL, &buffer);
    lapic_visit(&other, &load.base);
    assert_int_equal(buffer.position, buffer.size);
    state_buffer_deinit(&buffer);
    assert_int_equal(lapic_pending(&other), 0x41);
    assert_int_equal(lapic_read(&other, LAPIC_TIMER_CURRENT, 200),
                     lapic_read(&f.l, LAPIC_TIMER_CURRENT, 200));
}

static void waiting_command_keeps_its_destination_when_icr_hi_is_written(void **state)
{
    (void)state;
    f.answer = APIC_NO_ROOM;
    wr(LAPIC_ICR_HI, 0x07000000, 0);
    wr(LAPIC_ICR_LO, 0x4041, 0);
    wr(LAPIC_ICR_HI, 0x09000000, 1);
    f.answer = APIC_SENT;
    lapic_bus_room(&f.l, 2);
    assert_int_equal(f.sent.destination, 7);
    assert_int_equal(rd(LAPIC_ICR_HI, 2), 0x09000000);
}

static void reset_drops_the_waiting_command(void **state)
{
    (void)state;
    f.answer = APIC_NO_ROOM;
    wr(LAPIC_ICR_LO, 0x4041, 0);
    lapic_init_reset(&f.l, 1);
    assert_false(lapic_icr_stalls(&f.l));
    lapic_bus_room(&f.l, 2);
    assert_int_equal(f.sends, 1);
}

static void vector_bits_lie_in_eight_words(void **state)
{
    (void)state;
    for (unsigned word = 0; word < 8; word++) {
        unsigned vector = word * 32 + 16;
        arrive(APIC_FIXED, vector, true);
        assert_int_equal(rd(LAPIC_IRR + word * 16, 50), 0x10000);
        assert_int_equal(rd(LAPIC_TMR + word * 16, 50), 0x10000);
        assert_int_equal(lapic_acknowledge(&f.l, 50), vector);
        assert_int_equal(rd(LAPIC_ISR + word * 16, 50), 0x10000);
    }
    assert_int_equal(rd(LAPIC_ESR, 50), 0);
}

static void init_with_edge_trigger_is_sent_whatever_the_level_bit(void **state)
{
    (void)state;
    wr(LAPIC_ICR_LO, 0x0500, 0);
    assert_int_equal(f.sends, 1);
}

static void edge_programming_of_a_lint_clears_its_remote_irr(void **state)
{
    (void)state;
    wr(LAPIC_LVT_LINT0, 0x8042, 0);
    lapic_set_lint(&f.l, 0, true, 5);
    wr(LAPIC_LVT_LINT0, 0x0042, 6);
    assert_int_equal(rd(LAPIC_LVT_LINT0, 6), 0x0042);
}

static void ppr_is_tpr_when_the_classes_are_equal(void **state)
{
    (void)state;
    arrive(APIC_FIXED, 0x41, false);
    lapic_acknowledge(&f.l, 50);
    wr(LAPIC_TPR, 0x47, 51);
    assert_int_equal(rd(LAPIC_PPR, 51), 0x47);
    wr(LAPIC_TPR, 0x3f, 52);
    assert_int_equal(rd(LAPIC_PPR, 52), 0x40);
}

static void errors_add_up_until_esr_is_written(void **state)
{
    (void)state;
    arrive(APIC_FIXED, 0x0f, false);
    wr(LAPIC_ICR_LO, 0x4005, 51);
    rd(0x3f0, 52);
    wr(LAPIC_ESR, 0, 53);
    assert_int_equal(rd(LAPIC_ESR, 53),
                     LAPIC_ESR_RECEIVE_ILLEGAL | LAPIC_ESR_SEND_ILLEGAL | LAPIC_ESR_ILLEGAL_REG);
}

static void vector_16_is_the_lowest_legal_one(void **state)
{
    (void)state;
    wr(LAPIC_ICR_LO, 0x4010, 0);
    assert_int_equal(f.sends, 1);
    wr(LAPIC_ICR_LO, 0x44010, 0);
    assert_int_equal(lapic_pending(&f.l), 0x10);
}

static void unknown_destination_model_matches_nothing_but_broadcast(void **state)
{
    (void)state;
    wr(LAPIC_DFR, 0x50000000, 0);
    wr(LAPIC_LDR, 0x11000000, 0);
    assert_false(matches(0x11, true, false));
    assert_true(matches(0xff, true, false));
}

static void error_lvt_delivers_fixed_whatever_its_mode_bits(void **state)
{
    (void)state;
    wr(LAPIC_LVT_ERROR, 0x4e0, 0);
    arrive(APIC_FIXED, 0x0f, false);
    assert_int_equal(f.nmis, 0);
    assert_int_equal(lapic_pending(&f.l), 0xe0);
}

static void acknowledging_lint1_level_asks_again_after_eoi_too(void **state)
{
    (void)state;
    wr(LAPIC_LVT_LINT1, 0x8043, 0);
    lapic_set_lint(&f.l, 1, true, 5);
    lapic_acknowledge(&f.l, 6);
    wr(LAPIC_EOI, 0, 7);
    assert_int_equal(lapic_pending(&f.l), 0x43);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(reset_values_are_those_of_the_manual),
        T(fixed_interrupt_goes_from_irr_to_isr_and_ends_with_eoi),
        T(only_a_higher_class_interrupts_the_one_in_service),
        T(tpr_holds_back_its_class_and_below),
        T(cr8_is_the_upper_half_of_tpr),
        T(acknowledge_without_a_request_gives_the_spurious_vector),
        T(arbitration_priority_follows_the_manuals_formula),
        T(level_interrupt_sets_tmr_and_its_eoi_is_broadcast),
        T(svr_bit_12_suppresses_the_broadcast),
        T(eoi_without_service_does_nothing),
        T(software_disabled_apic_drops_fixed_but_passes_nmi_init_smi_sipi),
        T(software_disable_masks_the_lvt_and_keeps_pending_requests),
        T(illegal_vector_received_is_logged_and_interrupts_once_until_esr_is_written),
        T(illegal_vector_sent_is_logged_and_goes_nowhere),
        T(reserved_register_is_logged),
        T(error_interrupt_with_an_illegal_vector_does_not_recurse),
        T(icr_passes_every_field_to_the_bus),
        T(init_deassert_sends_nothing),
        T(invalid_combinations_send_nothing),
        T(self_shorthand_does_not_cross_the_bus),
        T(delivery_status_shows_messages_in_flight_and_waiting),
        T(lint0_extint_is_a_level_that_the_mask_and_polarity_govern),
        T(extint_message_stays_until_acknowledged),
        T(lint1_nmi_fires_on_the_active_edge),
        T(lint_fixed_edge_and_init_and_smi),
        T(lint_fixed_level_asks_again_after_eoi),
        T(local_sources_deliver_by_their_lvt),
        T(lvt_keeps_only_its_own_bits),
        T(physical_destination_matches_id_and_broadcast),
        T(logical_flat_destination_is_a_bit_mask),
        T(logical_cluster_destination_is_cluster_and_mask),
        X(x2apic_logical_destination_is_cluster_and_mask),
        T(state_moves_with_its_derived_values),
        T(waiting_command_keeps_its_destination_when_icr_hi_is_written),
        T(reset_drops_the_waiting_command),
        T(vector_bits_lie_in_eight_words),
        T(init_with_edge_trigger_is_sent_whatever_the_level_bit),
        T(edge_programming_of_a_lint_clears_its_remote_irr),
        T(ppr_is_tpr_when_the_classes_are_equal),
        T(errors_add_up_until_esr_is_written),
        T(vector_16_is_the_lowest_legal_one),
        T(unknown_destination_model_matches_nothing_but_broadcast),
        T(error_lvt_delivers_fixed_whatever_its_mode_bits),
        T(acknowledging_lint1_level_asks_again_after_eoi_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
