/*
 * proctest: processes from the user's side: what a clone is, what an end gives back, how a wait meets an end, what exec does
 * (exec.c). Other uses:
 *
 *     proctest --many N                    N children, one after the other
 *     proctest --bomb MS                   forks as much as it can for so long
 *     proctest --refuses FILE STATUS ...   files that exec must refuse
 *     as init ("init=proctest")            looks at what the first process has
 */
#include "proctest.h"

#include "lib/names.h"
#include "lib/sync.h"

#define SECOND      1000000000ull
#define TIMER_PORTS 0x40u /* that the kernel leaves alone, as the line */

#define PASSED 16u
#define FAILED 17u

static const char *const no_strings[] = {NULL};

/* ---- clones ---- */

static volatile uint64_t word = 1;
static handle_t plain;  /* a clone has a child of it, */
static handle_t copied; /* a sibling, */
static handle_t absent; /* nothing; all three derived from `root` */
static handle_t root;
static handle_t go;

static bool same_but_for_the_id(handle_t handle, const struct cap_info *of_parent)
{
    struct cap_info info;
    return sys_cap_read(handle, &info) == STATUS_OK && info.id != of_parent->id &&
           info.type == of_parent->type && info.rights == of_parent->rights &&
           info.flags == of_parent->flags && info.generation == of_parent->generation;
}

static struct cap_info infos[3];

/* Equal to its parent, but apart from it: whatever it changes is its own. */
static int is_a_clone(void)
{
    struct cap_info info;
    uint64_t bits;
    if (word != 7 || !same_but_for_the_id(plain, &infos[0]) || !same_but_for_the_id(copied, &infos[1]) ||
        sys_cap_read(absent, &info) >= 0) {
        return 1;
    }
    struct process_info process;
    if (sys_process_info(0, &process) != STATUS_OK || process.threads != 1 || process.children != 0 ||
        process.parent != (uint32_t)sys_getppid()) {
        return 2;
    }
    word = 9;
    handle_t more = (handle_t)sys_notification_create();
    if (sys_cap_limit(2000) != STATUS_OK || sys_quota(3) != STATUS_OK || (int64_t)more < 0) {
        return 3;
    }
    (void)sys_notification_signal(go, 1);
    if (sys_notification_wait(go, 2, &bits, 60 * SECOND) !=
        STATUS_OK) { /* the parent revokes below `plain` */
        return 4;
    }
    bool lost = sys_cap_read(plain, &info) < 0 || (info.flags & CAP_FLAG_REVOKED) != 0;
    return lost && same_but_for_the_id(copied, &infos[1]) && sys_cap_delete(copied) == STATUS_OK ? 0 : 5;
}

/* covers: PS-03 */
static bool test_a_clone_is_equal_and_apart(void)
{
    uint64_t bits;
    root = (handle_t)sys_endpoint_create(0);
    plain = (handle_t)sys_cap_derive(root, RIGHTS_ALL, 0);
    copied = (handle_t)sys_cap_derive(root, RIGHTS_ALL, CAP_FLAG_INHERIT_COPY | CAP_FLAG_KEEP_ON_EXEC);
    absent = (handle_t)sys_cap_derive(root, RIGHTS_ALL, CAP_FLAG_INHERIT_NONE);
    go = (handle_t)sys_notification_create();
    EXPECT(sys_cap_read(plain, &infos[0]) == STATUS_OK && sys_cap_read(copied, &infos[1]) == STATUS_OK);
    word = 7;
    int64_t before = sys_cap_next(go); /* what the child makes does not appear here */
    int64_t child = tap_child(is_a_clone);
    EXPECT(sys_notification_wait(go, 1, &bits, 60 * SECOND) == STATUS_OK && word == 7);
    EXPECT(sys_cap_next(go) == before);
    EXPECT(sys_cap_revoke(plain) == 1); /* the child's; its copied one is a sibling of the own one */
    EXPECT(sys_notification_signal(go, 2) == STATUS_OK && tap_status(child) == 0);
    struct cap_info info;
    EXPECT(sys_cap_read(copied, &info) == STATUS_OK && info.id == infos[1].id && word == 7);
    EXPECT(sys_cap_revoke(root) == 3 && sys_cap_delete(root) == STATUS_OK && sys_cap_delete(go) == STATUS_OK);
    return true;
}

/* ---- ends ---- */

struct figures {
    uint64_t frames;
    uint64_t objects;
    uint64_t processes;
    uint64_t threads;
    uint64_t dead;
    uint64_t capabilities;
    uint64_t records;
    uint64_t names;
};

static struct figures figures(void)
{
    static struct system_stats stats;
    struct cap_stats caps;
    int64_t names = name_tidy();
    (void)sys_quiesce();
    (void)sys_stats(&stats, sizeof(stats));
    (void)sys_cap_stats(&caps);
    return (struct figures){.frames = stats.frames_free,
                            .objects = stats.heap_objects,
                            .processes = stats.processes,
                            .threads = stats.threads,
                            .dead = stats.threads_dead,
                            .capabilities = caps.made - caps.deleted - caps.revoked,
                            .records = caps.bytes,
                            .names = (uint64_t)names};
}

static uint64_t waits_in_a_thread(void *argument)
{
    struct ipc_registers m = {.time = IPC_FOREVER};
    return (uint64_t)sys_ipc_receive(*(handle_t *)argument, &m);
}

/* Has one of everything, capabilities in a message of its own included. */
static bool has_everything(void)
{
    static handle_t own;
    (void)sys_quiesce(); /* the interrupt line of the one before is free after a grace period */
    own = (handle_t)sys_endpoint_create(0);
    int64_t region = sys_region_create(8 * PAGE, -1);
    int64_t at = sys_region_map((handle_t)region, 0, 8 * PAGE, 0, PROTECT_READ | PROTECT_WRITE);
    int64_t copy = sys_region_map((handle_t)region, 0, 8 * PAGE, 0, PROTECT_READ | PROTECT_WRITE | MAP_COPY);
    int64_t memory = sys_map(0, 64 * PAGE, PROTECT_READ | PROTECT_WRITE);
    if (at <= 0 || copy <= 0 || memory <= 0 || sys_channel_create(16, 0, -1) <= 0 ||
        sys_channel_create(16, CHANNEL_LOCK_FREE, -1) <= 0 || sys_notification_create() <= 0 ||
        sys_ports_create(TIMER_PORTS, 4) <= 0 || sys_irq_create(0) <= 0 ||
        name_bind("has-everything", own, RIGHT_WRITE) != STATUS_OK) {
        return false;
    }
    *(volatile uint64_t *)(uintptr_t)at = 1;
    *(volatile uint64_t *)(uintptr_t)copy = 1;
    memset((void *)(uintptr_t)memory, 1, 40 * PAGE);
    for (unsigned i = 0; i < 300; i++) { /* more than the first leaf holds */
        if (sys_cap_derive(own, RIGHT_READ, 0) <= 0) {
            return false;
        }
    }
    return thread_start(waits_in_a_thread, &own, 0) > 0 &&
           thread_start_detached(waits_in_a_thread, &own, 0) > 0;
}

static int ends_by_itself(void)
{
    return has_everything() ? 21 : 1;
}

static int ends_by_a_fault(void)
{
    if (has_everything()) {
        __asm__ volatile("ud2");
    }
    return 1;
}

static handle_t ready;

static int waits_to_be_ended(void)
{
    handle_t mine = (handle_t)sys_endpoint_create(0);
    struct ipc_registers m = {.tag = ipc_tag(0, 1, 1), .words = {ready}, .time = IPC_FOREVER};
    if (has_everything() && sys_notification_signal(ready, 1) == STATUS_OK) {
        (void)sys_ipc_call(mine, &m); /* with a capability in transit */
    }
    return 1;
}

static int ends_as_an_orphan(void)
{
    bool good = has_everything() && sys_notification_signal(ready, 2) == STATUS_OK;
    sys_sleep(2 * MS);
    return good ? 0 : 1;
}

static int leaves_a_child(void)
{
    uint64_t bits;
    int64_t child = tap_child(ends_as_an_orphan); /* init waits for it */
    return child > 0 && sys_notification_wait(ready, 2, &bits, 60 * SECOND) == STATUS_OK ? 22 : 1;
}

static bool all_ends(void)
{
    uint64_t bits;
    EXPECT(tap_status(tap_child(ends_by_itself)) == 21);
    EXPECT(tap_status(tap_child(ends_by_a_fault)) == STATUS_KILLED_BASE + 6);
    int64_t pid = tap_child(waits_to_be_ended);
    EXPECT(sys_notification_wait(ready, 1, &bits, 60 * SECOND) == STATUS_OK && tap_child_waits(pid));
    EXPECT(sys_process_kill((unsigned)pid, 23) == STATUS_OK && tap_status(pid) == 23);
    EXPECT(tap_status(tap_child(leaves_a_child)) == 22);
    return true;
}

#define SHORT_WAIT 50u    /* looks */
#define LONG_WAIT  10000u /* a busy host may keep init from its orphans */

/* Until they are what they were: orphans end when init has time for them. */
static bool settles(const struct figures *wanted, unsigned looks)
{
    struct figures now = figures();
    for (unsigned i = 0; i < looks && memcmp(&now, wanted, sizeof(now)) != 0; i++) {
        sys_sleep(2 * MS);
        now = figures();
    }
    const uint64_t *a = (const uint64_t *)wanted;
    const uint64_t *b = (const uint64_t *)&now;
    for (unsigned i = 0; i < sizeof(now) / 8; i++) {
        if (a[i] != b[i]) {
            print("# figure %u: %llu, then %llu\n", i, (unsigned long long)a[i], (unsigned long long)b[i]);
        }
    }
    return memcmp(&now, wanted, sizeof(now)) == 0;
}

/* What the program itself needs to compare figures is there afterwards. */
static struct figures first_figures(void)
{
    struct figures first = figures();
    for (unsigned i = 0; i < 2; i++) {
        (void)settles(&first, SHORT_WAIT);
        first = figures();
    }
    return first;
}

/* Until there are so many processes again. */
static bool orphans_are_gone(uint64_t processes)
{
    bool gone = figures().processes == processes;
    for (unsigned i = 0; i < LONG_WAIT && !gone; i++) {
        sys_sleep(2 * MS);
        gone = figures().processes == processes;
    }
    return gone;
}

/* covers: PS-04 */
static bool test_every_end_gives_everything_back(void)
{
    ready = (handle_t)sys_notification_create();
    uint64_t processes = figures().processes;
    for (unsigned i = 0; i < 2; i++) { /* caches have what they keep */
        EXPECT(all_ends() && orphans_are_gone(processes));
        sys_sleep(20 * MS);
    }
    struct figures before = first_figures();
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(all_ends());
        EXPECT(settles(&before, LONG_WAIT));
    }
    return sys_cap_delete(ready) == STATUS_OK;
}

static bool many_children(uint64_t count)
{
    const char *const words[] = {"proctest", "--nothing", NULL};
    struct figures before = {.frames = 0};
    for (uint64_t i = 0; i < count + 100; i++) {
        if (i == 100) { /* caches have what they keep */
            before = first_figures();
        }
        EXPECT(tap_status(sys_spawn("proctest", words, no_strings, NULL, 0)) == 5);
    }
    return settles(&before, LONG_WAIT);
}

/* ---- waits ---- */

static unsigned delay_us;

static int ends_after_a_while(void)
{
    for (uint64_t end = cycles() + 3000ull * delay_us; cycles() < end;) {
    }
    return (int)(delay_us & 0xff);
}

static struct {
    struct mutex lock;
    uint32_t pid;
    unsigned got;
    unsigned refused;
    unsigned wrong;
} race;

static uint64_t waits_for_the_same(void *argument)
{
    int32_t status = -1;
    (void)argument;
    int64_t pid = sys_wait(race.pid, &status, 0);
    mutex_lock(&race.lock);
    race.got += pid == race.pid && status == (int32_t)(delay_us & 0xff);
    race.refused += pid == STATUS_ERR_NO_CHILD;
    race.wrong += pid != race.pid && pid != STATUS_ERR_NO_CHILD;
    mutex_unlock(&race.lock);
    return 0;
}

/* covers: PS-07 */
static bool test_a_wait_races_the_end(void)
{
    for (delay_us = 0; delay_us < 400; delay_us += 3) {
        race.got = race.refused = race.wrong = 0;
        race.pid = (uint32_t)tap_child(ends_after_a_while);
        int64_t threads[2];
        for (unsigned i = 0; i < 2; i++) {
            threads[i] = thread_start(waits_for_the_same, NULL, 0);
        }
        (void)waits_for_the_same(NULL);
        for (unsigned i = 0; i < 2; i++) {
            EXPECT(thread_join(threads[i], NULL) == STATUS_OK);
        }
        EXPECT(race.got == 1 && race.refused == 2 && race.wrong == 0); /* one of the three, once */
    }
    EXPECT(sys_wait(0, NULL, 0) == STATUS_ERR_NO_CHILD && sys_wait(1, NULL, 0) == STATUS_ERR_NO_CHILD);
    return true;
}

/* It ends within some milliseconds; on a busy host, in QEMU, within seconds. */
static bool becomes_a_zombie(unsigned pid)
{
    struct process_info info = {.threads = 1};
    for (unsigned i = 0; i < 4000 && info.threads + info.resident_pages + info.main_thread != 0; i++) {
        sys_sleep(5 * MS);
        EXPECT(sys_process_info(pid, &info) == STATUS_OK && info.pid == pid);
    }
    return info.resident_pages == 0 && info.threads == 0 && info.main_thread == 0;
}

/* A child that has ended is a zombie until it is waited for: it has its number and its status, and nothing else. */
static bool test_a_zombie_keeps_its_status(void)
{
    struct process_info info;
    for (delay_us = 0; delay_us < 256; delay_us += 51) {
        int64_t pid = tap_child(ends_after_a_while);
        EXPECT(becomes_a_zombie((unsigned)pid));
        (void)sys_process_kill((unsigned)pid, 99);
        EXPECT(tap_status(pid) == (int32_t)delay_us); /* what comes too late does not change it */
        EXPECT(sys_process_info((unsigned)pid, &info) == STATUS_ERR_NO_PROCESS);
    }
    return true;
}

/* ---- what a revocation tells ---- */

static handle_t target;
static uint32_t target_type;

/* Waits in the way of its kind, and says by which status the wait ended. */
static int waits_by_a_capability(void)
{
    struct ipc_registers m = {.time = IPC_FOREVER};
    struct channel_message message;
    struct cap_info info;
    uint64_t bits;
    int64_t status;
    (void)sys_notification_signal(ready, 1);
    switch (target_type) {
    case 0:
        status = sys_ipc_receive(target, &m);
        break;
    case 1:
        m.tag = ipc_tag(1, 0, 0);
        status = sys_ipc_call(target, &m);
        break;
    case 2:
        status = sys_notification_wait(target, 1, &bits, IPC_FOREVER);
        break;
    case 3:
        status = sys_channel_take(target, &message, 1, IPC_FOREVER);
        break;
    default: /* is elsewhere: it finds out when it looks */
        do {
            sys_sleep(5 * MS);
            status = sys_cap_read(target, &info);
        } while (status == STATUS_OK && (info.flags & CAP_FLAG_REVOKED) == 0);
        status = status == STATUS_OK ? sys_notification_signal(target, 1) : 1;
        break;
    }
    return status == STATUS_ERR_CAP_REVOKED ? 31 : 1;
}

static handle_t made_for(uint32_t type)
{
    return (handle_t)(type < 2    ? sys_endpoint_create(0)
                      : type == 3 ? sys_channel_create(4, 0, -1)
                                  : sys_notification_create());
}

/* The record of a revocation, which names whom it was taken from. */
static bool is_recorded(uint64_t from, uint64_t parent, int64_t holder)
{
    static struct cap_audit records[64];
    unsigned found = 0;
    int64_t count = sys_audit_read(from, records, 64);
    for (int64_t i = 0; i < count; i++) {
        found += records[i].event == CAP_EVENT_REVOKE && records[i].parent == parent &&
                 records[i].actor == (uint32_t)sys_getpid() && records[i].holder == (uint32_t)holder;
    }
    return found == 1;
}

/* covers: CP-08 */
static bool test_a_revocation_tells_every_holder(void)
{
    uint64_t bits;
    struct cap_info info;
    ready = (handle_t)sys_notification_create();
    for (target_type = 0; target_type < 5; target_type++) {
        target = made_for(target_type);
        int64_t holders[3];
        for (unsigned i = 0; i < 3; i++) {
            holders[i] = tap_child(waits_by_a_capability);
            EXPECT(sys_notification_wait(ready, 1, &bits, 60 * SECOND) == STATUS_OK);
        }
        for (unsigned i = 0; i < 3; i++) {
            EXPECT(tap_child_waits(holders[i])); /* or sleeps */
        }
        uint64_t from = tap_audit_end();
        EXPECT(sys_cap_read(target, &info) == STATUS_OK && sys_cap_revoke(target) == 3);
        for (unsigned i = 0; i < 3; i++) {
            EXPECT(is_recorded(from, info.id, holders[i]));
            EXPECT(tap_status(holders[i]) == 31);
        }
        EXPECT(sys_cap_delete(target) == STATUS_OK);
    }
    return sys_cap_delete(ready) == STATUS_OK;
}

/* ---- as the first process ---- */

/* Every capability of which there is one object, with all rights, in its slot, and kept; and nothing else. */
static bool holds_the_boot_set(void)
{
    static const uint32_t boot_set[] = {CAP_PROCESS,    CAP_MEMORY, CAP_CONSOLE, CAP_DRIVER,
                                        CAP_STATISTICS, CAP_POWER,  CAP_AUDIT,   CAP_HARDWARE};
    const unsigned count = sizeof(boot_set) / sizeof(boot_set[0]);
    unsigned seen = 0;
    struct cap_info info;
    for (int64_t at = sys_cap_next(0); at > 0; at = sys_cap_next((handle_t)at)) {
        EXPECT(seen < count && (uint32_t)at == boot_set[seen]);
        EXPECT(sys_cap_read(boot_set[seen], &info) == STATUS_OK && info.type == boot_set[seen]);
        EXPECT(info.rights == RIGHTS_ALL && info.flags == CAP_FLAG_KEEP_ON_EXEC && info.id != 0);
        seen++;
    }
    return seen == count;
}

static int inherits_the_boot_set(void)
{
    return holds_the_boot_set() && sys_getppid() == 1 ? 41 : 1;
}

static bool is_the_first(void)
{
    struct process_info info;
    EXPECT(sys_getpid() == 1 && sys_getppid() == 0 && sys_process_info(0, &info) == STATUS_OK);
    EXPECT(info.pid == 1 && info.parent == 0 && info.threads == 1 && info.children == 0);
    EXPECT(holds_the_boot_set());
    int64_t child = tap_child(inherits_the_boot_set);
    EXPECT(sys_process_info(0, &info) == STATUS_OK && info.children == 1);
    EXPECT(tap_status(child) == 41 && sys_process_info(0, &info) == STATUS_OK && info.children == 0);
    EXPECT(sys_cap_delete(CAP_DRIVER) == STATUS_OK); /* what init gives up is gone for all that come after */
    char byte;
    return sys_driver_read(&byte, 1, 0) == STATUS_ERR_CAP_INVALID &&
           tap_status(tap_child(inherits_the_boot_set)) == 1;
}

static void be_init(void)
{
    bool good = is_the_first();
    print("%sok 1 - the_first_process_holds_the_boot_set\n", good ? "" : "not ");
    sys_shutdown(good ? PASSED : FAILED);
}

/* ---- */

static int bomb(uint64_t ms)
{
    uint64_t end = (uint64_t)sys_clock() + ms * MS;
    while ((uint64_t)sys_clock() < end) {
        if (sys_fork() < 0) {
            sys_sleep(10 * MS);
        }
    }
    return 0;
}

static const struct tap_test tests[] = {
    {"a_clone_is_equal_and_apart", test_a_clone_is_equal_and_apart},
    {"every_end_gives_everything_back", test_every_end_gives_everything_back},
    {"a_wait_races_the_end", test_a_wait_races_the_end},
    {"a_zombie_keeps_its_status", test_a_zombie_keeps_its_status},
    {"a_revocation_tells_every_holder", test_a_revocation_tells_every_holder},
};

int main(int argc, char **argv, char **environment);

int main(int argc, char **argv, char **environment)
{
    if (sys_getpid() == 1) {
        be_init();
    }
    int status = exec_child(argc, argv, environment);
    if (status >= 0) {
        return status;
    }
    if (argc == 2 && strcmp(argv[1], "--nothing") == 0) {
        return 5;
    }
    if (argc == 3 && strcmp(argv[1], "--bomb") == 0) {
        return bomb((uint64_t)parse_number(argv[2]));
    }
    if (argc == 3 && strcmp(argv[1], "--many") == 0) {
        bool good = many_children((uint64_t)parse_number(argv[2]));
        print("%sok 1 - %s children leave nothing\n", good ? "" : "not ", argv[2]);
        return good ? 0 : 1;
    }
    const struct tap_group groups[] = {{tests, sizeof(tests) / sizeof(tests[0])},
                                       {exec_tests, exec_test_count}};
    return tap_run(groups, sizeof(groups) / sizeof(groups[0]), argc, argv);
}
