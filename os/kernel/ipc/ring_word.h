#ifndef OS_KERNEL_IPC_RING_WORD_H
#define OS_KERNEL_IPC_RING_WORD_H

/*
 * How the lock-free ring touches the words that CPUs share: one of these calls is one step of an interleaving. A hosted
 * build (unit tests) sees declarations and supplies bodies that choose who goes next.
 */

#include <stdbool.h>
#include <stdint.h>

#if __STDC_HOSTED__

uint64_t ring_word_load(uint64_t *word);
bool ring_word_cas(uint64_t *word, uint64_t expected, uint64_t value);

#else

/* What was written before a word was set is visible to who sees it set. */
static inline uint64_t ring_word_load(uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline bool ring_word_cas(uint64_t *word, uint64_t expected, uint64_t value)
{
    return __atomic_compare_exchange_n(word, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

#endif

#endif
