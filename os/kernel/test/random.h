#ifndef OS_KERNEL_TEST_RANDOM_H
#define OS_KERNEL_TEST_RANDOM_H

#include <stdint.h>

/* Xorshift (Marsaglia): enough to choose what a test does. The state must not be 0. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
