/* Runs the tests of a program. */
#include "lib/tap.h"

static int failed_line;

void tap_fail(int line)
{
    failed_line = failed_line == 0 ? line : failed_line;
}

static bool wanted(const char *name, int argc, char **argv)
{
    bool any = argc < 2;
    for (int i = 1; i < argc; i++) {
        any |= strcmp(argv[i], name) == 0;
    }
    return any;
}

static unsigned plan(const struct tap_group *group, int argc, char **argv)
{
    unsigned planned = 0;
    for (unsigned i = 0; i < group->count; i++) {
        planned += wanted(group->tests[i].name, argc, argv) ? 1 : 0;
    }
    return planned;
}

static bool run(const struct tap_test *test, unsigned number)
{
    failed_line = 0;
    bool good = test->function();
    print("%sok %u - %s\n", good ? "" : "not ", number, test->name);
    if (!good) {
        print("# line %d\n", failed_line);
    }
    return good;
}

int tap_run(const struct tap_group *groups, unsigned count, int argc, char **argv)
{
    unsigned planned = 0;
    unsigned number = 0;
    unsigned passed = 0;
    for (unsigned g = 0; g < count; g++) {
        planned += plan(&groups[g], argc, argv);
    }
    print("1..%u\n", planned);
    for (unsigned g = 0; g < count; g++) {
        for (unsigned i = 0; i < groups[g].count; i++) {
            if (wanted(groups[g].tests[i].name, argc, argv)) {
                passed += run(&groups[g].tests[i], ++number) ? 1 : 0;
            }
        }
    }
    return passed == planned && planned != 0 ? 0 : 1;
}

int64_t tap_child(int (*function)(void))
{
    int64_t pid = sys_fork();
    if (pid == 0) {
        sys_exit(function());
    }
    return pid;
}

int32_t tap_status(int64_t pid)
{
    int32_t status = -1;
    return pid > 0 && sys_wait((unsigned)pid, &status, 0) == pid ? status : -1;
}
