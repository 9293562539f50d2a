#ifndef ORRERY_CPU_XMM_H
#define ORRERY_CPU_XMM_H

/*
 * The 128-bit and 64-bit vector register as lanes of every width.
 *
 *   byte     15 14 13 12 11 10  9  8  7  6  5  4  3  2  1  0
 *   u16[i]   |  7  |  6  |  5  |  4  |  3  |  2  |  1  |  0  |
 *   u32[i]   |     3     |     2     |     1     |     0     |
 *   u64[i]   |           1           |           0           |
 *
 * Lane 0 is the lowest. The union puts all widths at the same place, which is right where the host is
 * little-endian like the guest; another host is refused at compile time here, in the one place that would
 * have to change.
 */

#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "vector lanes overlay each other in little-endian order");

/* One XMM register. Floating-point lanes are bit patterns (u32, u64), never host floats. */
union xmm {
    uint8_t u8[16];
    uint16_t u16[8];
    uint32_t u32[4];
    uint64_t u64[2];
    int8_t s8[16];
    int16_t s16[8];
    int32_t s32[4];
    int64_t s64[2];
};

/* One MMX register: the low 64 bits of an x87 register. */
union mmx {
    uint8_t u8[8];
    uint16_t u16[4];
    uint32_t u32[2];
    uint64_t u64[1];
    int8_t s8[8];
    int16_t s16[4];
    int32_t s32[2];
    int64_t s64[1];
};

_Static_assert(sizeof(union xmm) == 16 && sizeof(union mmx) == 8, "no padding in vector registers");

static inline union xmm xmm_make(uint64_t hi, uint64_t lo)
{
    return (union xmm){.u64 = {lo, hi}};
}

static inline union mmx mmx_make(uint64_t v)
{
    return (union mmx){.u64 = {v}};
}

#endif
