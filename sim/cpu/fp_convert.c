/*
 * SSE conversions and ROUNDxx.
 *
 * Source: AMD64 APM volume 4, CVTSS2SI and its family, ROUNDSS; volume 1, "Integer indefinite".
 * Deviations: none known. Conversions to integers raise no DE, as on the hardware.
 */

#include "cpu/fp_sse.h"

#include "base/bits.h"

/* To a two's-complement integer of width bits (32 or 64). */
static uint64_t to_integer(struct fp_env *e, struct fp_num a, unsigned width, bool truncate)
{
    const uint64_t indefinite = BIT(width - 1);
    a = fp_sse_operand(e, a);
    struct fp_integer i = fp_round_to_integer(&a, truncate ? FP_RTZ : e->rounding);
    uint64_t limit = a.sign ? indefinite : indefinite - 1;
    if (!i.fits || i.magnitude > limit) {
        e->raised |= FP_IE;
        return indefinite;
    }
    if (i.inexact) {
        e->raised |= FP_PE;
    }
    return (a.sign ? -i.magnitude : i.magnitude) & bits_mask(width);
}

uint32_t fp_f32_to_i32(struct fp_env *e, uint32_t a, bool truncate)
{
    return (uint32_t)to_integer(e, fp_unpack_f32(a), 32, truncate);
}

uint64_t fp_f32_to_i64(struct fp_env *e, uint32_t a, bool truncate)
{
    return to_integer(e, fp_unpack_f32(a), 64, truncate);
}

uint32_t fp_f64_to_i32(struct fp_env *e, uint64_t a, bool truncate)
{
    return (uint32_t)to_integer(e, fp_unpack_f64(a), 32, truncate);
}

uint64_t fp_f64_to_i64(struct fp_env *e, uint64_t a, bool truncate)
{
    return to_integer(e, fp_unpack_f64(a), 64, truncate);
}

static struct fp_rounded from_integer(struct fp_env *e, uint64_t a, const struct fp_format *format)
{
    bool sign = a >> 63;
    struct fp_wide w = fp_wide_from_integer(sign, sign ? -a : a);
    return fp_sse_deliver(e, &w, format);
}

uint32_t fp_i64_to_f32(struct fp_env *e, uint64_t a)
{
    struct fp_rounded r = from_integer(e, a, &fp_format_f32);
    return fp_pack_f32(&r);
}

uint64_t fp_i64_to_f64(struct fp_env *e, uint64_t a)
{
    struct fp_rounded r = from_integer(e, a, &fp_format_f64);
    return fp_pack_f64(&r);
}

uint32_t fp_i32_to_f32(struct fp_env *e, uint32_t a)
{
    return fp_i64_to_f32(e, bits_sext(a, 32));
}

uint64_t fp_i32_to_f64(struct fp_env *e, uint32_t a)
{
    return fp_i64_to_f64(e, bits_sext(a, 32));
}

/* Between the two widths. */
static struct fp_rounded resize(struct fp_env *e, struct fp_num a, const struct fp_format *format)
{
    a = fp_sse_operand(e, a);
    if (fp_is_nan(&a)) {
        return fp_sse_nan(e, &a, &a);
    }
    if (a.class_of == FP_INF) {
        return (struct fp_rounded){.class_of = FP_INF, .sign = a.sign};
    }
    if (a.denormal) {
        e->raised |= FP_DE;
    }
    struct fp_wide w = fp_wide_from_num(&a);
    return fp_sse_deliver(e, &w, format);
}

uint64_t fp_f32_to_f64(struct fp_env *e, uint32_t a)
{
    struct fp_rounded r = resize(e, fp_unpack_f32(a), &fp_format_f64);
    return fp_pack_f64(&r);
}

uint32_t fp_f64_to_f32(struct fp_env *e, uint64_t a)
{
    struct fp_rounded r = resize(e, fp_unpack_f64(a), &fp_format_f32);
    return fp_pack_f32(&r);
}

static struct fp_rounded round_integral(struct fp_env *e, struct fp_num a, unsigned imm8)
{
    a = fp_sse_operand(e, a);
    if (fp_is_nan(&a)) {
        return fp_sse_nan(e, &a, &a);
    }
    if (a.class_of != FP_FINITE) {
        return (struct fp_rounded){.class_of = a.class_of, .sign = a.sign};
    }
    if (a.exponent >= 63) { /* no fraction: as it is */
        return (struct fp_rounded){
            .class_of = FP_FINITE, .sign = a.sign, .exponent = a.exponent, .significand = a.significand};
    }
    struct fp_integer i = fp_round_to_integer(&a, imm8 & 4 ? e->rounding : imm8 & 3);
    if (i.inexact && !(imm8 & 8)) {
        e->raised |= FP_PE;
    }
    struct fp_wide w = fp_wide_from_integer(a.sign, i.magnitude);
    return fp_round_unbounded(&w, 64, FP_RTZ); /* exact: the source had no more bits than the destination */
}

uint32_t fp_f32_round(struct fp_env *e, uint32_t a, unsigned imm8)
{
    struct fp_rounded r = round_integral(e, fp_unpack_f32(a), imm8);
    return fp_pack_f32(&r);
}

uint64_t fp_f64_round(struct fp_env *e, uint64_t a, unsigned imm8)
{
    struct fp_rounded r = round_integral(e, fp_unpack_f64(a), imm8);
    return fp_pack_f64(&r);
}
