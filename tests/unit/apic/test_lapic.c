/* The local APIC alone: registers in both modes, priorities, LVT, timer, MSR rules. Its port is a recorder.
 * */

#include "apic/lapic.h"

#include "../dev/dev_harness.h"
#include "base/bits.h"

#define OK LAPIC_OK
#define GP LAPIC_GP

struct fixture {
    struct event_queue *q;
    struct lapic l;
    struct line_log intr;
    unsigned nmis, smis, inits, sipis;
    uint8_t sipi_vector;
    uint64_t nmi_at;
    struct apic_message sent;
    unsigned sends, eois;
    uint8_t eoi_vector;
    enum apic_send_result answer;
    bool in_flight;
};

static struct fixture f;

static void on_intr(void *target, unsigned cpu, bool asserted, uint64_t now)
{
    log_line(&((struct fixture *)target)->intr, cpu, asserted, now);
}

static void on_nmi(void *target, unsigned cpu, uint64_t now)
{
    (void)target;
    assert_int_equal(cpu, 3);
    f.nmis++;
    f.nmi_at = now;
}

static void on_smi(void *target, unsigned cpu, uint64_t now)
{
    (void)target;
    (void)cpu;
    (void)now;
    f.smis++;
}

static void on_init(void *target, unsigned cpu, uint64_t now)
{
    (void)target;
    (void)cpu;
    (void)now;
    f.inits++;
}

static void on_sipi(void *target, unsigned cpu, uint8_t vector, uint64_t now)
{
    (void)target;
    (void)cpu;
    (void)now;
    f.sipis++;
    f.sipi_vector = vector;
}

static enum apic_send_result fake_send(void *target, unsigned source, const struct apic_message *m,
                                       uint64_t now)
{
    (void)target;
    (void)source;
    (void)now;
    f.sent = *m;
    f.sends++;
    return f.answer;
}

static void fake_eoi(void *target, uint8_t vector, uint64_t now)
{
    (void)target;
    (void)now;
    f.eois++;
    f.eoi_vector = vector;
}

static bool fake_in_flight(void *target, unsigned source)
{
    (void)target;
    (void)source;
    return f.in_flight;
}

static struct lapic_config config = {
    .apic_id = 0x25, .bsp = true, .x2apic = true, .tsc_deadline = true, .bus_hz = LAPIC_BUS_HZ};

static void wr(uint32_t offset, uint32_t value, uint64_t at)
{
    run_until(f.q, at);
    lapic_write(&f.l, offset, value, at);
}

static uint32_t rd(uint32_t offset, uint64_t at)
{
    run_until(f.q, at);
    return lapic_read(&f.l, offset, at);
}

static void make(void)
{
    f = (struct fixture){.q = event_queue_create()};
    struct lapic_signals signals = {&f, 3, on_intr, on_nmi, on_smi, on_init, on_sipi};
    lapic_init(&f.l, &config, &signals, f.q);
    f.l.port = (struct apic_port){fake_send, fake_eoi, fake_in_flight, NULL, 0};
}

static int setup(void **state)
{
    (void)state;
    make();
    wr(LAPIC_SVR, 0x1ff, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    return 0;
}

static enum lapic_result set_msr(uint32_t msr, uint64_t value)
{
    return lapic_msr_write(&f.l, msr, value, 0);
}

static enum lapic_result get_msr(uint32_t msr, uint64_t *value)
{
    *value = 0;
    return lapic_msr_read(&f.l, msr, value, 0);
}

static int setup_x2(void **state)
{
    setup(state);
    assert_int_equal(set_msr(MSR_APIC_BASE, LAPIC_DEFAULT_BASE | 0xc00), OK);
    return 0;
}

static void arrive(enum apic_delivery delivery, unsigned vector, bool level)
{
    struct apic_message m = {.delivery = delivery, .vector = (uint8_t)vector, .level_triggered = level};
    lapic_deliver(&f.l, &m, 50);
}

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

static void apic_base_allows_only_the_legal_transitions(void **state)
{
    (void)state;
    uint64_t base = LAPIC_DEFAULT_BASE, value;
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0x400), GP); /* EXTD without EN */
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0xc00), OK);
    assert_int_equal(lapic_mode(&f.l), LAPIC_X2APIC);
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0x800), GP); /* x2APIC to xAPIC */
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0xc00), OK);
    assert_int_equal(set_msr(MSR_APIC_BASE, base), OK);
    assert_int_equal(lapic_mode(&f.l), LAPIC_DISABLED);
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0xc00), GP); /* disabled to x2APIC */
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0x800), OK);
    assert_int_equal(lapic_mode(&f.l), LAPIC_XAPIC);
    assert_int_equal(get_msr(MSR_APIC_BASE, &value), OK);
    assert_int_equal(value, base | 0x900); /* BSP is read-only */
}

static void apic_base_reserved_bits_fault_and_a_move_is_not_modelled(void **state)
{
    (void)state;
    uint64_t base = LAPIC_DEFAULT_BASE;
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0x801), GP);
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0xa00), GP);
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0x800 | UINT64_C(1) << 46), GP);
    assert_int_equal(set_msr(MSR_APIC_BASE, UINT64_C(0xfef00000) | 0x800), LAPIC_NOT_MODELLED);
    f.l.config.x2apic = false;
    assert_int_equal(set_msr(MSR_APIC_BASE, base | 0xc00), GP);
}

static void disabling_by_apic_base_resets_and_lints_become_intr_and_nmi(void **state)
{
    (void)state;
    arrive(APIC_FIXED, 0x41, false);
    wr(LAPIC_TIMER_INITIAL, 100, 0);
    set_msr(MSR_APIC_BASE, LAPIC_DEFAULT_BASE);
    assert_int_equal(lapic_pending(&f.l), LAPIC_NO_VECTOR);
    arrive(APIC_NMI, 0, false);
    assert_int_equal(f.nmis, 0);
    lapic_set_lint(&f.l, 0, true, 60);
    assert_true(lapic_extint(&f.l));
    lapic_set_lint(&f.l, 1, true, 61);
    assert_int_equal(f.nmis, 1);
    lapic_set_lint(&f.l, 0, false, 62);
    set_msr(MSR_APIC_BASE, LAPIC_DEFAULT_BASE | 0x800);
    assert_int_equal(rd(LAPIC_SVR, 63), 0xff);
    assert_int_equal(rd(LAPIC_TIMER_INITIAL, 63), 0);
}

static void x2apic_id_and_ldr_are_derived_from_all_32_bits(void **state)
{
    (void)state;
    uint64_t value;
    get_msr(0x802, &value);
    assert_int_equal(value, 0x25);
    get_msr(0x80d, &value);
    assert_int_equal(value, 0x00020020);
}

static void x2apic_msrs_fault_in_xapic_mode(void **state)
{
    (void)state;
    uint64_t value;
    assert_int_equal(get_msr(0x802, &value), GP);
    assert_int_equal(set_msr(0x808, 0), GP);
}

static void x2apic_read_and_write_rights_are_those_of_the_manual(void **state)
{
    (void)state;
    static const struct {
        uint32_t msr;
        bool readable, writable; /* writable with zero */
    } rows[] = {
        {0x801, false, false}, {0x802, true, false},  {0x803, true, false},  {0x808, true, true},
        {0x809, false, false}, {0x80a, true, false},  {0x80b, false, true},  {0x80c, false, false},
        {0x80d, true, false},  {0x80e, false, false}, {0x80f, true, true},   {0x810, true, false},
        {0x817, true, false},  {0x818, true, false},  {0x820, true, false},  {0x827, true, false},
        {0x828, true, true},   {0x829, false, false}, {0x82e, false, false}, {0x82f, true, true},
        {0x831, false, false}, {0x832, true, true},   {0x833, true, true},   {0x834, true, true},
        {0x835, true, true},   {0x836, true, true},   {0x837, true, true},   {0x838, true, true},
        {0x839, true, false},  {0x83a, false, false}, {0x83d, false, false}, {0x83e, true, true},
        {0x83f, false, true},  {0x840, false, false}, {0x8ff, false, false},
    };
    uint64_t value;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(get_msr(rows[i].msr, &value), rows[i].readable ? OK : GP);
        assert_int_equal(set_msr(rows[i].msr, 0), rows[i].writable ? OK : GP);
    }
    assert_int_equal(get_msr(0x830, &value), OK);
}

static void x2apic_reserved_bits_fault(void **state)
{
    (void)state;
    static const struct {
        uint32_t msr;
        uint64_t good, bad;
    } rows[] = {
        {0x808, 0xff, 0x100},     {0x80b, 0, 1},
        {0x80f, 0x13ff, 0x400},   {0x828, 0, 1},
        {0x832, 0x710ff, 0x100},  {0x833, 0x117ff, 0x2000},
        {0x834, 0x117ff, 0x8000}, {0x835, 0x1f7ff, 0x800},
        {0x837, 0x110ff, 0x400},  {0x838, 0xffffffff, UINT64_C(0x100000000)},
        {0x83e, 0xb, 4},          {0x83f, 0x33, 0x133},
        {0x830, 0x4041, 0x5041},  {0x830, 0x44441, 0x104041},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(set_msr(rows[i].msr, rows[i].good), OK);
        assert_int_equal(set_msr(rows[i].msr, rows[i].bad), GP);
    }
}

static void x2apic_icr_is_one_64_bit_register(void **state)
{
    (void)state;
    uint64_t value;
    assert_int_equal(set_msr(0x830, UINT64_C(0x1234567800004877)), OK);
    assert_int_equal(f.sent.destination, 0x12345678);
    assert_true(f.sent.wide);
    assert_true(f.sent.logical);
    f.in_flight = true;
    assert_int_equal(get_msr(0x830, &value), OK);
    assert_int_equal(value, UINT64_C(0x1234567800004877)); /* no delivery status */
}

static void x2apic_icr_write_stalls_while_the_last_one_waits(void **state)
{
    (void)state;
    f.answer = APIC_NO_ROOM;
    assert_int_equal(set_msr(0x830, 0x4041), OK);
    assert_int_equal(set_msr(0x830, 0x4042), LAPIC_STALL);
    f.answer = APIC_SENT;
    lapic_bus_room(&f.l, 1);
    assert_int_equal(f.sent.vector, 0x41);
    assert_int_equal(set_msr(0x830, 0x4042), OK);
    assert_int_equal(f.sent.vector, 0x42);
}

static void self_ipi_register_interrupts_its_own_cpu(void **state)
{
    (void)state;
    assert_int_equal(set_msr(0x83f, 0x55), OK);
    assert_int_equal(lapic_pending(&f.l), 0x55);
    assert_int_equal(f.sends, 0);
    assert_int_equal(set_msr(0x83f, 0x05), OK);
    set_msr(0x828, 0);
    uint64_t value;
    get_msr(0x828, &value);
    assert_int_equal(value, LAPIC_ESR_RECEIVE_ILLEGAL);
}

static void init_keeps_the_mode_and_resets_the_rest(void **state)
{
    (void)state;
    uint64_t value;
    set_msr(0x80f, 0x1ff);
    lapic_deliver(&f.l, &(struct apic_message){.delivery = APIC_FIXED, .vector = 0x61}, 10);
    lapic_init_reset(&f.l, 11);
    assert_int_equal(lapic_mode(&f.l), LAPIC_X2APIC);
    assert_int_equal(lapic_pending(&f.l), LAPIC_NO_VECTOR);
    get_msr(0x80d, &value);
    assert_int_equal(value, 0x00020020);
    get_msr(0x80f, &value);
    assert_int_equal(value, 0xff);
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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define X(name) cmocka_unit_test_setup_teardown(name, setup_x2, teardown)

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
        T(apic_base_allows_only_the_legal_transitions),
        T(apic_base_reserved_bits_fault_and_a_move_is_not_modelled),
        T(disabling_by_apic_base_resets_and_lints_become_intr_and_nmi),
        X(x2apic_id_and_ldr_are_derived_from_all_32_bits),
        T(x2apic_msrs_fault_in_xapic_mode),
        X(x2apic_read_and_write_rights_are_those_of_the_manual),
        X(x2apic_reserved_bits_fault),
        X(x2apic_icr_is_one_64_bit_register),
        X(x2apic_icr_write_stalls_while_the_last_one_waits),
        X(self_ipi_register_interrupts_its_own_cpu),
        X(init_keeps_the_mode_and_resets_the_rest),
        T(physical_destination_matches_id_and_broadcast),
        T(logical_flat_destination_is_a_bit_mask),
        T(logical_cluster_destination_is_cluster_and_mask),
        X(x2apic_logical_destination_is_cluster_and_mask),
        T(state_moves_with_its_derived_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
