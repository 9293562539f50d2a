#ifndef TESTS_UNIT_OS_FAKE_LIB_WORD_H
#define TESTS_UNIT_OS_FAKE_LIB_WORD_H

/* Stands in for os/lib/word.h: every operation on a word is a step at which a test may let another thread run. */

#include <stdbool.h>
#include <stdint.h>

/* Called before each operation; the value that the operation saw is told afterwards. */
void word_step(void);
void word_saw(uint32_t value);

static inline uint32_t word_load(const uint32_t *word, int order)
{
    (void)order;
    word_step();
    word_saw(*word);
    return *word;
}

static inline void word_store(uint32_t *word, uint32_t value, int order)
{
    (void)order;
    word_step();
    *word = value;
}

static inline uint32_t word_exchange(uint32_t *word, uint32_t value, int order)
{
    uint32_t before = word_load(word, order);
    *word = value;
    return before;
}

static inline uint32_t word_add(uint32_t *word, uint32_t value, int order)
{
    uint32_t before = word_load(word, order);
    *word = before + value;
    return before;
}

static inline bool word_replace(uint32_t *word, uint32_t expected, uint32_t wanted, int order)
{
    bool equal = word_load(word, order) == expected;
    *word = equal ? wanted : *word;
    return equal;
}

#endif
