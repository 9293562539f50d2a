#ifndef OS_KERNEL_LIB_BITMAP_H
#define OS_KERNEL_LIB_BITMAP_H

/* Bit arrays in 64-bit words, bit n is bit n%64 of word n/64. Not atomic: the owner's lock covers them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BITMAP_WORDS(bits) (((bits) + 63u) / 64u)
#define BITMAP_NONE        SIZE_MAX

static inline bool bitmap_test(const uint64_t *map, size_t bit)
{
    return (map[bit / 64] >> (bit % 64)) & 1;
}

static inline void bitmap_set(uint64_t *map, size_t bit)
{
    map[bit / 64] |= 1ull << (bit % 64);
}

static inline void bitmap_clear(uint64_t *map, size_t bit)
{
    map[bit / 64] &= ~(1ull << (bit % 64));
}

/* Sets or clears `count` bits from `first`. */
void bitmap_set_range(uint64_t *map, size_t first, size_t count);
void bitmap_clear_range(uint64_t *map, size_t first, size_t count);

/* First set bit at or after `from` and below `bits`, or BITMAP_NONE. */
size_t bitmap_find_set(const uint64_t *map, size_t bits, size_t from);

/* First clear bit at or after `from` and below `bits`, or BITMAP_NONE. */
size_t bitmap_find_clear(const uint64_t *map, size_t bits, size_t from);

/*
 * First run of `count` (> 0) set bits whose first bit is a multiple of `align` (a power of two), below
 * `bits`, or BITMAP_NONE. When longest is not null it receives the longest run of set bits seen (of any
 * alignment) on failure.
 */
size_t bitmap_find_run(const uint64_t *map, size_t bits, size_t count, size_t align, size_t *longest);

/* Number of set bits below `bits`. */
size_t bitmap_count(const uint64_t *map, size_t bits);

#endif
