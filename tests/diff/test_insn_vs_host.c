/*
 * The instruction oracle: random instructions with random registers and memory, run by the simulator and by the CPU
 * that runs this test. What both leave must be equal, but for the flags that the instruction table calls undefined and
 * for approximations (tests/support/insn_case.h).
 *
 * Without arguments: a cmocka test of a million cases. CASES SEED [FIRST [REPORTS]]: a soak, by scripts/insn-soak.
 */

#include "insn_oracle.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEST_CASES   UINT64_C(1000000)
#define TEST_SEED    UINT64_C(1)
#define LEAST_BEGUN  (TEST_CASES / 10000) /* of every row */
#define LEAST_SHARE  50                   /* percent of the cases that complete */
#define REPORTS_MAX  20u
#define SOAK_REPORTS 50u

static void the_simulator_does_what_the_host_does(void **state)
{
    struct oracle_counts counts;
    const char *why = "";
    (void)state;
    if (!oracle_open(&why)) {
        print_message("skipped: %s\n", why);
        skip();
    }
    oracle_print_rows();
    oracle_run(TEST_SEED, 0, TEST_CASES, REPORTS_MAX, false, &counts);
    oracle_close();
    print_message("%" PRIu64 " cases, %" PRIu64 " completed, %" PRIu64 " disturbed\n", counts.cases,
                  counts.completed, counts.disturbed);
    assert_int_equal(counts.differences, 0);
    assert_int_equal(oracle_check_rows(&counts, LEAST_BEGUN), 0);
    assert_true(counts.completed * 100 > counts.cases * LEAST_SHARE);
    free(counts.ran);
    free(counts.done);
}

static void every_row_can_be_reached_or_has_a_reason(void **state)
{
    (void)state;
    assert_int_equal(oracle_check_forms(), 0);
}

static int soak(uint64_t cases, uint64_t seed, uint64_t first, unsigned reports)
{
    struct oracle_counts counts;
    const char *why = "";
    if (!oracle_open(&why)) {
        printf("skipped: %s\n", why);
        return 0;
    }
    oracle_run(seed, first, cases, reports, cases > 1, &counts);
    oracle_close();
    printf("cases: %" PRIu64 "\ncompleted: %" PRIu64 "\ndisturbed: %" PRIu64 "\ndifferences: %" PRIu64 "\n",
           counts.cases, counts.completed, counts.disturbed, counts.differences);
    free(counts.ran);
    free(counts.done);
    return counts.differences != 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_row_can_be_reached_or_has_a_reason),
                                       cmocka_unit_test(the_simulator_does_what_the_host_does)};
    if (argc > 2) {
        return soak(strtoull(argv[1], NULL, 0), strtoull(argv[2], NULL, 0),
                    argc > 3 ? strtoull(argv[3], NULL, 0) : 0,
                    argc > 4 ? (unsigned)strtoul(argv[4], NULL, 0) : SOAK_REPORTS);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
