#ifndef OS_KERNEL_TEST_KTEST_H
#define OS_KERNEL_TEST_KTEST_H

/*
 * In-kernel tests, TAP on the console. Linked into orrery-test.elf only; run at the probe point "start", when all
 * CPUs are up; the machine ends through the debug-exit port with the verdict. A test is a row of ktests.def and a
 * function.
 */

#include <stdbool.h>

/* Notes a failed check of the running test; the first one is printed. */
void ktest_fail(const char *file, int line, const char *what);

#define KEXPECT(condition)                              \
    do {                                                \
        if (!(condition)) {                             \
            ktest_fail(__FILE__, __LINE__, #condition); \
            return;                                     \
        }                                               \
    } while (0)

/*
 * For what is true of time only while the processors run without a break, as in Orrery: up to so many attempts until one
 * succeeds. In QEMU on a busy host the processors stand still now and then; each attempt that fails is told on the console
 * with the test's name, and tests/e2e/lib.sh allows none in Orrery.
 */
#define KTEST_ATTEMPTS 20u
bool ktest_undisturbed(bool (*attempt)(void));

/* Tells of such an attempt, where no other would do better: on a busy host the next one stands still as well. */
void ktest_disturbed(void);

#define KTEST(name) void ktest_##name(void);
#include "test/ktests.def"
#undef KTEST

#endif
