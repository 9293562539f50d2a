#ifndef ORRERY_TEST_VIRTIO_DRIVER_H
#define ORRERY_TEST_VIRTIO_DRIVER_H

/* A driver of one virtio device for tests: memory, a queue at fixed places in it, registers, requests. */

#include "base/bits.h"
#include "core/bus.h"
#include "dev/virtio_mmio.h"
#include "dev_harness.h"

#define DRIVER_RAM_BYTES UINT64_C(0x4000000)
#define DRIVER_QUEUE     8u /* entries */
#define DRIVER_DESC      UINT64_C(0x1000)
#define DRIVER_AVAIL     UINT64_C(0x2002)
#define DRIVER_USED      UINT64_C(0x3004)
#define DRIVER_BUFFERS   UINT64_C(0x10000)
#define DRIVER_FETCH     100u /* cycles from a notification to the descriptors */
#define DRIVER_FEATURES  (VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC)

struct driver {
    struct bus bus;
    struct event_queue *events;
    struct line_log line;
    struct virtio_mmio *device;
    uint64_t now;
    uint16_t made_available;
};

/* Memory, event queue and line; the test then makes its device with driver_transport. */
static inline void driver_init(struct driver *d)
{
    static const struct ram_range all = {{0}, DRIVER_RAM_BYTES};
    struct error e;
    *d = (struct driver){.events = event_queue_create()};
    bus_init(&d->bus);
    assert_true(ram_init(&d->bus.ram, &all, 1, &e));
}

static inline struct virtio_mmio_config driver_transport(struct driver *d)
{
    return (struct virtio_mmio_config){
        .bus = &d->bus,
        .events = d->events,
        .irq = line_to(&d->line, 0),
        .fetch_cycles = DRIVER_FETCH,
    };
}

static inline void driver_deinit(struct driver *d)
{
    event_queue_destroy(d->events);
    bus_deinit(&d->bus);
}

static inline uint64_t driver_read_sized(struct driver *d, uint64_t offset, unsigned size)
{
    struct bus_cx cx = {d->now, 0};
    return virtio_mmio_ops.mmio_read(d->device, &cx, offset, size) & bits_size_mask(size);
}

static inline uint32_t driver_read(struct driver *d, uint64_t offset)
{
    return (uint32_t)driver_read_sized(d, offset, 4);
}

static inline void driver_write_sized(struct driver *d, uint64_t offset, uint64_t value, unsigned size)
{
    struct bus_cx cx = {d->now, 0};
    virtio_mmio_ops.mmio_write(d->device, &cx, offset, value, size);
}

static inline void driver_write(struct driver *d, uint64_t offset, uint32_t value)
{
    driver_write_sized(d, offset, value, 4);
}

static inline void driver_store(struct driver *d, uint64_t at, uint64_t value, unsigned size)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    assert_true(bus_load(&d->bus, phys(at), bytes, size));
}

static inline uint64_t driver_load(struct driver *d, uint64_t at, unsigned size)
{
    uint8_t bytes[8] = {0};
    assert_true(bus_peek(&d->bus, phys(at), bytes, size));
    return load_le64(bytes);
}

/* "Device Initialization" up to FEATURES_OK. */
static inline void driver_negotiate(struct driver *d, uint64_t features)
{
    driver_write(d, VIRTIO_MMIO_STATUS, 0);
    driver_write(d, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
    driver_write(d, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    for (uint32_t half = 0; half < 2; half++) {
        driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
        driver_write(d, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * half));
    }
    driver_write(d, VIRTIO_MMIO_STATUS,
                 VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
}

static inline void driver_set_queue(struct driver *d)
{
    driver_write(d, VIRTIO_MMIO_QUEUE_SEL, 0);
    driver_write(d, VIRTIO_MMIO_QUEUE_NUM, DRIVER_QUEUE);
    driver_write(d, VIRTIO_MMIO_QUEUE_DESC_LOW, DRIVER_DESC);
    driver_write(d, VIRTIO_MMIO_QUEUE_DRIVER_LOW, DRIVER_AVAIL);
    driver_write(d, VIRTIO_MMIO_QUEUE_DEVICE_LOW, DRIVER_USED);
    driver_write(d, VIRTIO_MMIO_QUEUE_READY, 1);
}

/* All of it: the device can be given requests. */
static inline void driver_start(struct driver *d, uint64_t features)
{
    driver_negotiate(d, features);
    driver_set_queue(d);
    driver_write(d, VIRTIO_MMIO_STATUS, driver_read(d, VIRTIO_MMIO_STATUS) | VIRTIO_STATUS_DRIVER_OK);
    driver_store(d, DRIVER_AVAIL, 0, 4); /* flags, idx */
    driver_store(d, DRIVER_USED, 0, 4);
    d->made_available = 0;
}

static inline void driver_describe_at(struct driver *d, uint64_t table, unsigned n, uint64_t at,
                                      uint32_t size, unsigned flags, unsigned next)
{
    driver_store(d, table + 16 * n, at, 8);
    driver_store(d, table + 16 * n + 8, size, 4);
    driver_store(d, table + 16 * n + 12, flags, 2);
    driver_store(d, table + 16 * n + 14, next, 2);
}

static inline void driver_describe(struct driver *d, unsigned n, uint64_t at, uint32_t size, unsigned flags,
                                   unsigned next)
{
    driver_describe_at(d, DRIVER_DESC, n, at, size, flags, next);
}

static inline void driver_offer(struct driver *d, unsigned head)
{
    driver_store(d, DRIVER_AVAIL + 4 + 2 * (d->made_available % DRIVER_QUEUE), head, 2);
    driver_store(d, DRIVER_AVAIL + 2, ++d->made_available, 2);
}

/* Offers a chain, notifies, and lets time pass until nothing is under way. */
static inline void driver_do(struct driver *d, unsigned head)
{
    driver_offer(d, head);
    driver_write(d, VIRTIO_MMIO_QUEUE_NOTIFY, 0);
    while (event_next(d->events) != EVENT_NEVER) {
        d->now = event_next(d->events);
        event_fire_one(d->events, d->now);
    }
}

static inline uint16_t driver_used_count(struct driver *d)
{
    return (uint16_t)driver_load(d, DRIVER_USED + 2, 2);
}

/* Item n of the used ring since the start: head, bytes written. */
static inline uint32_t driver_used_head(struct driver *d, unsigned n)
{
    return (uint32_t)driver_load(d, DRIVER_USED + 4 + 8 * (n % DRIVER_QUEUE), 4);
}

static inline uint32_t driver_used_bytes(struct driver *d, unsigned n)
{
    return (uint32_t)driver_load(d, DRIVER_USED + 8 + 8 * (n % DRIVER_QUEUE), 4);
}

static inline bool driver_needs_reset(struct driver *d)
{
    return driver_read(d, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET;
}

#endif
