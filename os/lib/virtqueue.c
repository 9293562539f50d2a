/* One split virtqueue, the driver's side: a chain at a time. */
#include "lib/virtqueue.h"

#define DESCRIPTOR_NEXT  1u
#define DESCRIPTOR_WRITE 2u /* by the device */

static void put16(struct virtqueue *queue, unsigned offset, uint16_t value)
{
    *(volatile uint16_t *)(volatile void *)(queue->page + offset) = value;
}

void virtqueue_put32(struct virtqueue *queue, unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(volatile void *)(queue->page + offset) = value;
}

void virtqueue_put64(struct virtqueue *queue, unsigned offset, uint64_t value)
{
    *(volatile uint64_t *)(volatile void *)(queue->page + offset) = value;
}

static uint16_t get16(const struct virtqueue *queue, unsigned offset)
{
    return *(volatile uint16_t *)(volatile void *)(queue->page + offset);
}

static uint32_t get32(const struct virtqueue *queue, unsigned offset)
{
    return *(volatile uint32_t *)(volatile void *)(queue->page + offset);
}

void virtqueue_init(struct virtqueue *queue, void *page, uint64_t physical)
{
    *queue = (struct virtqueue){.page = page, .physical = physical};
}

void virtqueue_describe(struct virtqueue *queue, unsigned n, uint64_t address, uint32_t bytes, bool writes,
                        bool last)
{
    virtqueue_put64(queue, n * 16, address);
    virtqueue_put32(queue, n * 16 + 8, bytes);
    put16(queue, n * 16 + 12, (uint16_t)((writes ? DESCRIPTOR_WRITE : 0) | (last ? 0 : DESCRIPTOR_NEXT)));
    put16(queue, n * 16 + 14, (uint16_t)(n + 1));
}

void virtqueue_post(struct virtqueue *queue)
{
    put16(queue, VIRTQUEUE_AVAILABLE + 4 + 2 * (queue->available % VIRTQUEUE_SIZE), 0); /* it begins there */
    queue->available++;
    queue->waits = true;
    __atomic_thread_fence(__ATOMIC_RELEASE); /* the index says that all of it is there */
    put16(queue, VIRTQUEUE_AVAILABLE + 2, queue->available);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

status_t virtqueue_take(struct virtqueue *queue, uint32_t most, uint32_t *written)
{
    uint16_t index = get16(queue, VIRTQUEUE_USED + 2);
    if (!queue->waits || index == queue->used) {
        return index == queue->used ? STATUS_ERR_AGAIN : STATUS_ERR_STATE;
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    unsigned entry = VIRTQUEUE_USED + 4 + 8 * (queue->used % VIRTQUEUE_SIZE);
    uint32_t head = get32(queue, entry);
    *written = get32(queue, entry + 4);
    if ((uint16_t)(index - queue->used) != 1 || head != 0 || *written > most) {
        return STATUS_ERR_STATE;
    }
    queue->used = index;
    queue->waits = false;
    return STATUS_OK;
}
