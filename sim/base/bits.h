#ifndef ORRERY_BASE_BITS_H
#define ORRERY_BASE_BITS_H

/* Bit and byte helpers. Guest memory is little-endian; these do not assume that the host is. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BIT(n) (UINT64_C(1) << (n))

/* The n lowest bits set; 0 <= n <= 64. */
static inline uint64_t bits_mask(unsigned n)
{
    return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

/* Bits hi..lo of v, shifted down; 63 >= hi >= lo. */
static inline uint64_t bits_get(uint64_t v, unsigned hi, unsigned lo)
{
    return (v >> lo) & bits_mask(hi - lo + 1);
}

/* Sign-extends the low n bits of v; 1 <= n <= 64. */
static inline uint64_t bits_sext(uint64_t v, unsigned n)
{
    unsigned s = 64 - n;
    return (uint64_t)((int64_t)(v << s) >> s);
}

/* Mask of an operand of 1, 2, 4 or 8 bytes. */
static inline uint64_t bits_size_mask(unsigned size_bytes)
{
    return bits_mask(8 * size_bytes);
}

static inline uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t align_down(uint64_t v, uint64_t power_of_two)
{
    return v & ~(power_of_two - 1);
}

static inline uint64_t align_up(uint64_t v, uint64_t power_of_two)
{
    return (v + power_of_two - 1) & ~(power_of_two - 1);
}

static inline bool is_little_endian(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

static inline uint16_t load_le16(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t load_le32(const void *p)
{
    const uint8_t *b = p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t load_le64(const void *p)
{
    return load_le32(p) | (uint64_t)load_le32((const uint8_t *)p + 4) << 32;
}

static inline void store_le16(void *p, uint16_t v)
{
    uint8_t *b = p;
    b[0] = (uint8_t)v;
    b[1] = (uint8_t)(v >> 8);
}

static inline void store_le32(void *p, uint32_t v)
{
    store_le16(p, (uint16_t)v);
    store_le16((uint8_t *)p + 2, (uint16_t)(v >> 16));
}

static inline void store_le64(void *p, uint64_t v)
{
    store_le32(p, (uint32_t)v);
    store_le32((uint8_t *)p + 4, (uint32_t)(v >> 32));
}

/* Little-endian load or store of 1, 2, 4 or 8 bytes. Another size is a caller's bug and reads as 8. */
static inline uint64_t load_le(const void *p, unsigned size_bytes)
{
    switch (size_bytes) {
    case 1:
        return *(const uint8_t *)p;
    case 2:
        return load_le16(p);
    case 4:
        return load_le32(p);
    default:
        return load_le64(p);
    }
}

static inline void store_le(void *p, uint64_t v, unsigned size_bytes)
{
    switch (size_bytes) {
    case 1:
        *(uint8_t *)p = (uint8_t)v;
        break;
    case 2:
        store_le16(p, (uint16_t)v);
        break;
    case 4:
        store_le32(p, (uint32_t)v);
        break;
    default:
        store_le64(p, v);
        break;
    }
}

#endif
