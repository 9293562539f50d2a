/*
 * x87 transcendental functions, correctly rounded.
 *
 * Source: AMD64 APM volume 5, F2XM1, FYL2X, FYL2XP1, FPATAN, FPTAN, FSIN, FCOS (special cases, ranges); IEEE
 * 754 for rounding. Intel SDM volume 2A has the tables of results for infinities and zeros. Deviations:
 * silicon is within one unit in the last place of its own approximation and reduces arguments by a pi of 66
 * or 68 bits; ours is the exact value (exact pi) rounded once to 64 bits under RC, at most half a unit off
 * under round to nearest. Outside the range the manual gives for F2XM1 (-1..1) and FYL2XP1 (1 - sqrt(1/2))
 * the exact function is still delivered; FYL2XP1 below -1 is invalid. Clever part: MPFR gives the value
 * truncated to 128 bits and says whether it is exact; that is a struct fp_wide, so the common rounding step
 * applies, subnormals and flags included. MPFR allocates; its range of exponents is set here around each use,
 * since it is a setting of the host process.
 */

#include <mpfr.h>
#include <stddef.h>

#include "base/bits.h"
#include "base/check.h"
#include "cpu/x87_num.h"

#define WIDE_BITS 128
#define ZIV_LIMIT 4096 /* no 64-bit argument comes near needing this many bits */

_Static_assert(MPFR_VERSION >= MPFR_VERSION_NUM(4, 2, 0), "mpfr_exp2m1 and mpfr_log2p1 came with MPFR 4.2");

/* MPFR's exponent range, wide enough for everything here; the old one is put back. */
struct range {
    mpfr_exp_t low, high;
};

static struct range range_enter(void)
{
    struct range old = {mpfr_get_emin(), mpfr_get_emax()};
    mpfr_set_emin(-(1 << 20));
    mpfr_set_emax(1 << 20);
    return old;
}

static void range_leave(struct range old)
{
    mpfr_set_emin(old.low);
    mpfr_set_emax(old.high);
    mpfr_clear_flags();
}

/* Sets v, of at least 64 bits, to a zero, infinite or finite number. */
static void set_num(mpfr_t v, const struct fp_num *n)
{
    if (n->class_of == FP_ZERO) {
        mpfr_set_zero(v, n->sign ? -1 : 1);
        return;
    }
    if (n->class_of == FP_INF) {
        mpfr_set_inf(v, n->sign ? -1 : 1);
        return;
    }
    mpfr_set_ui_2exp(v, (unsigned long)(n->significand >> 32), n->exponent - 31, MPFR_RNDN);
    mpfr_t low;
    mpfr_init2(low, 64);
    mpfr_set_ui_2exp(low, (unsigned long)(n->significand & 0xffffffff), n->exponent - 63, MPFR_RNDN);
    mpfr_add(v, v, low, MPFR_RNDN);
    mpfr_clear(low);
    if (n->sign) {
        mpfr_neg(v, v, MPFR_RNDN);
    }
}

/* The finite non-zero or zero value of v, which was rounded towards zero from an exact value or is it. */
static struct fp_wide wide_of(const mpfr_t v, bool inexact)
{
    struct fp_wide w = {.sign = mpfr_signbit(v) != 0};
    if (mpfr_zero_p(v)) {
        return w;
    }
    mpz_t z;
    uint64_t half[2] = {0, 0};
    mpz_init(z);
    mpfr_exp_t scale = mpfr_get_z_2exp(z, v);
    size_t length = mpz_sizeinbase(z, 2);
    mpz_mul_2exp(z, z, WIDE_BITS - length);
    mpz_export(half, NULL, -1, sizeof half[0], 0, 0, z);
    mpz_clear(z);
    w.significand = u128_make(half[1], half[0]) | (inexact ? 1 : 0);
    w.exponent = (int32_t)scale + (int32_t)length - 1;
    return w;
}

static int evaluate(mpfr_t r, enum x87_function f, const mpfr_t x)
{
    switch (f) {
    case X87_SIN:
        return mpfr_sin(r, x, MPFR_RNDZ);
    case X87_COS:
        return mpfr_cos(r, x, MPFR_RNDZ);
    case X87_TAN:
        return mpfr_tan(r, x, MPFR_RNDZ);
    case X87_F2XM1:
    default:
        return mpfr_exp2m1(r, x, MPFR_RNDZ);
    }
}

static struct fp_wide function_value(enum x87_function f, const struct fp_num *a)
{
    struct range old = range_enter();
    mpfr_t x, r;
    mpfr_inits2(WIDE_BITS, x, r, (mpfr_ptr)0);
    set_num(x, a);
    int ternary = evaluate(r, f, x);
    struct fp_wide w = wide_of(r, ternary != 0);
    mpfr_clears(x, r, (mpfr_ptr)0);
    range_leave(old);
    return w;
}

struct x87_outcome x87_function(const struct x87_env *env, enum x87_function f, struct x87_operand a,
                                bool *out_of_range)
{
    struct x87_outcome out = {.raised = 0};
    bool trigonometric = f != X87_F2XM1;
    *out_of_range = false;
    if (x87_nan_outcome(env, &a, NULL, &out)) {
        return out;
    }
    if (a.n.class_of == FP_INF) {
        return trigonometric ? x87_invalid(env)
                             : x87_exact(a.n.sign ? (struct f80){BIT(63), 0xbfff} : f80_infinity(false));
    }
    if (trigonometric && a.n.class_of == FP_FINITE && a.n.exponent >= 63) {
        *out_of_range = true;
        return out;
    }
    if (x87_denormal(env, &a, NULL, &out)) {
        return out;
    }
    if (a.n.class_of == FP_ZERO) {
        out.value = f == X87_COS ? (struct f80){BIT(63), F80_BIAS} : f80_zero(a.n.sign);
        return out;
    }
    if (!trigonometric &&
        a.n.exponent > 14) { /* far outside -1..1: beyond every exponent, or -1 from above */
        a.n.exponent = 15;
    }
    struct fp_wide w = function_value(f, &a.n);
    x87_deliver(env, &w, 64, &out);
    return out;
}

/* y * log2(x), or y * log2(1 + x), truncated to 128 bits: the precision grows until the bounds of the product
 * agree (Ziv). The logarithm of a rational number is exact or transcendental, so this ends. */
static struct fp_wide log_product(enum x87_function2 f, const struct fp_num *a, const struct fp_num *b)
{
    struct range old = range_enter();
    mpfr_t x, y, low, high, product_low, product_high;
    struct fp_wide w = {.sign = false};
    bool done = false;
    mpfr_inits2(WIDE_BITS, x, y, product_low, product_high, (mpfr_ptr)0);
    set_num(x, a);
    set_num(y, b);
    for (mpfr_prec_t bits = 256; !done; bits *= 2) {
        CHECK(bits <= ZIV_LIMIT, "the logarithm of an x87 operand does not settle");
        mpfr_inits2(bits, low, high, (mpfr_ptr)0);
        int rest = f == X87_YL2X ? mpfr_log2(low, x, MPFR_RNDZ) : mpfr_log2p1(low, x, MPFR_RNDZ);
        mpfr_set(high, low, MPFR_RNDN);
        if (rest != 0) { /* one unit further from zero */
            mpfr_signbit(low) ? mpfr_nextbelow(high) : mpfr_nextabove(high);
        }
        int rest_low = mpfr_mul(product_low, low, y, MPFR_RNDZ);
        mpfr_mul(product_high, high, y, MPFR_RNDZ);
        done = rest == 0 || mpfr_equal_p(product_low, product_high);
        w = wide_of(product_low, rest != 0 || rest_low != 0);
        mpfr_clears(low, high, (mpfr_ptr)0);
    }
    mpfr_clears(x, y, product_low, product_high, (mpfr_ptr)0);
    range_leave(old);
    return w;
}

static struct fp_wide arc_tangent(const struct fp_num *x_num, const struct fp_num *y_num)
{
    struct range old = range_enter();
    mpfr_t x, y, r;
    mpfr_inits2(WIDE_BITS, x, y, r, (mpfr_ptr)0);
    set_num(x, x_num);
    set_num(y, y_num);
    int rest = mpfr_atan2(r, y, x, MPFR_RNDZ);
    struct fp_wide w = wide_of(r, rest != 0);
    mpfr_clears(x, y, r, (mpfr_ptr)0);
    range_leave(old);
    return w;
}

/* The sign of the logarithm: of log2(x) about 1, of log2(1 + x) about 0; 0 when it is zero. */
static int log_sign(enum x87_function2 f, const struct fp_num *x)
{
    if (f == X87_YL2XP1) {
        return x->class_of == FP_ZERO ? 0 : x->sign ? -1 : 1;
    }
    if (x->class_of == FP_FINITE && x->exponent == 0 && x->significand == BIT(63)) {
        return 0;
    }
    return x->class_of == FP_ZERO || (x->class_of == FP_FINITE && x->exponent < 0) ? -1 : 1;
}

/* The logarithm is infinite (x is 0 for FYL2X, or infinity) or y is infinite or zero. */
static struct x87_outcome log_special(const struct x87_env *env, enum x87_function2 f,
                                      const struct x87_operand *x, const struct x87_operand *y)
{
    int sign_of_log = log_sign(f, &x->n);
    bool log_infinite = x->n.class_of == FP_INF || (f == X87_YL2X && x->n.class_of == FP_ZERO);
    bool sign = (sign_of_log == 0 ? f == X87_YL2XP1 && x->n.sign : sign_of_log < 0) != y->n.sign;
    struct x87_outcome out = {.raised = 0};
    if ((log_infinite && y->n.class_of == FP_ZERO) || (sign_of_log == 0 && y->n.class_of == FP_INF)) {
        return x87_invalid(env);
    }
    if (log_infinite && x->n.class_of == FP_ZERO && y->n.class_of == FP_FINITE) {
        return (struct x87_outcome){
            .value = f80_infinity(sign), .raised = FP_ZE, .blocked = !(env->masks & FP_ZE)};
    }
    if (!x87_denormal(env, x, y, &out)) {
        out.value = log_infinite || y->n.class_of == FP_INF ? f80_infinity(sign) : f80_zero(sign);
    }
    return out;
}

/* x is below the domain: negative for FYL2X, below -1 for FYL2XP1. */
static bool below_domain(enum x87_function2 f, const struct fp_num *x)
{
    if (!x->sign || x->class_of == FP_ZERO) {
        return false;
    }
    return f == X87_YL2X || x->class_of == FP_INF || x->exponent >= 0;
}

struct x87_outcome x87_function2(const struct x87_env *env, enum x87_function2 f, struct x87_operand x,
                                 struct x87_operand y)
{
    struct x87_outcome out = {.raised = 0};
    if (x87_nan_outcome(env, &x, &y, &out)) {
        return out;
    }
    struct fp_wide w;
    if (f == X87_PATAN) {
        if (x87_denormal(env, &x, &y, &out)) {
            return out;
        }
        w = arc_tangent(&x.n, &y.n);
    } else {
        if (below_domain(f, &x.n)) {
            return x87_invalid(env);
        }
        if (x.n.class_of != FP_FINITE || y.n.class_of != FP_FINITE || log_sign(f, &x.n) == 0) {
            return log_special(env, f, &x, &y);
        }
        if (x87_denormal(env, &x, &y, &out)) {
            return out;
        }
        w = log_product(f, &x.n, &y.n);
    }
    x87_deliver(env, &w, 64, &out);
    return out;
}
