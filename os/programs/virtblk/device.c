/*
 * A virtio block device. Source: Virtual I/O Device Version 1.1, "Block Device". Deviations: the capacity is read at each
 * start, changes of the configuration in between are not looked for.
 */
#include "device.h"

#define FEATURE_READ_ONLY (1u << 5)
#define FEATURE_FLUSH     (1u << 9)

#define CAPACITY    0u /* in the configuration */
#define PATIENCE_NS 5000000000ull

/* What it was asked for is forgotten once it is at rest, and not before that. */
static bool reset(struct device *device)
{
    if (!virtio_reset(&device->transport)) {
        return false;
    }
    device->busy_with = 0;
    return true;
}

int64_t device_start(struct device *device)
{
    uint32_t features;
    if (!reset(device)) {
        return STATUS_ERR_DEVICE;
    }
    int64_t status = virtio_begin(&device->transport, FEATURE_READ_ONLY | FEATURE_FLUSH, &features);
    if (status != STATUS_OK) {
        return status;
    }
    device->writable = (features & FEATURE_READ_ONLY) == 0;
    device->flushes = (features & FEATURE_FLUSH) != 0;
    device->sectors = virtio_config64(&device->transport, CAPACITY);
    return virtio_go(&device->transport);
}

int64_t device_open(struct device *device)
{
    int64_t status = virtio_open(&device->transport);
    return status == STATUS_OK ? device_start(device) : status;
}

/* The end of the request that has to write so much. */
static int64_t wait_for_end(struct device *device, uint32_t writes)
{
    uint64_t deadline = (uint64_t)sys_clock() + PATIENCE_NS;
    for (;;) {
        int64_t status = virtio_wait(&device->transport, deadline);
        if (status != STATUS_OK) {
            return status;
        }
        status = request_take(&device->transport.queue, writes);
        if (status != STATUS_ERR_AGAIN) {
            return status;
        }
        if (virtio_needs_reset(&device->transport)) {
            return STATUS_ERR_STATE;
        }
    }
}

int64_t device_do(struct device *device, uint32_t type, uint64_t sector, uint64_t buffer, uint32_t bytes)
{
    int64_t status = device->transport.running ? STATUS_OK : device_start(device);
    if (status != STATUS_OK) {
        return status;
    }
    device->busy_with = buffer;
    uint32_t writes = request_post(&device->transport.queue, type, sector, buffer, bytes);
    virtio_notify(&device->transport);
    status = wait_for_end(device, writes);
    if (status == STATUS_OK || status == STATUS_ERR_DEVICE || status == STATUS_ERR_UNSUPPORTED) {
        device->busy_with = 0;
        return status;
    }
    (void)device_start(device); /* the next request tries again */
    return status == STATUS_ERR_STATE ? STATUS_ERR_DEVICE : status;
}

bool device_is_done_with(struct device *device, uint64_t buffer)
{
    return device->busy_with != buffer || reset(device);
}
