/* Numbers worth trying. Nothing here computes: every number is made from its bits. */

#include "insn_values.h"

#include "base/bits.h"

#include <string.h>

uint64_t value_integer(struct rng *r)
{
    uint64_t x = rng_next(r);
    unsigned bit = draw(r, 64);
    switch (draw(r, 10)) {
    case 0:
        return draw(r, 4) - 1u;
    case 1:
        return UINT64_C(1) << bit;
    case 2:
        return (UINT64_C(1) << bit) - 1;
    case 3:
        return ~(UINT64_C(1) << bit);
    case 4:
        return 0 - (UINT64_C(1) << bit);
    case 5:
        return (uint64_t)(int64_t)(int8_t)x;
    case 6:
        return x >> bit;
    case 7:
        return (uint64_t)((int64_t)x >> bit);
    case 8: { /* the edge of an operand size, with something above it */
        static const uint64_t edges[] = {0x7f,   0x80,       0xff,       0x7fff,    0x8000,
                                         0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
        return edges[draw(r, 9)] | (chance(r, 50) ? x << 32 : 0);
    }
    default:
        return x;
    }
}

/* A binary format: fraction bits, exponent bits. */
static uint64_t value_float(struct rng *r, unsigned fraction_bits, unsigned exponent_bits)
{
    uint64_t x = rng_next(r);
    uint64_t fraction_mask = (UINT64_C(1) << fraction_bits) - 1;
    uint64_t exponent_max = (UINT64_C(1) << exponent_bits) - 1;
    uint64_t bias = exponent_max >> 1;
    uint64_t sign = (x >> 63) << (fraction_bits + exponent_bits);
    uint64_t fraction = x & fraction_mask;
    uint64_t exponent = bias + draw(r, 80) - 40;
    switch (draw(r, 4)) { /* fractions: few bits, many ones, any */
    case 0:
        fraction &= fraction_mask << draw(r, fraction_bits);
        break;
    case 1:
        fraction |= fraction_mask >> draw(r, fraction_bits);
        break;
    default:
        break;
    }
    switch (draw(r, 16)) {
    case 0:
        return sign; /* zero */
    case 1:
        return sign | exponent_max << fraction_bits; /* infinity */
    case 2:
        return sign | exponent_max << fraction_bits | fraction | (fraction_mask + 1) >> 1; /* QNaN */
    case 3:
        return sign | exponent_max << fraction_bits | (fraction & fraction_mask >> 1) | 1; /* SNaN */
    case 4:
        return sign | fraction; /* denormal */
    case 5:
        exponent = 1 + draw(r, 4);
        break;
    case 6:
        exponent = exponent_max - 1 - draw(r, 4);
        break;
    case 7: /* where integers of 16, 32 and 64 bits end */
        exponent = bias + (UINT64_C(15) << draw(r, 3)) + draw(r, 6) - 2;
        break;
    case 8:
        exponent = 1 + (x >> 20) % (exponent_max - 1);
        break;
    case 9:
        return sign | bias << fraction_bits; /* one */
    default:
        break;
    }
    return sign | (exponent & exponent_max) << fraction_bits | fraction;
}

uint32_t value_float32(struct rng *r)
{
    return (uint32_t)value_float(r, 23, 8);
}

uint64_t value_float64(struct rng *r)
{
    return value_float(r, 52, 11);
}

void value_float80(struct rng *r, uint8_t *out)
{
    uint64_t fraction = value_integer(r);
    unsigned exponent = 0x3fff + draw(r, 140) - 70;
    unsigned sign = chance(r, 50) ? 0x8000 : 0;
    bool normal = true;
    switch (draw(r, 20)) {
    case 0:
        exponent = 0, fraction = 0, normal = false;
        break;
    case 1:
        exponent = 0x7fff, fraction = 0;
        break;
    case 2:
        exponent = 0x7fff, fraction |= UINT64_C(1) << 62;
        break;
    case 3:
        exponent = 0x7fff, fraction &= ~(UINT64_C(1) << 62), fraction |= 1;
        break;
    case 4: /* denormal */
        exponent = 0, fraction &= INT64_MAX, normal = false;
        break;
    case 5: /* pseudo-denormal */
        exponent = 0;
        break;
    case 6: /* unnormal, pseudo-infinity, pseudo-NaN */
        exponent = chance(r, 50) ? 0x7fff : exponent;
        fraction &= INT64_MAX, normal = false;
        break;
    case 7:
        exponent = 1 + draw(r, 70);
        break;
    case 8:
        exponent = 0x7ffe - draw(r, 70);
        break;
    case 9:
        exponent = draw(r, 0x8000);
        break;
    case 10: /* around the range of double and single */
        exponent = chance(r, 50) ? 1023 : 127;
        exponent = 0x3fff + (chance(r, 50) ? exponent : 0 - exponent) + draw(r, 5) - 2;
        break;
    case 11: /* integers */
        exponent = 0x3fff + draw(r, 66);
        fraction = rng_next(r) << draw(r, 64);
        break;
    default:
        break;
    }
    store_le64(out, fraction | (normal ? UINT64_C(1) << 63 : 0));
    store_le16(out + 8, (uint16_t)(exponent | sign));
}

void value_bcd(struct rng *r, uint8_t *out)
{
    bool bad = chance(r, 5);
    for (unsigned i = 0; i < 9; i++) {
        unsigned x = draw(r, 100);
        out[i] = (uint8_t)(bad ? draw(r, 256) : x / 10 << 4 | x % 10);
    }
    memset(out + 9 - draw(r, 10), 0, 1);
    out[9] = (uint8_t)(chance(r, 50) ? 0x80 : 0);
}

void value_vector(struct rng *r, uint8_t *out)
{
    unsigned kind = draw(r, 8);
    for (unsigned i = 0; i < 4; i++) {
        if (kind < 3) {
            store_le32(out + 4 * i, value_float32(r));
        } else if (kind < 5 && i % 2 == 0) {
            store_le64(out + 4 * i, value_float64(r));
        } else if (kind == 5) {
            store_le32(out + 4 * i, (uint32_t)value_integer(r));
        } else if (kind == 6 && i % 2 == 0) {
            store_le64(out + 4 * i, rng_next(r));
        } else if (kind == 7) { /* short text: equal characters, and an end somewhere */
            uint64_t x = rng_next(r);
            store_le32(out + 4 * i, (uint32_t)(x & 0x03030303) + (draw(r, 2) ? 0x20202020u : 0));
        }
    }
}

uint32_t value_mxcsr(struct rng *r)
{
    uint32_t x = (uint32_t)rng_next(r);
    uint32_t masks = chance(r, 70) ? 0x1f80 : x & 0x1f80;
    uint32_t zeros = chance(r, 25) ? x & 0x8040 : 0;
    return masks | zeros | (x & 0x6000) | (chance(r, 70) ? 0 : x & 0x3f);
}

static uint16_t value_fcw(struct rng *r)
{
    unsigned x = (unsigned)rng_next(r) & 0xffff;
    unsigned precision = chance(r, 60) ? 0x300 : x & 0x300;
    return (uint16_t)((chance(r, 70) ? 0x3f : x & 0x3f) | precision | (x & 0x1c00) | 0x40);
}

void value_fx(struct rng *r, uint8_t *out)
{
    uint16_t fcw = value_fcw(r);
    unsigned x = (unsigned)rng_next(r);
    unsigned flags = chance(r, 85) ? 0 : x & 0x7f;
    bool pending = (flags & ~fcw & 0x3f) != 0;
    memset(out, 0, CASE_FX_BYTES);
    store_le16(out + FX_FCW, fcw);
    store_le16(out + FX_FSW, (uint16_t)(flags | (x & 0x7f00) | (pending ? 0x8080 : 0)));
    out[FX_TAGS] = (uint8_t)(chance(r, 50) ? 0xff : chance(r, 20) ? 0 : x >> 16);
    if (chance(r, 40)) {
        store_le16(out + FX_FOP, (uint16_t)(x >> 16 & 0x7ff));
        store_le64(out + FX_FIP, rng_next(r) & 0xffffffff);
        store_le64(out + FX_FDP, rng_next(r) & 0xffffffff);
    }
    store_le32(out + FX_MXCSR, value_mxcsr(r));
    for (unsigned i = 0; i < 8; i++) {
        value_float80(r, out + FX_ST + 16 * i);
    }
    for (unsigned i = 0; i < 16; i++) {
        value_vector(r, out + FX_XMM + 16 * i);
    }
}

void value_memory(uint8_t *out, unsigned size_bytes, uint64_t stream)
{
    struct rng r;
    rng_init(&r, 0x6f72616368, stream);
    for (unsigned i = 0; i + 16 <= size_bytes; i += 16) {
        if (chance(&r, 20)) {
            value_float80(&r, out + i);
            memset(out + i + 10, 0, 6);
        } else {
            value_vector(&r, out + i);
        }
    }
}
