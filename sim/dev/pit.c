/*
 * The 8254 programmable interval timer and system control port B (0x61).
 *
 * Source: Intel 8254 data sheet, "Programming the 8254", "Mode Definitions", "Operation Common to All Modes";
 * for port 0x61 the register description of Intel's I/O controller hubs, "NMI Status and Control Register".
 *
 * CLK pulse n comes at clock_cycles(n, PIT_HZ), from cycle 0 on. What is written between pulses T and T + 1
 * takes effect at T + 1. Nothing is ticked: a channel keeps the pulse at which its counting element held a
 * known value, and every count and every level of OUT is a function of that. A load that is still to come
 * (load_tick) is done when the channel is next looked at; only channel 0, whose OUT is an interrupt, has
 * events.
 *
 * Deviations: GATE going low during the strobe of mode 4 ends it. A count of 1 in modes 2 and 3, which is
 * illegal, gives a constant OUT. Digits above 9 in BCD counts are taken at their face value. The refresh bit
 * of port 0x61 toggles every 18 pulses whatever channel 1 is programmed to. OUT 2 drives no loudspeaker.
 */

#include "dev/pit.h"

#include "core/clock.h"
#include "dev/byte_ports.h"

#define REFRESH_TICKS 18u

#define STATUS_OUT        0x80u
#define STATUS_NULL_COUNT 0x40u

#define PORT61_GATE2   0x01u
#define PORT61_WRITE   0x0fu
#define PORT61_REFRESH 0x10u
#define PORT61_OUT2    0x20u

static uint32_t modulus(const struct pit_channel *c)
{
    return c->bcd ? 10000 : 65536;
}

static uint32_t from_register(const struct pit_channel *c)
{
    uint32_t v = c->count_register;
    if (c->bcd) {
        v = (v >> 12) * 1000 + (v >> 8 & 15) * 100 + (v >> 4 & 15) * 10 + (v & 15);
    }
    return v ? v : modulus(c);
}

static uint16_t to_register(const struct pit_channel *c, uint32_t count)
{
    uint32_t v = count % modulus(c);
    if (c->bcd) {
        v = v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
    }
    return (uint16_t)v;
}

static bool triggered_by_gate(const struct pit_channel *c)
{
    return c->mode == 1 || c->mode == 5;
}

static bool is_periodic(const struct pit_channel *c)
{
    return c->mode == 2 || c->mode == 3;
}

/* Mode 3: where pulse t lies in its half-cycle. */
struct half_cycle {
    bool high;
    uint32_t position, length;
};

static struct half_cycle half_cycle_at(const struct pit_channel *c, uint64_t t)
{
    uint32_t high = (c->initial + 1) / 2, low = c->initial / 2;
    uint32_t first = c->start_high ? high : low;
    uint32_t position = (uint32_t)((t - c->start_tick) % c->initial);
    bool in_first = position < first;
    return (struct half_cycle){
        .high = in_first == c->start_high,
        .position = in_first ? position : position - first,
        .length = in_first == c->start_high ? high : low,
    };
}

/* Mode 2: pulses since the last load. */
static uint32_t cycle_position(const struct pit_channel *c, uint64_t t)
{
    return (uint32_t)((t - c->start_tick) % c->initial);
}

static uint64_t expiry_tick(const struct pit_channel *c)
{
    return c->start_tick + c->start_count;
}

static uint32_t count_at(const struct pit_channel *c, uint64_t t)
{
    if (!c->running) {
        return c->start_count;
    }
    if (c->mode == 2) {
        return c->initial - cycle_position(c, t);
    }
    if (c->mode == 3) {
        return (c->initial & ~UINT32_C(1)) - 2 * half_cycle_at(c, t).position;
    }
    uint64_t gone = (t - c->start_tick) % modulus(c);
    return (uint32_t)(c->start_count + modulus(c) - gone) % modulus(c);
}

static bool out_at(const struct pit_channel *c, uint64_t t)
{
    switch (c->mode) {
    case 0:
        return c->expired || (c->running && t >= expiry_tick(c));
    case 1:
        return !c->running || t >= expiry_tick(c);
    case 2:
        return !c->running || cycle_position(c, t) != c->initial - 1;
    case 3:
        return !c->running || half_cycle_at(c, t).high;
    default:
        return !c->running || c->expired || t != expiry_tick(c);
    }
}

/* The first pulse after t at which OUT changes, if nothing happens before; EVENT_NEVER if it does not. */
static uint64_t next_change(const struct pit_channel *c, uint64_t t)
{
    if (!c->running || c->expired) {
        return EVENT_NEVER;
    }
    if (c->mode == 2) {
        uint32_t left = c->initial - 1 - cycle_position(c, t);
        return c->initial == 1 ? EVENT_NEVER : t + (left ? left : 1);
    }
    if (c->mode == 3) {
        struct half_cycle h = half_cycle_at(c, t);
        return c->initial == 1 ? EVENT_NEVER : t + h.length - h.position;
    }
    uint64_t expiry = expiry_tick(c);
    if (t < expiry) {
        return expiry;
    }
    return c->mode >= 4 && t == expiry ? t + 1 : EVENT_NEVER;
}

/* Does the load that is due by pulse t. */
static void channel_sync(struct pit_channel *c, uint64_t t)
{
    if (c->load_tick > t) {
        return;
    }
    bool goes_on = c->mode == 3 && c->running && c->loaded;
    c->start_high = goes_on ? half_cycle_at(c, c->load_tick).high : true;
    c->start_tick = c->load_tick;
    c->initial = c->start_count = from_register(c);
    c->load_tick = EVENT_NEVER;
    c->null_count = false;
    c->loaded = true;
    c->expired = false;
    c->running = c->gate || triggered_by_gate(c);
}

/* Stops the counting element at its value. */
static void channel_stop(struct pit_channel *c, uint64_t t)
{
    uint32_t count = count_at(c, t);
    c->expired = c->expired || (c->running && !is_periodic(c) && t >= expiry_tick(c));
    c->start_count = count;
    c->running = false;
}

static void channel_set_gate(struct pit_channel *c, bool gate, uint64_t t)
{
    bool rising = gate && !c->gate;
    c->gate = gate;
    if (triggered_by_gate(c)) {
        if (rising && c->programmed) {
            c->load_tick = t + 1;
        }
    } else if (!gate) {
        channel_stop(c, t);
    } else if (rising && is_periodic(c)) {
        c->load_tick = c->programmed ? t + 1 : EVENT_NEVER;
    } else if (rising && c->loaded && !c->running) {
        c->running = true;
        c->start_tick = t;
    }
}

static void channel_control(struct pit_channel *c, uint8_t word, uint64_t t)
{
    channel_stop(c, t);
    uint8_t mode = word >> 1 & 7;
    c->mode = mode > 5 ? mode - 4 : mode;
    c->access = word >> 4 & 3;
    c->bcd = word & 1;
    c->write_high = c->read_high = c->count_latched = c->status_latched = false;
    c->programmed = c->loaded = c->expired = false;
    c->null_count = true;
    c->load_tick = EVENT_NEVER;
}

/* When a count that was completed after pulse t gets into the counting element. */
static uint64_t load_tick_after_write(const struct pit_channel *c, uint64_t t)
{
    if (triggered_by_gate(c)) {
        return c->load_tick; /* at the next trigger; one that is under way takes the new count */
    }
    if (is_periodic(c) && c->running) {
        if (c->mode == 2) {
            return t + c->initial - cycle_position(c, t);
        }
        struct half_cycle h = half_cycle_at(c, t);
        return t + h.length - h.position;
    }
    return t + 1;
}

static void channel_write_count(struct pit_channel *c, uint16_t count, uint64_t t)
{
    c->count_register = count;
    c->programmed = true;
    c->null_count = true;
    if (c->mode == 0) {
        channel_stop(c, t);
        c->expired = false;
    }
    c->load_tick = load_tick_after_write(c, t);
}

static void channel_write(struct pit_channel *c, uint8_t byte, uint64_t t)
{
    switch (c->access) {
    case 1:
        channel_write_count(c, byte, t);
        return;
    case 2:
        channel_write_count(c, (uint16_t)(byte << 8), t);
        return;
    default:
        break;
    }
    if (c->write_high) {
        channel_write_count(c, (uint16_t)(byte << 8 | c->write_low), t);
    } else {
        c->write_low = byte;
        if (c->mode == 0) { /* the first byte stops the counting and clears OUT */
            channel_stop(c, t);
            c->expired = c->loaded = false;
            c->load_tick = EVENT_NEVER;
        }
    }
    c->write_high = !c->write_high;
}

static uint8_t channel_read(struct pit_channel *c, uint64_t t)
{
    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    uint16_t value = c->count_latched ? c->latch : to_register(c, count_at(c, t));
    bool both = c->access == 3;
    bool high = both ? c->read_high : c->access == 2;
    c->read_high = both && !c->read_high;
    if (!c->read_high) {
        c->count_latched = false;
    }
    return (uint8_t)(high ? value >> 8 : value);
}

static void latch_count(struct pit_channel *c, uint64_t t)
{
    if (!c->count_latched) { /* a second latch before the read is ignored */
        c->latch = to_register(c, count_at(c, t));
        c->count_latched = true;
    }
}

static void latch_status(struct pit_channel *c, uint64_t t)
{
    if (!c->status_latched) {
        unsigned out = out_at(c, t) ? STATUS_OUT : 0, null = c->null_count ? STATUS_NULL_COUNT : 0;
        c->status = (uint8_t)(out | null | (unsigned)c->access << 4 | (unsigned)c->mode << 1 | c->bcd);
        c->status_latched = true;
    }
}

/* Read-back: 11, not count, not status, one bit a channel, 0. */
static void read_back(struct pit *p, uint8_t word, uint64_t t)
{
    for (unsigned i = 0; i < 3; i++) {
        if (!(word >> 1 >> i & 1)) {
            continue;
        }
        if (!(word & 0x20)) {
            latch_count(&p->channels[i], t);
        }
        if (!(word & 0x10)) {
            latch_status(&p->channels[i], t);
        }
    }
}

static void write_control(struct pit *p, uint8_t word, uint64_t t)
{
    unsigned select = word >> 6;
    if (select == 3) {
        read_back(p, word, t);
    } else if ((word & 0x30) == 0) {
        latch_count(&p->channels[select], t);
    } else {
        channel_control(&p->channels[select], word, t);
    }
}

static uint64_t pit_sync(struct pit *p, uint64_t now_cycles)
{
    uint64_t t = clock_ticks(now_cycles, PIT_HZ);
    for (unsigned i = 0; i < 3; i++) {
        channel_sync(&p->channels[i], t);
    }
    return t;
}

/* Drives OUT 0 and arms the event of its next change. */
static void update_out0(struct pit *p, uint64_t t, uint64_t now_cycles)
{
    const struct pit_channel *c = &p->channels[0];
    bool level = out_at(c, t);
    if (level != p->out0_level) {
        p->out0_level = level;
        irq_set(&p->out0, level, now_cycles);
    }
    uint64_t change = next_change(c, t);
    uint64_t next = c->load_tick < change ? c->load_tick : change;
    event_arm(p->events, p->timer, next == EVENT_NEVER ? EVENT_NEVER : clock_cycles(next, PIT_HZ));
}

static void out0_event(void *owner, unsigned argument, uint64_t due_cycles)
{
    (void)argument;
    struct pit *p = owner;
    update_out0(p, pit_sync(p, due_cycles), due_cycles);
}

static uint8_t read_port61(const struct pit *p, uint64_t t)
{
    unsigned refresh = t / REFRESH_TICKS & 1 ? PORT61_REFRESH : 0;
    unsigned out = out_at(&p->channels[2], t) ? PORT61_OUT2 : 0;
    return (uint8_t)(p->control | refresh | out);
}

static uint8_t read_byte(void *dev, const struct bus_cx *cx, uint16_t port)
{
    struct pit *p = dev;
    uint64_t t = pit_sync(p, cx->now_cycles);
    if (port == PIT_CONTROL_PORT) {
        return read_port61(p, t);
    }
    unsigned channel = port - PIT_PORT;
    return channel < 3 ? channel_read(&p->channels[channel], t) : 0xff;
}

static void write_byte(void *dev, const struct bus_cx *cx, uint16_t port, uint8_t value)
{
    struct pit *p = dev;
    uint64_t t = pit_sync(p, cx->now_cycles);
    unsigned channel = port - PIT_PORT;
    if (port == PIT_CONTROL_PORT) {
        p->control = value & PORT61_WRITE;
        channel_set_gate(&p->channels[2], value & PORT61_GATE2, t);
    } else if (channel < 3) {
        channel_write(&p->channels[channel], value, t);
    } else if (channel == 3) {
        write_control(p, value, t);
    }
    update_out0(p, t, cx->now_cycles);
}

static uint64_t pit_port_read(void *dev, const struct bus_cx *cx, uint16_t port, unsigned size_bytes)
{
    return byte_ports_read(read_byte, dev, cx, port, size_bytes);
}

static void pit_port_write(void *dev, const struct bus_cx *cx, uint16_t port, uint64_t value,
                           unsigned size_bytes)
{
    byte_ports_write(write_byte, dev, cx, port, value, size_bytes);
}

void pit_reset(struct pit *p, uint64_t now_cycles)
{
    uint64_t t = clock_ticks(now_cycles, PIT_HZ);
    for (unsigned i = 0; i < 3; i++) { /* the chip's power-up state is undefined; this is ours */
        p->channels[i] = (struct pit_channel){
            .mode = 0,
            .access = 3,
            .gate = i != 2,
            .null_count = true,
            .load_tick = EVENT_NEVER,
        };
    }
    p->control = 0;
    update_out0(p, t, now_cycles);
}

void pit_init(struct pit *p, struct event_queue *events, const struct irq_line *out0)
{
    *p = (struct pit){.events = events, .out0 = *out0};
    p->timer = event_timer_add(events, "pit", out0_event, p, 0);
    pit_reset(p, 0);
}

static void visit_channel(struct pit_channel *c, struct visitor *v)
{
    visit_choice(v, "mode", &c->mode, 5);
    visit_choice(v, "access", &c->access, 3);
    visit_bool(v, "bcd", &c->bcd);
    visit_bool(v, "gate", &c->gate);
    visit_bool(v, "write_high", &c->write_high);
    visit_bool(v, "read_high", &c->read_high);
    visit_u8(v, "write_low", &c->write_low);
    visit_bool(v, "count_latched", &c->count_latched);
    visit_bool(v, "status_latched", &c->status_latched);
    visit_u16(v, "latch", &c->latch);
    visit_u8(v, "status", &c->status);
    visit_u16(v, "count_register", &c->count_register);
    visit_bool(v, "programmed", &c->programmed);
    visit_bool(v, "null_count", &c->null_count);
    visit_bool(v, "loaded", &c->loaded);
    visit_bool(v, "running", &c->running);
    visit_bool(v, "expired", &c->expired);
    visit_bool(v, "start_high", &c->start_high);
    visit_u32(v, "initial", &c->initial);
    visit_u32(v, "start_count", &c->start_count);
    if (v->level >= VISIT_MACHINE) {
        visit_u64(v, "start_tick", &c->start_tick);
        visit_u64(v, "load_tick", &c->load_tick);
    }
}

void pit_visit(struct pit *p, struct visitor *v)
{
    for (unsigned i = 0; i < 3; i++) {
        visit_enter(v, "channel", i);
        visit_channel(&p->channels[i], v);
        visit_leave(v);
    }
    visit_u8(v, "control", &p->control);
    visit_bool(v, "out0_level", &p->out0_level);
}

static void visit_op(void *dev, struct visitor *v)
{
    pit_visit(dev, v);
}

const struct device_ops pit_ops = {
    .name = "pit",
    .port_read = pit_port_read,
    .port_write = pit_port_write,
    .visit = visit_op,
};
