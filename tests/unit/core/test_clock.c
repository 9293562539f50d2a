/* Conversions between device ticks and cycles. */

#include "core/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint64_t rates[] = {1,       2,        32768,    1193182,  1843200,
                                 3579545, 10000000, 14318180, 99999999, 1000000000};

#define RATES (sizeof rates / sizeof rates[0])

static void tick_count_changes_exactly_at_its_cycle(void **state)
{
    (void)state;
    for (unsigned r = 0; r < RATES; r++) {
        for (uint64_t n = 1; n < rates[r] << 31; n = n * 7 + 3) { /* in reach of a 64-bit clock */
            uint64_t at = clock_cycles(n, rates[r]);
            assert_int_equal(clock_ticks(at, rates[r]), n);
            assert_int_equal(clock_ticks(at - 1, rates[r]), n - 1);
        }
    }
}

static void whole_seconds_do_not_drift_in_a_century(void **state)
{
    (void)state;
    uint64_t seconds = UINT64_C(100) * 365 * 24 * 3600;
    for (unsigned r = 0; r < RATES; r++) {
        assert_int_equal(clock_cycles(seconds * rates[r], rates[r]), seconds * CLOCK_TSC_HZ);
        assert_int_equal(clock_ticks(seconds * CLOCK_TSC_HZ, rates[r]), seconds * rates[r]);
    }
}

static void zero_is_zero(void **state)
{
    (void)state;
    assert_int_equal(clock_ticks(0, 32768), 0);
    assert_int_equal(clock_cycles(0, 32768), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tick_count_changes_exactly_at_its_cycle),
        cmocka_unit_test(whole_seconds_do_not_drift_in_a_century),
        cmocka_unit_test(zero_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
