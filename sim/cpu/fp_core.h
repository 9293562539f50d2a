#ifndef ORRERY_CPU_FP_CORE_H
#define ORRERY_CPU_FP_CORE_H

/*
 * The arithmetic under SSE and x87: exact operations on unpacked binary numbers, and the one rounding step.
 * An operation gives a struct fp_wide, which is the exact result or (with its lowest bit sticky) stands for
 * it in every comparison that rounding makes; fp_round then rounds once. So nothing is ever rounded twice.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/u128.h"
#include "cpu/fp.h"

enum fp_class { FP_ZERO, FP_FINITE, FP_INF, FP_QNAN, FP_SNAN };

/* An unpacked value. FP_FINITE: (-1)^sign * significand * 2^(exponent - 63), bit 63 of significand set.
 * NaN: significand is left-aligned with the integer bit at 63 and the quiet bit at 62. */
struct fp_num {
    uint8_t class_of; /* enum fp_class */
    bool sign;
    bool denormal; /* was encoded as a denormal (and DAZ did not make it a zero) */
    int32_t exponent;
    uint64_t significand;
};

/* (-1)^sign * significand * 2^(exponent - 127), bit 127 set, or significand 0 for an exact zero. Bit 0 is
 * sticky: set when the exact value lies above, by less than one unit of bit 0. */
struct fp_wide {
    bool sign;
    int32_t exponent;
    u128_t significand;
};

/* A destination: bits of precision, and the exponents of its smallest and largest normal numbers. */
struct fp_format {
    int precision, exponent_min, exponent_max;
};

extern const struct fp_format fp_format_f32, fp_format_f64;

/* What rounding gives, or any other result on its way to be packed. FP_QNAN: significand as in fp_num.
 * FP_FINITE: significand * 2^(exponent - 63); bit 63 clear only for a subnormal, whose exponent is then
 * exponent_min. */
struct fp_rounded {
    uint8_t class_of; /* FP_ZERO, FP_FINITE, FP_INF, FP_QNAN */
    bool sign;
    bool inexact, tiny, overflow;
    bool up; /* the magnitude was rounded up */
    int32_t exponent;
    uint64_t significand;
};

/* Sum of finite or zero a and b; a.class_of and b.class_of are FP_FINITE or FP_ZERO. An exact zero has the
 * sign that IEEE gives it under rounding. */
struct fp_wide fp_core_add(const struct fp_num *a, const struct fp_num *b, unsigned rounding);
/* Product, quotient and square root of finite non-zero numbers (square root: positive). */
struct fp_wide fp_core_mul(const struct fp_num *a, const struct fp_num *b);
struct fp_wide fp_core_div(const struct fp_num *a, const struct fp_num *b);
struct fp_wide fp_core_sqrt(const struct fp_num *a);

/* A finite or zero number as a wide one, and a 64-bit magnitude (of value magnitude, not scaled). */
struct fp_wide fp_wide_from_num(const struct fp_num *a);
struct fp_wide fp_wide_from_integer(bool sign, uint64_t magnitude);

/* Rounds to a precision of 1..64 bits with an unbounded exponent; tiny and overflow are false. */
struct fp_rounded fp_round_unbounded(const struct fp_wide *w, int precision, unsigned rounding);

/* Rounds to a format: subnormals, tininess after rounding, overflow to infinity or the largest number. */
struct fp_rounded fp_round(const struct fp_wide *w, const struct fp_format *format, unsigned rounding);

/* An integer-valued rounding of a finite number: its magnitude when it is below 2^64 (*fits), with inexact
 * and up. */
struct fp_integer {
    uint64_t magnitude;
    bool fits, inexact, up;
};

struct fp_integer fp_round_to_integer(const struct fp_num *a, unsigned rounding);

/* Compares finite or zero or infinite numbers. */
enum fp_order fp_core_compare(const struct fp_num *a, const struct fp_num *b);

struct fp_num fp_unpack_f32(uint32_t v);
struct fp_num fp_unpack_f64(uint64_t v);
uint32_t fp_pack_f32(const struct fp_rounded *r);
uint64_t fp_pack_f64(const struct fp_rounded *r);

static inline bool fp_is_nan(const struct fp_num *a)
{
    return a->class_of >= FP_QNAN;
}

#endif
