#ifndef OS_PROGRAMS_CAPTEST_CAPTEST_H
#define OS_PROGRAMS_CAPTEST_CAPTEST_H

/* What the files of captest share. */

#include <stdbool.h>
#include <stdint.h>

#include "abi/abi.h"

extern int failed_line;

#define EXPECT(condition)           \
    do {                            \
        if (!(condition)) {         \
            failed_line = __LINE__; \
            return false;           \
        }                           \
    } while (0)

/* Status of a child that runs the function, 0 when it returns. */
int32_t in_child(void (*function)(void));

bool is_capability_error(int64_t result);

/* A capability can be derived from it. */
bool usable(handle_t handle);

/* Xorshift, Marsaglia. */
uint64_t random_next(uint64_t *state);

/* The program after exec: handles and whether each must work. Its exit status is the number of those that do otherwise. */
int after_exec(int argc, char **argv);

bool test_revocation_reaches_every_cpu(void);
bool test_revocation_goes_deep_and_wide(void);
bool test_revoked_slots_are_collected(void);
bool test_a_child_gets_what_it_is_given(void);
bool test_fork_and_exec_follow_the_policy(void);
bool test_limits_are_kept(void);
bool test_the_audit_ring_tells_the_script(void);
bool test_lookups_are_remembered(void);

#endif
