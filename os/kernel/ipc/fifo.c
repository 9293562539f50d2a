/* Ring of messages; the two counts run freely, so that full and empty differ. Deviations: none. */
#include "ipc/fifo.h"

#include "lib/string.h"

#define MESSAGE_BYTES (FIFO_MESSAGE_WORDS * sizeof(uint64_t))

void fifo_init(struct fifo *fifo, uint64_t *words, uint32_t capacity)
{
    *fifo = (struct fifo){.words = words, .capacity = capacity};
}

static uint64_t *place(const struct fifo *fifo, uint32_t position)
{
    return fifo->words + (uint64_t)(position & (fifo->capacity - 1)) * FIFO_MESSAGE_WORDS;
}

status_t fifo_put(struct fifo *fifo, const uint64_t *words)
{
    if (fifo_count(fifo) == fifo->capacity) {
        return STATUS_ERR_AGAIN;
    }
    memcpy(place(fifo, fifo->put++), words, MESSAGE_BYTES);
    return STATUS_OK;
}

status_t fifo_take(struct fifo *fifo, uint64_t *words)
{
    if (fifo_count(fifo) == 0) {
        return STATUS_ERR_AGAIN;
    }
    memcpy(words, place(fifo, fifo->taken++), MESSAGE_BYTES);
    return STATUS_OK;
}
