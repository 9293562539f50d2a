#ifndef OS_PROGRAMS_VIRTBLK_DEVICE_H
#define OS_PROGRAMS_VIRTBLK_DEVICE_H

/* A virtio block device (lib/virtio.h finds it): started, asked one request at a time. */

#include "lib/virtio.h"
#include "request.h"

struct device {
    struct virtio transport;
    uint64_t sectors;
    bool writable;
    bool flushes;       /* it has a cache that wants to be flushed */
    uint64_t busy_with; /* physical address of a request's buffer that the device may still use; 0: of none */
};

/* Takes line and memory, and starts the device. Fails as virtio_open and device_start. */
int64_t device_open(struct device *device);

/*
 * Resets the device, which forgets every request, and sets it to work. STATUS_ERR_DEVICE: it does not come out of its reset;
 * STATUS_ERR_UNSUPPORTED: it does not do what is needed. On failure it does not run.
 */
int64_t device_start(struct device *device);

/*
 * Does a request of whole sectors inside the disk, and waits for its end. Starts the device if it does not run; whatever it does
 * wrong ends with its reset. STATUS_ERR_DEVICE, STATUS_ERR_UNSUPPORTED, STATUS_ERR_TIMEOUT, as device_start.
 */
int64_t device_do(struct device *device, uint32_t type, uint64_t sector, uint64_t buffer, uint32_t bytes);

/*
 * Whether a buffer is not the device's any more: it has told the end of the request, or has been seen to be reset since, which
 * is tried again here.
 */
bool device_is_done_with(struct device *device, uint64_t buffer);

#endif
