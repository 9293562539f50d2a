#ifndef OS_PROGRAMS_CAPTEST_CAPTEST_H
#define OS_PROGRAMS_CAPTEST_CAPTEST_H

/* What the files of captest share. */

#include "lib/tap.h"

bool is_capability_error(int64_t result);

/* A capability can be derived from it. */
bool usable(handle_t handle);

/* A new object of that type, with the capability that its maker gets; a notification when no call makes such a thing. */
handle_t make_object(enum cap_type type);

/* The program after exec: handles and whether each must work. Its exit status is the number of those that do otherwise. */
int after_exec(int argc, char **argv);

bool test_revocation_reaches_every_cpu(void);
bool test_uses_race_with_revocations(void);
bool test_revocation_goes_deep_and_wide(void);
bool test_revoked_slots_are_collected(void);
bool test_a_child_gets_what_it_is_given(void);
bool test_fork_and_exec_follow_the_policy(void);
bool test_limits_are_kept(void);
bool test_the_audit_ring_tells_of_what_is_new_and_given(void);
bool test_the_audit_ring_tells_the_script(void);
bool test_lookups_are_remembered(void);

bool test_every_right_of_every_call_is_needed(void);
bool test_all_seven_errors_cross_the_boundary(void);
bool test_iteration_is_stable_while_the_space_changes(void);
bool test_every_pointer_of_every_call_is_checked(void);
bool test_copies_race_with_unmaps(void);

bool test_the_name_server_lends_nobody_its_rights(void);
bool test_the_dimension_store_lends_nobody_its_rights(void);

bool test_memory_of_the_dead_is_empty(void);
bool test_no_address_of_the_kernel_is_handed_out(void);

/*
 * Tries to read and write its own table of capabilities; the program's status. Only under a scenario that tells where it is
 * (tests/e2e/kernel_security.lua).
 */
int attack_the_table(void);

#endif
