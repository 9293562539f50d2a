/*
 * The mathematics of Lua's numbers: correctly rounded, by MPFR. The C library picks its own by the host's CPU, and their last
 * bits differ. The Makefile links Lua so that its calls of these functions, and no others, come here (ld --wrap); those it
 * calls besides (floor, fmod, sqrt, frexp, ldexp) are exact everywhere.
 *
 * Source: C17, annex F.10, "Mathematics": what these give for zeros, infinities and NaN; MPFR follows it.
 * Deviations: errno and exception flags, which Lua does not look at; every NaN that is made here is positive.
 */

#include <mpfr.h>

/* A double, for MPFR. */
#define DOUBLE_BITS 53
#define DOUBLE_EMIN (-1073) /* of the smallest subnormal, as MPFR counts */
#define DOUBLE_EMAX 1024

typedef int unary_fn(mpfr_t, const mpfr_t, mpfr_rnd_t);
typedef int binary_fn(mpfr_t, const mpfr_t, const mpfr_t, mpfr_rnd_t);

/* The rounded result of a function, which was off by `ternary`, as a double. */
static double as_double(mpfr_t v, int ternary)
{
    ternary = mpfr_check_range(v, ternary, MPFR_RNDN);
    mpfr_subnormalize(v, ternary, MPFR_RNDN);
    return mpfr_nan_p(v) ? __builtin_nan("") : mpfr_get_d(v, MPFR_RNDN);
}

static double binary(binary_fn *f, unary_fn *g, double x, double y)
{
    mpfr_exp_t low = mpfr_get_emin(), high = mpfr_get_emax();
    mpfr_t a, b, result;
    mpfr_set_emin(DOUBLE_EMIN);
    mpfr_set_emax(DOUBLE_EMAX);
    mpfr_inits2(DOUBLE_BITS, a, b, result, (mpfr_ptr)0);
    mpfr_set_d(a, x, MPFR_RNDN);
    mpfr_set_d(b, y, MPFR_RNDN);
    double d = as_double(result, f ? f(result, a, b, MPFR_RNDN) : g(result, a, MPFR_RNDN));
    mpfr_clears(a, b, result, (mpfr_ptr)0);
    mpfr_set_emin(low);
    mpfr_set_emax(high);
    mpfr_clear_flags();
    return d;
}

#define UNARY(name)                             \
    double __wrap_##name(double x);             \
    double __wrap_##name(double x)              \
    {                                           \
        return binary(NULL, mpfr_##name, x, 0); \
    }

#define BINARY(name)                            \
    double __wrap_##name(double x, double y);   \
    double __wrap_##name(double x, double y)    \
    {                                           \
        return binary(mpfr_##name, NULL, x, y); \
    }

UNARY(acos)
UNARY(asin)
BINARY(atan2)
UNARY(cos)
UNARY(cosh)
UNARY(exp)
UNARY(log)
UNARY(log10)
UNARY(log2)
BINARY(pow)
UNARY(sin)
UNARY(sinh)
UNARY(tan)
UNARY(tanh)
