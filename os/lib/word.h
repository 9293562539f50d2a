#ifndef OS_LIB_WORD_H
#define OS_LIB_WORD_H

/* Atomic operations on the 32-bit words that lib/sync.c is made of; `order` is one of the compiler's __ATOMIC_ constants. */

#include <stdbool.h>
#include <stdint.h>

#define WORD_INLINE static inline __attribute__((always_inline))

WORD_INLINE uint32_t word_load(const uint32_t *word, int order)
{
    return __atomic_load_n(word, order);
}

WORD_INLINE void word_store(uint32_t *word, uint32_t value, int order)
{
    __atomic_store_n(word, value, order);
}

/* What it was before. */
WORD_INLINE uint32_t word_add(uint32_t *word, uint32_t value, int order)
{
    return __atomic_fetch_add(word, value, order);
}

WORD_INLINE uint32_t word_exchange(uint32_t *word, uint32_t value, int order)
{
    return __atomic_exchange_n(word, value, order);
}

/* Sets it to `wanted` if it is `expected`; `order` when it was. */
WORD_INLINE bool word_replace(uint32_t *word, uint32_t expected, uint32_t wanted, int order)
{
    return __atomic_compare_exchange_n(word, &expected, wanted, false, order, __ATOMIC_RELAXED);
}

#endif
