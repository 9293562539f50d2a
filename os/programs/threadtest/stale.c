/*
 * Names and rights that are kept of what has ended, used before its memory goes back to the kernel, when it goes, and afterwards.
 * tests/e2e/kernel_ended.lua runs this and looks at what the kernel touches meanwhile.
 */
#include "threadtest.h"

/* At once, before the delay is over, when the first thread has been freed, when all have. */
#define MOMENTS 4u
#define DELAY   (1000 * MS)
#define ENDED   (3 * MOMENTS)

static handle_t endpoint;

/* What is kept of the ended, one each for every moment. */
static struct {
    int64_t tid;    /* of a thread of this process that nobody has joined */
    int64_t pid;    /* of a child that nobody has waited for */
    int64_t caller; /* of a child that was ended while it waited for an answer ... */
    int64_t right;  /* ... which this right is to give */
} kept[MOMENTS];

static uint64_t end_with(void *value)
{
    return (uint64_t)(uintptr_t)value;
}

static int child_ends(void)
{
    return 7;
}

static int child_calls(void)
{
    struct ipc_registers m = {.tag = ipc_tag(1, 1, 0), .time = IPC_FOREVER};
    return sys_ipc_call(endpoint, &m) == STATUS_OK ? 0 : 1;
}

static bool make_and_end(unsigned moment)
{
    struct ipc_registers m = {.time = IPC_FOREVER};
    kept[moment].tid = thread_start(end_with, (void *)(uintptr_t)(moment + 1), 0);
    kept[moment].pid = tap_child(child_ends);
    kept[moment].caller = tap_child(child_calls);
    EXPECT(kept[moment].tid > 0 && kept[moment].pid > 0 && kept[moment].caller > 0);
    EXPECT(sys_ipc_receive(endpoint, &m) == STATUS_OK);
    kept[moment].right = sys_ipc_reply_save();
    EXPECT(kept[moment].right > 0 && sys_process_kill((unsigned)kept[moment].caller, 9) == STATUS_OK);
    return true;
}

static unsigned dead(void)
{
    static struct system_stats stats;
    return sys_stats(&stats, sizeof(stats)) > 0 ? stats.threads_dead : ENDED + 1;
}

/* The parent of a child that has ended: it is told the status once, and then there is no such process. */
static bool child_is_told_once(int64_t pid, int32_t wanted)
{
    unsigned number = (unsigned)pid;
    struct process_info info;
    struct sched_info sched;
    int32_t status = -1;
    EXPECT(sys_process_info(number, &info) == STATUS_OK && info.threads == 0 && info.threads_listed == 0);
    EXPECT(sys_sched_get(SCHED_PROCESS, number, &sched) == STATUS_ERR_NOT_FOUND);
    EXPECT(sys_wait(number, &status, 0) == pid && status == wanted);
    EXPECT(sys_wait(number, &status, 0) == STATUS_ERR_NO_CHILD);
    EXPECT(sys_process_info(number, &info) == STATUS_ERR_NO_PROCESS);
    EXPECT(sys_sched_get(SCHED_PROCESS, number, &sched) == STATUS_ERR_NO_PROCESS);
    EXPECT(sys_sched_affinity(SCHED_PROCESS, number, 1) == STATUS_ERR_NO_PROCESS);
    EXPECT(sys_process_kill(number, 0) == STATUS_ERR_NO_PROCESS);
    return true;
}

static bool use(unsigned moment)
{
    struct ipc_registers m = {.tag = ipc_tag(0, 1, 0)};
    struct sched_info sched;
    uint64_t value = 0;
    unsigned tid = (unsigned)kept[moment].tid;
    EXPECT(sys_ipc_reply((handle_t)kept[moment].right, &m) == STATUS_ERR_PEER);
    m = (struct ipc_registers){.tag = ipc_tag(0, 1, 0)};
    EXPECT(sys_ipc_reply((handle_t)kept[moment].right, &m) == STATUS_ERR_STATE);
    EXPECT(sys_cap_delete((handle_t)kept[moment].right) == STATUS_OK);
    EXPECT(sys_sched_get(SCHED_THREAD, tid, &sched) == STATUS_ERR_NOT_FOUND);
    EXPECT(sys_thread_join(tid, &value, 0) == STATUS_OK && value == moment + 1);
    EXPECT(sys_thread_join(tid, &value, 0) == STATUS_ERR_NOT_FOUND);
    EXPECT(sys_sched_affinity(SCHED_THREAD, tid, 1) == STATUS_ERR_NOT_FOUND);
    return child_is_told_once(kept[moment].pid, 7) && child_is_told_once(kept[moment].caller, 9);
}

/* Needs a system at rest, whose dead are this test's. covers: SC-26 (stale reference) */
static bool test_what_is_kept_of_the_ended_is_told_apart(void)
{
    endpoint = (handle_t)sys_endpoint_create(0);
    EXPECT(sys_quiesce() == STATUS_OK && dead() == 0);
    uint64_t begin = (uint64_t)sys_clock();
    for (unsigned i = 0; i < MOMENTS; i++) {
        EXPECT(make_and_end(i));
    }
    while (dead() < ENDED) {
        sys_sleep(MS / 10);
    }
    EXPECT(use(0));
    sys_sleep(begin + DELAY - 2 * MS - (uint64_t)sys_clock());
    EXPECT(use(1) && dead() == ENDED);
    while (dead() == ENDED) {
        sys_sleep(MS / 10);
    }
    EXPECT((uint64_t)sys_clock() >= begin + DELAY && use(2));
    while (dead() != 0) {
        sys_sleep(MS / 10);
    }
    EXPECT(use(3));
    return sys_cap_delete(endpoint) == STATUS_OK;
}

const struct tap_test stale_tests[] = {
    {"what_is_kept_of_the_ended_is_told_apart", test_what_is_kept_of_the_ended_is_told_apart},
};
const unsigned stale_test_count = sizeof(stale_tests) / sizeof(stale_tests[0]);
