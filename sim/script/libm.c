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

/* The rounded result of a function, which was off by `ternary`, as a double. */
static double as_double(mpfr_t v, int ternary)
{
    ternary = mpfr_check_range(v, ternary, MPFR_RNDN);
    mpfr_subnormalize(v, ternary, MPFR_RNDN);
    return mpfr_nan_p(v) ? __builtin_nan("") : mpfr_get_d(v, MPFR_RNDN);
}

/* MPFR made to round as doubles do, and what it was before. */
struct format {
    mpfr_exp_t low, high;
    mpfr_t a, b, result;
};

static void enter(struct format *f, double x, double y)
{
    f->low = mpfr_get_emin();
    f->high = mpfr_get_emax();
    mpfr_set_emin(DOUBLE_EMIN);
    mpfr_set_emax(DOUBLE_EMAX);
    mpfr_inits2(DOUBLE_BITS, f->a, f->b, f->result, (mpfr_ptr)0);
    mpfr_set_d(f->a, x, MPFR_RNDN);
    mpfr_set_d(f->b, y, MPFR_RNDN);
}

/* The result, which was rounded by `ternary`. */
static double leave(struct format *f, int ternary)
{
    double d = as_double(f->result, ternary);
    mpfr_clears(f->a, f->b, f->result, (mpfr_ptr)0);
    mpfr_set_emin(f->low);
    mpfr_set_emax(f->high);
    mpfr_clear_flags();
    return d;
}

#define UNARY(name)                                              \
    double __wrap_##name(double x);                              \
    double __wrap_##name(double x)                               \
    {                                                            \
        struct format f;                                         \
        enter(&f, x, 0);                                         \
        return leave(&f, mpfr_##name(f.result, f.a, MPFR_RNDN)); \
    }

#define BINARY(name)                                                  \
    double __wrap_##name(double x, double y);                         \
    double __wrap_##name(double x, double y)                          \
    {                                                                 \
        struct format f;                                              \
        enter(&f, x, y);                                              \
        return leave(&f, mpfr_##name(f.result, f.a, f.b, MPFR_RNDN)); \
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
