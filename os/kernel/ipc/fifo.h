#ifndef OS_KERNEL_IPC_FIFO_H
#define OS_KERNEL_IPC_FIFO_H

/* The ring of a blocking channel: messages of 64 bytes in order. The caller serialises. */

#include <stdint.h>

#include "abi/status.h"

#define FIFO_MESSAGE_WORDS 8u

struct fifo {
    uint64_t *words;   /* capacity x FIFO_MESSAGE_WORDS */
    uint32_t capacity; /* messages, a power of two */
    uint32_t taken;    /* messages since the start, modulo 2^32 */
    uint32_t put;
};

/* An empty ring over memory of the caller. */
void fifo_init(struct fifo *fifo, uint64_t *words, uint32_t capacity);

static inline uint32_t fifo_count(const struct fifo *fifo)
{
    return fifo->put - fifo->taken;
}

/* STATUS_ERR_AGAIN: full; empty. Bound: O(1). */
MUST_CHECK status_t fifo_put(struct fifo *fifo, const uint64_t *words);
MUST_CHECK status_t fifo_take(struct fifo *fifo, uint64_t *words);

#endif
