/* The physical address map. Source: the open-bus behaviour of PC chipsets (reads of unclaimed space are ones). */

#include "core/bus.h"

#include "base/bits.h"
#include "base/check.h"

#include <string.h>

void bus_init(struct bus *b)
{
    *b = (struct bus){.device_count = 1};
}

void bus_deinit(struct bus *b)
{
    ram_deinit(&b->ram);
}

/* Number of the device, which is entered when it is new. */
static unsigned device_number(struct bus *b, const struct device_ops *ops, void *dev)
{
    unsigned alike = 0;
    for (unsigned i = 1; i < b->device_count; i++) {
        if (b->devices[i].dev == dev && b->devices[i].ops == ops) {
            return i;
        }
        alike += b->devices[i].ops == ops;
    }
    CHECK(b->device_count < BUS_DEVICES_MAX, "too many devices at %s", ops->name);
    CHECK(!ops->visit == ops->stateless, "%s: state is visited or declared absent", ops->name);
    b->devices[b->device_count] = (struct bus_device){ops, dev, alike};
    return b->device_count++;
}

void bus_add_mmio(struct bus *b, phys_t base, uint64_t size_bytes, const struct device_ops *ops, void *dev)
{
    CHECK(b->mmio_count < BUS_MMIO_MAX, "too many MMIO ranges at %s", ops->name);
    CHECK(size_bytes > 0 && base.v + size_bytes > base.v, "%s: a range of nothing", ops->name);
    for (unsigned i = 0; i < b->ram.range_count; i++) {
        const struct ram_range *r = &b->ram.ranges[i];
        CHECK(base.v >= r->base.v + r->size_bytes || r->base.v >= base.v + size_bytes, "%s lies in RAM",
              ops->name);
    }
    unsigned at = b->mmio_count;
    while (at > 0 && b->mmio[at - 1].base.v > base.v) {
        b->mmio[at] = b->mmio[at - 1];
        at--;
    }
    device_number(b, ops, dev);
    b->mmio[at] = (struct mmio_range){base, size_bytes, ops, dev};
    b->mmio_count++;
    CHECK(at == 0 || b->mmio[at - 1].base.v + b->mmio[at - 1].size_bytes <= base.v, "%s overlaps", ops->name);
    CHECK(at + 1 == b->mmio_count || base.v + size_bytes <= b->mmio[at + 1].base.v, "%s overlaps", ops->name);
}

void bus_add_ports(struct bus *b, uint16_t first, unsigned count, const struct device_ops *ops, void *dev)
{
    CHECK(first + count <= 65536, "%s: ports out of range", ops->name);
    unsigned number = device_number(b, ops, dev);
    for (unsigned i = 0; i < count; i++) {
        CHECK(b->port_map[first + i] == 0, "%s: port 0x%x is taken", ops->name, first + i);
        b->port_map[first + i] = (uint8_t)number;
    }
}

void bus_visit(struct bus *b, struct visitor *v)
{
    for (unsigned i = 1; i < b->device_count; i++) {
        const struct bus_device *d = &b->devices[i];
        if (d->ops->visit) {
            visit_enter(v, d->ops->name, d->index);
            d->ops->visit(d->dev, v);
            visit_leave(v);
        }
    }
}

const struct mmio_range *bus_find_mmio(const struct bus *b, phys_t a)
{
    unsigned low = 0, high = b->mmio_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (a.v < b->mmio[middle].base.v) {
            high = middle;
        } else if (a.v - b->mmio[middle].base.v >= b->mmio[middle].size_bytes) {
            low = middle + 1;
        } else {
            return &b->mmio[middle];
        }
    }
    return NULL;
}

uint64_t bus_read(struct bus *b, const struct bus_cx *cx, phys_t a, unsigned size_bytes)
{
    if (ram_contains(&b->ram, a, size_bytes)) {
        return load_le(ram_at(&b->ram, a), size_bytes);
    }
    const struct mmio_range *range = bus_find_mmio(b, a);
    uint64_t mask = bits_size_mask(size_bytes);
    if (!range || !range->ops->mmio_read) {
        return mask;
    }
    return range->ops->mmio_read(range->dev, cx, a.v - range->base.v, size_bytes) & mask;
}

void bus_write_ram(struct bus *b, phys_t a, uint64_t value, unsigned size_bytes)
{
    ram_note_write(&b->ram, a);
    store_le(ram_at(&b->ram, a), value, size_bytes);
    if (b->ram.flags[a.v >> PAGE_SHIFT] != PAGE_DIRTY && b->on_special_write) {
        b->on_special_write(b->on_special_write_target, a, size_bytes);
    }
}

void bus_write(struct bus *b, const struct bus_cx *cx, phys_t a, uint64_t value, unsigned size_bytes)
{
    if (ram_contains(&b->ram, a, size_bytes)) {
        bus_write_ram(b, a, value, size_bytes);
        return;
    }
    const struct mmio_range *range = bus_find_mmio(b, a);
    if (range && range->ops->mmio_write) {
        range->ops->mmio_write(range->dev, cx, a.v - range->base.v, value & bits_size_mask(size_bytes),
                               size_bytes);
    }
}

uint64_t bus_port_read(struct bus *b, const struct bus_cx *cx, uint16_t port, unsigned size_bytes)
{
    const struct bus_device *d = &b->devices[b->port_map[port]];
    uint64_t mask = bits_size_mask(size_bytes);
    return d->ops && d->ops->port_read ? d->ops->port_read(d->dev, cx, port, size_bytes) & mask : mask;
}

void bus_port_write(struct bus *b, const struct bus_cx *cx, uint16_t port, uint64_t value,
                    unsigned size_bytes)
{
    const struct bus_device *d = &b->devices[b->port_map[port]];
    if (d->ops && d->ops->port_write) {
        d->ops->port_write(d->dev, cx, port, value & bits_size_mask(size_bytes), size_bytes);
    }
}

bool bus_load(struct bus *b, phys_t a, const void *bytes, uint64_t size_bytes)
{
    if (!ram_contains(&b->ram, a, size_bytes)) {
        return false;
    }
    for (uint64_t done = 0; done < size_bytes;) {
        phys_t at = phys(a.v + done);
        uint64_t room = PAGE_SIZE_BYTES - (at.v & PAGE_MASK_BITS);
        uint64_t n = size_bytes - done < room ? size_bytes - done : room;
        ram_note_write(&b->ram, at);
        memcpy(ram_at(&b->ram, at), (const uint8_t *)bytes + done, n);
        if (b->ram.flags[at.v >> PAGE_SHIFT] != PAGE_DIRTY && b->on_special_write) {
            b->on_special_write(b->on_special_write_target, at, (unsigned)n);
        }
        done += n;
    }
    return true;
}

bool bus_peek(const struct bus *b, phys_t a, void *bytes, uint64_t size_bytes)
{
    if (!ram_contains(&b->ram, a, size_bytes)) {
        return false;
    }
    memcpy(bytes, ram_at(&b->ram, a), size_bytes);
    return true;
}
