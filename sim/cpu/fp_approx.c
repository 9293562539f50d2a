/*
 * RCPxx and RSQRTxx.
 *
 * Source: AMD64 APM volume 4, RCPSS, RSQRTSS: relative error at most 1.5 * 2^-12; special values as listed
 * there. Deviations: silicon returns model-specific bits inside that bound; ours are the exact value rounded
 * to 12 fraction bits, to nearest even (error at most 2^-13), so that they are the same everywhere.
 */

#include "base/bits.h"
#include "cpu/fp_core.h"

static const struct fp_num one = {.class_of = FP_FINITE, .significand = UINT64_C(1) << 63};

/* NaN made quiet, infinity or zero of a sign. */
static uint32_t quiet(uint32_t a)
{
    return a | 0x00400000;
}

static uint32_t signed_bits(bool sign, uint32_t magnitude)
{
    return (sign ? UINT32_C(0x80000000) : 0) | magnitude;
}

/* Rounds to 13 significant bits; tiny results become zeros. */
static uint32_t deliver(const struct fp_wide *w)
{
    struct fp_rounded r = fp_round_unbounded(w, 13, FP_RNE);
    return r.exponent < fp_format_f32.exponent_min ? signed_bits(r.sign, 0) : fp_pack_f32(&r);
}

uint32_t fp_f32_rcp(uint32_t a)
{
    struct fp_num x = fp_unpack_f32(a);
    if (fp_is_nan(&x)) {
        return quiet(a);
    }
    if (x.class_of == FP_INF) {
        return signed_bits(x.sign, 0);
    }
    if (x.class_of == FP_ZERO || x.denormal) {
        return signed_bits(x.sign, 0x7f800000);
    }
    struct fp_wide w = fp_core_div(&one, &x);
    return deliver(&w);
}

/* 1 / sqrt(x): the root rounded down to 64 bits with a sticky bit is precise enough; the quotient is off by
 * less than 2^-62, and an exact result (x a power of four) stays exact. */
uint32_t fp_f32_rsqrt(uint32_t a)
{
    struct fp_num x = fp_unpack_f32(a);
    if (fp_is_nan(&x)) {
        return quiet(a);
    }
    if (x.class_of == FP_ZERO || x.denormal) {
        return signed_bits(x.sign, 0x7f800000);
    }
    if (x.sign) {
        return FP_F32_DEFAULT_NAN;
    }
    if (x.class_of == FP_INF) {
        return 0;
    }
    struct fp_wide root = fp_core_sqrt(&x);
    struct fp_num divisor = {
        .class_of = FP_FINITE, .exponent = root.exponent, .significand = u128_hi(root.significand)};
    struct fp_wide w = fp_core_div(&one, &divisor);
    return deliver(&w);
}
