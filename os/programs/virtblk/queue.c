/* The queue of a virtio block device. Deviations: one request at a time; no indirect descriptors, no event index. */
#include "queue.h"

#define HEADER      2048u
#define HEADER_SIZE 16u
#define STATUS      2064u

#define DESCRIPTOR_NEXT  1u
#define DESCRIPTOR_WRITE 2u /* by the device */

#define STATUS_DONE        0u
#define STATUS_UNSUPPORTED 2u
#define STATUS_UNTOUCHED   0xffu

static void put16(struct queue *queue, unsigned offset, uint16_t value)
{
    *(volatile uint16_t *)(volatile void *)(queue->page + offset) = value;
}

static void put32(struct queue *queue, unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(volatile void *)(queue->page + offset) = value;
}

static void put64(struct queue *queue, unsigned offset, uint64_t value)
{
    *(volatile uint64_t *)(volatile void *)(queue->page + offset) = value;
}

static uint16_t get16(const struct queue *queue, unsigned offset)
{
    return *(volatile uint16_t *)(volatile void *)(queue->page + offset);
}

static uint32_t get32(const struct queue *queue, unsigned offset)
{
    return *(volatile uint32_t *)(volatile void *)(queue->page + offset);
}

void queue_init(struct queue *queue, void *page, uint64_t physical)
{
    *queue = (struct queue){.page = page, .physical = physical};
}

/* Descriptor n, which is followed by n + 1 unless it is the last. */
static void describe(struct queue *queue, unsigned n, uint64_t address, uint32_t bytes, uint16_t flags)
{
    put64(queue, n * 16, address);
    put32(queue, n * 16 + 8, bytes);
    put16(queue, n * 16 + 12, flags);
    put16(queue, n * 16 + 14, (uint16_t)(n + 1));
}

void queue_post(struct queue *queue, uint32_t type, uint64_t sector, uint64_t buffer, uint32_t bytes)
{
    bool in = type == REQUEST_READ;
    unsigned last = bytes != 0 ? 2 : 1;
    put32(queue, HEADER, type);
    put32(queue, HEADER + 4, 0);
    put64(queue, HEADER + 8, sector);
    queue->page[STATUS] = STATUS_UNTOUCHED;
    describe(queue, 0, queue->physical + HEADER, HEADER_SIZE, DESCRIPTOR_NEXT);
    if (bytes != 0) {
        describe(queue, 1, buffer, bytes, DESCRIPTOR_NEXT | (in ? DESCRIPTOR_WRITE : 0));
    }
    describe(queue, last, queue->physical + STATUS, 1, DESCRIPTOR_WRITE);
    put16(queue, QUEUE_AVAILABLE + 4 + 2 * (queue->available % QUEUE_SIZE), 0); /* the chain begins there */
    queue->available++;
    queue->written = in ? bytes + 1 : 1;
    queue->waits = true;
    __atomic_thread_fence(__ATOMIC_RELEASE); /* the index says that all of it is there */
    put16(queue, QUEUE_AVAILABLE + 2, queue->available);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

status_t queue_take(struct queue *queue)
{
    uint16_t index = get16(queue, QUEUE_USED + 2);
    if (!queue->waits || index == queue->used) {
        return index == queue->used ? STATUS_ERR_AGAIN : STATUS_ERR_STATE;
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    unsigned entry = QUEUE_USED + 4 + 8 * (queue->used % QUEUE_SIZE);
    uint32_t head = get32(queue, entry);
    uint32_t written = get32(queue, entry + 4);
    uint8_t status = queue->page[STATUS];
    if ((uint16_t)(index - queue->used) != 1 || head != 0 || written > queue->written) {
        return STATUS_ERR_STATE;
    }
    queue->used = index;
    queue->waits = false;
    if (status == STATUS_DONE) {
        /* some devices count nothing where only the status is theirs to write */
        return queue->written == 1 || written == queue->written ? STATUS_OK : STATUS_ERR_STATE;
    }
    return status == STATUS_UNSUPPORTED ? STATUS_ERR_UNSUPPORTED : STATUS_ERR_DEVICE;
}
