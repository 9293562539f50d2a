#ifndef OS_PROGRAMS_VIRTBLK_QUEUE_H
#define OS_PROGRAMS_VIRTBLK_QUEUE_H

/*
 * One split virtqueue of a block device in a page of memory for DMA, with one request at a time: a header, a buffer (flush has
 * none), a byte of status. Source: Virtual I/O Device Version 1.1, "Split Virtqueues", "Block Device: Device Operation".
 *
 *     0     descriptors (16 each)      512   ring of what is available      1024  ring of what was used
 *     2048  header of the request      2064  status
 *
 * The page is shared with the device: what comes from there is read once, and believed within bounds only. Host-buildable.
 */

#include <stdbool.h>
#include <stdint.h>

#include "abi/status.h"

#define QUEUE_SIZE  8u /* entries, a power of two */
#define QUEUE_BYTES 4096u

#define QUEUE_AVAILABLE 512u /* offsets in the page */
#define QUEUE_USED      1024u

#define REQUEST_READ  0u /* VIRTIO_BLK_T_* */
#define REQUEST_WRITE 1u
#define REQUEST_FLUSH 4u

#define SECTOR_BYTES 512u

struct queue {
    volatile unsigned char *page;
    uint64_t physical;
    uint16_t available; /* requests so far */
    uint16_t used;
    uint32_t written; /* bytes that the device has to have written when it is done */
    bool waits;       /* for the request that was posted last */
};

/* A queue in a zeroed page. */
void queue_init(struct queue *queue, void *page, uint64_t physical);

/*
 * Posts a request: REQUEST_READ, _WRITE with a buffer, REQUEST_FLUSH with 0 bytes. The device has to be told. None may be under
 * way.
 */
void queue_post(struct queue *queue, uint32_t type, uint64_t sector, uint64_t buffer, uint32_t bytes);

/*
 * Looks whether the request is done. STATUS_OK; STATUS_ERR_AGAIN: not yet; STATUS_ERR_DEVICE: done, and it failed;
 * STATUS_ERR_UNSUPPORTED: done, the device does not know such a request; STATUS_ERR_STATE: what the device says cannot be: it is
 * to be reset, as after any request that is given up.
 */
MUST_CHECK status_t queue_take(struct queue *queue);

#endif
