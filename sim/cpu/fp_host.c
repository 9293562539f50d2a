/*
 * The only file of the simulated CPU that computes with host floating point.
 *
 * Source: IEEE 754-2008, "Arithmetic operations": a correctly rounded operation on normal numbers with a
 * normal result is the same on every conforming host. Deviations: none. The host must be in its default
 * environment (round to nearest, no flush to zero); nothing in the simulator changes it. One operation a
 * function: nothing can be contracted into a fused multiply-add or kept in a wider format.
 */

#include "cpu/fp_host.h"

#include <float.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "float and double must be evaluated in their own format");
_Static_assert(FLT_RADIX == 2 && FLT_MANT_DIG == 24 && FLT_MAX_EXP == 128, "float must be binary32");
_Static_assert(DBL_MANT_DIG == 53 && DBL_MAX_EXP == 1024, "double must be binary64");

static float float_of(uint32_t v)
{
    float f;
    memcpy(&f, &v, sizeof f);
    return f;
}

static uint32_t bits_of_float(float f)
{
    uint32_t v;
    memcpy(&v, &f, sizeof v);
    return v;
}

static double double_of(uint64_t v)
{
    double f;
    memcpy(&f, &v, sizeof f);
    return f;
}

static uint64_t bits_of_double(double f)
{
    uint64_t v;
    memcpy(&v, &f, sizeof v);
    return v;
}

uint32_t fp_host_f32_add(uint32_t a, uint32_t b)
{
    return bits_of_float(float_of(a) + float_of(b));
}

uint32_t fp_host_f32_sub(uint32_t a, uint32_t b)
{
    return bits_of_float(float_of(a) - float_of(b));
}

uint32_t fp_host_f32_mul(uint32_t a, uint32_t b)
{
    return bits_of_float(float_of(a) * float_of(b));
}

uint32_t fp_host_f32_div(uint32_t a, uint32_t b)
{
    return bits_of_float(float_of(a) / float_of(b));
}

uint64_t fp_host_f64_add(uint64_t a, uint64_t b)
{
    return bits_of_double(double_of(a) + double_of(b));
}

uint64_t fp_host_f64_sub(uint64_t a, uint64_t b)
{
    return bits_of_double(double_of(a) - double_of(b));
}

uint64_t fp_host_f64_mul(uint64_t a, uint64_t b)
{
    return bits_of_double(double_of(a) * double_of(b));
}

uint64_t fp_host_f64_div(uint64_t a, uint64_t b)
{
    return bits_of_double(double_of(a) / double_of(b));
}
