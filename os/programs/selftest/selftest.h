#ifndef OS_PROGRAMS_SELFTEST_SELFTEST_H
#define OS_PROGRAMS_SELFTEST_SELFTEST_H

#include "lib/tap.h"

/* violations.c */
bool test_violations_leave_a_right_record(void);

#endif
