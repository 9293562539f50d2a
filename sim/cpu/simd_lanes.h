#ifndef ORRERY_CPU_SIMD_LANES_H
#define ORRERY_CPU_SIMD_LANES_H

/*
 * Pure functions for the rows of simd_lanes.def. They touch nothing but their operands, cannot fault, and
 * work when source and destination are the same register. For a row `paddb` of both register files:
 *
 *   void simd_paddb_m(union mmx *d, const union mmx *s);      d = paddb(d, s)
 *   void simd_paddb_x(union xmm *d, const union xmm *s);
 *
 * IMM rows take the immediate (0..255) as a third argument, MASK rows the mask register, COUNT rows a 64-bit
 * count in place of s. They are inline so that the execution functions compile to straight vector code.
 */

#include "cpu/xmm.h"

static inline int8_t simd_sat_s8(int32_t v)
{
    return (int8_t)(v < INT8_MIN ? INT8_MIN : v > INT8_MAX ? INT8_MAX : v);
}

static inline int16_t simd_sat_s16(int32_t v)
{
    return (int16_t)(v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v);
}

static inline uint8_t simd_sat_u8(int32_t v)
{
    return (uint8_t)(v < 0 ? 0 : v > UINT8_MAX ? UINT8_MAX : v);
}

static inline uint16_t simd_sat_u16(int32_t v)
{
    return (uint16_t)(v < 0 ? 0 : v > UINT16_MAX ? UINT16_MAX : v);
}

/* Sum of |a[k] - b[k]| over count bytes; at most 8 * 255. */
static inline uint16_t simd_sum_of_differences(const uint8_t *a, const uint8_t *b, unsigned count)
{
    uint32_t sum = 0;
    for (unsigned k = 0; k < count; k++) {
        sum += a[k] > b[k] ? (uint32_t)(a[k] - b[k]) : (uint32_t)(b[k] - a[k]);
    }
    return (uint16_t)sum;
}

/* Index of the smallest of eight words, the lowest index among equals. */
static inline uint16_t simd_smallest(const uint16_t w[8])
{
    unsigned best = 0;
    for (unsigned k = 1; k < 8; k++) {
        best = w[k] < w[best] ? k : best;
    }
    return (uint16_t)best;
}

/* One of the two neighbours that a horizontal operation joins into lane i: destination pairs first, then
 * source. */
#define SIMD_PAIR(lane, which) (i < n / 2 ? a.lane[2 * i + (which)] : b.lane[2 * i - n + (which)])
#define SIMD_LESS(x, y)        ((x) < (y) ? (x) : (y))
#define SIMD_MORE(x, y)        ((x) > (y) ? (x) : (y))

#define SIMD_TYPE_u8  uint8_t
#define SIMD_TYPE_u16 uint16_t
#define SIMD_TYPE_u32 uint32_t
#define SIMD_TYPE_u64 uint64_t
#define SIMD_TYPE_s8  int8_t
#define SIMD_TYPE_s16 int16_t
#define SIMD_TYPE_s32 int32_t
#define SIMD_TYPE_s64 int64_t

/* The one body: operands are copied first, so that overlap is harmless and the loop can become vector code.
 */
#define SIMD_BODY(reg, lane, value)                                  \
    union reg r;                                                     \
    const unsigned n = sizeof(union reg) / sizeof(SIMD_TYPE_##lane); \
    for (unsigned i = 0; i < n; i++) {                               \
        r.lane[i] = (SIMD_TYPE_##lane)(value);                       \
    }                                                                \
    *d = r;

#define SIMD_LANES(suffix, reg, name, lane, value)                              \
    static inline void simd_##name##_##suffix(union reg *d, const union reg *s) \
    {                                                                           \
        const union reg a = *d, b = *s;                                         \
        (void)a;                                                                \
        SIMD_BODY(reg, lane, value)                                             \
    }

#define SIMD_IMM(suffix, reg, name, lane, value)                                              \
    static inline void simd_##name##_##suffix(union reg *d, const union reg *s, unsigned imm) \
    {                                                                                         \
        const union reg a = *d, b = *s;                                                       \
        (void)a;                                                                              \
        SIMD_BODY(reg, lane, value)                                                           \
    }

#define SIMD_COUNT(suffix, reg, name, lane, value)                          \
    static inline void simd_##name##_##suffix(union reg *d, uint64_t count) \
    {                                                                       \
        const union reg a = *d;                                             \
        SIMD_BODY(reg, lane, value)                                         \
    }

#define SIMD_MASK(suffix, reg, name, lane, value)                                                      \
    static inline void simd_##name##_##suffix(union reg *d, const union reg *s, const union reg *mask) \
    {                                                                                                  \
        const union reg a = *d, b = *s, m = *mask;                                                     \
        SIMD_BODY(reg, lane, value)                                                                    \
    }

#define LANES_MX(name, lane, value)       \
    SIMD_LANES(m, mmx, name, lane, value) \
    SIMD_LANES(x, xmm, name, lane, value)
#define LANES_X(name, lane, value) SIMD_LANES(x, xmm, name, lane, value)
#define IMM_MX(name, lane, value)       \
    SIMD_IMM(m, mmx, name, lane, value) \
    SIMD_IMM(x, xmm, name, lane, value)
#define IMM_X(name, lane, value) SIMD_IMM(x, xmm, name, lane, value)
#define IMM_M(name, lane, value) SIMD_IMM(m, mmx, name, lane, value)
#define COUNT_MX(name, lane, value)       \
    SIMD_COUNT(m, mmx, name, lane, value) \
    SIMD_COUNT(x, xmm, name, lane, value)
#define IMM_OWN_X(name, lane, value) SIMD_IMM(x, xmm, name, lane, value)
#define COUNT_X(name, lane, value)   SIMD_COUNT(x, xmm, name, lane, value)
#define MASK_X(name, lane, value)    SIMD_MASK(x, xmm, name, lane, value)
#include "cpu/simd_lanes.def"

/* One bit a lane: its sign. PMOVMSKB, MOVMSKPS, MOVMSKPD. */
#define SIMD_SIGNS(name, reg, lane)                                         \
    static inline uint32_t name(const union reg *s)                         \
    {                                                                       \
        uint32_t signs = 0;                                                 \
        for (unsigned i = 0; i < sizeof s->lane / sizeof s->lane[0]; i++) { \
            signs |= (uint32_t)(s->lane[i] < 0) << i;                       \
        }                                                                   \
        return signs;                                                       \
    }
SIMD_SIGNS(simd_signs_b_m, mmx, s8)
SIMD_SIGNS(simd_signs_b_x, xmm, s8)
SIMD_SIGNS(simd_signs_d_x, xmm, s32)
SIMD_SIGNS(simd_signs_q_x, xmm, s64)

/* SSE4a bit fields in the low quadword: length 0 stands for 64; fields past bit 63 are undefined and cut
 * there. */
static inline uint64_t simd_field_mask(unsigned length)
{
    return (length & 63) == 0 ? UINT64_MAX : (UINT64_C(1) << (length & 63)) - 1;
}

/* EXTRQ: `length` bits of v from bit `index`, zero-extended. */
static inline uint64_t simd_extrq(uint64_t v, unsigned length, unsigned index)
{
    return (v >> (index & 63)) & simd_field_mask(length);
}

/* INSERTQ: v with `length` bits at bit `index` replaced by the low bits of field. */
static inline uint64_t simd_insertq(uint64_t v, uint64_t field, unsigned length, unsigned index)
{
    uint64_t mask = simd_field_mask(length);
    return (v & ~(mask << (index & 63))) | (field & mask) << (index & 63);
}

#endif
