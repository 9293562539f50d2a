/* The mathematics of Lua (sim/script/libm.c): correctly rounded, the range of subnormal numbers included. */

#include "base/rng.h"

#include <mpfr.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define UNARY(name) double __wrap_##name(double x);
UNARY(acos)
UNARY(asin)
UNARY(cos)
UNARY(cosh)
UNARY(exp)
UNARY(log)
UNARY(log10)
UNARY(log2)
UNARY(sin)
UNARY(sinh)
UNARY(tan)
UNARY(tanh)
#undef UNARY
double __wrap_pow(double x, double y);
double __wrap_atan2(double y, double x);

struct unary {
    const char *name;
    double (*ours)(double x);
    int (*exact)(mpfr_t, const mpfr_t, mpfr_rnd_t);
};

static const struct unary unary[] = {
#define UNARY(name) {#name, __wrap_##name, mpfr_##name},
    UNARY(acos) UNARY(asin) UNARY(cos) UNARY(cosh) UNARY(exp) UNARY(log) UNARY(log10) UNARY(log2) UNARY(sin)
        UNARY(sinh) UNARY(tan) UNARY(tanh)
#undef UNARY
};

#define UNARY_COUNT (sizeof unary / sizeof unary[0])

static uint64_t bits(double d)
{
    uint64_t u;
    memcpy(&u, &d, sizeof u);
    return u;
}

static double from_bits(uint64_t u)
{
    double d;
    memcpy(&d, &u, sizeof d);
    return d;
}

/* Rounded once, from so many bits that none of these values lies on an edge. */
static double rounded(int (*f)(mpfr_t, const mpfr_t, mpfr_rnd_t), double x)
{
    mpfr_t a, r;
    mpfr_init2(a, 53);
    mpfr_init2(r, 400);
    mpfr_set_d(a, x, MPFR_RNDN);
    f(r, a, MPFR_RNDN);
    double d = mpfr_get_d(r, MPFR_RNDN);
    mpfr_clears(a, r, (mpfr_ptr)0);
    return d;
}

static void assert_same(const char *name, double x, double ours, double exact)
{
    if (bits(ours) != bits(exact) && !(ours != ours && exact != exact)) {
        fail_msg("%s(%a) is %a, not %a", name, x, ours, exact);
    }
}

static void functions_of_one_number_are_correctly_rounded(void **state)
{
    struct rng r;
    (void)state;
    rng_init(&r, 1, 0);
    for (unsigned n = 0; n < 400; n++) {
        double any = from_bits(rng_next(&r)), small = (double)(int64_t)rng_next(&r) / 0x1p61;
        for (unsigned i = 0; i < UNARY_COUNT; i++) {
            assert_same(unary[i].name, any, unary[i].ours(any), rounded(unary[i].exact, any));
            assert_same(unary[i].name, small, unary[i].ours(small), rounded(unary[i].exact, small));
        }
    }
}

static void known_values_come_out(void **state)
{
    (void)state;
    assert_int_equal(bits(__wrap_exp(1)), bits(0x1.5bf0a8b145769p+1));
    assert_int_equal(bits(__wrap_pow(2, 0.5)), bits(0x1.6a09e667f3bcdp+0));
    assert_int_equal(bits(__wrap_atan2(1, -1)), bits(0x1.2d97c7f3321d2p+1));
    assert_int_equal(bits(__wrap_log10(1000)), bits(3));
}

static void tiny_results_are_rounded_once(void **state)
{
    (void)state;
    assert_int_equal(bits(__wrap_pow(2, -1074)), 1);
    assert_int_equal(bits(__wrap_exp(-745)), 1);
    assert_int_equal(bits(__wrap_exp(-746)), 0);
    for (double x = -744.4; x < -708; x += 0.37) {
        assert_same("exp", x, __wrap_exp(x), rounded(mpfr_exp, x));
    }
}

static void infinities_and_zeros_are_those_of_the_standard(void **state)
{
    double infinity = from_bits(UINT64_C(0x7ff) << 52);
    (void)state;
    assert_int_equal(bits(__wrap_exp(710)), bits(infinity));
    assert_int_equal(bits(__wrap_pow(0, -1)), bits(infinity));
    assert_int_equal(bits(__wrap_pow(-8, infinity)), bits(infinity));
    assert_int_equal(bits(__wrap_log(0)), bits(-infinity));
    assert_int_equal(bits(__wrap_sin(-0.0)), bits(-0.0));
    assert_int_equal(bits(__wrap_atan2(-0.0, -1)), bits(-0x1.921fb54442d18p+1));
    assert_int_equal(bits(__wrap_pow(1, from_bits(UINT64_C(0x7ff8) << 48))), bits(1));
    assert_int_equal(bits(__wrap_sin(infinity)), UINT64_C(0x7ff8) << 48);
    assert_int_equal(bits(__wrap_log(-1)), UINT64_C(0x7ff8) << 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_of_one_number_are_correctly_rounded),
        cmocka_unit_test(known_values_come_out),
        cmocka_unit_test(tiny_results_are_rounded_once),
        cmocka_unit_test(infinities_and_zeros_are_those_of_the_standard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
