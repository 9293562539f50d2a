#ifndef ORRERY_TEST_LAPIC_HARNESS_H
#define ORRERY_TEST_LAPIC_HARNESS_H

/* One local APIC whose port and signals are recorders. */

#include "apic/lapic.h"

#include "../dev/dev_harness.h"

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

static inline void on_intr(void *target, unsigned cpu, bool asserted, uint64_t now)
{
    log_line(&((struct fixture *)target)->intr, cpu, asserted, now);
}

static inline void on_nmi(void *target, unsigned cpu, uint64_t now)
{
    (void)target;
    assert_int_equal(cpu, 3);
    f.nmis++;
    f.nmi_at = now;
}

static inline void on_smi(void *target, unsigned cpu, uint64_t now)
{
    (void)target;
    (void)cpu;
    (void)now;
    f.smis++;
}

static inline void on_init(void *target, unsigned cpu, uint64_t now)
{
    (void)target;
    (void)cpu;
    (void)now;
    f.inits++;
}

static inline void on_sipi(void *target, unsigned cpu, uint8_t vector, uint64_t now)
{
    (void)target;
    (void)cpu;
    (void)now;
    f.sipis++;
    f.sipi_vector = vector;
}

static inline enum apic_send_result fake_send(void *target, unsigned source, const struct apic_message *m,
                                              uint64_t now)
{
    (void)target;
    (void)source;
    (void)now;
    f.sent = *m;
    f.sends++;
    return f.answer;
}

static inline void fake_eoi(void *target, uint8_t vector, uint64_t now)
{
    (void)target;
    (void)now;
    f.eois++;
    f.eoi_vector = vector;
}

static inline bool fake_in_flight(void *target, unsigned source)
{
    (void)target;
    (void)source;
    return f.in_flight;
}

static struct lapic_config config = {
    .apic_id = 0x25, .bsp = true, .x2apic = true, .tsc_deadline = true, .bus_hz = LAPIC_BUS_HZ};

static inline void wr(uint32_t offset, uint32_t value, uint64_t at)
{
    run_until(f.q, at);
    lapic_write(&f.l, offset, value, at);
}

static inline uint32_t rd(uint32_t offset, uint64_t at)
{
    run_until(f.q, at);
    return lapic_read(&f.l, offset, at);
}

static inline void make(void)
{
    f = (struct fixture){.q = event_queue_create()};
    struct lapic_signals signals = {&f, 3, on_intr, on_nmi, on_smi, on_init, on_sipi};
    lapic_init(&f.l, &config, &signals, f.q);
    f.l.port = (struct apic_port){fake_send, fake_eoi, fake_in_flight, NULL, 0};
}

static inline int setup(void **state)
{
    (void)state;
    make();
    wr(LAPIC_SVR, 0x1ff, 0);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    return 0;
}

static inline enum lapic_result set_msr(uint32_t msr, uint64_t value)
{
    return lapic_msr_write(&f.l, msr, value, 0);
}

static inline enum lapic_result get_msr(uint32_t msr, uint64_t *value)
{
    *value = 0;
    return lapic_msr_read(&f.l, msr, value, 0);
}

static inline int setup_x2(void **state)
{
    setup(state);
    assert_int_equal(set_msr(MSR_APIC_BASE, LAPIC_BASE | 0xc00), OK);
    return 0;
}

static inline void arrive(enum apic_delivery delivery, unsigned vector, bool level)
{
    struct apic_message m = {.delivery = delivery, .vector = (uint8_t)vector, .level_triggered = level};
    lapic_deliver(&f.l, &m, 50);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define X(name) cmocka_unit_test_setup_teardown(name, setup_x2, teardown)

#endif
