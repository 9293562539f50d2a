#ifndef OS_KERNEL_IPC_RING_H
#define OS_KERNEL_IPC_RING_H

/*
 * A bounded queue of 64-byte messages for any number of producers and consumers that takes no lock. Linearizable, its
 * answers "full" and "empty" included.
 *
 * A cell of the ring is one word, which says for which position it is ready:
 *
 *     63            16 15          0
 *    |   position     | buffer + 1  |     the message of that position lies in that buffer
 *    |   position     |      0      |     empty, waits for the message of that position
 *
 * A message counts from the moment its cell is set, and is gone from the moment its cell is emptied for the position one
 * round later; head and tail only follow, and whoever finds one behind moves it on, so nobody waits for anybody. Buffers
 * not in the ring are in a free list whose head carries a serial number in bits 63..16. Positions and serial numbers wrap
 * after 2^48 steps.
 */

#include <stdint.h>

#include "abi/status.h"
#include "ipc/ring_word.h"

#define RING_MESSAGE_WORDS 8u
#define RING_MAX_CELLS     1024u
#define RING_MAX_BUFFERS   4096u

struct ring_buffer {
    uint64_t words[RING_MESSAGE_WORDS];
};

struct ring {
    uint64_t head; /* position that is taken next, or behind it */
    uint64_t padding0[7];
    uint64_t tail; /* position that is filled next, or behind it */
    uint64_t padding1[7];
    uint64_t free; /* first free buffer + 1 and serial number */
    uint64_t padding2[7];
    uint64_t *cells;
    uint64_t *next; /* of a free buffer: the one after it + 1, 0 at the end */
    struct ring_buffer *buffers;
    uint32_t cell_count; /* a power of two */
};

/*
 * Makes an empty ring over memory of the caller: cell_count (a power of two, at most RING_MAX_CELLS) words in cells;
 * buffer_count words in next and as many buffers. With one buffer a cell and one more for each operation that can be
 * under way at once, "full" means that there are cell_count messages.
 */
void ring_init(struct ring *ring, uint64_t *cells, uint32_t cell_count, uint64_t *next,
               struct ring_buffer *buffers, uint32_t buffer_count);

/* Bytes of a message from and to 8 words. STATUS_ERR_AGAIN: full; no buffer is left; empty. */
MUST_CHECK status_t ring_try_put(struct ring *ring, const uint64_t *words);
MUST_CHECK status_t ring_try_take(struct ring *ring, uint64_t *words);

#endif
