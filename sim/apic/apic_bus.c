/*
 * Message delivery between the APICs.
 *
 * Source: Intel SDM volume 3, "Determining IPI Destination", "Lowest Priority Delivery Mode", "Message
 * Signalled Interrupts".
 *
 * Deviations: the receivers of a message, and the winner of a lowest-priority arbitration, are determined
 * when it is sent. Equal priorities are decided round robin in vCPU order, starting after the last winner
 * (the manual leaves it open). EOI broadcasts take no time. In an MSI the redirection hint is ignored; the
 * delivery mode decides.
 */

#include "apic/apic_bus.h"

#include "base/bits.h"
#include "base/check.h"

#include <string.h>

#define NO_LAPIC APIC_BUS_LAPICS_MAX

static void arm(struct apic_bus *b)
{
    event_arm(b->events, b->timer, b->count ? b->queue[0].due_cycles : EVENT_NEVER);
}

/* The fault for a delivery, taken out of the table; delay 0 when there is none. */
static struct apic_bus_fault take_fault(struct apic_bus *b, uint64_t sequence)
{
    for (unsigned i = 0; i < b->fault_count; i++) {
        if (b->faults[i].sequence == sequence) {
            struct apic_bus_fault fault = b->faults[i];
            b->fault_count--;
            memmove(&b->faults[i], &b->faults[i + 1], (b->fault_count - i) * sizeof b->faults[0]);
            return fault;
        }
    }
    return (struct apic_bus_fault){.sequence = sequence};
}

static void enqueue(struct apic_bus *b, unsigned source, unsigned lapic, const struct apic_message *m,
                    uint64_t now_cycles)
{
    struct apic_bus_fault fault = take_fault(b, b->sequence++);
    if (fault.lost) {
        return;
    }
    uint64_t latency = source < APIC_BUS_LAPICS_MAX ? b->config.ipi_cycles : b->config.ioapic_cycles;
    struct apic_delivery_entry entry = {
        .due_cycles = now_cycles + latency + fault.delay_cycles,
        .sequence = fault.sequence,
        .message = *m,
        .source = source,
        .lapic = lapic,
    };
    CHECK(b->count < b->config.capacity, "the APIC bus is full");
    unsigned at = b->count++;
    while (at > 0 && b->queue[at - 1].due_cycles > entry.due_cycles) {
        b->queue[at] = b->queue[at - 1];
        at--;
    }
    b->queue[at] = entry;
    b->in_flight[source]++;
}

/* The winner among the local APICs that match and accept, or NO_LAPIC. */
static unsigned arbitrate(const struct apic_bus *b, const struct apic_message *m)
{
    unsigned winner = NO_LAPIC, best = UINT32_MAX;
    for (unsigned i = 1; i <= b->lapic_count; i++) {
        unsigned candidate = (b->last_lowest + i) % b->lapic_count;
        const struct lapic *l = b->lapics[candidate];
        if (lapic_accepts_fixed(l) && lapic_matches(l, m) && lapic_priority(l) < best) {
            winner = candidate;
            best = lapic_priority(l);
        }
    }
    return winner;
}

static bool receives(const struct apic_bus *b, unsigned lapic, unsigned source, const struct apic_message *m)
{
    bool present = lapic_mode(b->lapics[lapic]) != LAPIC_DISABLED;
    switch (m->shorthand) {
    case APIC_TO_SELF:
        return present && lapic == source;
    case APIC_TO_ALL:
        return present;
    case APIC_TO_OTHERS:
        return present && lapic != source;
    case APIC_TO_DESTINATION:
        break;
    }
    return lapic_matches(b->lapics[lapic], m);
}

/* Fills receivers, in vCPU order; returns how many. */
static unsigned resolve(const struct apic_bus *b, unsigned source, const struct apic_message *m,
                        unsigned *receivers)
{
    if (m->delivery == APIC_LOWEST_PRIORITY && m->shorthand == APIC_TO_DESTINATION) {
        receivers[0] = arbitrate(b, m);
        return receivers[0] == NO_LAPIC ? 0 : 1;
    }
    unsigned count = 0;
    for (unsigned i = 0; i < b->lapic_count; i++) {
        if (receives(b, i, source, m)) {
            receivers[count++] = i;
        }
    }
    return count;
}

/* A source that got no room when it was its turn keeps its place at the head. */
static void add_waiter(struct apic_bus *b, unsigned source)
{
    for (unsigned i = 0; i < b->waiter_count; i++) {
        if (b->waiters[i] == source) {
            return;
        }
    }
    if (b->serving) {
        memmove(&b->waiters[1], &b->waiters[0], b->waiter_count * sizeof b->waiters[0]);
        b->waiters[0] = source;
    } else {
        b->waiters[b->waiter_count] = source;
    }
    b->waiter_count++;
}

static enum apic_send_result send(struct apic_bus *b, unsigned source, const struct apic_message *m,
                                  uint64_t now_cycles)
{
    unsigned receivers[APIC_BUS_LAPICS_MAX];
    unsigned count = resolve(b, source, m, receivers);
    if (count == 0) {
        return APIC_NOBODY;
    }
    bool behind_others = b->waiter_count > 0 && !b->serving;
    if (behind_others || b->count + count > b->config.capacity) {
        return APIC_NO_ROOM;
    }
    if (m->delivery == APIC_LOWEST_PRIORITY) {
        b->last_lowest = receivers[0];
    }
    for (unsigned i = 0; i < count; i++) {
        enqueue(b, source, receivers[i], m, now_cycles);
    }
    arm(b);
    return APIC_SENT;
}

static enum apic_send_result port_send(void *target, unsigned source, const struct apic_message *m,
                                       uint64_t now_cycles)
{
    enum apic_send_result result = send(target, source, m, now_cycles);
    if (result == APIC_NO_ROOM) {
        add_waiter(target, source);
    }
    return result;
}

static void port_eoi(void *target, uint8_t vector, uint64_t now_cycles)
{
    struct apic_bus *b = target;
    for (unsigned i = 0; i < b->ioapic_count; i++) {
        ioapic_eoi(b->ioapics[i], vector, now_cycles);
    }
}

static bool port_in_flight(void *target, unsigned source)
{
    const struct apic_bus *b = target;
    return b->in_flight[source] > 0;
}

/* Lets waiting sources send, first come first served, until one finds no room. */
static void serve_waiters(struct apic_bus *b, uint64_t now_cycles)
{
    while (b->waiter_count > 0 && b->count < b->config.capacity) {
        unsigned source = b->waiters[0];
        b->waiter_count--;
        memmove(&b->waiters[0], &b->waiters[1], b->waiter_count * sizeof b->waiters[0]);
        b->serving = true;
        if (source < APIC_BUS_LAPICS_MAX) {
            lapic_bus_room(b->lapics[source], now_cycles);
        } else {
            ioapic_bus_room(b->ioapics[source - APIC_BUS_LAPICS_MAX], now_cycles);
        }
        b->serving = false;
        if (b->waiter_count > 0 && b->waiters[0] == source) {
            return;
        }
    }
}

static void deliver_first(void *owner, unsigned argument, uint64_t due_cycles)
{
    (void)argument;
    struct apic_bus *b = owner;
    struct apic_delivery_entry entry = b->queue[0];
    b->count--;
    memmove(&b->queue[0], &b->queue[1], b->count * sizeof b->queue[0]);
    b->in_flight[entry.source]--;
    lapic_deliver(b->lapics[entry.lapic], &entry.message, due_cycles);
    serve_waiters(b, due_cycles);
    arm(b);
}

bool apic_bus_msi(struct apic_bus *b, uint64_t address, uint32_t data, uint64_t now_cycles)
{
    struct apic_message m = {
        .destination = (uint32_t)bits_get(address, 19, 12),
        .vector = (uint8_t)data,
        .delivery = (enum apic_delivery)bits_get(data, 10, 8),
        .logical = (address & BIT(2)) != 0,
        .level_triggered = (data & BIT(15)) != 0,
    };
    if (m.delivery == APIC_REMOTE_READ || m.delivery == APIC_STARTUP) {
        return true; /* reserved: goes nowhere */
    }
    return send(b, APIC_BUS_MSI, &m, now_cycles) != APIC_NO_ROOM;
}

bool apic_bus_add_fault(struct apic_bus *b, const struct apic_bus_fault *fault)
{
    if (b->fault_count == APIC_BUS_FAULTS_MAX || fault->sequence < b->sequence) {
        return false;
    }
    b->faults[b->fault_count++] = *fault;
    return true;
}

void apic_bus_add_lapic(struct apic_bus *b, struct lapic *l)
{
    CHECK(b->lapic_count < APIC_BUS_LAPICS_MAX && b->lapic_count < b->config.capacity,
          "too many local APICs");
    l->port = (struct apic_port){port_send, port_eoi, port_in_flight, b, b->lapic_count};
    b->lapics[b->lapic_count++] = l;
}

void apic_bus_add_ioapic(struct apic_bus *b, struct ioapic *io)
{
    CHECK(b->ioapic_count < APIC_BUS_IOAPICS_MAX, "too many I/O APICs");
    io->port = (struct apic_port){port_send, NULL, NULL, b, APIC_BUS_LAPICS_MAX + b->ioapic_count};
    b->ioapics[b->ioapic_count++] = io;
}

void apic_bus_init(struct apic_bus *b, const struct apic_bus_config *config, struct event_queue *events)
{
    CHECK(config->capacity > 0 && config->capacity <= APIC_BUS_QUEUE_MAX, "APIC bus capacity %u",
          config->capacity);
    *b = (struct apic_bus){.config = *config, .events = events};
    b->timer = event_timer_add(events, "apic bus", deliver_first, b, 0);
}

static void visit_queue(struct apic_bus *b, struct visitor *v)
{
    visit_count(v, "count", &b->count, b->config.capacity);
    memset(b->in_flight, 0, sizeof b->in_flight);
    for (unsigned i = 0; i < b->count; i++) {
        struct apic_delivery_entry *e = &b->queue[i];
        visit_enter(v, "message", i);
        visit_u64(v, "due", &e->due_cycles);
        visit_u64(v, "sequence", &e->sequence);
        visit_count(v, "source", &e->source, APIC_BUS_MSI);
        visit_count(v, "lapic", &e->lapic, b->lapic_count - 1);
        apic_message_visit(&e->message, v);
        visit_leave(v);
        b->in_flight[e->source]++;
    }
}

static void visit_faults(struct apic_bus *b, struct visitor *v)
{
    visit_count(v, "fault_count", &b->fault_count, APIC_BUS_FAULTS_MAX);
    for (unsigned i = 0; i < b->fault_count; i++) {
        visit_enter(v, "fault", i);
        visit_u64(v, "sequence", &b->faults[i].sequence);
        visit_u64(v, "delay", &b->faults[i].delay_cycles);
        visit_bool(v, "lost", &b->faults[i].lost);
        visit_leave(v);
    }
}

static bool source_exists(const struct apic_bus *b, unsigned source)
{
    return source < b->lapic_count ||
           (source >= APIC_BUS_LAPICS_MAX && source - APIC_BUS_LAPICS_MAX < b->ioapic_count);
}

static void visit_waiters(struct apic_bus *b, struct visitor *v)
{
    visit_count(v, "waiter_count", &b->waiter_count, APIC_BUS_SOURCES_MAX);
    for (unsigned i = 0; i < b->waiter_count; i++) {
        visit_u32(v, "waiter", &b->waiters[i]);
        visit_require(v, "waiter", source_exists(b, b->waiters[i]));
    }
}

void apic_bus_visit(struct apic_bus *b, struct visitor *v)
{
    visit_count(v, "last_lowest", &b->last_lowest, b->lapic_count - 1);
    if (v->level < VISIT_MACHINE) {
        return;
    }
    visit_queue(b, v);
    visit_u64(v, "sequence", &b->sequence);
    visit_waiters(b, v);
    visit_faults(b, v);
}

static uint64_t page_read(void *dev, const struct bus_cx *cx, uint64_t offset, unsigned size_bytes)
{
    struct apic_bus *b = dev;
    if (cx->cpu >= b->lapic_count || lapic_mode(b->lapics[cx->cpu]) != LAPIC_XAPIC) {
        return bits_size_mask(size_bytes);
    }
    unsigned shift = (unsigned)(offset & 15) * 8;
    if (shift >= 32) {
        return 0;
    }
    return lapic_read(b->lapics[cx->cpu], (uint32_t)align_down(offset, 16), cx->now_cycles) >> shift;
}

static void page_write(void *dev, const struct bus_cx *cx, uint64_t offset, uint64_t value,
                       unsigned size_bytes)
{
    struct apic_bus *b = dev;
    if (cx->cpu >= b->lapic_count || lapic_mode(b->lapics[cx->cpu]) != LAPIC_XAPIC) {
        return;
    }
    if (size_bytes == 4 && (offset & 15) == 0) {
        lapic_write(b->lapics[cx->cpu], (uint32_t)offset, (uint32_t)value, cx->now_cycles);
    }
}

static void visit_op(void *dev, struct visitor *v)
{
    apic_bus_visit(dev, v);
}

const struct device_ops apic_bus_mmio_ops = {
    .name = "apic_bus",
    .mmio_read = page_read,
    .mmio_write = page_write,
    .visit = visit_op,
};
