/* Searching and filling bit arrays, a word at a time. Deviations: none. */

#include "lib/bitmap.h"

/* Bits [from, from+count) of one word, count 1..64. */
static uint64_t word_mask(size_t from, size_t count)
{
    return (~0ull >> (64 - count)) << from; /* cppcheck-suppress shiftTooManyBits ; count is 1 to 64 */
}

void bitmap_set_range(uint64_t *map, size_t first, size_t count)
{
    while (count > 0) {
        size_t bit = first % 64;
        size_t step = count < 64 - bit ? count : 64 - bit;
        map[first / 64] |= word_mask(bit, step);
        first += step;
        count -= step;
    }
}

void bitmap_clear_range(uint64_t *map, size_t first, size_t count)
{
    while (count > 0) {
        size_t bit = first % 64;
        size_t step = count < 64 - bit ? count : 64 - bit;
        map[first / 64] &= ~word_mask(bit, step);
        first += step;
        count -= step;
    }
}

/* First bit at or after from whose value differs from those of flip. */
static size_t find_bit(const uint64_t *map, size_t bits, size_t from, uint64_t flip)
{
    while (from < bits) {
        uint64_t word = (map[from / 64] ^ flip) >> (from % 64);
        if (word != 0) {
            size_t found = from + (size_t)__builtin_ctzll(word);
            return found < bits ? found : BITMAP_NONE;
        }
        from = (from / 64 + 1) * 64;
    }
    return BITMAP_NONE;
}

size_t bitmap_find_set(const uint64_t *map, size_t bits, size_t from)
{
    return find_bit(map, bits, from, 0);
}

size_t bitmap_find_clear(const uint64_t *map, size_t bits, size_t from)
{
    return find_bit(map, bits, from, ~0ull);
}

size_t bitmap_find_run(const uint64_t *map, size_t bits, size_t count, size_t align, size_t *longest)
{
    size_t best = 0;
    size_t start = bitmap_find_set(map, bits, 0);
    while (start != BITMAP_NONE) {
        size_t end = bitmap_find_clear(map, bits, start);
        end = end == BITMAP_NONE ? bits : end;
        size_t first = (start + align - 1) & ~(align - 1);
        if (first + count <= end) {
            return first;
        }
        best = end - start > best ? end - start : best;
        start = bitmap_find_set(map, bits, end);
    }
    if (longest) {
        *longest = best;
    }
    return BITMAP_NONE;
}

size_t bitmap_count(const uint64_t *map, size_t bits)
{
    size_t total = 0;
    for (size_t word = 0; word < bits / 64; word++) {
        total += (size_t)__builtin_popcountll(map[word]);
    }
    if (bits % 64 != 0) {
        total += (size_t)__builtin_popcountll(map[bits / 64] & word_mask(0, bits % 64));
    }
    return total;
}
