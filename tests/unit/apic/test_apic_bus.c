/* Messages between APICs: destinations, arbitration, latency, order, back-pressure, faults, the I/O APIC in
 * it. */

#include "apic/apic_bus.h"

#include "../dev/dev_harness.h"
#include "base/bits.h"

#define CPUS  4u
#define IPI   100u
#define IOLAT 250u

struct arrival {
    unsigned cpu;
    char kind;
    uint8_t vector;
    uint64_t at;
};

struct fixture {
    struct event_queue *q;
    struct apic_bus bus;
    struct lapic l[CPUS];
    struct ioapic io;
    struct arrival arrivals[256];
    unsigned count;
};

static struct fixture f;

static void record(unsigned cpu, char kind, uint8_t vector, uint64_t at)
{
    assert_true(f.count < 256);
    f.arrivals[f.count++] = (struct arrival){cpu, kind, vector, at};
}

static void on_intr(void *target, unsigned cpu, bool asserted, uint64_t now)
{
    (void)target;
    if (asserted) {
        record(cpu, 'i', (uint8_t)lapic_pending(&f.l[cpu]), now);
    }
}

static void on_nmi(void *target, unsigned cpu, uint64_t now)
{
    (void)target;
    record(cpu, 'n', 0, now);
}

static void on_init(void *target, unsigned cpu, uint64_t now)
{
    (void)target;
    record(cpu, 'r', 0, now);
}

static void on_sipi(void *target, unsigned cpu, uint8_t vector, uint64_t now)
{
    (void)target;
    record(cpu, 's', vector, now);
}

static void make(unsigned capacity)
{
    f = (struct fixture){.q = event_queue_create()};
    apic_bus_init(&f.bus, &(struct apic_bus_config){IPI, IOLAT, capacity}, f.q);
    for (unsigned i = 0; i < CPUS; i++) {
        struct lapic_config config = {.apic_id = i, .bsp = i == 0, .x2apic = true, .bus_hz = LAPIC_BUS_HZ};
        struct lapic_signals signals = {NULL, i, on_intr, on_nmi, NULL, on_init, on_sipi};
        lapic_init(&f.l[i], &config, &signals, f.q);
        apic_bus_add_lapic(&f.bus, &f.l[i]);
        lapic_write(&f.l[i], LAPIC_SVR, 0x1ff, 0);
    }
    ioapic_init(&f.io, &(struct ioapic_config){.id = 5, .low_active_pins = 1u << 20});
    apic_bus_add_ioapic(&f.bus, &f.io);
}

static int setup(void **state)
{
    (void)state;
    make(64);
    return 0;
}

static int setup_small(void **state)
{
    (void)state;
    make(CPUS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    return 0;
}

static void ipi(unsigned from, unsigned destination, uint32_t icr_lo, uint64_t at)
{
    run_until(f.q, at);
    lapic_write(&f.l[from], LAPIC_ICR_HI, destination << 24, at);
    lapic_write(&f.l[from], LAPIC_ICR_LO, icr_lo, at);
}

static void assert_arrival(unsigned index, unsigned cpu, char kind, unsigned vector, uint64_t at)
{
    assert_true(index < f.count);
    assert_int_equal(f.arrivals[index].cpu, cpu);
    assert_int_equal(f.arrivals[index].kind, kind);
    assert_int_equal(f.arrivals[index].vector, vector);
    assert_int_equal(f.arrivals[index].at, at);
}

static void fixed_ipi_arrives_after_the_latency(void **state)
{
    (void)state;
    ipi(0, 2, 0x4041, 1000);
    assert_int_equal(lapic_read(&f.l[0], LAPIC_ICR_LO, 1000) & LAPIC_ICR_PENDING, LAPIC_ICR_PENDING);
    run_until(f.q, 1000 + IPI - 1);
    assert_int_equal(f.count, 0);
    run_until(f.q, 1000 + IPI);
    assert_int_equal(f.count, 1);
    assert_arrival(0, 2, 'i', 0x41, 1000 + IPI);
    assert_int_equal(lapic_read(&f.l[0], LAPIC_ICR_LO, 1000) & LAPIC_ICR_PENDING, 0);
}

static void init_and_startup_wake_one_cpu(void **state)
{
    (void)state;
    ipi(0, 3, 0xc500, 10);
    ipi(0, 3, 0x8500, 20); /* the de-assert sends nothing */
    ipi(0, 3, 0x4609, 30);
    run_until(f.q, 1000);
    assert_int_equal(f.count, 2);
    assert_arrival(0, 3, 'r', 0, 10 + IPI);
    assert_arrival(1, 3, 's', 9, 30 + IPI);
}

static void shorthands_reach_all_or_all_others_in_cpu_order(void **state)
{
    (void)state;
    ipi(1, 0, 0xc4400, 10); /* NMI to the others */
    run_until(f.q, 500);
    assert_int_equal(f.count, 3);
    assert_arrival(0, 0, 'n', 0, 10 + IPI);
    assert_arrival(1, 2, 'n', 0, 10 + IPI);
    assert_arrival(2, 3, 'n', 0, 10 + IPI);
    ipi(1, 0, 0x84055, 600);
    run_until(f.q, 1000);
    assert_int_equal(f.count, 7);
    assert_arrival(4, 1, 'i', 0x55, 600 + IPI);
}

static void physical_broadcast_reaches_the_sender_too(void **state)
{
    (void)state;
    ipi(1, 0xff, 0x4055, 10);
    run_until(f.q, 500);
    assert_int_equal(f.count, 4);
}

static void logical_destinations_reach_every_member(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CPUS; i++) {
        lapic_write(&f.l[i], LAPIC_LDR, UINT32_C(0x1000000) << i, 0);
    }
    ipi(0, 0x0a, 0x4855, 10);
    run_until(f.q, 500);
    assert_int_equal(f.count, 2);
    assert_arrival(0, 1, 'i', 0x55, 10 + IPI);
    assert_arrival(1, 3, 'i', 0x55, 10 + IPI);
}

static void lowest_priority_goes_to_the_least_busy_cpu(void **state)
{
    (void)state;
    static const unsigned tpr[CPUS] = {0x30, 0x20, 0x10, 0x20};
    for (unsigned i = 0; i < CPUS; i++) {
        lapic_write(&f.l[i], LAPIC_TPR, tpr[i], 0);
    }
    ipi(0, 0xff, 0x4191, 10);
    run_until(f.q, 500);
    assert_int_equal(f.count, 1);
    assert_arrival(0, 2, 'i', 0x91, 10 + IPI);
}

static void lowest_priority_ties_go_round(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 8; n++) {
        uint64_t at = 1000 * (n + 1);
        ipi(0, 0xff, 0x4191, at);
        run_until(f.q, at + IPI);
        unsigned cpu = f.arrivals[f.count - 1].cpu;
        assert_int_equal(cpu, (n + 1) % CPUS);
        lapic_acknowledge(&f.l[cpu], at + IPI);
        lapic_write(&f.l[cpu], LAPIC_EOI, 0, at + IPI);
    }
}

static void lowest_priority_passes_over_disabled_apics(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        lapic_write(&f.l[i], LAPIC_SVR, 0xff, 0);
    }
    ipi(0, 0xff, 0x4191, 10);
    run_until(f.q, 500);
    assert_int_equal(f.count, 1);
    assert_arrival(0, 3, 'i', 0x91, 10 + IPI);
}

static void x2apic_reaches_by_32_bit_id_and_by_cluster(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CPUS; i++) {
        assert_int_equal(lapic_msr_write(&f.l[i], MSR_APIC_BASE, LAPIC_BASE | 0xc00, 0), LAPIC_OK);
    }
    assert_int_equal(lapic_msr_write(&f.l[0], 0x830, UINT64_C(0x0000000300004041), 10), LAPIC_OK);
    assert_int_equal(lapic_msr_write(&f.l[0], 0x830, UINT64_C(0x0000000600004842), 20), LAPIC_OK);
    run_until(f.q, 500);
    assert_int_equal(f.count, 3);
    assert_arrival(0, 3, 'i', 0x41, 10 + IPI);
    assert_arrival(1, 1, 'i', 0x42, 20 + IPI);
    assert_arrival(2, 2, 'i', 0x42, 20 + IPI);
}

static void globally_disabled_apic_is_not_reached(void **state)
{
    (void)state;
    lapic_msr_write(&f.l[2], MSR_APIC_BASE, LAPIC_BASE, 0);
    ipi(0, 0, 0xc4400, 10);
    ipi(0, 2, 0x4400, 20);
    run_until(f.q, 500);
    assert_int_equal(f.count, 2);
}

static void messages_of_one_moment_arrive_in_the_order_sent(void **state)
{
    (void)state;
    ipi(3, 0, 0x4400, 10);
    ipi(2, 1, 0x4400, 10);
    ipi(1, 3, 0x4400, 10);
    run_until(f.q, 500);
    assert_arrival(0, 0, 'n', 0, 110);
    assert_arrival(1, 1, 'n', 0, 110);
    assert_arrival(2, 3, 'n', 0, 110);
}

static void full_bus_makes_the_sender_wait_and_nothing_is_lost(void **state)
{
    (void)state;
    ipi(0, 0, 0xc4400, 10); /* three in flight, room for one */
    ipi(1, 0, 0xc4400, 20);
    assert_true(lapic_icr_stalls(&f.l[1]));
    ipi(2, 0, 0x4400, 30); /* would fit, but waits its turn */
    assert_true(lapic_icr_stalls(&f.l[2]));
    run_until(f.q, 10 + IPI);
    assert_int_equal(f.count, 3);
    assert_false(lapic_icr_stalls(&f.l[1]));
    assert_false(lapic_icr_stalls(&f.l[2]));
    run_until(f.q, 10000);
    assert_int_equal(f.count, 7);
    assert_arrival(3, 0, 'n', 0, 10 + IPI + IPI);
    assert_arrival(6, 0, 'n', 0, 10 + IPI + IPI);
}

static void io_apic_keeps_its_message_while_the_bus_is_full(void **state)
{
    (void)state;
    struct bus_cx cx = {0, 0};
    ioapic_ops.mmio_write(&f.io, &cx, 0, 0x10 + 8, 4);
    ioapic_ops.mmio_write(&f.io, &cx, 0x10, 0x61, 4);
    ipi(1, 0xff, 0x4055, 10);
    ioapic_set_pin(&f.io, 4, true, 20);
    assert_true(f.io.rte[4] & IOAPIC_RTE_DELIVS);
    run_until(f.q, 110);
    assert_false(f.io.rte[4] & IOAPIC_RTE_DELIVS);
    lapic_acknowledge(&f.l[0], 111);
    lapic_write(&f.l[0], LAPIC_EOI, 0, 111);
    run_until(f.q, 5000);
    assert_arrival(4, 0, 'i', 0x61, 110 + IOLAT);
}

static void faults_delay_or_lose_the_named_delivery(void **state)
{
    (void)state;
    assert_true(apic_bus_add_fault(&f.bus, &(struct apic_bus_fault){.sequence = 1, .lost = true}));
    assert_true(apic_bus_add_fault(&f.bus, &(struct apic_bus_fault){.sequence = 2, .delay_cycles = 5000}));
    ipi(0, 0, 0xc4400, 10); /* deliveries 0, 1, 2 to cpus 1, 2, 3 */
    ipi(0, 3, 0x4400, 20);
    run_until(f.q, 10000);
    assert_int_equal(f.count, 3);
    assert_arrival(0, 1, 'n', 0, 10 + IPI);
    assert_arrival(1, 3, 'n', 0, 20 + IPI); /* overtakes the late one */
    assert_arrival(2, 3, 'n', 0, 10 + IPI + 5000);
    assert_int_equal(f.bus.fault_count, 0);
}

static void fault_for_a_delivery_that_has_passed_is_refused(void **state)
{
    (void)state;
    ipi(0, 1, 0x4400, 10);
    assert_false(apic_bus_add_fault(&f.bus, &(struct apic_bus_fault){.sequence = 0, .lost = true}));
    for (unsigned i = 0; i < APIC_BUS_FAULTS_MAX; i++) {
        assert_true(apic_bus_add_fault(&f.bus, &(struct apic_bus_fault){.sequence = 100 + i}));
    }
    assert_false(apic_bus_add_fault(&f.bus, &(struct apic_bus_fault){.sequence = 99}));
}

static void msi_is_decoded_from_address_and_data(void **state)
{
    (void)state;
    assert_true(apic_bus_msi(&f.bus, 0xfee02000, 0x4077, 10));
    assert_true(apic_bus_msi(&f.bus, 0xfee01000, 0x0400, 20)); /* NMI */
    run_until(f.q, 1000);
    assert_int_equal(f.count, 2);
    assert_arrival(0, 2, 'i', 0x77, 10 + IOLAT);
    assert_arrival(1, 1, 'n', 0, 20 + IOLAT);
    lapic_write(&f.l[3], LAPIC_LDR, 0x08000000, 0);
    assert_true(apic_bus_msi(&f.bus, 0xfee08004, 0x0088, 2000)); /* logical */
    run_until(f.q, 3000);
    assert_arrival(2, 3, 'i', 0x88, 2000 + IOLAT);
}

static void msi_on_a_full_bus_is_refused(void **state)
{
    (void)state;
    ipi(1, 0xff, 0x4055, 10);
    assert_false(apic_bus_msi(&f.bus, 0xfee02000, 0x4077, 20));
    run_until(f.q, 110);
    assert_true(apic_bus_msi(&f.bus, 0xfee02000, 0x4077, 120));
}

static void register_page_selects_the_apic_of_the_cpu(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CPUS; i++) {
        struct bus_cx cx = {0, i};
        assert_int_equal(apic_bus_mmio_ops.mmio_read(&f.bus, &cx, 0x20, 4), i << 24);
        apic_bus_mmio_ops.mmio_write(&f.bus, &cx, 0x80, i + 1, 4);
    }
    assert_int_equal(f.l[2].tpr, 3);
    struct bus_cx cx = {0, 2};
    assert_int_equal(apic_bus_mmio_ops.mmio_read(&f.bus, &cx, 0x23, 1), 0x02);
    apic_bus_mmio_ops.mmio_write(&f.bus, &cx, 0x80, 0x99, 1);
    apic_bus_mmio_ops.mmio_write(&f.bus, &cx, 0x84, 0x99, 4);
    assert_int_equal(f.l[2].tpr, 3);
    lapic_msr_write(&f.l[2], MSR_APIC_BASE, LAPIC_BASE | 0xc00, 0);
    assert_int_equal(apic_bus_mmio_ops.mmio_read(&f.bus, &cx, 0x20, 4), 0xffffffff);
    cx.cpu = BUS_NO_CPU;
    assert_int_equal(apic_bus_mmio_ops.mmio_read(&f.bus, &cx, 0x20, 4), 0xffffffff);
}

static void state_moves_with_messages_in_flight_and_waiters(void **state)
{
    (void)state;
    ipi(0, 0, 0xc4400, 10);
    ipi(1, 0, 0xc4400, 20);
    apic_bus_add_fault(&f.bus, &(struct apic_bus_fault){.sequence = 50, .delay_cycles = 7});
    struct apic_bus *other = test_malloc(sizeof *other);
    *other = f.bus;
    memset(other->queue, 0, sizeof other->queue);
    memset(other->in_flight, 0xff, sizeof other->in_flight);
    other->count = other->waiter_count = other->fault_count = 0;
    assert_state_moves(&apic_bus_mmio_ops, &f.bus, other);
    assert_int_equal(other->count, 3);
    assert_int_equal(other->waiters[0], 1);
    assert_int_equal(other->queue[2].lapic, 3);
    assert_int_equal(other->queue[2].message.delivery, APIC_NMI);
    assert_int_equal(other->queue[2].due_cycles, 10 + IPI);
    assert_int_equal(other->faults[0].sequence, 50);
    assert_int_equal(other->in_flight[0], 3);
    assert_int_equal(other->in_flight[1], 0);
    test_free(other);
}

static void level_interrupt_runs_through_io_apic_lapic_and_eoi(void **state)
{
    (void)state;
    struct bus_cx cx = {0, 0};
    ioapic_ops.mmio_write(&f.io, &cx, 0, 0x10 + 2 * 20 + 1, 4);
    ioapic_ops.mmio_write(&f.io, &cx, 0x10, 2u << 24, 4);
    ioapic_ops.mmio_write(&f.io, &cx, 0, 0x10 + 2 * 20, 4);
    ioapic_ops.mmio_write(&f.io, &cx, 0x10, 0xa0b5, 4); /* level, active low */
    ioapic_set_pin(&f.io, 20, true, 1000);
    run_until(f.q, 1000 + IOLAT);
    assert_arrival(0, 2, 'i', 0xb5, 1000 + IOLAT);
    assert_int_equal(lapic_acknowledge(&f.l[2], 2000), 0xb5);
    lapic_write(&f.l[2], LAPIC_EOI, 0, 2100); /* still asserted: comes again */
    run_until(f.q, 2100 + IOLAT);
    assert_arrival(1, 2, 'i', 0xb5, 2100 + IOLAT);
    lapic_acknowledge(&f.l[2], 3000);
    ioapic_set_pin(&f.io, 20, false, 3050);
    lapic_write(&f.l[2], LAPIC_EOI, 0, 3100);
    run_until(f.q, 9000);
    assert_int_equal(f.count, 2);
}

static void sender_after_the_queue_has_been_served_waits_like_the_others(void **state)
{
    (void)state;
    ipi(0, 0, 0xc4400, 10); /* three in flight of four */
    ipi(1, 0, 0xc4400, 20); /* waits for three */
    run_until(f.q, 10 + IPI);
    ipi(2, 0, 0xc4400, 120); /* no room again */
    ipi(3, 1, 0x4400, 130);
    assert_true(lapic_icr_stalls(&f.l[2]));
    assert_true(lapic_icr_stalls(&f.l[3]));
    assert_int_equal(f.bus.waiters[0], 2);
    assert_int_equal(f.bus.waiters[1], 3);
    run_until(f.q, 10000);
    assert_int_equal(f.count, 10);
}

static void only_acceptor_wins_every_time(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        lapic_write(&f.l[i], LAPIC_SVR, 0xff, 0);
    }
    ipi(0, 0xff, 0x4191, 10);
    ipi(0, 0xff, 0x41a1, 20);
    run_until(f.q, 500);
    assert_int_equal(lapic_pending(&f.l[3]), 0xa1);
}

static void page_of_an_x2apic_ignores_writes(void **state)
{
    (void)state;
    struct bus_cx cx = {0, 2};
    lapic_msr_write(&f.l[2], MSR_APIC_BASE, LAPIC_BASE | 0xc00, 0);
    apic_bus_mmio_ops.mmio_write(&f.bus, &cx, 0x80, 0x30, 4);
    assert_int_equal(f.l[2].tpr, 0);
    cx.cpu = CPUS;
    apic_bus_mmio_ops.mmio_write(&f.bus, &cx, 0x80, 0x30, 4);
}

static void msi_with_a_reserved_mode_goes_nowhere(void **state)
{
    (void)state;
    assert_true(apic_bus_msi(&f.bus, 0xfee02000, 0x0608, 10)); /* start-up */
    assert_true(apic_bus_msi(&f.bus, 0xfee02000, 0x0308, 10));
    run_until(f.q, 1000);
    assert_int_equal(f.count, 0);
}

static void fault_may_name_the_very_next_delivery(void **state)
{
    (void)state;
    ipi(0, 1, 0x4400, 10);
    assert_true(apic_bus_add_fault(&f.bus, &(struct apic_bus_fault){.sequence = 1, .lost = true}));
    ipi(0, 1, 0x4400, 20);
    run_until(f.q, 1000);
    assert_int_equal(f.count, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define S(name) cmocka_unit_test_setup_teardown(name, setup_small, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(fixed_ipi_arrives_after_the_latency),
        T(init_and_startup_wake_one_cpu),
        T(shorthands_reach_all_or_all_others_in_cpu_order),
        T(physical_broadcast_reaches_the_sender_too),
        T(logical_destinations_reach_every_member),
        T(lowest_priority_goes_to_the_least_busy_cpu),
        T(lowest_priority_ties_go_round),
        T(lowest_priority_passes_over_disabled_apics),
        T(x2apic_reaches_by_32_bit_id_and_by_cluster),
        T(globally_disabled_apic_is_not_reached),
        T(messages_of_one_moment_arrive_in_the_order_sent),
        S(full_bus_makes_the_sender_wait_and_nothing_is_lost),
        S(io_apic_keeps_its_message_while_the_bus_is_full),
        T(faults_delay_or_lose_the_named_delivery),
        T(fault_for_a_delivery_that_has_passed_is_refused),
        T(msi_is_decoded_from_address_and_data),
        S(msi_on_a_full_bus_is_refused),
        T(register_page_selects_the_apic_of_the_cpu),
        S(state_moves_with_messages_in_flight_and_waiters),
        T(level_interrupt_runs_through_io_apic_lapic_and_eoi),
        S(sender_after_the_queue_has_been_served_waits_like_the_others),
        T(only_acceptor_wins_every_time),
        T(page_of_an_x2apic_ignores_writes),
        T(msi_with_a_reserved_mode_goes_nowhere),
        T(fault_may_name_the_very_next_delivery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
