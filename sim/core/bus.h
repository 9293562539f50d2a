#ifndef ORRERY_CORE_BUS_H
#define ORRERY_CORE_BUS_H

/*
 * The physical address map: RAM, memory-mapped devices and I/O ports. An address that nobody claims reads as
 * all ones and ignores writes, as an empty PCI slot does.
 */

#include "core/device.h"
#include "core/ram.h"

#define BUS_MMIO_MAX    32u
#define BUS_DEVICES_MAX 64u

struct mmio_range {
    phys_t base;
    uint64_t size_bytes;
    const struct device_ops *ops;
    void *dev;
};

/* A device that claimed something, once, however many ranges it has. */
struct bus_device {
    const struct device_ops *ops;
    void *dev;
    unsigned index; /* among those with the same ops: uart 0, uart 1 */
};

struct bus {
    struct ram ram;
    struct mmio_range mmio[BUS_MMIO_MAX]; /* ascending, disjoint, outside RAM */
    unsigned mmio_count;
    struct bus_device devices[BUS_DEVICES_MAX]; /* entry 0 is nobody; in the order of their first claims */
    unsigned device_count;
    uint8_t port_map[65536]; /* index of devices */
    /* Called after bytes of a page with PAGE_CODE or PAGE_MONITOR changed; may be NULL. */
    void (*on_special_write)(void *target, phys_t a, unsigned size_bytes);
    void *on_special_write_target;
};

void bus_init(struct bus *b); /* RAM is initialised apart, by ram_init(&b->ram, ...) */
void bus_deinit(struct bus *b);

/* Claims a range, and makes the device known to bus_visit. An overlap with another range or with RAM is a CHECK, as is a
 * device that neither visits its state nor declares that it has none. */
void bus_add_mmio(struct bus *b, phys_t base, uint64_t size_bytes, const struct device_ops *ops, void *dev);
void bus_add_ports(struct bus *b, uint16_t first, unsigned count, const struct device_ops *ops, void *dev);

/* The state of every device on the bus, under its name and number. RAM is not visited (ram_digest). */
void bus_visit(struct bus *b, struct visitor *v);

/* The MMIO range that holds a, or NULL. */
const struct mmio_range *bus_find_mmio(const struct bus *b, phys_t a);

/* Physical access of 1..8 bytes that may be RAM or MMIO; must not cross a page. */
uint64_t bus_read(struct bus *b, const struct bus_cx *cx, phys_t a, unsigned size_bytes);
void bus_write(struct bus *b, const struct bus_cx *cx, phys_t a, uint64_t value, unsigned size_bytes);

/* Write to RAM with all bookkeeping (dirty, special pages); a must be RAM and not cross a page. */
void bus_write_ram(struct bus *b, phys_t a, uint64_t value, unsigned size_bytes);

uint64_t bus_port_read(struct bus *b, const struct bus_cx *cx, uint16_t port, unsigned size_bytes);
void bus_port_write(struct bus *b, const struct bus_cx *cx, uint16_t port, uint64_t value,
                    unsigned size_bytes);

/* Loader and debugger access to RAM, any length, no side effect but the bookkeeping. Fail when not all RAM. */
bool bus_load(struct bus *b, phys_t a, const void *bytes, uint64_t size_bytes);
bool bus_peek(const struct bus *b, phys_t a, void *bytes, uint64_t size_bytes);

#endif
