/*
 * The high precision event timer.
 *
 * Source: IA-PC HPET specification 1.0a, "Register Model and Programming", "Theory of Operation".
 *
 * Nothing is ticked: the counter is a function of the clock, and each comparator has one event at the moment
 * at which the counter becomes equal to it.
 *
 * Deviations: an edge-triggered output stays high after a match and drops just before the next one, so that
 * an 8259 input, which wants its request to stay, does not lose it. No FSB interrupts (the capability bit is
 * clear). A comparator that is written equal to the counter matches after a full turn. At 14.31818 MHz the
 * period register is rounded to a femtosecond; the counter is not. Accesses other than aligned ones of 4 or 8
 * bytes are ignored and read as zero.
 */

#include "dev/hpet.h"

#include "base/bits.h"
#include "base/check.h"
#include "core/clock.h"

#define FEMTOSECONDS     UINT64_C(1000000000000000)
#define CAPABILITIES_LOW UINT64_C(0x8086a001) /* vendor, legacy replacement, 64-bit counter, revision 1 */
#define TIMER_WRITABLE                                                                                \
    (HPET_TN_INT_TYPE_LEVEL | HPET_TN_INT_ENB | HPET_TN_PERIODIC | HPET_TN_VAL_SET | HPET_TN_32MODE | \
     HPET_TN_INT_ROUTE)
#define ROUTE_SHIFT 9
#define LEGACY_ON   4u

static bool enabled(const struct hpet *h)
{
    return h->configuration & HPET_ENABLE_CNF;
}

static uint64_t counter_at(const struct hpet *h, uint64_t now_cycles)
{
    return h->base_count + (enabled(h) ? clock_ticks(now_cycles - h->base_cycles, h->config.hz) : 0);
}

static uint64_t timer_mask(const struct hpet_timer *t)
{
    return t->configuration & HPET_TN_32MODE ? UINT32_MAX : UINT64_MAX;
}

/* The counter value of the next match after count, which has the counter's full width. */
static uint64_t next_match(const struct hpet_timer *t, uint64_t count)
{
    uint64_t mask = timer_mask(t);
    uint64_t wait = (t->comparator - count) & mask;
    return wait ? count + wait : count + mask + 1; /* 64 bits wide: the count itself, a full turn away */
}

static void arm(struct hpet *h, unsigned n, uint64_t now_cycles)
{
    uint64_t due = EVENT_NEVER;
    if (enabled(h)) {
        uint64_t count = counter_at(h, now_cycles);
        uint64_t target = next_match(&h->timers[n], count);
        uint64_t ticks = target - h->base_count;
        bool in_reach =
            target != count && ticks <= clock_ticks(EVENT_NEVER - 1 - h->base_cycles, h->config.hz);
        bool wraps = ticks < count - h->base_count; /* beyond the counter's turn */
        due = in_reach && !wraps ? h->base_cycles + clock_cycles(ticks, h->config.hz) : EVENT_NEVER;
    }
    event_arm(h->events, h->first_event + n, due);
}

static void arm_all(struct hpet *h, uint64_t now_cycles)
{
    for (unsigned n = 0; n < h->config.timers; n++) {
        arm(h, n, now_cycles);
    }
}

static bool uses_legacy_route(const struct hpet *h, unsigned n)
{
    return (h->configuration & HPET_LEG_RT_CNF) && n < 2;
}

static void drive_legacy(struct hpet *h, uint8_t levels, uint64_t now_cycles)
{
    uint8_t changed = levels ^ h->legacy_levels;
    h->legacy_levels = levels;
    if (changed & LEGACY_ON) {
        irq_set(&h->wiring.legacy_on, levels & LEGACY_ON, now_cycles);
    }
    for (unsigned i = 0; i < 2; i++) {
        if (changed >> i & 1) {
            irq_set(&h->wiring.legacy[i], levels >> i & 1, now_cycles);
        }
    }
}

static void drive_ioapic(struct hpet *h, uint32_t levels, uint64_t now_cycles)
{
    uint32_t changed = levels ^ h->ioapic_levels;
    h->ioapic_levels = levels;
    for (unsigned i = 0; i < 32; i++) {
        if (changed >> i & 1) {
            struct irq_line l = h->wiring.ioapic;
            l.line += i;
            irq_set(&l, levels >> i & 1, now_cycles);
        }
    }
}

/* Brings the output lines in agreement with what the comparators assert; shared routes are ORed. */
static void update_lines(struct hpet *h, uint64_t now_cycles)
{
    unsigned legacy = h->configuration & HPET_LEG_RT_CNF ? LEGACY_ON : 0;
    uint32_t ioapic = 0;
    for (unsigned n = 0; n < h->config.timers; n++) {
        const struct hpet_timer *t = &h->timers[n];
        if (!t->asserted || !(t->configuration & HPET_TN_INT_ENB) || !enabled(h)) {
            continue;
        }
        if (uses_legacy_route(h, n)) {
            legacy |= 1u << n;
        } else {
            ioapic |= UINT32_C(1) << ((t->configuration & HPET_TN_INT_ROUTE) >> ROUTE_SHIFT);
        }
    }
    drive_legacy(h, (uint8_t)legacy, now_cycles);
    drive_ioapic(h, ioapic, now_cycles);
}

static void match(void *owner, unsigned n, uint64_t due_cycles)
{
    struct hpet *h = owner;
    struct hpet_timer *t = &h->timers[n];
    if (t->configuration & HPET_TN_INT_TYPE_LEVEL) {
        h->status |= BIT(n);
    } else {
        t->asserted = false; /* a new edge */
        update_lines(h, due_cycles);
    }
    t->asserted =
        t->configuration & (HPET_TN_INT_ENB | HPET_TN_INT_TYPE_LEVEL); /* an edge not let out is gone */
    if (t->configuration & HPET_TN_PERIODIC) {
        t->comparator = (t->comparator + t->period) & timer_mask(t);
    }
    update_lines(h, due_cycles);
    arm(h, n, due_cycles);
}

static void write_configuration(struct hpet *h, uint64_t value, uint64_t now_cycles)
{
    uint64_t count = counter_at(h, now_cycles);
    bool toggled = (value ^ h->configuration) & HPET_ENABLE_CNF;
    h->configuration = value & (HPET_ENABLE_CNF | HPET_LEG_RT_CNF);
    if (toggled) { /* else the counter keeps its phase */
        h->base_count = count;
        h->base_cycles = now_cycles;
    }
    arm_all(h, now_cycles);
    update_lines(h, now_cycles);
}

static void write_status(struct hpet *h, uint64_t value, uint64_t now_cycles)
{
    for (unsigned n = 0; n < h->config.timers; n++) {
        if (h->status & value & BIT(n)) {
            h->timers[n].asserted = false;
        }
    }
    h->status &= ~value;
    update_lines(h, now_cycles);
}

static void write_timer_configuration(struct hpet *h, unsigned n, uint64_t value, uint64_t now_cycles)
{
    struct hpet_timer *t = &h->timers[n];
    uint64_t route = (value & HPET_TN_INT_ROUTE) >> ROUTE_SHIFT;
    if (!(h->config.route_mask >> route & 1)) { /* not a route: the field keeps its value */
        value = (value & ~HPET_TN_INT_ROUTE) | (t->configuration & HPET_TN_INT_ROUTE);
    }
    uint64_t changed = value ^ t->configuration;
    t->configuration = value & TIMER_WRITABLE;
    if (changed & HPET_TN_INT_TYPE_LEVEL) {
        t->asserted = false;
        h->status &= ~BIT(n);
    }
    if (!(value & (HPET_TN_INT_ENB | HPET_TN_INT_TYPE_LEVEL))) {
        t->asserted = false;
    }
    t->comparator &= timer_mask(t);
    arm(h, n, now_cycles);
    update_lines(h, now_cycles);
}

/* A periodic comparator's register is its period; VAL_SET opens the comparator itself for one write. */
static void write_comparator(struct hpet *h, unsigned n, uint64_t value, uint64_t half, uint64_t now_cycles)
{
    struct hpet_timer *t = &h->timers[n];
    bool periodic = t->configuration & HPET_TN_PERIODIC;
    if (!periodic || (t->configuration & HPET_TN_VAL_SET)) {
        t->comparator = ((t->comparator & ~half) | (value & half)) & timer_mask(t);
    }
    if (periodic) {
        t->period = ((t->period & ~half) | (value & half)) & timer_mask(t);
    }
    t->configuration &= ~HPET_TN_VAL_SET;
    arm(h, n, now_cycles);
}

static void write_counter(struct hpet *h, uint64_t value, uint64_t now_cycles)
{
    h->base_count = value;
    h->base_cycles = now_cycles;
    arm_all(h, now_cycles);
}

static uint64_t read_register(const struct hpet *h, uint64_t offset, uint64_t now_cycles)
{
    switch (offset) {
    case HPET_CAPABILITIES:
        return (FEMTOSECONDS + h->config.hz / 2) / h->config.hz << 32 | CAPABILITIES_LOW |
               (uint64_t)(h->config.timers - 1) << 8;
    case HPET_CONFIGURATION:
        return h->configuration;
    case HPET_INTERRUPT_STATUS:
        return h->status;
    case HPET_MAIN_COUNTER:
        return counter_at(h, now_cycles);
    default:
        break;
    }
    uint64_t n = (offset - HPET_TIMER_CONFIGURATION) / 0x20;
    if (offset < HPET_TIMER_CONFIGURATION || n >= h->config.timers) {
        return 0;
    }
    switch (offset & 0x1f) {
    case 0:
        return h->timers[n].configuration | HPET_TN_PER_INT_CAP | HPET_TN_SIZE_CAP |
               (uint64_t)h->config.route_mask << 32;
    case 8:
        return h->timers[n].comparator;
    default:
        return 0;
    }
}

/* value has been shifted to its place in the register; half tells which bits are written. */
static void write_register(struct hpet *h, uint64_t offset, uint64_t value, uint64_t half,
                           uint64_t now_cycles)
{
    uint64_t merged = (read_register(h, offset, now_cycles) & ~half) | value;
    switch (offset) {
    case HPET_CONFIGURATION:
        write_configuration(h, merged, now_cycles);
        return;
    case HPET_INTERRUPT_STATUS:
        write_status(h, value, now_cycles);
        return;
    case HPET_MAIN_COUNTER:
        write_counter(h, merged, now_cycles);
        return;
    default:
        break;
    }
    uint64_t n = (offset - HPET_TIMER_CONFIGURATION) / 0x20;
    if (offset < HPET_TIMER_CONFIGURATION || n >= h->config.timers) {
        return;
    }
    if ((offset & 0x1f) == 0) {
        write_timer_configuration(h, (unsigned)n, merged, now_cycles);
    } else if ((offset & 0x1f) == 8) {
        write_comparator(h, (unsigned)n, value, half, now_cycles);
    }
}

static bool is_regular(uint64_t offset, unsigned size_bytes)
{
    return (size_bytes == 4 || size_bytes == 8) && offset % size_bytes == 0;
}

static uint64_t hpet_mmio_read(void *dev, const struct bus_cx *cx, uint64_t offset, unsigned size_bytes)
{
    if (!is_regular(offset, size_bytes)) {
        return 0;
    }
    return read_register(dev, align_down(offset, 8), cx->now_cycles) >> (offset & 4) * 8;
}

static void hpet_mmio_write(void *dev, const struct bus_cx *cx, uint64_t offset, uint64_t value,
                            unsigned size_bytes)
{
    if (is_regular(offset, size_bytes)) {
        unsigned shift = (unsigned)(offset & 4) * 8;
        uint64_t half = bits_size_mask(size_bytes) << shift;
        write_register(dev, align_down(offset, 8), value << shift, half, cx->now_cycles);
    }
}

void hpet_reset(struct hpet *h, uint64_t now_cycles)
{
    h->configuration = h->status = h->base_count = 0;
    h->base_cycles = now_cycles;
    uint64_t route = h->config.route_mask ? (uint64_t)__builtin_ctz(h->config.route_mask) : 0;
    for (unsigned n = 0; n < h->config.timers; n++) {
        h->timers[n] = (struct hpet_timer){.configuration = route << ROUTE_SHIFT, .comparator = UINT64_MAX};
    }
    arm_all(h, now_cycles);
    update_lines(h, now_cycles);
}

void hpet_init(struct hpet *h, const struct hpet_config *config, const struct hpet_wiring *wiring,
               struct event_queue *events)
{
    CHECK(config->timers >= 3 && config->timers <= HPET_TIMERS_MAX, "%u comparators", config->timers);
    CHECK(config->hz >= HPET_HZ_10M && config->hz < CLOCK_TSC_HZ, "HPET rate");
    *h = (struct hpet){.config = *config, .wiring = *wiring, .events = events};
    for (unsigned n = 0; n < config->timers; n++) {
        unsigned event = event_timer_add(events, "hpet", match, h, n);
        h->first_event = n == 0 ? event : h->first_event;
    }
    hpet_reset(h, 0);
}

void hpet_visit(struct hpet *h, struct visitor *v)
{
    visit_u64(v, "configuration", &h->configuration);
    visit_u64(v, "status", &h->status);
    for (unsigned n = 0; n < h->config.timers; n++) {
        struct hpet_timer *t = &h->timers[n];
        visit_enter(v, "timer", n);
        visit_u64(v, "configuration", &t->configuration);
        visit_u64(v, "comparator", &t->comparator);
        visit_u64(v, "period", &t->period);
        visit_bool(v, "asserted", &t->asserted);
        visit_leave(v);
    }
    visit_u32(v, "ioapic_levels", &h->ioapic_levels);
    visit_u8(v, "legacy_levels", &h->legacy_levels);
    if (!enabled(h) || v->level >= VISIT_MACHINE) { /* a counter that stands is a plain register */
        visit_u64(v, "base_count", &h->base_count);
    }
    if (v->level >= VISIT_MACHINE) {
        visit_u64(v, "base_cycles", &h->base_cycles);
    }
}

static void visit_op(void *dev, struct visitor *v)
{
    hpet_visit(dev, v);
}

const struct device_ops hpet_ops = {
    .name = "hpet",
    .mmio_read = hpet_mmio_read,
    .mmio_write = hpet_mmio_write,
    .visit = visit_op,
};
