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

/* The running test cannot show on this machine what it is for: "ok N - NAME # SKIP REASON". Returns true, for the test to return. */
bool tap_skip(const char *reason);

struct tap_test {
    const char *name;
    bool (*function)(void);
};

struct tap_group {
    const struct tap_test *tests;
    unsigned count;
};

/* What is called after a test that has failed and may have left things behind; null: nothing. */
void tap_after_failure(void (*function)(void));

/*
 * Runs the tests of all groups, or those whose names are given; "-NAME" leaves one out. The program's status: 0 when all have
 * passed.
 */
int tap_run(const struct tap_group *groups, unsigned count, int argc, char **argv);

/* Starts a function in a child, which ends with what it returns. The child's pid. */
int64_t tap_child(int (*function)(void));

/* Status of a child, -1 when there is none. */
int32_t tap_status(int64_t pid);

/*
 * Until a child, or a thread of this process, waits for something: its last thread neither runs nor is ready to. False when that
 * is not seen for five seconds. It is seen only while nobody in the system is ready, so not beside a load that never rests;
 * needs CAP_STATISTICS and CAP_PROCESS.
 */
bool tap_child_waits(int64_t pid);
bool tap_thread_waits(int64_t tid);

/*
 * For what is true of time only while the processors run without a break, as in Orrery: up to so many attempts until one
 * succeeds. In QEMU on a busy host the processors stand still now and then; each attempt that fails is told on the console,
 * and tests/e2e/lib.sh allows none in Orrery. What must hold in every attempt, the test notes by itself.
 */
#define TAP_ATTEMPTS 20u
bool tap_undisturbed(bool (*attempt)(void));

/* Number of the next record of the audit ring. */
uint64_t tap_audit_end(void);

/* Free frames of a system at rest: asks for a quiescence first. 0 when the figures may not be read. */
uint64_t tap_free_frames(void);

/* Status of a child that runs a function and ends with 0 when that returns; -1 when there is none. */
int32_t tap_in_child(void (*function)(void));

#endif
