/*
 * x87 operations on the parts of a number: FRNDINT, FSCALE, FPREM, FPREM1, FXTRACT, and conversions to the
 * formats of memory.
 *
 * Source: AMD64 APM volume 5, the pages of these instructions; Intel SDM volume 2A, FPREM, FSCALE ("Results
 * Obtained from FSCALE"), FXTRACT, FIST ("FIST/FISTP Results"), FBSTP. Deviations: none known. How far an
 * incomplete FPREM reduces is left to the implementation by the manual; see x87_remainder.
 */

#include <stddef.h>

#include "base/bits.h"
#include "cpu/x87_num.h"

struct x87_outcome x87_round_integral(const struct x87_env *env, struct x87_operand a, struct f80 original)
{
    struct x87_outcome out = {.value = original};
    if (x87_nan_outcome(env, &a, NULL, &out) || a.n.class_of != FP_FINITE || a.n.exponent >= 63 ||
        x87_denormal(env, &a, NULL, &out)) {
        return out;
    }
    struct fp_integer i = fp_round_to_integer(&a.n, env->rounding);
    struct fp_wide w = fp_wide_from_integer(a.n.sign, i.magnitude);
    struct fp_rounded r = fp_round_unbounded(&w, 64, FP_RTZ);
    out.value = f80_pack(&r);
    out.up = i.up;
    out.raised |= i.inexact ? FP_PE : 0;
    return out;
}

/* ST(0) times 2^(+-infinity). */
static struct x87_outcome scale_by_infinity(const struct x87_env *env, const struct x87_operand *a,
                                            bool negative)
{
    struct x87_outcome out = {.raised = 0};
    if (a->n.class_of == (negative ? FP_INF : FP_ZERO)) {
        return x87_invalid(env);
    }
    if (!x87_denormal(env, a, NULL, &out)) {
        out.value = negative ? f80_zero(a->n.sign) : f80_infinity(a->n.sign);
    }
    return out;
}

struct x87_outcome x87_scale(const struct x87_env *env, struct x87_operand a, struct x87_operand b)
{
    struct x87_outcome out = {.raised = 0};
    if (x87_nan_outcome(env, &a, &b, &out)) {
        return out;
    }
    if (b.n.class_of == FP_INF) {
        return scale_by_infinity(env, &a, b.n.sign);
    }
    if (x87_denormal(env, &a, &b, &out)) {
        return out;
    }
    if (a.n.class_of != FP_FINITE) {
        out.value = a.n.class_of == FP_INF ? f80_infinity(a.n.sign) : f80_zero(a.n.sign);
        return out;
    }
    /* Beyond 2^16 every result is equally far out of range, wrapped exponents included. */
    struct fp_integer i = fp_round_to_integer(&b.n, FP_RTZ);
    int32_t by = !i.fits || i.magnitude > 0x10000 ? 0x10000 : (int32_t)i.magnitude;
    struct fp_wide w = fp_wide_from_num(&a.n);
    w.exponent += b.n.sign ? -by : by;
    x87_deliver(env, &w, 64, &out);
    return out;
}

/* a - q * b for finite a, b with exponent difference 0 <= d <= 63, the quotient truncated: remainder in units
 * of b's last significand bit (below b's significand), quotient in *q. */
static uint64_t divide(uint64_t a, uint64_t b, int d, uint64_t *q)
{
    u128_t n = u128_make(0, a) << d;
    *q = u128_lo(n / b);
    return u128_lo(n % b);
}

/* Normalises a remainder of units 2^(exponent - 63) into an outcome. */
static void deliver_remainder(const struct x87_env *env, bool sign, uint64_t magnitude, int32_t exponent,
                              struct x87_outcome *out)
{
    struct fp_wide w = fp_wide_from_integer(sign, magnitude);
    w.exponent += exponent - 63;
    x87_deliver(env, &w, 64, out);
}

/* The complete reduction of a by b, d = exponent(a) - exponent(b) < 64. */
static void reduce(const struct x87_env *env, const struct fp_num *a, const struct fp_num *b, bool nearest,
                   unsigned *quotient, struct x87_outcome *out)
{
    int32_t d = a->exponent - b->exponent;
    uint64_t q = 0, rest = 0;
    if (d < 0) {
        /* |a| < |b|: the quotient is 0, or 1 when rounding to nearest and |a| > |b| / 2 */
        bool one = nearest && d == -1 && a->significand > b->significand;
        *quotient = one;
        if (!one) {
            struct fp_wide w = fp_wide_from_num(a);
            x87_deliver(env, &w, 64, out);
            return;
        }
        u128_t difference = u128_make(0, b->significand) * 2 - a->significand; /* in units of a's last bit */
        deliver_remainder(env, !a->sign, u128_lo(difference), a->exponent, out);
        return;
    }
    rest = divide(a->significand, b->significand, d, &q);
    bool sign = a->sign;
    if (nearest && (rest > b->significand - rest || (rest == b->significand - rest && (q & 1)))) {
        q++;
        rest = b->significand - rest;
        sign = !sign;
    }
    *quotient = (unsigned)(q & 7);
    if (rest == 0) {
        out->value = f80_zero(a->sign);
        return;
    }
    deliver_remainder(env, sign, rest, b->exponent, out);
}

struct x87_outcome x87_remainder(const struct x87_env *env, struct x87_operand a, struct x87_operand b,
                                 bool nearest, unsigned *quotient, bool *partial)
{
    struct x87_outcome out = {.raised = 0};
    *quotient = X87_NO_QUOTIENT;
    *partial = false;
    if (x87_nan_outcome(env, &a, &b, &out)) {
        return out;
    }
    if (a.n.class_of == FP_INF || b.n.class_of == FP_ZERO) {
        return x87_invalid(env);
    }
    if (x87_denormal(env, &a, &b, &out)) {
        return out;
    }
    *quotient = 0;
    if (a.n.class_of == FP_ZERO) {
        out.value = f80_zero(a.n.sign);
    } else if (b.n.class_of == FP_INF) {
        struct fp_wide w = fp_wide_from_num(&a.n);
        x87_deliver(env, &w, 64, &out);
    } else if (a.n.exponent - b.n.exponent < 64) {
        reduce(env, &a.n, &b.n, nearest, quotient, &out);
    } else {
        /* The truncated quotient of a and b * 2^(d - n) has n bits; n = 32 + d mod 32. */
        int32_t d = a.n.exponent - b.n.exponent, n = (d & 31) | 32;
        uint64_t q;
        uint64_t rest = divide(a.n.significand, b.n.significand, n, &q);
        *partial = true;
        deliver_remainder(env, a.n.sign, rest, b.n.exponent + d - n, &out);
    }
    return out;
}

struct x87_outcome x87_extract(const struct x87_env *env, struct x87_operand a, struct f80 *exponent)
{
    struct x87_outcome out = {.raised = 0};
    if (x87_nan_outcome(env, &a, NULL, &out)) {
        *exponent = out.value;
        return out;
    }
    if (a.n.class_of == FP_ZERO) {
        *exponent = f80_infinity(true);
        return (struct x87_outcome){
            .value = f80_zero(a.n.sign), .raised = FP_ZE, .blocked = !(env->masks & FP_ZE)};
    }
    if (a.n.class_of == FP_INF) {
        *exponent = f80_infinity(false);
        return x87_exact(f80_infinity(a.n.sign));
    }
    x87_denormal(env, &a, NULL, &out);
    struct x87_operand e = x87_operand_integer(a.n.exponent);
    struct fp_wide w = fp_wide_from_num(&e.n);
    struct fp_rounded r = fp_round_unbounded(&w, 64, FP_RTZ);
    *exponent = f80_pack(&r);
    out.value = (struct f80){a.n.significand, (uint16_t)(F80_BIAS | (a.n.sign ? 0x8000 : 0))};
    return out;
}

static struct x87_stored store_invalid(const struct x87_env *env, uint64_t bits)
{
    return (struct x87_stored){.bits = bits, .raised = FP_IE, .blocked = !(env->masks & FP_IE)};
}

/* Rounds to f32 or f64. An unmasked overflow or underflow stores nothing; the caller packs otherwise. */
static struct x87_stored to_format(const struct x87_env *env, const struct fp_num *n,
                                   const struct fp_format *format, struct fp_rounded *r)
{
    struct x87_stored s = {.raised = 0};
    struct fp_wide w = fp_wide_from_num(n);
    *r = fp_round(&w, format, env->rounding);
    bool underflow_masked = (env->masks & FP_UE) != 0;
    if (r->tiny && (r->inexact || !underflow_masked)) {
        s.raised |= FP_UE;
    }
    s.raised |= r->overflow ? FP_OE : 0;
    s.blocked = (s.raised & ~(unsigned)env->masks) != 0;
    s.raised |= r->inexact && !s.blocked ? FP_PE : 0;
    s.up = r->up && !s.blocked;
    return s;
}

/* The cases that both float formats share: true when *r is to be packed into s->bits. */
static bool to_float(const struct x87_env *env, const struct x87_operand *a, const struct fp_format *format,
                     uint64_t default_nan, struct fp_rounded *r, struct x87_stored *s)
{
    if (a->unsupported) {
        *s = store_invalid(env, default_nan);
        return false;
    }
    if (a->n.class_of == FP_ZERO || a->n.class_of == FP_FINITE) {
        *s = to_format(env, &a->n, format, r);
        return true;
    }
    *s = a->n.class_of == FP_SNAN ? store_invalid(env, 0) : (struct x87_stored){.raised = 0};
    *r = (struct fp_rounded){.class_of = a->n.class_of == FP_INF ? FP_INF : FP_QNAN,
                             .sign = a->n.sign,
                             .significand = a->n.class_of == FP_INF ? 0 : a->n.significand | BIT(62)};
    return true;
}

struct x87_stored x87_to_f32(const struct x87_env *env, struct x87_operand a)
{
    struct fp_rounded r;
    struct x87_stored s;
    if (to_float(env, &a, &fp_format_f32, FP_F32_DEFAULT_NAN, &r, &s)) {
        s.bits = fp_pack_f32(&r);
    }
    return s;
}

struct x87_stored x87_to_f64(const struct x87_env *env, struct x87_operand a)
{
    struct fp_rounded r;
    struct x87_stored s;
    if (to_float(env, &a, &fp_format_f64, FP_F64_DEFAULT_NAN, &r, &s)) {
        s.bits = fp_pack_f64(&r);
    }
    return s;
}

struct x87_stored x87_to_integer(const struct x87_env *env, struct x87_operand a, unsigned width,
                                 bool truncate)
{
    const uint64_t indefinite = BIT(width - 1);
    struct fp_integer i = fp_round_to_integer(&a.n, truncate ? FP_RTZ : env->rounding);
    uint64_t limit = a.n.sign ? indefinite : indefinite - 1;
    if (a.unsupported || !i.fits || i.magnitude > limit) {
        return store_invalid(env, indefinite);
    }
    return (struct x87_stored){.bits = (a.n.sign ? -i.magnitude : i.magnitude) & bits_mask(width),
                               .raised = i.inexact ? FP_PE : 0,
                               .up = i.up};
}

struct x87_stored x87_to_decimal(const struct x87_env *env, struct x87_operand a)
{
    struct fp_integer i = fp_round_to_integer(&a.n, env->rounding);
    if (a.unsupported || !i.fits || i.magnitude > UINT64_C(999999999999999999)) {
        return store_invalid(env, 0);
    }
    return (struct x87_stored){.bits = i.magnitude, .raised = i.inexact ? FP_PE : 0, .up = i.up};
}
