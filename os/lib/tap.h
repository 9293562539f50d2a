#ifndef OS_LIB_TAP_H
#define OS_LIB_TAP_H

/*
 * Test programs: TAP on the console. A test is a function that returns true; EXPECT ends it with the line that failed. What
 * may end its process, or waits for another, runs in a child whose status is checked.
 */

#include <stdbool.h>

#include "lib/orrery.h"

/* Notes the line of the first failure of a test. */
void tap_fail(int line);

#define EXPECT(condition)       \
    do {                        \
        if (!(condition)) {     \
            tap_fail(__LINE__); \
            return false;       \
        }                       \
    } while (0)

struct tap_test {
    const char *name;
    bool (*function)(void);
};

struct tap_group {
    const struct tap_test *tests;
    unsigned count;
};

/* Runs the tests of all groups, or those whose names are given. The program's status: 0 when all have passed. */
int tap_run(const struct tap_group *groups, unsigned count, int argc, char **argv);

/* Starts a function in a child, which ends with what it returns. The child's pid. */
int64_t tap_child(int (*function)(void));

/* Status of a child, -1 when there is none. */
int32_t tap_status(int64_t pid);

#endif
