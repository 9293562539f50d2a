/*
 * captest: the capability system from the user's side. TAP output. With "--forgeries N" that many forged handles are
 * tried (else 20,000); "--after-exec ..." is what a test runs after exec, "--table" is for a scenario. Else the arguments name
 * the tests to run.
 */
#include "captest.h"

#include "lib/random.h"

static int64_t forgeries = 20000;

bool is_capability_error(int64_t result)
{
    return result <= STATUS_ERR_CAP_INVALID && result >= STATUS_ERR_CAP_TARGET;
}

bool usable(handle_t handle)
{
    int64_t child = sys_cap_derive(handle, 0, 0);
    return child > 0 && sys_cap_delete((handle_t)child) == 0;
}

/* ---- handles ---- */

#define OWN 64u

struct own {
    handle_t handles[OWN];
    unsigned count;
};

static bool is_own(const struct own *own, handle_t handle)
{
    struct cap_info info;
    handle_t slot = (uint32_t)handle;
    for (unsigned i = 0; i < own->count; i++) {
        if (own->handles[i] == handle) {
            return true;
        }
    }
    if (slot < CAP_WELL_KNOWN_SLOTS && sys_cap_read(slot, &info) == STATUS_OK) {
        slot |= (uint64_t)info.generation << 32; /* its number alone is good, too */
    }
    return handle == slot || handle < CAP_WELL_KNOWN_SLOTS;
}

/* Any word, or a real handle with one bit changed, or one more or less, or another generation of a real slot. */
static handle_t forge(const struct own *own, uint64_t *seed)
{
    uint64_t random = random_next(seed);
    handle_t real = own->handles[random % own->count];
    switch (random >> 32 & 3) {
    case 0:
        return random_next(seed);
    case 1:
        return real ^ 1ull << (random >> 40 & 63);
    case 2:
        return (random >> 40 & 1) != 0 ? real + 1 : real - 1;
    default:
        return (uint32_t)real | (random_next(seed) & 0xffff) << 32;
    }
}

/* covers: CP-02 CP-24 TS-05 (forgery) */
static bool test_forged_handles_are_refused(void)
{
    struct own own = {.count = 0};
    uint64_t seed = 0x9e3779b97f4a7c15;
    for (unsigned i = 0; i < OWN; i++) { /* slots of many generations */
        int64_t handle = sys_cap_derive(CAP_CONSOLE, RIGHT_WRITE, 0);
        EXPECT(handle > 0);
        if (i % 3 == 0) {
            EXPECT(sys_cap_delete((handle_t)handle) == 0);
        } else {
            own.handles[own.count++] = (handle_t)handle;
        }
    }
    for (int64_t i = 0; i < forgeries; i++) {
        handle_t forged = forge(&own, &seed);
        if (!is_own(&own, forged)) {
            EXPECT(is_capability_error(sys_cap_derive(forged, 0, 0)));
        }
    }
    for (unsigned i = 0; i < own.count; i++) {
        EXPECT(usable(own.handles[i]) && sys_cap_delete(own.handles[i]) == 0 && !usable(own.handles[i]));
    }
    return true;
}

/* covers: CP-03 CP-04 CP-22 ER-07 TS-05 (escalation) */
static bool test_each_misuse_has_its_own_error(void)
{
    int64_t reader = sys_cap_derive(CAP_CONSOLE, RIGHT_READ, 0);
    EXPECT(reader > 0);
    handle_t handle = (handle_t)reader;
    EXPECT(sys_cap_derive(handle, RIGHT_WRITE, 0) == STATUS_ERR_CAP_RIGHTS);
    EXPECT(sys_cap_copy(handle) == STATUS_ERR_CAP_RIGHTS);
    EXPECT(sys_cap_derive(handle, RIGHTS_ALL + 1, 0) == STATUS_ERR_UNKNOWN_BITS);
    EXPECT(sys_cap_derive(handle, 0, CAP_FLAG_REVOKED) == STATUS_ERR_UNKNOWN_BITS);
    EXPECT(sys_cap_derive(handle, 0, CAP_FLAG_INHERIT_COPY | CAP_FLAG_INHERIT_NONE) == STATUS_ERR_ARGUMENT);
    EXPECT(sys_cap_move(handle, CAP_DRIVER) == STATUS_ERR_EXISTS);
    EXPECT(sys_cap_move(handle, CAP_WELL_KNOWN_SLOTS - 1) == STATUS_ERR_CAP_TARGET);
    EXPECT(sys_cap_move(handle, CAP_WELL_KNOWN_SLOTS) == STATUS_ERR_RANGE);
    EXPECT(sys_cap_give(handle, 1, 0, 0) == STATUS_ERR_NO_PROCESS);
    EXPECT(sys_cap_delete(handle) == 0);
    EXPECT(sys_cap_delete(handle) == STATUS_ERR_CAP_GENERATION);
    EXPECT(sys_cap_revoke(0) == STATUS_ERR_CAP_INVALID &&
           sys_cap_revoke(1ull << 20) == STATUS_ERR_CAP_INVALID);
    return true;
}

/* covers: ER-03 */
static bool test_failures_are_counted_by_status(void)
{
    static struct error_stats before;
    static struct error_stats after;
    EXPECT(sys_error_stats(&before) == 0);
    for (unsigned i = 0; i < 5; i++) {
        EXPECT(sys_cap_revoke(1ull << 20) == STATUS_ERR_CAP_INVALID);
        EXPECT(i >= 3 || sys_cap_derive(CAP_CONSOLE, RIGHTS_ALL + 1, 0) == STATUS_ERR_UNKNOWN_BITS);
        EXPECT(i >= 2 || syscall3(SYS_COUNT, 0, 0, 0) == STATUS_ERR_NO_SYSCALL);
    }
    EXPECT(sys_error_stats((struct error_stats *)8) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_getpid() > 0 && sys_error_stats(&after) == 0);
    static const int expected[][2] = {{STATUS_ERR_CAP_INVALID, 5}, {STATUS_ERR_UNKNOWN_BITS, 3},
                                      {STATUS_ERR_NO_SYSCALL, 2},  {STATUS_ERR_BAD_ADDRESS, 1},
                                      {STATUS_ERR_CAP_RIGHTS, 0},  {STATUS_OK, 0}};
    for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        int status = -expected[i][0];
        EXPECT(after.failures[status] - before.failures[status] == (uint64_t)expected[i][1]);
    }
    return true;
}

/* covers: CP-19 (lists all) */
static bool test_iteration_lists_the_space(void)
{
    int64_t made[8];
    for (unsigned i = 0; i < 8; i++) {
        made[i] = sys_cap_derive(CAP_CONSOLE, RIGHT_WRITE, 0);
    }
    unsigned well_known = 0;
    unsigned found = 0;
    for (int64_t at = 0; (at = sys_cap_next((handle_t)at)) > 0;) {
        struct cap_info info;
        EXPECT(sys_cap_read((handle_t)at, &info) == 0 && info.id != 0);
        well_known += at < CAP_WELL_KNOWN_SLOTS;
        for (unsigned i = 0; i < 8; i++) {
            found += at == made[i];
        }
    }
    EXPECT(well_known >= 7 && found == 8);
    for (unsigned i = 0; i < 8; i++) {
        EXPECT(sys_cap_delete((handle_t)made[i]) == 0);
    }
    return true;
}

/* ---- what needs which capability ---- */

enum { WHERE_NOWHERE, WHERE_SLOT, WHERE_HANDLE, WHERE_DIRECT };

static const struct {
    unsigned number;
    unsigned where;
    unsigned type;
} calls[] = {
#define SYSCALL(number, id, name, place, type, rights, result, arguments, returns, text) \
    {number, WHERE_##place, CAP_##type},
#include "abi/syscalls.def"
#undef SYSCALL
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

static void delete_all(void)
{
    for (int64_t at; (at = sys_cap_next(0)) > 0;) {
        sys_cap_delete((handle_t)at);
    }
}

static void call_everything_with_nothing(void)
{
    delete_all();
    for (size_t i = 0; i < CALLS; i++) {
        if (calls[i].where == WHERE_NOWHERE) {
            continue;
        }
        int64_t result = syscall6(calls[i].number, 0, 0, 0, 0, 0, 0);
        bool refused = calls[i].where == WHERE_DIRECT ? result < 0 : result == STATUS_ERR_CAP_INVALID;
        if (!refused) {
            sys_exit(1 + (int)calls[i].number);
        }
    }
}

static void call_everything_with_the_wrong_type(void)
{
    handle_t wrong = (handle_t)sys_cap_derive(CAP_MEMORY, RIGHTS_ALL, 0);
    for (size_t i = 0; i < CALLS; i++) {
        if (calls[i].where == WHERE_HANDLE && calls[i].type != CAP_NONE &&
            syscall6(calls[i].number, wrong, 0, 0, 0, 0, 0) != STATUS_ERR_CAP_TYPE) {
            sys_exit(1 + (int)calls[i].number);
        }
    }
}

/* Every capability without any right, in its well-known slot. */
static void call_everything_without_rights(void)
{
    handle_t weak[CAP_WELL_KNOWN_SLOTS] = {0};
    for (unsigned slot = 1; slot < CAP_WELL_KNOWN_SLOTS; slot++) {
        int64_t handle = sys_cap_derive(slot, 0, 0);
        if (handle > 0) {
            sys_cap_delete(slot);
            weak[slot] = (handle_t)sys_cap_move((handle_t)handle, slot);
        }
    }
    for (size_t i = 0; i < CALLS; i++) {
        if (calls[i].where == WHERE_SLOT && weak[calls[i].type] != 0 &&
            syscall6(calls[i].number, 0, 0, 0, 0, 0, 0) != STATUS_ERR_CAP_RIGHTS) {
            sys_exit(1 + (int)calls[i].number);
        }
    }
}

/* covers: CP-29 CP-15 CP-24 TS-03 TS-05 */
static bool test_no_call_works_without_its_capability(void)
{
    EXPECT(tap_in_child(call_everything_with_nothing) == 0);
    EXPECT(tap_in_child(call_everything_with_the_wrong_type) == 0);
    EXPECT(tap_in_child(call_everything_without_rights) == 0);
    return true;
}

/* Words that hurt: what a careless check takes for a pointer, a length or a handle. */
static uint64_t nasty(uint64_t *seed)
{
    static const uint64_t words[] = {0,
                                     1,
                                     7,
                                     8,
                                     4096,
                                     0x400000,
                                     0x00007fffffffffff,
                                     0x00007ffffffff000,
                                     0x0000800000000000,
                                     0xffff800000000000,
                                     0xffffffff80100000,
                                     UINT64_MAX,
                                     UINT64_MAX - 4095,
                                     1ull << 32,
                                     INT64_MAX};
    uint64_t random = random_next(seed);
    uint64_t word = words[random % (sizeof(words) / sizeof(words[0]))];
    return (random >> 32) % 4 == 0 ? word + (random >> 40) % 16 : word;
}

/* Not those that end or stop the caller, or the machine, nor what costs only time; and not the ports, which are real. Of these,
 * os/programs/hostile makes all but the machine's end. */
static bool may_fuzz(unsigned number)
{
    switch (number) {
    case SYS_EXIT:
    case SYS_FORK:
    case SYS_EXEC:
    case SYS_WAIT:
    case SYS_SLEEP:
    case SYS_DRIVER_READ:
    case SYS_UNMAP:
    case SYS_PROTECT:
    case SYS_SHUTDOWN:
    case SYS_QUIESCE:
    case SYS_CAP_DELETE:
    case SYS_CAP_MOVE:
    case SYS_CPU_SET:
    case SYS_PORT_WRITE:
    case SYS_IPC_SEND:
    case SYS_IPC_CALL:
    case SYS_IPC_RECEIVE:
    case SYS_IPC_REPLY_RECEIVE:
    case SYS_NOTIFICATION_WAIT:
    case SYS_CHANNEL_PUT:
    case SYS_CHANNEL_TAKE:
    case SYS_MEMORY_DUMP:
    case SYS_THREAD_CREATE:
    case SYS_THREAD_EXIT:
    case SYS_THREAD_JOIN:
    case SYS_FUTEX_WAIT:
    case SYS_PROCESS_KILL:
        return false;
    default:
        return true;
    }
}

static void fuzz(void)
{
    uint64_t seed = 12345;
    sys_cap_delete(CAP_CONSOLE); /* nobody wants to read it */
    sys_cap_delete(CAP_DRIVER);
    for (unsigned round = 0; round < 10000; round++) {
        unsigned number = calls[random_next(&seed) % CALLS].number;
        if (may_fuzz(number)) {
            syscall6(number, nasty(&seed), nasty(&seed), nasty(&seed), nasty(&seed), nasty(&seed),
                     nasty(&seed));
        }
    }
}

/* A child may be killed for what it did to itself; the kernel goes on. covers: ER-11 */
static bool test_nasty_arguments_hurt_nobody_else(void)
{
    int32_t status = tap_in_child(fuzz);
    EXPECT(status == 0 || status == STATUS_KILLED_BASE + 14);
    EXPECT(sys_getpid() > 1);
    EXPECT(sys_quiesce() == STATUS_OK); /* what the next test measures is not the freeing */
    return true;
}

static const struct tap_test tests[] = {
    {"forged_handles_are_refused", test_forged_handles_are_refused},
    {"each_misuse_has_its_own_error", test_each_misuse_has_its_own_error},
    {"failures_are_counted_by_status", test_failures_are_counted_by_status},
    {"iteration_lists_the_space", test_iteration_lists_the_space},
    {"no_call_works_without_its_capability", test_no_call_works_without_its_capability},
    {"nasty_arguments_hurt_nobody_else", test_nasty_arguments_hurt_nobody_else},
    {"revocation_reaches_every_cpu", test_revocation_reaches_every_cpu},
    {"uses_race_with_revocations", test_uses_race_with_revocations},
    {"revocation_goes_deep_and_wide", test_revocation_goes_deep_and_wide},
    {"revoked_slots_are_collected", test_revoked_slots_are_collected},
    {"a_child_gets_what_it_is_given", test_a_child_gets_what_it_is_given},
    {"fork_and_exec_follow_the_policy", test_fork_and_exec_follow_the_policy},
    {"limits_are_kept", test_limits_are_kept},
    {"the_audit_ring_tells_of_what_is_new_and_given", test_the_audit_ring_tells_of_what_is_new_and_given},
    {"the_audit_ring_tells_the_script", test_the_audit_ring_tells_the_script},
    {"lookups_are_remembered", test_lookups_are_remembered},
    {"every_right_of_every_call_is_needed", test_every_right_of_every_call_is_needed},
    {"all_seven_errors_cross_the_boundary", test_all_seven_errors_cross_the_boundary},
    {"iteration_is_stable_while_the_space_changes", test_iteration_is_stable_while_the_space_changes},
    {"every_pointer_of_every_call_is_checked", test_every_pointer_of_every_call_is_checked},
    {"copies_race_with_unmaps", test_copies_race_with_unmaps},
    {"the_name_server_lends_nobody_its_rights", test_the_name_server_lends_nobody_its_rights},
    {"the_dimension_store_lends_nobody_its_rights", test_the_dimension_store_lends_nobody_its_rights},
    {"memory_of_the_dead_is_empty", test_memory_of_the_dead_is_empty},
    {"no_address_of_the_kernel_is_handed_out", test_no_address_of_the_kernel_is_handed_out},
};

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    static const struct tap_group group = {tests, sizeof(tests) / sizeof(tests[0])};
    if (argc > 1 && strcmp(argv[1], "--after-exec") == 0) {
        return after_exec(argc, argv);
    }
    if (argc > 1 && strcmp(argv[1], "--table") == 0) {
        return attack_the_table();
    }
    if (argc > 2 && strcmp(argv[1], "--forgeries") == 0) {
        forgeries = parse_number(argv[2]);
        argc -= 2;
        argv += 2; /* the rest are names of tests */
    }
    return tap_run(&group, 1, argc, argv);
}
