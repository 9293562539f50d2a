/* captest: revocation, inheritance, limits, audit, cache. */
#include "captest.h"

#include "lib/thread.h"

#define DEEP 1000u
#define WIDE 10000u

/* ---- revocation ---- */

static uint64_t clock_hz(void)
{
    static struct system_stats stats;
    sys_stats(&stats, sizeof(stats));
    return stats.clock_hz;
}

static uint64_t deadline; /* cycles; the parent has revoked before, or says that the round does not count */

/* Uses its audit capability all the time: what began after the deadline must not succeed. */
static void use_until_revoked(bool alone)
{
    static struct cap_audit record;
    uint64_t succeeded = 0;
    uint64_t end = deadline + 1000000;
    for (uint64_t began; (began = cycles()) < end;) {
        int64_t result = sys_audit_read(0, &record, 1);
        if (result >= 0 && began > deadline) {
            sys_exit(1);
        }
        if (result < 0 && result != STATUS_ERR_CAP_REVOKED && result != STATUS_ERR_CAP_INVALID) {
            sys_exit(2);
        }
        succeeded += result >= 0;
        if (alone) {
            sys_yield();
        }
    }
    sys_exit(succeeded != 0 ? 0 : 3);
}

/* One round: children on every CPU use what this process then revokes, just before the deadline. */
static bool revoke_under_use(unsigned children, bool alone, bool *counts)
{
    deadline = cycles() + clock_hz() / 400;
    for (unsigned i = 0; i < children; i++) {
        if (sys_fork() == 0) {
            use_until_revoked(alone);
        }
    }
    while (cycles() < deadline - 200000) {
        sys_yield();
    }
    int64_t revoked = sys_cap_revoke(CAP_AUDIT);
    *counts = cycles() < deadline;
    bool good = revoked == (int64_t)children;
    for (unsigned i = 0; i < children; i++) {
        int32_t status = -1;
        good &= sys_wait(0, &status, 0) > 0 && (status == 0 || (status == 1 && !*counts) || status == 3);
    }
    return good;
}

/* covers: CP-06 CP-09 */
bool test_revocation_reaches_every_cpu(void)
{
    static struct system_stats stats;
    EXPECT(sys_stats(&stats, sizeof(stats)) > 0);
    unsigned counted = 0;
    for (unsigned round = 0; round < 10 && counted < 3; round++) {
        bool counts;
        bool alone = stats.cpus_online == 1; /* then the child has to let this process revoke */
        EXPECT(revoke_under_use(alone ? 1 : stats.cpus_online - 1, alone, &counts));
        counted += counts;
    }
    EXPECT(counted != 0);
    return usable(CAP_AUDIT);
}

#define USERS       3u
#define REVOCATIONS 400u

static _Atomic handle_t in_use;
static _Atomic handle_t revoked; /* the last one whose revocation has returned */
static _Atomic bool no_more;

/* The number of uses that succeeded although they began when the capability was revoked, or failed in another way. */
static uint64_t uses_what_is_there(void *argument)
{
    uint64_t wrong = 0;
    for (uint64_t i = (uintptr_t)argument; !no_more; i++) {
        handle_t handle = in_use;
        bool gone = revoked == handle;
        int64_t status = sys_notification_signal(handle, 1);
        wrong += status == STATUS_OK ? gone : !is_capability_error(status);
        if (i % 4 == 0) {
            sys_sleep(2000);
        }
    }
    return wrong;
}

/* Takes a capability away again and again while others use it: by revocation, and by deletion. */
static bool take_away(handle_t root)
{
    for (unsigned i = 0; i < REVOCATIONS; i++) {
        int64_t made = sys_cap_derive(root, RIGHT_WRITE, 0);
        EXPECT(made > 0);
        in_use = (handle_t)made;
        sys_sleep(i % 8 * 1000);
        EXPECT(i % 4 == 3 ? sys_cap_delete((handle_t)made) == STATUS_OK : sys_cap_revoke(root) == 1);
        revoked = (handle_t)made;
        EXPECT(i % 4 == 3 || sys_cap_delete((handle_t)made) == STATUS_OK);
    }
    return true;
}

/* tests/e2e/kernel_revoke.lua makes them meet at every instruction of a lookup. covers: CP-09 */
bool test_uses_race_with_revocations(void)
{
    int64_t tids[USERS];
    int64_t root = sys_notification_create();
    EXPECT(root > 0);
    no_more = false;
    for (unsigned i = 0; i < USERS; i++) {
        tids[i] = thread_start(uses_what_is_there, (void *)(uintptr_t)i, 0);
    }
    bool good = take_away((handle_t)root);
    no_more = true;
    for (unsigned i = 0; i < USERS; i++) {
        uint64_t wrong = 1;
        EXPECT(thread_join(tids[i], &wrong) == STATUS_OK && wrong == 0);
    }
    return good && sys_cap_delete((handle_t)root) == STATUS_OK;
}

/* Runs in a child, which has nothing else in its space. */
static void derive_deep_and_wide(void)
{
    int64_t root = sys_cap_derive(CAP_CONSOLE, RIGHTS_ALL, 0);
    int64_t deepest = root;
    for (unsigned i = 0; i < DEEP; i++) {
        deepest = sys_cap_derive((handle_t)deepest, RIGHTS_ALL, 0);
    }
    int64_t last = root;
    for (unsigned i = 0; i < WIDE; i++) {
        last = sys_cap_derive((handle_t)root, RIGHT_READ, 0);
    }
    bool good = deepest > 0 && last > 0 && usable((handle_t)deepest) && usable((handle_t)last);
    good = good && sys_cap_revoke((handle_t)root) == DEEP + WIDE && usable((handle_t)root);
    good = good && sys_cap_derive((handle_t)deepest, 0, 0) == STATUS_ERR_CAP_REVOKED;
    good = good && sys_cap_derive((handle_t)last, 0, 0) == STATUS_ERR_CAP_REVOKED;
    good = good && sys_cap_delete((handle_t)last) == 0;
    sys_exit(good && sys_cap_derive((handle_t)last, 0, 0) == STATUS_ERR_CAP_GENERATION ? 0 : 1);
}

/* covers: CP-07 CP-27 */
bool test_revocation_goes_deep_and_wide(void)
{
    EXPECT(tap_in_child(derive_deep_and_wide) == 0);
    return true;
}

/* covers: CP-10 CP-27 */
bool test_revoked_slots_are_collected(void)
{
    struct cap_stats before;
    struct cap_stats after;
    int64_t root = sys_cap_derive(CAP_CONSOLE, RIGHTS_ALL, 0);
    int64_t child = sys_cap_derive((handle_t)root, RIGHTS_ALL, 0);
    EXPECT(child > 0 && sys_cap_revoke((handle_t)root) == 1);
    EXPECT(sys_cap_derive((handle_t)child, 0, 0) == STATUS_ERR_CAP_REVOKED);
    for (unsigned i = 0; i < 40; i++) { /* the collector's pass, without being asked */
        sys_sleep(100000000);
    }
    EXPECT(sys_cap_derive((handle_t)child, 0, 0) == STATUS_ERR_CAP_GENERATION);
    sys_quiesce();
    EXPECT(sys_cap_stats(&before) == 0);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 500; i++) {
            EXPECT(sys_cap_derive((handle_t)root, RIGHT_READ, 0) > 0);
        }
        EXPECT(sys_cap_revoke((handle_t)root) == 500);
        sys_quiesce();
    }
    EXPECT(sys_cap_stats(&after) == 0);
    EXPECT(after.bytes <= before.bytes + 4 * 4096 && after.collected >= before.collected + 20 * 500);
    return sys_cap_delete((handle_t)root) == 0;
}

/* ---- to children ---- */

static handle_t received; /* notification */

static void wait_for_a_gift(void)
{
    const uint64_t end = cycles() + 60 * clock_hz();
    int64_t got = 0;
    sys_cap_delete(CAP_AUDIT);
    while (cycles() < end && got <= 0) {
        for (int64_t at = 0; (at = sys_cap_next((handle_t)at)) > 0;) {
            struct cap_info info;
            got =
                sys_cap_read((handle_t)at, &info) == 0 && info.type == CAP_AUDIT && info.rights == RIGHT_READ
                    ? at
                    : got;
        }
        sys_yield();
    }
    static struct cap_audit record;
    bool good = got > 0 && sys_audit_read(0, &record, 1) == STATUS_ERR_CAP_INVALID &&
                sys_cap_move((handle_t)got, CAP_AUDIT) > 0 && sys_audit_read(0, &record, 1) == 1 &&
                sys_cap_copy(CAP_AUDIT) == STATUS_ERR_CAP_RIGHTS;
    (void)sys_notification_signal(received, 1);
    while (cycles() < end && sys_audit_read(0, &record, 1) >= 0) {
        sys_yield();
    }
    sys_exit(good && sys_audit_read(0, &record, 1) == STATUS_ERR_CAP_REVOKED ? 0 : 1);
}

/* covers: CP-11 CP-06 */
bool test_a_child_gets_what_it_is_given(void)
{
    uint64_t bits;
    int64_t mine = sys_cap_derive(CAP_AUDIT, RIGHT_READ | RIGHT_GRANT, CAP_FLAG_INHERIT_NONE);
    received = (handle_t)sys_notification_create();
    int64_t pid = sys_fork();
    if (pid == 0) {
        wait_for_a_gift();
    }
    EXPECT(mine > 0 && pid > 0);
    EXPECT(sys_cap_give((handle_t)mine, (unsigned)pid, RIGHT_READ | RIGHT_WRITE, 0) == STATUS_ERR_CAP_RIGHTS);
    EXPECT(sys_cap_give((handle_t)mine, (unsigned)pid, RIGHT_READ, 0) > 0);
    EXPECT(sys_notification_wait(received, 1, &bits, IPC_FOREVER) == STATUS_OK);
    EXPECT(sys_cap_revoke((handle_t)mine) == 1);
    int32_t status = -1;
    EXPECT(sys_wait((unsigned)pid, &status, 0) == pid && status == 0);
    EXPECT(sys_cap_give((handle_t)mine, (unsigned)pid, RIGHT_READ, 0) == STATUS_ERR_NO_PROCESS);
    return sys_cap_delete((handle_t)mine) == 0 && sys_cap_delete(received) == 0;
}

int after_exec(int argc, char **argv)
{
    int wrong = 0;
    for (int i = 2; i + 1 < argc; i += 2) {
        wrong += usable((handle_t)parse_number(argv[i])) != (argv[i + 1][0] == 'y');
    }
    return wrong;
}

static void decimal(char *text, uint64_t number)
{
    char digits[24];
    unsigned count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count != 0) {
        *text++ = digits[--count];
    }
    *text = '\0';
}

static const struct {
    unsigned flags;
    const char *after_exec;
    const char *after_fork_and_exec;
} policies[] = {
    {0, "n", "n"},
    {CAP_FLAG_KEEP_ON_EXEC, "y", "y"},
    {CAP_FLAG_INHERIT_COPY, "n", "n"},
    {CAP_FLAG_INHERIT_COPY | CAP_FLAG_KEEP_ON_EXEC, "y", "y"},
    {CAP_FLAG_INHERIT_NONE, "n", "n"},
    {CAP_FLAG_INHERIT_NONE | CAP_FLAG_KEEP_ON_EXEC, "y", "n"},
};

#define POLICIES (sizeof(policies) / sizeof(policies[0]))

static void exec_with_handles(bool fork_before)
{
    static char words[POLICIES][24];
    const char *arguments[3 + 2 * POLICIES] = {"captest", "--after-exec"};
    for (unsigned i = 0; i < POLICIES; i++) {
        decimal(words[i],
                (uint64_t)sys_cap_derive(CAP_CONSOLE, RIGHT_GRANT | RIGHT_WRITE, policies[i].flags));
        arguments[2 + 2 * i] = words[i];
        arguments[3 + 2 * i] = fork_before ? policies[i].after_fork_and_exec : policies[i].after_exec;
    }
    int64_t pid = fork_before ? sys_fork() : 0;
    if (pid == 0) {
        sys_exec("captest", arguments, NULL);
        sys_exit(100);
    }
    int32_t status = -1;
    sys_wait(0, &status, 0);
    sys_exit(status);
}

static void exec_only(void)
{
    exec_with_handles(false);
}

static void fork_then_exec(void)
{
    exec_with_handles(true);
}

/* covers: CP-18 */
bool test_fork_and_exec_follow_the_policy(void)
{
    EXPECT(tap_in_child(exec_only) == 0);
    EXPECT(tap_in_child(fork_then_exec) == 0);
    return true;
}

/* ---- limits ---- */

static void reach_the_limit(void)
{
    int64_t status = sys_cap_limit(1);
    bool good =
        status == STATUS_ERR_RANGE && sys_cap_limit(200) == 0 && sys_cap_limit(201) == STATUS_ERR_RANGE;
    unsigned made = 0;
    while (made < 1000 && (status = sys_cap_derive(CAP_CONSOLE, 0, 0)) > 0) {
        made++;
    }
    good = good && status == STATUS_ERR_CAP_QUOTA && made > 100 && made < 200;
    sys_exit(good && sys_cap_limit(65537) == STATUS_ERR_RANGE ? 0 : 1);
}

static void fill_the_space(void)
{
    unsigned made = 0;
    int64_t status;
    while ((status = sys_cap_derive(CAP_CONSOLE, 0, 0)) > 0) {
        made++;
    }
    sys_exit(status == STATUS_ERR_CAP_QUOTA && made == 65536 - CAP_WELL_KNOWN_SLOTS ? 0 : 1);
}

/* covers: CP-13 CP-27 */
bool test_limits_are_kept(void)
{
    EXPECT(tap_in_child(reach_the_limit) == 0);
    EXPECT(tap_in_child(fill_the_space) == 0);
    return true;
}

/* ---- audit ---- */

static struct cap_audit mine[64];

/* What this process did since a record: how many, in `mine`. Others may be at work. */
static unsigned own_records(uint64_t from)
{
    static struct cap_audit records[64];
    int64_t count = sys_audit_read(from, records, 64);
    unsigned found = 0;
    for (int64_t i = 0; i < count; i++) {
        if (records[i].actor == (uint32_t)sys_getpid()) {
            mine[found++] = records[i];
        }
    }
    return found;
}

static int sleeps(void)
{
    return sys_sleep(3600000000000) == 0 ? 0 : 1;
}

/* covers: CP-14 (creation, transfer) */
bool test_the_audit_ring_tells_of_what_is_new_and_given(void)
{
    int64_t pid = tap_child(sleeps);
    uint64_t from = tap_audit_end();
    int64_t made = sys_endpoint_create(0);
    EXPECT(made > 0 && sys_cap_give((handle_t)made, (unsigned)pid, RIGHT_READ, 0) > 0);
    EXPECT(own_records(from) == 2);
    EXPECT(mine[0].event == CAP_EVENT_CREATE && mine[0].handle == (handle_t)made && mine[0].parent == 0 &&
           mine[0].holder == (uint32_t)sys_getpid());
    EXPECT(mine[1].event == CAP_EVENT_TRANSFER && mine[1].holder == (uint32_t)pid &&
           mine[1].parent == mine[0].id && mine[1].rights == RIGHT_READ);
    EXPECT(mine[0].type == CAP_ENDPOINT && mine[1].type == CAP_ENDPOINT && mine[0].id < mine[1].id);
    EXPECT(sys_process_kill((unsigned)pid, 5) == STATUS_OK && tap_status(pid) == 5);
    return sys_cap_delete((handle_t)made) == STATUS_OK;
}

/* covers: CP-14 */
bool test_the_audit_ring_tells_the_script(void)
{
    static struct cap_audit records[64];
    static const unsigned script[] = {CAP_EVENT_DERIVE, CAP_EVENT_DERIVE, CAP_EVENT_MOVE,
                                      CAP_EVENT_DENY,   CAP_EVENT_REVOKE, CAP_EVENT_DELETE};
    uint64_t from = tap_audit_end();
    int64_t root = sys_cap_derive(CAP_CONSOLE, RIGHTS_ALL, 0);
    int64_t child = sys_cap_derive((handle_t)root, RIGHT_READ, 0);
    int64_t moved = sys_cap_move((handle_t)child, 0);
    EXPECT(sys_cap_copy((handle_t)moved) == STATUS_ERR_CAP_RIGHTS);
    EXPECT(sys_cap_revoke((handle_t)root) == 1 && sys_cap_delete((handle_t)root) == 0);
    EXPECT(own_records(from) == 6);
    for (unsigned i = 0; i < 6; i++) {
        EXPECT(mine[i].event == script[i] && mine[i].type == CAP_CONSOLE);
    }
    EXPECT(mine[0].handle == (handle_t)root && mine[1].handle == (handle_t)child &&
           mine[1].parent == mine[0].id);
    EXPECT(mine[2].handle == (handle_t)moved && mine[2].id == mine[1].id && mine[2].parent == 0 &&
           mine[3].status == STATUS_ERR_CAP_RIGHTS);
    EXPECT(mine[4].id == mine[1].id && mine[4].parent == mine[0].id && mine[5].id == mine[0].id);
    struct cap_stats before;
    struct cap_stats after;
    EXPECT(sys_cap_stats(&before) == 0);
    for (unsigned i = 0; i < 2000; i++) {
        EXPECT(sys_cap_copy(0) == STATUS_ERR_CAP_INVALID);
    }
    EXPECT(sys_cap_stats(&after) == 0);
    EXPECT(after.audit_lost >= before.audit_lost + 2000 - 512 - 64 && after.denied >= before.denied + 2000);
    EXPECT(sys_audit_read(from, records, 64) == 64 && records[0].sequence > from);
    return true;
}

/* ---- cache ---- */

/* covers: CP-20 CP-21 */
bool test_lookups_are_remembered(void)
{
    struct cap_stats before;
    struct cap_stats after;
    static struct system_stats stats;
    EXPECT(sys_cap_stats(&before) == 0);
    for (unsigned i = 0; i < 2000; i++) {
        EXPECT(sys_stats(&stats, 8) == 8);
    }
    EXPECT(sys_cap_stats(&after) == 0);
    uint64_t hits = after.cache_hits - before.cache_hits;
    uint64_t misses = after.cache_misses - before.cache_misses;
    EXPECT(hits + misses >= 2000 && hits * 100 >= (hits + misses) * 95);
    return true;
}
