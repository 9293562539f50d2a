/* Requests of a virtio block device. Deviations: one at a time. */
#include "request.h"

#define HEADER      VIRTQUEUE_OWN
#define HEADER_SIZE 16u
#define STATUS      (VIRTQUEUE_OWN + HEADER_SIZE)

#define VIRTIO_BLK_S_OK     0u
#define VIRTIO_BLK_S_UNSUPP 2u
#define VIRTIO_BLK_S_NONE   0xffu /* no status of a device */

uint32_t request_post(struct virtqueue *queue, uint32_t type, uint64_t sector, uint64_t buffer,
                      uint32_t bytes)
{
    bool in = type == REQUEST_READ;
    virtqueue_put32(queue, HEADER, type);
    virtqueue_put32(queue, HEADER + 4, 0);
    virtqueue_put64(queue, HEADER + 8, sector);
    queue->page[STATUS] = VIRTIO_BLK_S_NONE;
    virtqueue_describe(queue, 0, queue->physical + HEADER, HEADER_SIZE, false, false);
    if (bytes != 0) {
        virtqueue_describe(queue, 1, buffer, bytes, in, false);
    }
    virtqueue_describe(queue, bytes != 0 ? 2 : 1, queue->physical + STATUS, 1, true, true);
    virtqueue_post(queue);
    return in ? bytes + 1 : 1;
}

status_t request_take(struct virtqueue *queue, uint32_t writes)
{
    uint32_t written;
    status_t taken = virtqueue_take(queue, writes, &written);
    if (taken != STATUS_OK) {
        return taken;
    }
    uint8_t status = queue->page[STATUS];
    if (status == VIRTIO_BLK_S_OK) {
        /* some devices count nothing where only the status is theirs to write */
        return writes == 1 || written == writes ? STATUS_OK : STATUS_ERR_STATE;
    }
    return status == VIRTIO_BLK_S_UNSUPP ? STATUS_ERR_UNSUPPORTED : STATUS_ERR_DEVICE;
}
