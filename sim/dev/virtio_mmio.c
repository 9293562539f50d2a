/*
 * virtio over MMIO: registers, negotiation, and requests from their notification to their interrupt.
 *
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, "MMIO Device Register Layout", "MMIO-specific Initialization And Device
 * Operation", "Device Status Field", "Feature Bits", "Device Initialization".
 *
 * A notification is noticed fetch_cycles later: the device then takes the next chain from the ring and asks its type how long
 * the request takes. When that time is over, all of the request happens at once: buffers are read and written, the chain is
 * given back, the interrupt rises; and the device looks for the next chain. So a request sees memory as it is when it
 * completes, and nothing of it is seen before.
 *
 *   idle --notify--> fetching --chain--> serving --done--> fetching ...    fetching --ring empty--> idle
 *
 * A ring or a chain that cannot be, and a queue made ready with a bad size or alignment, put the device into the state
 * DEVICE_NEEDS_RESET, in which it does nothing more until it is reset.
 *
 * Deviations: one queue. No packed rings, no event index, no notification data, no queue reset, no shared memory. The queue's
 * size and addresses can be written only while it is not ready, features only before FEATURES_OK: the driver must not write
 * them then. Registers take aligned accesses of 4 bytes only; others read as zero and write nothing. The configuration space
 * is read-only.
 */

#include "dev/virtio_mmio.h"

#include "base/bits.h"
#include "base/check.h"

#include <string.h>

static uint64_t offered_features(const struct virtio_mmio *m)
{
    return m->config.type->features | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC;
}

static void set_interrupt_status(struct virtio_mmio *m, uint32_t status, uint64_t now_cycles)
{
    bool was = m->interrupt_status != 0, is = status != 0;
    m->interrupt_status = status;
    if (was != is) {
        irq_set(&m->config.irq, is, now_cycles);
    }
}

/* ---- requests ---- */

static void stop_work(struct virtio_mmio *m)
{
    m->stage = VIRTIO_IDLE;
    event_cancel(m->config.events, m->timer);
}

/* "Device Status Field": the driver hears of it when it drives already. */
static void need_reset(struct virtio_mmio *m, uint64_t now_cycles)
{
    stop_work(m);
    m->status |= VIRTIO_STATUS_NEEDS_RESET;
    if (m->status & VIRTIO_STATUS_DRIVER_OK) {
        set_interrupt_status(m, m->interrupt_status | VIRTIO_INTERRUPT_CONFIG, now_cycles);
    }
}

static bool follow(const struct virtio_mmio *m, struct virtqueue_chain *c)
{
    bool indirect = m->driver_features & VIRTIO_F_INDIRECT_DESC;
    return virtqueue_follow(&m->queue, m->config.bus, m->head, indirect, c);
}

static void fetch(struct virtio_mmio *m, uint64_t now_cycles)
{
    struct virtqueue_chain c;
    switch (virtqueue_take(&m->queue, m->config.bus, &m->head)) {
    case VIRTQUEUE_EMPTY:
        m->stage = VIRTIO_IDLE;
        return;
    case VIRTQUEUE_CHAIN:
        if (follow(m, &c)) {
            m->stage = VIRTIO_SERVING;
            event_arm(m->config.events, m->timer, now_cycles + m->config.type->cycles(m->config.device, &c));
            return;
        }
        break;
    case VIRTQUEUE_BROKEN:
        break;
    }
    need_reset(m, now_cycles);
}

/* The chain is followed again: the driver may have changed it meanwhile. */
static void complete(struct virtio_mmio *m, uint64_t now_cycles)
{
    struct virtqueue_chain c;
    uint32_t written;
    if (!follow(m, &c) || !m->config.type->serve(m->config.device, &c, m->config.bus, &written) ||
        !virtqueue_give(&m->queue, m->config.bus, m->head, written)) {
        need_reset(m, now_cycles);
        return;
    }
    if (virtqueue_wants_interrupt(&m->queue, m->config.bus)) {
        set_interrupt_status(m, m->interrupt_status | VIRTIO_INTERRUPT_USED, now_cycles);
    }
    fetch(m, now_cycles);
}

static void work(void *owner, unsigned argument, uint64_t due_cycles)
{
    struct virtio_mmio *m = owner;
    (void)argument;
    if (m->stage == VIRTIO_SERVING) {
        complete(m, due_cycles);
    } else if (m->stage == VIRTIO_FETCHING) {
        fetch(m, due_cycles);
    }
}

/* While a request is under way the ring is looked at after it anyway. */
static void notify(struct virtio_mmio *m, uint32_t queue, uint64_t now_cycles)
{
    bool runs =
        (m->status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) == VIRTIO_STATUS_DRIVER_OK;
    if (queue == 0 && runs && m->queue.ready && m->stage == VIRTIO_IDLE) {
        m->stage = VIRTIO_FETCHING;
        event_arm(m->config.events, m->timer, now_cycles + m->config.fetch_cycles);
    }
}

/* ---- registers ---- */

static void reset(struct virtio_mmio *m, uint64_t now_cycles)
{
    stop_work(m);
    set_interrupt_status(m, 0, now_cycles);
    m->driver_features = 0;
    m->device_features_sel = m->driver_features_sel = m->queue_sel = m->status = 0;
    m->queue = (struct virtqueue){0};
    m->head = 0;
}

static void write_status(struct virtio_mmio *m, uint32_t value, uint64_t now_cycles)
{
    value &= 0xff;
    if (value == 0) {
        reset(m, now_cycles);
        return;
    }
    bool agreed =
        (m->driver_features & ~offered_features(m)) == 0 && (m->driver_features & VIRTIO_F_VERSION_1);
    uint32_t kept = m->status & VIRTIO_STATUS_NEEDS_RESET;
    if (!agreed && !(m->status & VIRTIO_STATUS_FEATURES_OK)) {
        value &= ~(uint32_t)VIRTIO_STATUS_FEATURES_OK; /* the driver reads it back */
    }
    m->status = (value & ~(uint32_t)VIRTIO_STATUS_NEEDS_RESET) | kept;
}

static void write_driver_features(struct virtio_mmio *m, uint32_t value)
{
    if (m->driver_features_sel > 1 || (m->status & VIRTIO_STATUS_FEATURES_OK)) {
        return;
    }
    unsigned shift = 32 * m->driver_features_sel;
    m->driver_features = (m->driver_features & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

static void write_ready(struct virtio_mmio *m, uint32_t value, uint64_t now_cycles)
{
    if (!(value & 1)) {
        m->queue.ready = false;
        stop_work(m);
    } else if (!m->queue.ready) {
        m->queue.next_available = m->queue.next_used = 0;
        m->queue.ready = virtqueue_is_sound(&m->queue);
        if (!m->queue.ready) {
            need_reset(m, now_cycles);
        }
    }
}

static void set_half(uint64_t *address, bool high, uint32_t value)
{
    *address =
        high ? (*address & UINT32_MAX) | (uint64_t)value << 32 : (*address & ~(uint64_t)UINT32_MAX) | value;
}

/* Size and addresses, while the queue is not ready. */
static void set_queue(struct virtqueue *q, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case VIRTIO_MMIO_QUEUE_NUM:
        q->size = value;
        return;
    case VIRTIO_MMIO_QUEUE_DESC_LOW:
    case VIRTIO_MMIO_QUEUE_DESC_HIGH:
        set_half(&q->descriptors, offset == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
        return;
    case VIRTIO_MMIO_QUEUE_DRIVER_LOW:
    case VIRTIO_MMIO_QUEUE_DRIVER_HIGH:
        set_half(&q->available, offset == VIRTIO_MMIO_QUEUE_DRIVER_HIGH, value);
        return;
    case VIRTIO_MMIO_QUEUE_DEVICE_LOW:
    case VIRTIO_MMIO_QUEUE_DEVICE_HIGH:
        set_half(&q->used, offset == VIRTIO_MMIO_QUEUE_DEVICE_HIGH, value);
        return;
    default:
        return;
    }
}

static void write_queue(struct virtio_mmio *m, uint64_t offset, uint32_t value, uint64_t now_cycles)
{
    if (m->queue_sel != 0) {
        return; /* there is no such queue */
    }
    if (offset == VIRTIO_MMIO_QUEUE_READY) {
        write_ready(m, value, now_cycles);
    } else if (!m->queue.ready) {
        set_queue(&m->queue, offset, value);
    }
}

static void write_register(struct virtio_mmio *m, uint64_t offset, uint32_t value, uint64_t now_cycles)
{
    switch (offset) {
    case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
        m->device_features_sel = value;
        return;
    case VIRTIO_MMIO_DRIVER_FEATURES:
        write_driver_features(m, value);
        return;
    case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
        m->driver_features_sel = value;
        return;
    case VIRTIO_MMIO_QUEUE_SEL:
        m->queue_sel = value;
        return;
    case VIRTIO_MMIO_QUEUE_NOTIFY:
        notify(m, value, now_cycles);
        return;
    case VIRTIO_MMIO_INTERRUPT_ACK:
        set_interrupt_status(m, m->interrupt_status & ~value, now_cycles);
        return;
    case VIRTIO_MMIO_STATUS:
        write_status(m, value, now_cycles);
        return;
    default:
        write_queue(m, offset, value, now_cycles);
        return;
    }
}

static uint32_t read_features(const struct virtio_mmio *m)
{
    return m->device_features_sel > 1 ? 0 : (uint32_t)(offered_features(m) >> 32 * m->device_features_sel);
}

static uint32_t read_register(const struct virtio_mmio *m, uint64_t offset)
{
    switch (offset) {
    case VIRTIO_MMIO_MAGIC_VALUE:
        return VIRTIO_MMIO_MAGIC;
    case VIRTIO_MMIO_VERSION_NUMBER:
        return VIRTIO_MMIO_VERSION;
    case VIRTIO_MMIO_DEVICE_ID:
        return m->config.type->device_id;
    case VIRTIO_MMIO_VENDOR_ID:
        return VIRTIO_MMIO_VENDOR;
    case VIRTIO_MMIO_DEVICE_FEATURES:
        return read_features(m);
    case VIRTIO_MMIO_QUEUE_NUM_MAX:
        return m->queue_sel == 0 ? VIRTQUEUE_SIZE_MAX : 0;
    case VIRTIO_MMIO_QUEUE_READY:
        return m->queue_sel == 0 && m->queue.ready;
    case VIRTIO_MMIO_INTERRUPT_STATUS:
        return m->interrupt_status;
    case VIRTIO_MMIO_STATUS:
        return m->status;
    case VIRTIO_MMIO_SHM_LEN_LOW: /* there is no shared memory region */
    case VIRTIO_MMIO_SHM_LEN_HIGH:
    case VIRTIO_MMIO_SHM_BASE_LOW:
    case VIRTIO_MMIO_SHM_BASE_HIGH:
        return UINT32_MAX;
    default: /* write-only, unused, or the generation of a configuration that never changes */
        return 0;
    }
}

/* The configuration space is accessed bytewise; beyond its end it is zero. */
static uint64_t read_config(const struct virtio_mmio *m, uint64_t offset, unsigned size_bytes)
{
    uint8_t bytes[8] = {0};
    for (unsigned i = 0; i < size_bytes && offset + i < m->config.config_space_bytes; i++) {
        bytes[i] = m->config.config_space[offset + i];
    }
    return load_le64(bytes);
}

static uint64_t mmio_read(void *dev, const struct bus_cx *cx, uint64_t offset, unsigned size_bytes)
{
    (void)cx;
    if (offset >= VIRTIO_MMIO_CONFIG) {
        return read_config(dev, offset - VIRTIO_MMIO_CONFIG, size_bytes);
    }
    return size_bytes == 4 && offset % 4 == 0 ? read_register(dev, offset) : 0;
}

static void mmio_write(void *dev, const struct bus_cx *cx, uint64_t offset, uint64_t value,
                       unsigned size_bytes)
{
    if (size_bytes == 4 && offset % 4 == 0) {
        write_register(dev, offset, (uint32_t)value, cx->now_cycles);
    }
}

void virtio_mmio_init(struct virtio_mmio *m, const struct virtio_mmio_config *config)
{
    CHECK(config->config_space_bytes <= VIRTIO_CONFIG_BYTES_MAX, "configuration space of %u bytes",
          config->config_space_bytes);
    *m = (struct virtio_mmio){.config = *config};
    m->timer = event_timer_add(config->events, "virtio", work, m, 0);
}

void virtio_mmio_visit(struct virtio_mmio *m, struct visitor *v)
{
    visit_u64(v, "driver_features", &m->driver_features);
    visit_u32(v, "device_features_sel", &m->device_features_sel);
    visit_u32(v, "driver_features_sel", &m->driver_features_sel);
    visit_u32(v, "queue_sel", &m->queue_sel);
    visit_u32(v, "status", &m->status);
    visit_u32(v, "interrupt_status", &m->interrupt_status);
    virtqueue_visit(&m->queue, v);
    visit_choice(v, "stage", &m->stage, VIRTIO_SERVING);
    visit_require(v, "stage", m->stage == VIRTIO_IDLE || m->queue.ready);
    visit_u16(v, "head", &m->head);
    m->config.type->visit(m->config.device, v);
}

static void visit_op(void *dev, struct visitor *v)
{
    virtio_mmio_visit(dev, v);
}

const struct device_ops virtio_mmio_ops = {
    .name = "virtio",
    .mmio_read = mmio_read,
    .mmio_write = mmio_write,
    .visit = visit_op,
};
