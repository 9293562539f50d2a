#ifndef OS_LIB_RANDOM_H
#define OS_LIB_RANDOM_H

#include <stdint.h>

/* Xorshift (Marsaglia): enough to choose what a test or a load does next. The state must not be 0. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
