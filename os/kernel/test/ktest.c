/* The test runner. */
#include "test/ktest.h"

#include "arch/x86_64/power.h"
#include "arch/x86_64/uart.h"
#include "console.h"
#include "lib/string.h"
#include "probe.h"
#include "sys/boot_arguments.h"

static struct {
    const char *name;
    bool failed;
    const char *file;
    int line;
    const char *what;
} current;

void ktest_fail(const char *file, int line, const char *what)
{
    if (!current.failed) {
        current.failed = true;
        current.file = file;
        current.line = line;
        current.what = what;
    }
}

void ktest_disturbed(void)
{
    console_printf("# disturbed: %s\n", current.name);
}

bool ktest_undisturbed(bool (*attempt)(void))
{
    for (unsigned i = 0; i < KTEST_ATTEMPTS; i++) {
        if (attempt()) {
            return true;
        }
        ktest_disturbed();
    }
    return false;
}

static void planted(void)
{
    KEXPECT(1 + 1 == 3);
}

/* covers: TS-01 */
void ktest_framework_catches_a_planted_failure(void)
{
    planted();
    bool caught = current.failed;
    current.failed = false;
    KEXPECT(caught);
}

static const struct {
    const char *name;
    void (*function)(void);
} tests[] = {
#define KTEST(name) {#name, ktest_##name},
#include "test/ktests.def"
#undef KTEST
};

#define TESTS      (sizeof(tests) / sizeof(tests[0]))
#define NAME_BYTES 96u

/* Runs a test; true: it passed. */
static bool run(unsigned index, unsigned number)
{
    current.failed = false;
    current.name = tests[index].name;
    tests[index].function();
    console_printf("%sok %u - %s\n", current.failed ? "not " : "", number, current.name);
    if (current.failed) {
        console_printf("# %s:%d: %s\n", current.file, current.line, current.what);
    }
    return !current.failed;
}

/* All tests, or the one that the word ktest=NAME names. */
static void ktest_run_all(const char *point)
{
    char only[NAME_BYTES];
    if (strcmp(point, "start") != 0) {
        return;
    }
    bool one = boot_argument("ktest", only, sizeof(only));
    unsigned count = one ? 1 : TESTS;
    unsigned ran = 0;
    unsigned passed = 0;
    console_printf("TAP version 13\n");
    console_printf("1..%u\n", count);
    for (unsigned i = 0; i < TESTS; i++) {
        if (!one || strcmp(only, tests[i].name) == 0) {
            passed += run(i, ++ran) ? 1 : 0;
        }
    }
    console_printf("# %u of %u passed\n", passed, count);
    uart_flush(UART_CONSOLE);
    power_debug_exit(passed == count ? DEBUG_EXIT_PASS : DEBUG_EXIT_FAIL);
    power_off();
}

PROBE(ktest_run_all);
