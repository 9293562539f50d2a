#ifndef OS_KERNEL_IPC_SIGNAL_WORD_H
#define OS_KERNEL_IPC_SIGNAL_WORD_H

/* The 64 bits of a notification: set by any number of signallers, taken by waiters. No lock. */

#include <stdint.h>

/* Sets bits; those that were not set before. */
static inline uint64_t signal_word_set(uint64_t *word, uint64_t bits)
{
    return bits & ~__atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST);
}

/* Takes those of the wanted bits that are set, and clears them; the others stay. 0: none was. */
static inline uint64_t signal_word_take(uint64_t *word, uint64_t wanted)
{
    return wanted & __atomic_fetch_and(word, ~wanted, __ATOMIC_SEQ_CST);
}

#endif
