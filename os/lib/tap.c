/* Runs the tests of a program. */
#include "lib/tap.h"

#include "abi/sched.h"

#define LOOKS   20000u
#define LOOK_NS 250000ull

static int failed_line;
static const char *running;
static const char *skip_reason;
static void (*after_failure)(void);

void tap_fail(int line)
{
    failed_line = failed_line == 0 ? line : failed_line;
}

bool tap_skip(const char *reason)
{
    skip_reason = reason;
    return true;
}

void tap_after_failure(void (*function)(void))
{
    after_failure = function;
}

static bool wanted(const char *name, int argc, char **argv)
{
    bool all = true; /* but those left out */
    for (int i = 1; i < argc; i++) {
        bool left_out = argv[i][0] == '-';
        if (strcmp(argv[i] + left_out, name) == 0) {
            return !left_out;
        }
        all &= left_out;
    }
    return all;
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
    skip_reason = NULL;
    running = test->name;
    bool good = test->function();
    print("%sok %u - %s%s%s\n", good ? "" : "not ", number, test->name, skip_reason != NULL ? " # SKIP " : "",
          skip_reason != NULL ? skip_reason : "");
    if (!good) {
        print("# line %d\n", failed_line);
    }
    if (!good && after_failure != NULL) {
        after_failure();
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

int32_t tap_in_child(void (*function)(void))
{
    int64_t pid = sys_fork();
    if (pid == 0) {
        function();
        sys_exit(0);
    }
    return tap_status(pid);
}

/* Between the two looks at it, it has not run, and nobody at all was ready. */
static bool waits_now(unsigned whom, uint64_t number)
{
    static struct system_stats stats;
    struct sched_info before;
    struct sched_info after;
    bool seen = sys_sched_get(whom, number, &before) == STATUS_OK && sys_stats(&stats, sizeof(stats)) > 0 &&
                sys_sched_get(whom, number, &after) == STATUS_OK;
    return seen && stats.threads_ready == 0 && before.switches != 0 && after.switches == before.switches &&
           after.run_cycles == before.run_cycles;
}

static bool comes_to_wait(unsigned whom, int64_t number)
{
    for (unsigned look = 0; look < LOOKS && number > 0; look++) {
        if (waits_now(whom, (uint64_t)number)) {
            return true;
        }
        sys_sleep(LOOK_NS);
    }
    return false;
}

bool tap_child_waits(int64_t pid)
{
    return comes_to_wait(SCHED_PROCESS, pid);
}

bool tap_thread_waits(int64_t tid)
{
    return comes_to_wait(SCHED_THREAD, tid);
}

bool tap_undisturbed(bool (*attempt)(void))
{
    for (unsigned i = 0; i < TAP_ATTEMPTS; i++) {
        if (attempt()) {
            return true;
        }
        print("# disturbed: %s\n", running);
    }
    return false;
}

uint64_t tap_audit_end(void)
{
    static struct cap_audit records[64];
    uint64_t next = 1;
    for (int64_t count; (count = sys_audit_read(next, records, 64)) > 0;) {
        next = records[count - 1].sequence + 1;
    }
    return next;
}

uint64_t tap_free_frames(void)
{
    static struct system_stats stats;
    (void)sys_stats(&stats, sizeof(stats)); /* so that its own pages are there before they are counted */
    (void)sys_quiesce();
    return sys_stats(&stats, sizeof(stats)) > 0 ? stats.frames_free : 0;
}
