#ifndef OS_LIB_VIRTIO_H
#define OS_LIB_VIRTIO_H

/*
 * What all drivers of virtio devices over MMIO, version 2, have in common: a device is found, owned, started and told; its
 * features, its configuration and what its queue carries are the driver's. Source: Virtual I/O Device Version 1.1,
 * "Virtio Over MMIO", "Device Initialization". Deviations: legacy devices (version 1) are not driven; one queue, number 0.
 *
 *     virtio_find, virtio_open; then, and whenever the device has to begin anew:
 *     virtio_reset, virtio_begin, the configuration is read, virtio_go; then
 *     virtqueue_describe and _post, virtio_notify, virtio_wait, virtqueue_take
 */

#include "lib/orrery.h"
#include "lib/virtio_window.h"
#include "lib/virtqueue.h"

#define VIRTIO_BLOCK 2u /* device IDs */

struct virtio {
    struct virtio_window window;
    volatile uint32_t *registers;
    handle_t line;
    handle_t events; /* the notification of the line */
    struct virtqueue queue;
    void *page; /* of the queue */
    uint64_t physical;
    bool running;
};

/*
 * Maps the window. STATUS_ERR_NOT_FOUND: no device of version 2 with this ID answers there. Fails as device_create and
 * device_map.
 */
int64_t virtio_find(struct virtio *device, const struct virtio_window *window, uint32_t id);

/* Takes the line, resets the device, takes memory for the queue. Fails as the calls do; STATUS_ERR_DEVICE: no reset. */
int64_t virtio_open(struct virtio *device);

/* Makes the device forget all that it was asked for. False: it does not come out of its reset, and may go on with it. */
bool virtio_reset(struct virtio *device);

/*
 * After a reset: takes those features of the first 32 that are wanted and offered, and sets up an empty queue.
 * STATUS_ERR_UNSUPPORTED: the device does not do what is needed.
 */
int64_t virtio_begin(struct virtio *device, uint32_t wanted, uint32_t *accepted);

/* After virtio_begin: sets the device to work. STATUS_ERR_DEVICE: it does not run. */
int64_t virtio_go(struct virtio *device);

/* Eight bytes of the device's configuration: both halves of one generation. */
uint64_t virtio_config64(const struct virtio *device, unsigned offset);

/* Tells the device that there is a new chain in its queue. */
void virtio_notify(const struct virtio *device);

/*
 * Waits for an interrupt of the device, until `deadline` of sys_clock. STATUS_ERR_TIMEOUT; fails as notification_wait.
 * There may be nothing in the queue.
 */
int64_t virtio_wait(const struct virtio *device, uint64_t deadline);

/* The device says that it can do nothing any more before its next reset. */
bool virtio_needs_reset(const struct virtio *device);

#endif
