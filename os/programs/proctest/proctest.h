#ifndef OS_PROGRAMS_PROCTEST_PROCTEST_H
#define OS_PROGRAMS_PROCTEST_PROCTEST_H

/* What the parts of proctest share. */

#include "lib/tap.h"
#include "lib/thread.h"

#define PAGE 4096u
#define MS   1000000ull

extern const struct tap_test exec_tests[];
extern const unsigned exec_test_count;

/* The program after an exec of the tests: what it was told to check. Its exit status; -1: none of these. */
int exec_child(int argc, char **argv, char **environment);

#endif
