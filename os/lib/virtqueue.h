#ifndef OS_LIB_VIRTQUEUE_H
#define OS_LIB_VIRTQUEUE_H

/*
 * One split virtqueue in a page of memory for DMA, with one chain of descriptors at a time, which begins at the first.
 * Source: Virtual I/O Device Version 1.1, "Split Virtqueues".
 *
 *     0     descriptors (16 each)      512   ring of what is available      1024  ring of what was used
 *     2048  the driver's own
 *
 * The page is shared with the device: what comes from there is read once, and believed within bounds only. Deviations: no
 * indirect descriptors, no event index. Host-buildable.
 */

#include <stdbool.h>
#include <stdint.h>

#include "abi/status.h"

#define VIRTQUEUE_SIZE  8u /* entries, a power of two */
#define VIRTQUEUE_BYTES 4096u

#define VIRTQUEUE_AVAILABLE 512u /* offsets in the page */
#define VIRTQUEUE_USED      1024u
#define VIRTQUEUE_OWN       2048u

struct virtqueue {
    volatile unsigned char *page;
    uint64_t physical;
    uint16_t available; /* chains so far */
    uint16_t used;
    bool waits; /* for the chain that was posted last */
};

/* A queue in a zeroed page. */
void virtqueue_init(struct virtqueue *queue, void *page, uint64_t physical);

/* Writes to the driver's own part of the page. */
void virtqueue_put32(struct virtqueue *queue, unsigned offset, uint32_t value);
void virtqueue_put64(struct virtqueue *queue, unsigned offset, uint64_t value);

/*
 * Descriptor n of the chain, counted from 0, of memory at a physical address; writes: by the device. Unless it is the last,
 * n + 1 follows.
 */
void virtqueue_describe(struct virtqueue *queue, unsigned n, uint64_t address, uint32_t bytes, bool writes,
                        bool last);

/* Makes the chain available. The device has to be told. None may be under way. */
void virtqueue_post(struct virtqueue *queue);

/*
 * Looks whether the device is done with the chain. STATUS_OK, with the bytes that it says it has written, `most` or fewer;
 * STATUS_ERR_AGAIN: not yet; STATUS_ERR_STATE: what the device says cannot be: it is to be reset, as after any chain that is
 * given up.
 */
MUST_CHECK status_t virtqueue_take(struct virtqueue *queue, uint32_t most, uint32_t *written);

#endif
