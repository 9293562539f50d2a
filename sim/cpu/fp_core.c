/*
 * Exact binary arithmetic on unpacked numbers and IEEE rounding, in integers only.
 *
 * Source: IEEE 754-2008, "Rounding-direction attributes", "Underflow"; tininess is detected after rounding,
 * as the AMD64 APM volume 1, "Underflow Exception (UE)" says. Deviations: none known. Clever part: 128 bits
 * hold every intermediate result exactly or with a sticky lowest bit, and since at most 64 bits are kept, the
 * sticky bit is always well below the rounding bit.
 */

#include "cpu/fp_core.h"

#include "base/bits.h"

const struct fp_format fp_format_f32 = {24, -126, 127};
const struct fp_format fp_format_f64 = {53, -1022, 1023};

#define U128_TOP u128_make(UINT64_C(1) << 63, 0)

static int u128_clz(u128_t v)
{
    uint64_t hi = u128_hi(v);
    return hi ? __builtin_clzll(hi) : 64 + __builtin_clzll(u128_lo(v));
}

/* v >> n for any n >= 0, ORing what is shifted out into bit 0. */
static u128_t shift_right_sticky(u128_t v, int64_t n)
{
    if (n <= 0) {
        return v;
    }
    if (n > 127) {
        return v != 0;
    }
    return v >> n | ((v << (128 - n)) != 0);
}

static struct fp_wide normalised(bool sign, int32_t exponent, u128_t significand)
{
    int shift = significand ? u128_clz(significand) : 0;
    return (struct fp_wide){sign, exponent - shift, significand << shift};
}

/* a and b finite and not zero, a of the larger or the same magnitude exponent. */
static struct fp_wide add_ordered(const struct fp_num *a, const struct fp_num *b, bool zero_sign)
{
    u128_t x = u128_make(a->significand, 0) >> 1;
    u128_t y = shift_right_sticky(u128_make(b->significand, 0) >> 1, (int64_t)a->exponent - b->exponent);
    if (a->sign == b->sign) {
        return normalised(a->sign, a->exponent + 1, x + y);
    }
    if (x == y) {
        return (struct fp_wide){zero_sign, 0, 0};
    }
    return x > y ? normalised(a->sign, a->exponent + 1, x - y) : normalised(b->sign, a->exponent + 1, y - x);
}

struct fp_wide fp_core_add(const struct fp_num *a, const struct fp_num *b, unsigned rounding)
{
    bool zero_sign = a->sign == b->sign ? a->sign : rounding == FP_RDN;
    if (a->class_of == FP_ZERO && b->class_of == FP_ZERO) {
        return (struct fp_wide){zero_sign, 0, 0};
    }
    if (a->class_of == FP_ZERO || b->class_of == FP_ZERO) {
        return fp_wide_from_num(a->class_of == FP_ZERO ? b : a);
    }
    return a->exponent >= b->exponent ? add_ordered(a, b, zero_sign) : add_ordered(b, a, zero_sign);
}

struct fp_wide fp_core_mul(const struct fp_num *a, const struct fp_num *b)
{
    return normalised(a->sign != b->sign, a->exponent + b->exponent + 1,
                      u128_mul64(a->significand, b->significand));
}

struct fp_wide fp_core_div(const struct fp_num *a, const struct fp_num *b)
{
    /* Two digits in base 2^64: (a * 2^63) / b, then the remainder carried on. */
    u128_t n = u128_make(a->significand, 0) >> 1;
    u128_t high = n / b->significand, rest = (n % b->significand) << 64;
    u128_t low = rest / b->significand;
    u128_t q = u128_make(u128_lo(high), u128_lo(low)) | (rest % b->significand != 0);
    return normalised(a->sign != b->sign, a->exponent - b->exponent, q);
}

/* The integer square root of n (top or second bit set), and whether the remainder exceeds it or is not zero.
 */
static uint64_t square_root(u128_t n, bool *above_half, bool *rest)
{
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 63; bit; bit >>= 1) {
        uint64_t t = root | bit;
        if (u128_mul64(t, t) <= n) {
            root = t;
        }
    }
    u128_t remainder = n - u128_mul64(root, root);
    *above_half = remainder > root;
    *rest = remainder != 0;
    return root;
}

struct fp_wide fp_core_sqrt(const struct fp_num *a)
{
    /* a = s * 2^(e-63) with even e: sqrt(s * 2^63) * 2^(e/2 - 63); with odd e s takes one bit more. */
    bool odd = (a->exponent & 1) != 0;
    u128_t n = u128_make(a->significand, 0) >> (odd ? 0 : 1);
    int32_t half = (a->exponent - (odd ? 1 : 0)) / 2;
    bool above_half, rest;
    uint64_t root = square_root(n, &above_half, &rest);
    uint64_t low = (above_half ? UINT64_C(1) << 63 : 0) | (rest ? 1 : 0);
    return normalised(false, half, u128_make(root, low));
}

struct fp_wide fp_wide_from_num(const struct fp_num *a)
{
    if (a->class_of == FP_ZERO) {
        return (struct fp_wide){a->sign, 0, 0};
    }
    return (struct fp_wide){a->sign, a->exponent, u128_make(a->significand, 0)};
}

struct fp_wide fp_wide_from_integer(bool sign, uint64_t magnitude)
{
    return normalised(sign, 63, u128_make(magnitude, 0));
}

/* Whether the magnitude kept + rest / 2^128 (rest as a fraction of the last kept bit) is rounded up. */
static bool rounds_up(bool odd, u128_t rest, bool sign, unsigned rounding)
{
    switch (rounding) {
    case FP_RNE:
        return rest > U128_TOP || (rest == U128_TOP && odd);
    case FP_RDN:
        return sign && rest;
    case FP_RUP:
        return !sign && rest;
    default:
        return false;
    }
}

struct fp_rounded fp_round_unbounded(const struct fp_wide *w, int precision, unsigned rounding)
{
    struct fp_rounded r = {.class_of = FP_ZERO, .sign = w->sign};
    if (w->significand == 0) {
        return r;
    }
    int drop = 128 - precision;
    uint64_t kept = u128_lo(w->significand >> drop);
    u128_t rest = w->significand << precision;
    r.class_of = FP_FINITE;
    r.exponent = w->exponent;
    r.inexact = rest != 0;
    r.up = rounds_up(kept & 1, rest, w->sign, rounding);
    r.significand = kept << (64 - precision);
    if (r.up) {
        r.significand += UINT64_C(1) << (64 - precision);
        if (r.significand == 0) {
            r.significand = UINT64_C(1) << 63;
            r.exponent++;
        }
    }
    return r;
}

/* Rounds a value below the normal range at the fixed position of the format's last subnormal bit. */
static struct fp_rounded round_subnormal(const struct fp_wide *w, const struct fp_format *format,
                                         unsigned rounding)
{
    u128_t shifted = shift_right_sticky(w->significand, (int64_t)format->exponent_min - w->exponent);
    uint64_t kept = u128_lo(shifted >> (128 - format->precision));
    u128_t rest = shifted << format->precision;
    struct fp_rounded r = {.class_of = FP_FINITE, .sign = w->sign, .exponent = format->exponent_min};
    r.inexact = rest != 0;
    r.up = rounds_up(kept & 1, rest, w->sign, rounding);
    r.significand = (kept + (r.up ? 1 : 0)) << (64 - format->precision);
    if (r.significand == 0) {
        r.class_of = FP_ZERO;
        r.exponent = 0;
    }
    return r;
}

static void round_overflow(struct fp_rounded *r, const struct fp_format *format, unsigned rounding)
{
    r->overflow = true;
    r->inexact = true;
    r->up = rounding == FP_RNE || rounding == (r->sign ? FP_RDN : FP_RUP);
    if (r->up) {
        r->class_of = FP_INF;
        r->exponent = 0;
        r->significand = 0;
    } else {
        r->exponent = format->exponent_max;
        r->significand = ~UINT64_C(0) << (64 - format->precision);
    }
}

struct fp_rounded fp_round(const struct fp_wide *w, const struct fp_format *format, unsigned rounding)
{
    struct fp_rounded r = fp_round_unbounded(w, format->precision, rounding);
    if (r.class_of == FP_ZERO) {
        return r;
    }
    if (w->exponent < format->exponent_min) {
        bool tiny = r.exponent < format->exponent_min;
        r = round_subnormal(w, format, rounding);
        r.tiny = tiny;
    } else if (r.exponent > format->exponent_max) {
        round_overflow(&r, format, rounding);
    }
    return r;
}

struct fp_integer fp_round_to_integer(const struct fp_num *a, unsigned rounding)
{
    struct fp_integer r = {0, true, false, false};
    if (a->class_of == FP_ZERO) {
        return r;
    }
    if (a->class_of != FP_FINITE || a->exponent > 63) {
        r.fits = false;
        return r;
    }
    u128_t fixed = shift_right_sticky(u128_make(a->significand, 0), 63 - (int64_t)a->exponent);
    u128_t rest = fixed << 64;
    r.magnitude = u128_hi(fixed);
    r.inexact = rest != 0;
    r.up = rounds_up(r.magnitude & 1, rest, a->sign, rounding);
    if (r.up && ++r.magnitude == 0) {
        r.fits = false;
    }
    return r;
}

static enum fp_order compare_magnitude(const struct fp_num *a, const struct fp_num *b)
{
    if (a->class_of != b->class_of) {
        return a->class_of > b->class_of ? FP_GREATER : FP_LESS;
    }
    if (a->class_of != FP_FINITE) {
        return FP_EQUAL;
    }
    if (a->exponent != b->exponent) {
        return a->exponent > b->exponent ? FP_GREATER : FP_LESS;
    }
    if (a->significand != b->significand) {
        return a->significand > b->significand ? FP_GREATER : FP_LESS;
    }
    return FP_EQUAL;
}

enum fp_order fp_core_compare(const struct fp_num *a, const struct fp_num *b)
{
    if (a->class_of == FP_ZERO && b->class_of == FP_ZERO) {
        return FP_EQUAL;
    }
    if (a->sign != b->sign) {
        return a->sign ? FP_LESS : FP_GREATER;
    }
    return a->sign ? compare_magnitude(b, a) : compare_magnitude(a, b);
}

/* Unpacks fields: exponent is biased; aligned is the fraction with its top bit at bit 62. */
static struct fp_num unpack(bool sign, unsigned exponent, unsigned exponent_all_ones, int bias,
                            uint64_t aligned)
{
    struct fp_num r = {.class_of = FP_ZERO, .sign = sign};
    const uint64_t integer_bit = UINT64_C(1) << 63, quiet_bit = UINT64_C(1) << 62;
    if (exponent == exponent_all_ones) {
        r.class_of = aligned == 0 ? FP_INF : (aligned & quiet_bit) ? FP_QNAN : FP_SNAN;
        r.significand = integer_bit | aligned;
    } else if (exponent != 0) {
        r.class_of = FP_FINITE;
        r.exponent = (int32_t)exponent - bias;
        r.significand = integer_bit | aligned;
    } else if (aligned != 0) {
        int shift = __builtin_clzll(aligned);
        r.class_of = FP_FINITE;
        r.denormal = true;
        r.exponent = 1 - bias - shift;
        r.significand = aligned << shift;
    }
    return r;
}

struct fp_num fp_unpack_f32(uint32_t v)
{
    return unpack(v >> 31, v >> 23 & 0xff, 0xff, 127, (uint64_t)(v & 0x7fffff) << 40);
}

struct fp_num fp_unpack_f64(uint64_t v)
{
    return unpack(v >> 63, v >> 52 & 0x7ff, 0x7ff, 1023, (v & (BIT(52) - 1)) << 11);
}

/* The biased exponent field of a rounded number. */
static uint32_t exponent_field(const struct fp_rounded *r, int bias)
{
    if (r->class_of >= FP_INF) {
        return (uint32_t)(2 * bias + 1);
    }
    return r->significand >> 63 ? (uint32_t)(r->exponent + bias) : 0;
}

uint32_t fp_pack_f32(const struct fp_rounded *r)
{
    return (uint32_t)r->sign << 31 | exponent_field(r, 127) << 23 |
           ((uint32_t)(r->significand >> 40) & 0x7fffff);
}

uint64_t fp_pack_f64(const struct fp_rounded *r)
{
    return (uint64_t)r->sign << 63 | (uint64_t)exponent_field(r, 1023) << 52 |
           (r->significand >> 11 & (BIT(52) - 1));
}
