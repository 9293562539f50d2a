#ifndef ORRERY_CORE_DEVICE_H
#define ORRERY_CORE_DEVICE_H

/*
 * The device contract. A device is a struct of its own and one const struct device_ops; the board (machine/)
 * creates it and gives it its wiring (event queue, output lines, address ranges). Devices know no CPU, no other device
 * and no board. A reset of the machine ends its run, so the only reset of a device is its creation. All times are
 * absolute cycles of the machine's clock (core/clock.h).
 */

#include "base/visit.h"
#include "core/event.h"

#include <stdbool.h>
#include <stdint.h>

/* Who accesses, and when. cpu is BUS_NO_CPU for a device's own access (DMA). */
struct bus_cx {
    uint64_t now_cycles;
    unsigned cpu;
};

#define BUS_NO_CPU UINT32_MAX

/* Any function may be NULL. Accesses are 1, 2, 4 or 8 bytes (ports: 1, 2, 4) as the CPU issued them; a device
 * decides what an odd size does, as its hardware would. Values are zero-extended. Reads have side effects only
 * through read; peek (debuggers, probes) has none. */
struct device_ops {
    const char *name;
    uint64_t (*port_read)(void *dev, const struct bus_cx *cx, uint16_t port, unsigned size_bytes);
    void (*port_write)(void *dev, const struct bus_cx *cx, uint16_t port, uint64_t value,
                       unsigned size_bytes);
    uint64_t (*mmio_read)(void *dev, const struct bus_cx *cx, uint64_t offset, unsigned size_bytes);
    void (*mmio_write)(void *dev, const struct bus_cx *cx, uint64_t offset, uint64_t value,
                       unsigned size_bytes);
    void (*visit)(void *dev, struct visitor *v); /* its state (base/visit.h), unless: */
    bool stateless;
};

/* An output line: set(target, line, level) at time now_cycles. The wirer decides what line means. */
struct irq_line {
    void (*set)(void *target, unsigned line, bool level, uint64_t now_cycles);
    void *target;
    unsigned line;
};

static inline void irq_set(const struct irq_line *l, bool level, uint64_t now_cycles)
{
    if (l->set) {
        l->set(l->target, l->line, level, now_cycles);
    }
}

/* A byte stream to the outside (a serial port's other end). write returns nothing: the outside always accepts. */
struct byte_sink {
    void (*write)(void *target, uint8_t byte, uint64_t now_cycles);
    void *target;
};

/* What a device asks of the machine: reset and power-off requests, debug exit. */
enum machine_request { REQUEST_NONE, REQUEST_RESET, REQUEST_POWER_OFF, REQUEST_DEBUG_EXIT };

struct request_line {
    void (*raise)(void *target, enum machine_request request, uint32_t value, uint64_t now_cycles);
    void *target;
};

static inline void request_raise(const struct request_line *l, enum machine_request request, uint32_t value,
                                 uint64_t now_cycles)
{
    if (l->raise) {
        l->raise(l->target, request, value, now_cycles);
    }
}

#endif
