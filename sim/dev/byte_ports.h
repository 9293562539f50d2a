#ifndef ORRERY_DEV_BYTE_PORTS_H
#define ORRERY_DEV_BYTE_PORTS_H

/* Devices on the 8-bit part of the PC's bus: an access of 2 or 4 bytes reaches them as byte accesses to
 * ascending ports. The byte functions answer 0xff to, and ignore, a port that is not theirs. */

#include "core/device.h"

typedef uint8_t byte_port_read_fn(void *dev, const struct bus_cx *cx, uint16_t port);
typedef void byte_port_write_fn(void *dev, const struct bus_cx *cx, uint16_t port, uint8_t value);

static inline uint64_t byte_ports_read(byte_port_read_fn *read, void *dev, const struct bus_cx *cx,
                                       uint16_t port, unsigned size_bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size_bytes; i++) {
        value |= (uint64_t)read(dev, cx, (uint16_t)(port + i)) << 8 * i;
    }
    return value;
}

static inline void byte_ports_write(byte_port_write_fn *write, void *dev, const struct bus_cx *cx,
                                    uint16_t port, uint64_t value, unsigned size_bytes)
{
    for (unsigned i = 0; i < size_bytes; i++) {
        write(dev, cx, (uint16_t)(port + i), (uint8_t)(value >> 8 * i));
    }
}

#endif
