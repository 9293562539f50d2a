/*
 * The short way of messages, from registers to registers; each reason for the long way by itself; and that who waits after
 * the short way is woken by whatever ends its wait. Client and server share CPU 0.
 */
#include "abi/sched.h"
#include "ipctest.h"

#include "lib/tap.h"

#define ROUNDS 200u

static handle_t passed;
static bool all_good; /* in all attempts, whoever may have been disturbed */

static bool share_a_cpu(void)
{
    return sys_sched_affinity(SCHED_THREAD, 0, 1) == 0 && make_endpoint();
}

static bool call(handle_t handle, uint64_t label, uint64_t patience)
{
    struct ipc_registers m = message(label, 8, 0, patience);
    m.words[0] = label;
    m.words[7] = 7;
    return sys_ipc_call(handle, &m) == STATUS_OK && m.words[0] == label + 1 && m.words[7] == 0 &&
           m.badge == 0;
}

static bool stop_echo(int64_t pid)
{
    struct ipc_registers m = message(99, 0, 0, IPC_FOREVER);
    return sys_ipc_call(endpoint, &m) == STATUS_OK && tap_status(pid) == 0;
}

static bool end_echo(int64_t pid)
{
    bool good = stop_echo(pid);
    return sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX) == 0 && good;
}

/*
 * A server that has come to wait by the short way. A CPU remembers a capability in one place (cap/cap_recall.h): that of the
 * server may be the client's, and then both go the long way, until another server is there.
 */
static int64_t start_echo(void)
{
    for (unsigned tries = 0;; tries++) {
        int64_t pid = tap_child(echo);
        for (unsigned i = 0; i < 4; i++) {
            (void)call(endpoint, i, IPC_FOREVER);
        }
        uint64_t before = counts().short_way;
        (void)call(endpoint, 4, IPC_FOREVER);
        if (counts().short_way == before + 2 || tries == 20 || !stop_echo(pid)) {
            return pid;
        }
    }
}

static bool nearly_all_are_short(void)
{
    uint64_t before = counts().short_way;
    for (unsigned i = 0; i < ROUNDS; i++) {
        all_good = all_good && call(endpoint, i % 90, IPC_FOREVER);
    }
    return counts().short_way - before >= 2 * ROUNDS - ROUNDS / 10;
}

/* Each counter of abi/ipc_counters.def that is a reason for the long way has a test below or in handoff.c. covers: IP-10 (S) */
static bool test_messages_go_from_registers_to_registers(void)
{
    EXPECT(share_a_cpu());
    int64_t pid = start_echo();
    all_good = true;
    EXPECT(tap_undisturbed(nearly_all_are_short) && all_good);
    return end_echo(pid);
}

/* ---- reasons for the long way ---- */

/* covers: IP-10 (S: reasons) */
static bool test_capabilities_take_the_long_way(void)
{
    EXPECT(share_a_cpu());
    int64_t pid = start_echo();
    uint64_t before = counts().long_message;
    struct ipc_registers m = message(5, 2, 1, IPC_FOREVER);
    m.words[0] = 5;
    m.words[1] = endpoint;
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK && m.words[0] == 6);
    EXPECT(counts().long_message == before + 1);
    EXPECT(call(endpoint, 6, IPC_FOREVER));
    return end_echo(pid);
}

/* covers: IP-10 (S: reasons) */
static bool test_limited_patience_takes_the_long_way(void)
{
    EXPECT(share_a_cpu());
    int64_t pid = start_echo();
    uint64_t before = counts().long_patience;
    EXPECT(call(endpoint, 5, SECOND) && counts().long_patience == before + 1);
    return end_echo(pid);
}

static int calls_with_a_limit(void)
{
    return sys_ipc_limit(1000000, 1000) == STATUS_OK && call(endpoint, 5, IPC_FOREVER) ? 0 : 1;
}

/* covers: IP-10 (S: reasons) */
static bool test_a_rate_limit_takes_the_long_way(void)
{
    EXPECT(share_a_cpu());
    int64_t pid = start_echo();
    uint64_t before = counts().long_rate;
    EXPECT(tap_status(tap_child(calls_with_a_limit)) == 0);
    EXPECT(counts().long_rate == before + 1);
    return end_echo(pid);
}

/* covers: IP-10 (S: reasons) */
static bool test_a_capability_seen_first_takes_the_long_way(void)
{
    EXPECT(share_a_cpu());
    int64_t pid = start_echo();
    int64_t derived = sys_cap_derive(endpoint, RIGHT_WRITE, 0);
    EXPECT(derived > 0);
    uint64_t before = counts().long_capability;
    EXPECT(call((handle_t)derived, 5, IPC_FOREVER) && counts().long_capability == before + 1);
    struct ipc_stats known = counts();
    EXPECT(call((handle_t)derived, 6, IPC_FOREVER) && counts().short_way > known.short_way);
    return end_echo(pid);
}

static int calls_once(void)
{
    return call(endpoint, 5, IPC_FOREVER) ? 0 : 1;
}

/* The CPU remembers the capability of a call that failed as well. */
static int calls_once_known(void)
{
    struct ipc_registers m = message(5, 1, 0, 0);
    return sys_ipc_call(endpoint, &m) == STATUS_ERR_AGAIN ? calls_once() : 1;
}

/* Until a call has found no partner; on a busy host that may take a while. */
static bool wait_for_call(uint64_t before, int64_t pid)
{
    for (unsigned i = 0; i < 3000 && counts().long_partner == before; i++) {
        sys_sleep(MS);
    }
    return tap_child_waits(pid); /* in the queue */
}

/* covers: IP-10 (S: reasons) */
static bool test_without_a_partner_the_long_way_is_taken(void)
{
    EXPECT(share_a_cpu());
    uint64_t before = counts().long_partner;
    int64_t first = tap_child(calls_once_known);
    EXPECT(wait_for_call(before, first));
    EXPECT(counts().long_partner == before + 1);
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK);
    before = counts().long_partner;
    int64_t second = tap_child(calls_once_known);
    EXPECT(wait_for_call(before, second)); /* it is queued, so the answer's receive would end at once */
    before = counts().long_partner;
    m = message(0, 1, 0, IPC_FOREVER);
    m.words[0] = 6;
    EXPECT(sys_ipc_reply_receive(endpoint, &m) == STATUS_OK && counts().long_partner == before + 1);
    m = message(0, 1, 0, 0);
    m.words[0] = 6;
    EXPECT(sys_ipc_reply(0, &m) == STATUS_OK && tap_status(first) == 0 && tap_status(second) == 0);
    return sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX) == 0;
}

static int spins(void)
{
    for (uint64_t end = cycles() + 15 * 3 * MS; cycles() < end;) {
    }
    return 0;
}

static bool nearly_all_are_short_though_it_is_busy(void)
{
    int64_t busy = tap_child(spins);
    uint64_t before = counts().short_way;
    for (unsigned i = 0; i < 20; i++) {
        all_good = all_good && call(endpoint, i, IPC_FOREVER);
    }
    uint64_t passed_so = counts().short_way - before;
    all_good = tap_status(busy) == 0 && all_good;
    return passed_so >= 36;
}

/* covers: IP-10 (S: the short way) */
static bool test_a_busy_cpu_does_not_lengthen_the_way(void)
{
    EXPECT(share_a_cpu());
    int64_t pid = start_echo();
    all_good = true;
    EXPECT(tap_undisturbed(nearly_all_are_short_though_it_is_busy) && all_good);
    return end_echo(pid);
}

/* covers: IP-10 (S: reasons) */
static bool test_a_thread_of_another_class_takes_the_long_way(void)
{
    const struct sched_params real_time = {.policy = SCHED_RR, .level = 1};
    const struct sched_params fair = {.policy = SCHED_FAIR};
    EXPECT(share_a_cpu());
    int64_t pid = start_echo();
    EXPECT(sys_sched_set(SCHED_THREAD, 0, &real_time) == 0);
    uint64_t before = counts().long_scheduler;
    EXPECT(call(endpoint, 5, IPC_FOREVER) && counts().long_scheduler > before);
    EXPECT(sys_sched_set(SCHED_THREAD, 0, &fair) == 0);
    return end_echo(pid);
}

/* ---- ends of waits on a bare stack ---- */

static int echo_until_revoked(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    int64_t status = sys_ipc_receive(endpoint, &m);
    while (status == STATUS_OK) {
        m.tag = ipc_tag(0, 1, 0);
        m.words[0]++;
        m.time = IPC_FOREVER;
        status = sys_ipc_reply_receive(endpoint, &m);
    }
    return status == STATUS_ERR_CAP_REVOKED ? 0 : 1;
}

/* True when the server did come to wait by the short way. */
static bool revoked_after_the_short_way(void)
{
    all_good = make_endpoint() && all_good;
    int64_t pid = tap_child(echo_until_revoked);
    uint64_t before = counts().short_way;
    for (unsigned i = 0; i < 4; i++) {
        all_good = all_good && call(endpoint, i, IPC_FOREVER);
    }
    bool was_short = counts().short_way >= before + 4;
    all_good = sys_cap_revoke(endpoint) >= 1 && tap_status(pid) == 0 && all_good;
    return was_short;
}

/* covers: IP-15 (the short way), IP-13 (no lost wake: revocation) */
static bool test_a_revocation_wakes_who_came_the_short_way(void)
{
    EXPECT(share_a_cpu());
    all_good = true;
    EXPECT(tap_undisturbed(revoked_after_the_short_way) && all_good);
    return sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX) == 0;
}

/* Answers three calls and ends owing the fourth. */
static int owes_an_answer(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    int64_t status = sys_ipc_receive(endpoint, &m);
    for (unsigned i = 0; i < 3 && status == STATUS_OK; i++) {
        m.tag = ipc_tag(0, 1, 0);
        m.words[0]++;
        m.time = IPC_FOREVER;
        status = sys_ipc_reply_receive(endpoint, &m);
    }
    return status == STATUS_OK ? 0 : 1;
}

/* True when the caller did come to wait by the short way. */
static bool owed_after_the_short_way(void)
{
    all_good = make_endpoint() && all_good;
    int64_t pid = tap_child(owes_an_answer);
    uint64_t before = counts().short_way;
    for (unsigned i = 0; i < 3; i++) {
        all_good = all_good && call(endpoint, i, IPC_FOREVER);
    }
    struct ipc_registers m = message(1, 1, 0, IPC_FOREVER);
    all_good = all_good && sys_ipc_call(endpoint, &m) == STATUS_ERR_PEER;
    all_good = tap_status(pid) == 0 && all_good;
    return counts().short_way >= before + 4;
}

/* covers: IP-15 (the short way), IP-16 (partial: the server ends while it owes an answer) */
static bool test_the_end_of_a_server_wakes_who_came_the_short_way(void)
{
    EXPECT(share_a_cpu());
    all_good = true;
    EXPECT(tap_undisturbed(owed_after_the_short_way) && all_good);
    return sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX) == 0;
}

/* Answers until a capability comes, which it must be able to use, and answers with one of its own. */
static int waits_for_a_capability(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    int64_t status = sys_ipc_receive(endpoint, &m);
    while (status == STATUS_OK && ipc_tag_handles(m.tag) == 0) {
        m.tag = ipc_tag(0, 1, 0);
        m.words[0]++;
        m.time = IPC_FOREVER;
        status = sys_ipc_reply_receive(endpoint, &m);
    }
    if (status != STATUS_OK || own_id(m.words[1]) == 0) {
        return 1;
    }
    m.tag = ipc_tag(0, 2, 1);
    return sys_ipc_reply(0, &m) == STATUS_OK ? 0 : 1;
}

/* covers: IP-26 (the short way), IP-13 (no lost wake: either end comes the long way) */
static bool test_capabilities_reach_who_came_the_short_way(void)
{
    EXPECT(share_a_cpu());
    int64_t pid = tap_child(waits_for_a_capability);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(call(endpoint, i, IPC_FOREVER));
    }
    passed = (handle_t)sys_notification_create();
    struct ipc_registers m = message(1, 2, 1, IPC_FOREVER);
    m.words[1] = passed;
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK && ipc_tag_handles(m.tag) == 1 && own_id(m.words[1]) != 0);
    EXPECT(tap_status(pid) == 0);
    return sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX) == 0;
}

const struct tap_test short_tests[] = {
    {"messages_go_from_registers_to_registers", test_messages_go_from_registers_to_registers},
    {"capabilities_take_the_long_way", test_capabilities_take_the_long_way},
    {"limited_patience_takes_the_long_way", test_limited_patience_takes_the_long_way},
    {"a_rate_limit_takes_the_long_way", test_a_rate_limit_takes_the_long_way},
    {"a_capability_seen_first_takes_the_long_way", test_a_capability_seen_first_takes_the_long_way},
    {"without_a_partner_the_long_way_is_taken", test_without_a_partner_the_long_way_is_taken},
    {"a_busy_cpu_does_not_lengthen_the_way", test_a_busy_cpu_does_not_lengthen_the_way},
    {"a_thread_of_another_class_takes_the_long_way", test_a_thread_of_another_class_takes_the_long_way},
    {"a_revocation_wakes_who_came_the_short_way", test_a_revocation_wakes_who_came_the_short_way},
    {"the_end_of_a_server_wakes_who_came_the_short_way",
     test_the_end_of_a_server_wakes_who_came_the_short_way},
    {"capabilities_reach_who_came_the_short_way", test_capabilities_reach_who_came_the_short_way},
};

const unsigned short_test_count = sizeof(short_tests) / sizeof(short_tests[0]);
