#ifndef OS_PROGRAMS_VIRTBLK_DEVICE_H
#define OS_PROGRAMS_VIRTBLK_DEVICE_H

/* A virtio block device over MMIO, version 2: found, started, asked one request at a time. */

#include "lib/orrery.h"
#include "queue.h"
#include "window.h"

struct device {
    struct window window;
    volatile uint32_t *registers;
    handle_t line;
    handle_t events; /* the notification of the line */
    struct queue queue;
    void *page; /* of the queue */
    uint64_t physical;
    uint64_t sectors;
    bool writable;
    bool flushes; /* it has a cache that wants to be flushed */
    bool running;
    uint64_t busy_with; /* physical address of a request's buffer that the device may still use; 0: of none */
};

/*
 * Maps the window. STATUS_ERR_NOT_FOUND: no block device of version 2 answers there. Fails as device_create and device_map.
 */
int64_t device_find(struct device *device, const struct window *window);

/* Takes line and memory, and starts the device. Fails as the calls do, and as device_start. */
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
