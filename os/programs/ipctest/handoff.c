/* Who waits for an answer gives its CPU to who gives it; and why not, each reason by itself. */
#include "ipctest.h"

#include "lib/tap.h"

#define ROUNDS   300u
#define PATIENCE 3000u /* sleeps; a busy host may need many */

static handle_t other; /* endpoint */

struct ipc_stats counts(void)
{
    struct ipc_stats stats = {0};
    (void)sys_ipc_stats(&stats);
    return stats;
}

int echo(void)
{
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    int64_t status = sys_ipc_receive(endpoint, &m);
    while (status == STATUS_OK && ipc_tag_label(m.tag) != 99) {
        m.tag = ipc_tag(0, 1, 0);
        m.words[0]++;
        m.time = IPC_FOREVER;
        status = sys_ipc_reply_receive(endpoint, &m);
    }
    m.tag = 0;
    return status == STATUS_OK && sys_ipc_reply(0, &m) == STATUS_OK ? 0 : 1;
}

static bool all_answered;

/* Of many calls nearly all: a tick in between costs one. */
static bool the_partner_runs_at_once(void)
{
    struct ipc_stats before = counts();
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct ipc_registers m = message(1, 1, 0, IPC_FOREVER);
        m.words[0] = i;
        all_answered = all_answered && sys_ipc_call(endpoint, &m) == STATUS_OK && m.words[0] == i + 1;
    }
    struct ipc_stats after = counts();
    return after.offered - before.offered >= 2 * ROUNDS - ROUNDS / 10 &&
           after.handed_over - before.handed_over >= 2 * ROUNDS - ROUNDS / 5;
}

/* covers: IP-10 (fast path), IP-13 (hand-off), SC-32 (partial: counted, not timed) */
static bool test_the_cpu_goes_to_the_partner(void)
{
    EXPECT(make_endpoint());
    int64_t pid = tap_child(echo);
    struct ipc_registers m = message(1, 1, 0, IPC_FOREVER);
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK);
    all_answered = true;
    EXPECT(tap_undisturbed(the_partner_runs_at_once) && all_answered);
    m = message(99, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK);
    return tap_status(pid) == 0;
}

static int calls_once(void)
{
    struct ipc_registers m = message(1, 1, 0, IPC_FOREVER);
    return sys_ipc_call(endpoint, &m) == STATUS_OK ? 0 : 1;
}

/* covers: IP-10 (reasons) */
static bool test_without_a_partner_there_is_nothing_to_hand_over(void)
{
    EXPECT(make_endpoint());
    struct ipc_stats before = counts();
    int64_t first = tap_child(calls_once);
    int64_t second = tap_child(calls_once);
    struct ipc_stats queued = before;
    for (unsigned i = 0; i < PATIENCE && queued.slow_no_partner - before.slow_no_partner < 2; i++) {
        sys_sleep(MS); /* until both wait in the queue */
        queued = counts();
    }
    EXPECT(queued.slow_no_partner - before.slow_no_partner >= 2 && queued.offered == before.offered);
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK);
    m = message(0, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_reply_receive(endpoint, &m) == STATUS_OK); /* the second one is there already */
    EXPECT(counts().slow_not_blocked == queued.slow_not_blocked + 1);
    m = message(0, 0, 0, 0);
    EXPECT(sys_ipc_reply(0, &m) == STATUS_OK);
    return tap_status(first) == 0 && tap_status(second) == 0;
}

/* covers: IP-10 (reasons) */
static bool test_other_endpoints_and_capabilities_take_the_long_way(void)
{
    EXPECT(make_endpoint());
    other = (handle_t)sys_endpoint_create(0);
    int64_t pid = tap_child(calls_once);
    struct ipc_registers m = message(0, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK);
    struct ipc_stats before = counts();
    m = message(0, 0, 0, 0);
    EXPECT(sys_ipc_reply_receive(other, &m) == STATUS_ERR_AGAIN); /* answered all the same */
    EXPECT(tap_status(pid) == 0);
    EXPECT(counts().slow_other_endpoint == before.slow_other_endpoint + 1);
    pid = tap_child(calls_once);
    m = message(0, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK);
    m = message(0, 1, 1, 0);
    m.words[0] = other;
    EXPECT(sys_ipc_reply_receive(endpoint, &m) == STATUS_ERR_AGAIN);
    EXPECT(tap_status(pid) == 0);
    EXPECT(counts().slow_handles == before.slow_handles + 1 && counts().passed == before.passed + 1);
    return true;
}

/* A partner with a deadline has a budget of its own: it is put into the queue, not in the caller's place.
 * covers: IP-13 (hand-off) */
static bool test_a_partner_with_a_deadline_is_queued(void)
{
    const struct sched_params deadline = {
        .policy = SCHED_DEADLINE, .runtime_ns = 2 * MS, .deadline_ns = 10 * MS, .period_ns = 10 * MS};
    EXPECT(make_endpoint() && sys_sched_affinity(SCHED_THREAD, 0, 1) == STATUS_OK);
    int64_t pid = tap_child(echo);
    struct ipc_registers m = message(1, 1, 0, IPC_FOREVER);
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK);
    EXPECT(sys_sched_set(SCHED_PROCESS, (uint64_t)pid, &deadline) == STATUS_OK);
    struct ipc_stats before = counts();
    for (uint64_t i = 0; i < ROUNDS; i++) {
        m = message(1, 1, 0, IPC_FOREVER);
        m.words[0] = i;
        EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK && m.words[0] == i + 1);
    }
    struct ipc_stats after = counts();
    EXPECT(after.offered - after.handed_over > before.offered - before.handed_over);
    m = message(99, 0, 0, IPC_FOREVER);
    EXPECT(sys_ipc_call(endpoint, &m) == STATUS_OK);
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX) == STATUS_OK);
    return tap_status(pid) == 0;
}

const struct tap_test handoff_tests[] = {
    {"a_partner_with_a_deadline_is_queued", test_a_partner_with_a_deadline_is_queued},
    {"the_cpu_goes_to_the_partner", test_the_cpu_goes_to_the_partner},
    {"without_a_partner_there_is_nothing_to_hand_over", test_without_a_partner_there_is_nothing_to_hand_over},
    {"other_endpoints_and_capabilities_take_the_long_way",
     test_other_endpoints_and_capabilities_take_the_long_way},
};

const unsigned handoff_test_count = sizeof(handoff_tests) / sizeof(handoff_tests[0]);
