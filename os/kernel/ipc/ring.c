/*
 * The lock-free ring. Source: the array queue with one compare-and-swap a cell of Shann, Huang and Chen, "A Practical
 * Nonblocking Queue Algorithm Using Compare-and-Swap" (2000), with a position in each cell so that an old compare-and-swap
 * cannot succeed in a later round; the free list is Treiber's stack with a serial number. Deviations: none.
 */
#include "ipc/ring.h"

#include "lib/string.h"

#define LOW_BITS 16u
#define LOW_MASK 0xffffull

#define POSITION_MASK ((1ull << (64 - LOW_BITS)) - 1)

static uint64_t pack(uint64_t high, uint64_t low)
{
    return high << LOW_BITS | low;
}

static uint64_t high_of(uint64_t word)
{
    return word >> LOW_BITS;
}

void ring_init(struct ring *ring, uint64_t *cells, uint32_t cell_count, uint64_t *next,
               struct ring_buffer *buffers, uint32_t buffer_count)
{
    *ring = (struct ring){
        .cells = cells, .next = next, .buffers = buffers, .cell_count = cell_count, .free = pack(0, 1)};
    for (uint32_t i = 0; i < cell_count; i++) {
        cells[i] = pack(i, 0);
    }
    for (uint32_t i = 0; i < buffer_count; i++) {
        next[i] = i + 1 < buffer_count ? i + 2 : 0;
    }
}

/* The position `count` after one. */
static uint64_t after(uint64_t position, uint64_t count)
{
    return (position + count) & POSITION_MASK;
}

/* A free buffer + 1, 0 when there is none. */
static uint64_t buffer_get(struct ring *ring)
{
    for (;;) {
        uint64_t first = ring_word_load(&ring->free);
        uint64_t buffer = first & LOW_MASK;
        if (buffer == 0) {
            return 0;
        }
        uint64_t second = ring_word_load(&ring->next[buffer - 1]);
        if (ring_word_cas(&ring->free, first, pack(high_of(first) + 1, second))) {
            return buffer;
        }
    }
}

static void buffer_put(struct ring *ring, uint64_t buffer)
{
    for (;;) {
        uint64_t first = ring_word_load(&ring->free);
        __atomic_store_n(&ring->next[buffer - 1], first & LOW_MASK, __ATOMIC_RELAXED);
        if (ring_word_cas(&ring->free, first, pack(high_of(first) + 1, buffer))) {
            return;
        }
    }
}

/* Sets the cell at the tail; false when the ring is full. */
static bool cell_fill(struct ring *ring, uint64_t buffer)
{
    for (;;) {
        uint64_t tail = ring_word_load(&ring->tail);
        uint64_t *cell = &ring->cells[tail % ring->cell_count];
        uint64_t seen = ring_word_load(cell);
        if (seen == pack(tail, 0)) {
            if (ring_word_cas(cell, seen, pack(tail, buffer))) {
                (void)ring_word_cas(&ring->tail, tail, after(tail, 1));
                return true;
            }
        } else if (after(high_of(seen), ring->cell_count) == tail) {
            return false; /* the message of one round before is still there */
        } else {
            (void)ring_word_cas(&ring->tail, tail, after(tail, 1)); /* filled, but not counted yet */
        }
    }
}

/* Empties the cell at the head: its buffer + 1, 0 when the ring is empty. */
static uint64_t cell_empty(struct ring *ring)
{
    for (;;) {
        uint64_t head = ring_word_load(&ring->head);
        uint64_t *cell = &ring->cells[head % ring->cell_count];
        uint64_t seen = ring_word_load(cell);
        if (seen == pack(head, 0)) {
            return 0;
        }
        if (high_of(seen) == head) {
            if (ring_word_cas(cell, seen, pack(after(head, ring->cell_count), 0))) {
                (void)ring_word_cas(&ring->head, head, after(head, 1));
                return seen & LOW_MASK;
            }
        } else {
            (void)ring_word_cas(&ring->head, head, after(head, 1)); /* emptied, but not counted yet */
        }
    }
}

status_t ring_try_put(struct ring *ring, const uint64_t *words)
{
    uint64_t buffer = buffer_get(ring);
    if (buffer == 0) {
        return STATUS_ERR_AGAIN;
    }
    memcpy(ring->buffers[buffer - 1].words, words, sizeof(ring->buffers[0].words));
    if (!cell_fill(ring, buffer)) {
        buffer_put(ring, buffer);
        return STATUS_ERR_AGAIN;
    }
    return STATUS_OK;
}

status_t ring_try_take(struct ring *ring, uint64_t *words)
{
    uint64_t buffer = cell_empty(ring);
    if (buffer == 0) {
        return STATUS_ERR_AGAIN;
    }
    memcpy(words, ring->buffers[buffer - 1].words, sizeof(ring->buffers[0].words));
    buffer_put(ring, buffer);
    return STATUS_OK;
}
