#ifndef TESTS_UNIT_OS_FAKE_FAKE_QUEUE_H
#define TESTS_UNIT_OS_FAKE_FAKE_QUEUE_H

/* A virtqueue in a page of a test, and a device's side of it. Included once. */

#include <stdint.h>
#include <string.h>

#include "lib/virtqueue.h"

#define PHYSICAL 0x1234567000ull
#define BUFFER   0xabcdef000ull

static _Alignas(4096) unsigned char page[VIRTQUEUE_BYTES];
static struct virtqueue queue;

struct descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags;
    uint16_t next;
};

static inline struct descriptor descriptor(unsigned n)
{
    struct descriptor d;
    memcpy(&d, page + n * sizeof d, sizeof d);
    return d;
}

static inline uint16_t word(unsigned offset)
{
    uint16_t value;
    memcpy(&value, page + offset, sizeof value);
    return value;
}

static inline void start(void)
{
    memset(page, 0, sizeof page);
    virtqueue_init(&queue, page, PHYSICAL);
}

/* The device reports the chain at `head` in the next entry, and moves its index by `steps`. */
static inline void report(uint16_t steps, uint32_t head, uint32_t written)
{
    uint16_t index = word(VIRTQUEUE_USED + 2);
    unsigned entry = VIRTQUEUE_USED + 4 + 8 * (index % VIRTQUEUE_SIZE);
    memcpy(page + entry, &head, sizeof head);
    memcpy(page + entry + 4, &written, sizeof written);
    index = (uint16_t)(index + steps);
    memcpy(page + VIRTQUEUE_USED + 2, &index, sizeof index);
}

#endif
