#ifndef ORRERY_DEV_VIRTQUEUE_H
#define ORRERY_DEV_VIRTQUEUE_H

/*
 * A split virtqueue as the device sees it: rings and descriptors in guest memory, of which nothing is trusted.
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, "Split Virtqueues".
 */

#include "base/visit.h"
#include "core/bus.h"

#define VIRTQUEUE_SIZE_MAX 256u /* entries; also the most descriptors of a chain */

enum virtq_desc_flags { VIRTQ_DESC_F_NEXT = 1, VIRTQ_DESC_F_WRITE = 2, VIRTQ_DESC_F_INDIRECT = 4 };

#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u

/* Sizes and places of the parts, for both sides. */
#define VIRTQ_DESC_BYTES       16u
#define VIRTQ_AVAIL_FLAGS      0u
#define VIRTQ_AVAIL_IDX        2u
#define VIRTQ_AVAIL_RING       4u
#define VIRTQ_AVAIL_ITEM_BYTES 2u
#define VIRTQ_USED_IDX         2u
#define VIRTQ_USED_RING        4u
#define VIRTQ_USED_ITEM_BYTES  8u

struct virtqueue {
    uint32_t size; /* entries */
    bool ready;
    uint64_t descriptors, available, used; /* physical addresses of the three parts */
    uint16_t next_available, next_used;    /* free-running */
};

/* Size, alignment and addresses of the parts are what the specification demands. */
bool virtqueue_is_sound(const struct virtqueue *q);

enum virtqueue_result { VIRTQUEUE_EMPTY, VIRTQUEUE_CHAIN, VIRTQUEUE_BROKEN };

/* Takes the next available chain and gives its head. Broken: the ring is not all RAM, or holds what it cannot. */
enum virtqueue_result virtqueue_take(struct virtqueue *q, const struct bus *b, uint16_t *head);

/* Gives a chain back: `written` bytes of it, from the first device-writable one on, have been written. False: broken. */
bool virtqueue_give(struct virtqueue *q, struct bus *b, uint16_t head, uint32_t written);

/* Does the driver want to hear of used buffers? */
bool virtqueue_wants_interrupt(const struct virtqueue *q, const struct bus *b);

struct virtqueue_buffer {
    phys_t at;
    uint32_t size_bytes;
};

/* A chain: first the buffers that the device reads, then those that it writes; all of them RAM. */
struct virtqueue_chain {
    struct virtqueue_buffer buffers[VIRTQUEUE_SIZE_MAX];
    unsigned readable, writable; /* buffers of each kind */
    uint64_t readable_bytes, writable_bytes;
};

/* Follows the chain that begins at head. False: it is broken, or uses an indirect table and may not. */
bool virtqueue_follow(const struct virtqueue *q, const struct bus *b, uint16_t head, bool indirect,
                      struct virtqueue_chain *c);

/* Bytes of the readable part, and into the writable part, as if each were one piece. What lies beyond its end is not copied. */
void virtqueue_read(const struct virtqueue_chain *c, const struct bus *b, uint64_t offset, void *bytes,
                    uint64_t size);
void virtqueue_write(const struct virtqueue_chain *c, struct bus *b, uint64_t offset, const void *bytes,
                     uint64_t size);

void virtqueue_visit(struct virtqueue *q, struct visitor *v);

#endif
