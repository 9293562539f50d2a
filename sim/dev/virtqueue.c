/*
 * Split virtqueues: the device's side.
 *
 *   descriptor table   16 bytes each:  address (8) | length (4) | flags (2) | next (2)
 *   available ring     flags (2) | idx (2) | head (2) of each entry          written by the driver
 *   used ring          flags (2) | idx (2) | { id (4) | length (4) } of each entry   written by the device
 *
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, "Split Virtqueues", "The Virtqueue Descriptor Table", "Indirect
 * Descriptors", "The Virtqueue Available Ring", "The Virtqueue Used Ring", "Message Framing".
 *
 * Everything comes from the guest, which may change it at any time: each number is read once and checked before it leads
 * anywhere, and whatever happens ends after a bounded number of descriptors.
 *
 * Deviations: a chain has at most VIRTQUEUE_SIZE_MAX descriptors, those of an indirect table included. No packed rings, no
 * event index; flags of the used ring are never set, so the driver may notify at any time.
 */

#include "dev/virtqueue.h"

#include "base/bits.h"

#define CHAIN_BYTES_MAX (UINT64_C(1) << 32)

static bool load16(const struct bus *b, uint64_t a, uint16_t *out)
{
    uint8_t bytes[2];
    bool there = bus_peek(b, phys(a), bytes, sizeof bytes);
    *out = there ? load_le16(bytes) : 0;
    return there;
}

bool virtqueue_is_sound(const struct virtqueue *q)
{
    bool size = q->size > 0 && q->size <= VIRTQUEUE_SIZE_MAX && (q->size & (q->size - 1)) == 0;
    return size && (q->descriptors | q->available | q->used) >> PHYS_BITS == 0 && q->descriptors % 16 == 0 &&
           q->available % 2 == 0 && q->used % 4 == 0;
}

enum virtqueue_result virtqueue_take(struct virtqueue *q, const struct bus *b, uint16_t *head)
{
    uint16_t idx;
    if (!load16(b, q->available + VIRTQ_AVAIL_IDX, &idx)) {
        return VIRTQUEUE_BROKEN;
    }
    uint16_t waiting = (uint16_t)(idx - q->next_available);
    if (waiting == 0) {
        return VIRTQUEUE_EMPTY;
    }
    uint64_t item = VIRTQ_AVAIL_RING + VIRTQ_AVAIL_ITEM_BYTES * (uint64_t)(q->next_available % q->size);
    if (waiting > q->size || !load16(b, q->available + item, head) || *head >= q->size) {
        return VIRTQUEUE_BROKEN;
    }
    q->next_available++;
    return VIRTQUEUE_CHAIN;
}

bool virtqueue_give(struct virtqueue *q, struct bus *b, uint16_t head, uint32_t written)
{
    uint8_t item[VIRTQ_USED_ITEM_BYTES], idx[2];
    uint64_t at = q->used + VIRTQ_USED_RING + VIRTQ_USED_ITEM_BYTES * (uint64_t)(q->next_used % q->size);
    store_le32(item, head);
    store_le32(item + 4, written);
    store_le16(idx, (uint16_t)(q->next_used + 1));
    if (!bus_load(b, phys(at), item, sizeof item) ||
        !bus_load(b, phys(q->used + VIRTQ_USED_IDX), idx, sizeof idx)) {
        return false;
    }
    q->next_used++;
    return true;
}

bool virtqueue_wants_interrupt(const struct virtqueue *q, const struct bus *b)
{
    uint16_t flags;
    return load16(b, q->available + VIRTQ_AVAIL_FLAGS, &flags) && !(flags & VIRTQ_AVAIL_F_NO_INTERRUPT);
}

/* ---- chains ---- */

struct descriptor {
    uint64_t at;
    uint32_t size_bytes;
    uint16_t flags, next;
};

static bool load_descriptor(const struct bus *b, uint64_t table, uint32_t number, struct descriptor *d)
{
    uint8_t bytes[VIRTQ_DESC_BYTES];
    if (!bus_peek(b, phys(table + VIRTQ_DESC_BYTES * (uint64_t)number), bytes, sizeof bytes)) {
        return false;
    }
    *d = (struct descriptor){load_le64(bytes), load_le32(bytes + 8), load_le16(bytes + 12),
                             load_le16(bytes + 14)};
    return true;
}

/* One more buffer of the chain, if it may come there. */
static bool add_buffer(struct virtqueue_chain *c, const struct bus *b, const struct descriptor *d)
{
    bool writable = d->flags & VIRTQ_DESC_F_WRITE;
    unsigned count = c->readable + c->writable;
    if (count == VIRTQUEUE_SIZE_MAX || (!writable && c->writable > 0) ||
        (d->size_bytes > 0 && !ram_contains(&b->ram, phys(d->at), d->size_bytes))) {
        return false;
    }
    c->buffers[count] = (struct virtqueue_buffer){phys(d->at), d->size_bytes};
    *(writable ? &c->writable : &c->readable) += 1;
    *(writable ? &c->writable_bytes : &c->readable_bytes) += d->size_bytes;
    return c->readable_bytes + c->writable_bytes <= CHAIN_BYTES_MAX;
}

/* The table that a descriptor refers to instead of a buffer. */
static bool enter_table(const struct bus *b, const struct descriptor *d, uint64_t *table, uint32_t *size)
{
    *table = d->at;
    *size = d->size_bytes / VIRTQ_DESC_BYTES;
    return *size > 0 && d->size_bytes % VIRTQ_DESC_BYTES == 0 && !(d->flags & VIRTQ_DESC_F_NEXT) &&
           ram_contains(&b->ram, phys(d->at), d->size_bytes);
}

bool virtqueue_follow(const struct virtqueue *q, const struct bus *b, uint16_t head, bool indirect,
                      struct virtqueue_chain *c)
{
    uint64_t table = q->descriptors;
    uint32_t number = head, size = q->size;
    c->readable = c->writable = 0;
    c->readable_bytes = c->writable_bytes = 0;
    for (;;) {
        struct descriptor d;
        if (number >= size || !load_descriptor(b, table, number, &d)) {
            return false;
        }
        if (d.flags & VIRTQ_DESC_F_INDIRECT) {
            if (!indirect || !enter_table(b, &d, &table, &size)) {
                return false;
            }
            indirect = false; /* one table a chain */
            number = 0;
            continue;
        }
        if (!add_buffer(c, b, &d)) {
            return false;
        }
        if (!(d.flags & VIRTQ_DESC_F_NEXT)) {
            return true;
        }
        number = d.next;
    }
}

/* ---- bytes of a chain ---- */

/* The part of a buffer that offset .. offset + size covers, which it moves past that buffer. */
static struct virtqueue_buffer cut_buffer(const struct virtqueue_buffer *from, uint64_t *offset,
                                          uint64_t size)
{
    if (*offset >= from->size_bytes) {
        *offset -= from->size_bytes;
        return (struct virtqueue_buffer){from->at, 0};
    }
    struct virtqueue_buffer part = {phys(from->at.v + *offset),
                                    (uint32_t)least_of(size, from->size_bytes - *offset)};
    *offset = 0;
    return part;
}

void virtqueue_read(const struct virtqueue_chain *c, const struct bus *b, uint64_t offset, void *bytes,
                    uint64_t size)
{
    uint8_t *to = bytes;
    for (unsigned i = 0; i < c->readable && size > 0; i++) {
        struct virtqueue_buffer part = cut_buffer(&c->buffers[i], &offset, size);
        bus_peek(b, part.at, to, part.size_bytes);
        to += part.size_bytes;
        size -= part.size_bytes;
    }
}

void virtqueue_write(const struct virtqueue_chain *c, struct bus *b, uint64_t offset, const void *bytes,
                     uint64_t size)
{
    const uint8_t *from = bytes;
    for (unsigned i = 0; i < c->writable && size > 0; i++) {
        struct virtqueue_buffer part = cut_buffer(&c->buffers[c->readable + i], &offset, size);
        bus_load(b, part.at, from, part.size_bytes);
        from += part.size_bytes;
        size -= part.size_bytes;
    }
}

void virtqueue_visit(struct virtqueue *q, struct visitor *v)
{
    visit_u32(v, "size", &q->size);
    visit_bool(v, "ready", &q->ready);
    visit_u64(v, "descriptors", &q->descriptors);
    visit_u64(v, "available", &q->available);
    visit_u64(v, "used", &q->used);
    visit_u16(v, "next_available", &q->next_available);
    visit_u16(v, "next_used", &q->next_used);
    visit_require(v, "size", !q->ready || virtqueue_is_sound(q));
}
