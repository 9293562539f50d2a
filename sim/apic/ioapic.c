/*
 * The I/O APIC.
 *
 * Source: Intel 82093AA data sheet, "Register Description"; the EOI register is that of version 0x20 (Intel
 * I/O controller hubs, "APIC Direct Registers").
 *
 * Deviations: remote IRR is set when the message leaves, not when it is accepted. The delivery status shows
 * only messages that found no room on the bus. Registers ask for 32-bit accesses: other writes to IOWIN are
 * ignored. The arbitration ID is the ID, as on systems without the serial APIC bus.
 */

#include "apic/ioapic.h"

#include "base/bits.h"

#define VERSION_VALUE (UINT32_C(0x20) | (IOAPIC_PINS - 1) << 16)
#define RTE_READ_ONLY (IOAPIC_RTE_DELIVS | IOAPIC_RTE_REMOTE_IRR)
#define RTE_WRITABLE  (UINT64_C(0xff0000000001ffff) & ~RTE_READ_ONLY)

static enum apic_delivery rte_delivery(uint64_t rte)
{
    return (enum apic_delivery)bits_get(rte, 10, 8);
}

/* Level-triggered in effect: only fixed and lowest priority have an end of interrupt. */
static bool rte_is_level(uint64_t rte)
{
    bool has_eoi = rte_delivery(rte) == APIC_FIXED || rte_delivery(rte) == APIC_LOWEST_PRIORITY;
    return has_eoi && (rte & IOAPIC_RTE_LEVEL);
}

static bool pin_active(const struct ioapic *io, unsigned pin)
{
    bool high = ((io->pins ^ io->config.low_active_pins) >> pin & 1) != 0;
    return high != ((io->rte[pin] & IOAPIC_RTE_LOW_ACTIVE) != 0);
}

static void pin_send(struct ioapic *io, unsigned pin, uint64_t now_cycles)
{
    uint64_t rte = io->rte[pin];
    struct apic_message m = {
        .destination = (uint32_t)(rte >> 56),
        .vector = (uint8_t)rte,
        .delivery = rte_delivery(rte),
        .logical = (rte & IOAPIC_RTE_LOGICAL) != 0,
        .level_triggered = rte_is_level(rte),
    };
    bool reserved = m.delivery == APIC_REMOTE_READ || m.delivery == APIC_STARTUP;
    enum apic_send_result result = APIC_NOBODY;
    if (io->port.send && !reserved) {
        result = io->port.send(io->port.target, io->port.source, &m, now_cycles);
    }
    io->rte[pin] &= ~IOAPIC_RTE_DELIVS;
    if (result == APIC_NO_ROOM) {
        io->rte[pin] |= IOAPIC_RTE_DELIVS;
    } else if (result == APIC_SENT && m.level_triggered) {
        io->rte[pin] |= IOAPIC_RTE_REMOTE_IRR;
    }
}

/* A level-triggered pin asks as long as it is active and its last interrupt has ended. */
static void level_evaluate(struct ioapic *io, unsigned pin, uint64_t now_cycles)
{
    uint64_t rte = io->rte[pin];
    bool busy = (rte & (IOAPIC_RTE_MASKED | RTE_READ_ONLY)) != 0;
    if (rte_is_level(rte) && !busy && pin_active(io, pin)) {
        pin_send(io, pin, now_cycles);
    }
}

void ioapic_set_pin(void *ioapic, unsigned pin, bool level, uint64_t now_cycles)
{
    struct ioapic *io = ioapic;
    if (pin >= IOAPIC_PINS) {
        return;
    }
    bool was_active = pin_active(io, pin);
    uint32_t bit = UINT32_C(1) << pin;
    io->pins = level ? io->pins | bit : io->pins & ~bit;
    if (rte_is_level(io->rte[pin])) {
        level_evaluate(io, pin, now_cycles);
    } else if (!was_active && pin_active(io, pin) && !(io->rte[pin] & IOAPIC_RTE_MASKED)) {
        pin_send(io, pin, now_cycles);
    }
}

bool ioapic_has_unmaskable(const struct ioapic *io)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        enum apic_delivery delivery = (enum apic_delivery)bits_get(io->rte[pin], 10, 8);
        if (!(io->rte[pin] & IOAPIC_RTE_MASKED) && apic_delivery_is_unmaskable(delivery)) {
            return true;
        }
    }
    return false;
}

void ioapic_eoi(struct ioapic *io, uint8_t vector, uint64_t now_cycles)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if ((io->rte[pin] & IOAPIC_RTE_REMOTE_IRR) && (uint8_t)io->rte[pin] == vector) {
            io->rte[pin] &= ~IOAPIC_RTE_REMOTE_IRR;
            level_evaluate(io, pin, now_cycles);
        }
    }
}

void ioapic_bus_room(struct ioapic *io, uint64_t now_cycles)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if (io->rte[pin] & IOAPIC_RTE_DELIVS) {
            pin_send(io, pin, now_cycles);
        }
    }
}

static void write_rte(struct ioapic *io, unsigned index, uint32_t value, uint64_t now_cycles)
{
    unsigned pin = index / 2, shift = index % 2 * 32;
    uint64_t half = UINT64_C(0xffffffff) << shift;
    uint64_t rte = (io->rte[pin] & ~half) | (uint64_t)value << shift;
    io->rte[pin] = (rte & RTE_WRITABLE) | (io->rte[pin] & RTE_READ_ONLY);
    if (!rte_is_level(io->rte[pin])) {
        io->rte[pin] &= ~IOAPIC_RTE_REMOTE_IRR;
    }
    level_evaluate(io, pin, now_cycles);
}

static void write_window(struct ioapic *io, uint32_t value, uint64_t now_cycles)
{
    unsigned index = io->select - (unsigned)IOAPIC_REDTBL;
    if (io->select == IOAPIC_ID) {
        io->id = value & UINT32_C(0x0f000000);
    } else if (io->select >= IOAPIC_REDTBL && index < 2 * IOAPIC_PINS) {
        write_rte(io, index, value, now_cycles);
    }
}

static uint32_t read_window(const struct ioapic *io)
{
    unsigned index = io->select - (unsigned)IOAPIC_REDTBL;
    if (io->select >= IOAPIC_REDTBL) {
        return index < 2 * IOAPIC_PINS ? (uint32_t)(io->rte[index / 2] >> (index % 2 * 32)) : 0;
    }
    switch (io->select) {
    case IOAPIC_ID:
    case IOAPIC_ARB:
        return io->id;
    case IOAPIC_VER:
        return VERSION_VALUE;
    default:
        return 0;
    }
}

static uint64_t ioapic_mmio_read(void *dev, const struct bus_cx *cx, uint64_t offset, unsigned size_bytes)
{
    (void)cx;
    (void)size_bytes;
    const struct ioapic *io = dev;
    switch (offset) {
    case IOAPIC_IOREGSEL:
        return io->select;
    case IOAPIC_IOWIN:
        return read_window(io);
    default:
        return 0;
    }
}

static void ioapic_mmio_write(void *dev, const struct bus_cx *cx, uint64_t offset, uint64_t value,
                              unsigned size_bytes)
{
    struct ioapic *io = dev;
    if (offset == IOAPIC_IOREGSEL) {
        io->select = (uint8_t)value;
    } else if (offset == IOAPIC_IOWIN && size_bytes == 4) {
        write_window(io, (uint32_t)value, cx->now_cycles);
    } else if (offset == IOAPIC_EOI) {
        ioapic_eoi(io, (uint8_t)value, cx->now_cycles);
    }
}

void ioapic_reset(struct ioapic *io, uint64_t now_cycles)
{
    (void)now_cycles;
    io->id = (uint32_t)(io->config.id & 0xf) << 24;
    io->select = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        io->rte[pin] = IOAPIC_RTE_MASKED;
    }
}

void ioapic_init(struct ioapic *io, const struct ioapic_config *config)
{
    *io = (struct ioapic){.config = *config};
    ioapic_reset(io, 0);
}

void ioapic_visit(struct ioapic *io, struct visitor *v)
{
    visit_u32(v, "id", &io->id);
    visit_u8(v, "select", &io->select);
    visit_array(v, "rte", io->rte, 8, IOAPIC_PINS);
    visit_u32(v, "pins", &io->pins);
}

static void visit_op(void *dev, struct visitor *v)
{
    ioapic_visit(dev, v);
}

const struct device_ops ioapic_ops = {
    .name = "ioapic",
    .mmio_read = ioapic_mmio_read,
    .mmio_write = ioapic_mmio_write,
    .visit = visit_op,
};
