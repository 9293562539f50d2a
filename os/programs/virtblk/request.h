#ifndef OS_PROGRAMS_VIRTBLK_REQUEST_H
#define OS_PROGRAMS_VIRTBLK_REQUEST_H

/*
 * Requests of a block device in a virtqueue, one at a time: a header, a buffer (flush has none), a byte of status. Source:
 * Virtual I/O Device Version 1.1, "Block Device: Device Operation". Header and status lie in the driver's own part of the
 * queue's page:
 *
 *     2048  header of the request      2064  status
 *
 * Host-buildable.
 */

#include "lib/virtqueue.h"

#define REQUEST_READ  0u /* VIRTIO_BLK_T_* */
#define REQUEST_WRITE 1u
#define REQUEST_FLUSH 4u

#define SECTOR_BYTES 512u

/*
 * Posts a request: REQUEST_READ, _WRITE with a buffer, REQUEST_FLUSH with 0 bytes. The device has to be told. None may
 * be under way. Returns the bytes that the device has to have written when it is done.
 */
MUST_CHECK uint32_t request_post(struct virtqueue *queue, uint32_t type, uint64_t sector, uint64_t buffer,
                                 uint32_t bytes);

/*
 * Looks whether the request is done that has to write so much. STATUS_OK; STATUS_ERR_AGAIN: not yet; STATUS_ERR_DEVICE:
 * done, and it failed; STATUS_ERR_UNSUPPORTED: done, the device does not know such a request; STATUS_ERR_STATE: what the
 * device says cannot be: it is to be reset, as after any request that is given up.
 */
MUST_CHECK status_t request_take(struct virtqueue *queue, uint32_t writes);

#endif
