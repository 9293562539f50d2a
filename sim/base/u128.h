#ifndef ORRERY_BASE_U128_H
#define ORRERY_BASE_U128_H

/* The only place where 128-bit arithmetic is spelled. */

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 u128_t;
__extension__ typedef __int128 s128_t;

static inline u128_t u128_make(uint64_t hi, uint64_t lo)
{
    return (u128_t)hi << 64 | lo;
}

static inline uint64_t u128_lo(u128_t v)
{
    return (uint64_t)v;
}

static inline uint64_t u128_hi(u128_t v)
{
    return (uint64_t)(v >> 64);
}

static inline u128_t u128_mul64(uint64_t a, uint64_t b)
{
    return (u128_t)a * b;
}

static inline s128_t s128_mul64(int64_t a, int64_t b)
{
    return (s128_t)a * b;
}

/* floor(a * b / c) of 64-bit values with a 128-bit product; c != 0 and the quotient must fit 64 bits. */
static inline uint64_t u64_muldiv(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((u128_t)a * b / c);
}

/* ceil(a * b / c), or UINT64_MAX when that does not fit; c != 0. */
static inline uint64_t u64_muldiv_up(uint64_t a, uint64_t b, uint64_t c)
{
    u128_t v = ((u128_t)a * b + (c - 1)) / c;
    return u128_hi(v) ? UINT64_MAX : (uint64_t)v;
}

#endif
