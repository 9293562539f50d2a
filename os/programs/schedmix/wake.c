/* Sleeping and waking: how late, from a timer and from another CPU, and in which order. */
#include "schedmix.h"

#include "lib/thread.h"

#define LATENCY_LIMIT 30000u /* cycles: 10 us at 3 GHz */
#define ROUNDS        20u
#define SLEEPERS      8u
#define LEVEL         10u
#define DERIVED       200u
#define MAPPED        64u /* pages */
#define PAGE          4096u

/* Cycles from a moment to the first instruction in user mode after it; told one a line. */
static bool all_in_time(const char *what, const uint64_t *late, unsigned count)
{
    bool good = true;
    for (unsigned i = 0; i < count; i++) {
        print("# latency %s %llu\n", what, (unsigned long long)late[i]);
        good &= late[i] <= LATENCY_LIMIT;
    }
    return good;
}

/* Lets the kernel do what takes it long: it revokes, maps and gives back. */
static void work_in_the_kernel(void)
{
    while (cycles() < spin_end) {
        int64_t root = sys_cap_derive(CAP_CONSOLE, RIGHTS_ALL, 0);
        for (unsigned i = 0; i < DERIVED; i++) {
            sys_cap_derive((handle_t)root, RIGHT_READ, 0);
        }
        int64_t memory = sys_map(0, MAPPED * PAGE, PROTECT_READ | PROTECT_WRITE | MAP_NOW);
        if (sys_cap_revoke((handle_t)root) != DERIVED || sys_cap_delete((handle_t)root) != STATUS_OK ||
            memory <= 0 || sys_unmap((uint64_t)memory, MAPPED * PAGE) != STATUS_OK) {
            sys_exit(1);
        }
    }
}

static void (*const busy[])(void) = {spin, work_in_the_kernel}; /* whose CPU it is until somebody wakes */

/* Sleeps of 1 ms end at most 10 us late though others spin on the CPU. */
static void sleep_precisely(void)
{
    uint64_t late[ROUNDS];
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t begin = cycles();
        sys_sleep(NS_PER_MS);
        late[i] = cycles() - begin - cycles_per_ms;
    }
    if (!all_in_time("timer", late, ROUNDS)) {
        sys_exit(1);
    }
}

/* covers: PR-05 (by timer), SC-12 (exact) */
static bool test_a_woken_real_time_thread_runs_at_once(void)
{
    for (unsigned i = 0; i < sizeof(busy) / sizeof(busy[0]); i++) {
        spin_for(60);
        start(busy[i], fair, 1);
        start(busy[i], fifo(1), 1);
        start(sleep_precisely, fifo(LEVEL), 1);
        EXPECT(all_end());
    }
    return true;
}

/* ---- threads of this process, each pinned to one CPU ---- */

static struct {
    uint32_t gate; /* word that they wait at */
    uint64_t stamps[ROUNDS];
    uint64_t deadline; /* cycles */
    uint32_t order[SLEEPERS];
    uint32_t next;
    uint64_t turns; /* of threads 1 to 3, two bits each, the last one lowest */
} shared;

static bool start_on(unsigned cpu, thread_function function, void *argument, int64_t *tid)
{
    struct sched_params params = fifo(LEVEL);
    *tid = thread_start(function, argument, 0);
    return *tid > 0 && sys_sched_set(SCHED_THREAD, (uint64_t)*tid, &params) == STATUS_OK &&
           sys_sched_affinity(SCHED_THREAD, (uint64_t)*tid, 1ull << cpu) == STATUS_OK;
}

static bool ends_with_1(int64_t tid)
{
    uint64_t value = 0;
    return thread_join(tid, &value) == STATUS_OK && value == 1;
}

static uint64_t stamp_wakes(void *unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        int64_t status = sys_futex_wait(&shared.gate, round, THREAD_PATIENCE_FOREVER, FUTEX_PRIVATE);
        uint64_t now = cycles();
        if (status != STATUS_OK) {
            return 0;
        }
        __atomic_store_n(&shared.stamps[round], now, __ATOMIC_RELEASE);
    }
    return 1;
}

/* Wakes a thread on a CPU again and again; tells how long each wake took. */
static bool followed_at_once(unsigned cpu, const char *what)
{
    int64_t tid;
    memset(&shared, 0, sizeof(shared));
    EXPECT(start_on(cpu, stamp_wakes, NULL, &tid));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        pause_ms(1);
        uint64_t begin = cycles();
        __atomic_store_n(&shared.gate, round + 1, __ATOMIC_RELEASE);
        EXPECT(sys_futex_wake(&shared.gate, 1, FUTEX_PRIVATE) == 1);
        pause_ms(1);
        uint64_t woken = __atomic_load_n(&shared.stamps[round], __ATOMIC_ACQUIRE);
        EXPECT(woken != 0);
        shared.stamps[round] = woken - begin;
    }
    EXPECT(ends_with_1(tid));
    return all_in_time(what, shared.stamps, ROUNDS);
}

/* From the call that wakes to the first instruction of who is woken, in the place of one that is busy. covers: PR-05 */
static bool test_a_wake_from_another_cpu_is_followed_at_once(void)
{
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 2) == STATUS_OK);
    for (unsigned i = 0; i < sizeof(busy) / sizeof(busy[0]); i++) {
        spin_for(2 * ROUNDS + 40);
        start(busy[i], fair, 1);
        EXPECT(followed_at_once(0, "message"));
        EXPECT(all_end());
    }
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    return true;
}

/* The same of CPUs that sleep: all but the one that wakes. covers: SM-02 */
static bool test_an_idle_cpu_runs_at_once_who_is_woken_there(void)
{
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1) == STATUS_OK);
    for (unsigned cpu = 1; cpu < cpus; cpu++) {
        EXPECT(followed_at_once(cpu, "idle"));
    }
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    return true;
}

/* A call later by n cycles asks for n cycles less, in whole nanoseconds: all ask for one and the same deadline. */
static uint64_t sleep_until_the_deadline(void *argument)
{
    uint64_t cycles_per_ns = cycles_per_ms / NS_PER_MS;
    uint64_t rest;
    while (sys_futex_wait(&shared.gate, 0, THREAD_PATIENCE_FOREVER, FUTEX_PRIVATE) == STATUS_OK) {
    }
    for (unsigned turn = 0; (rest = shared.deadline - cycles()) % cycles_per_ns != 0; turn++) {
        for (volatile unsigned i = 0; i < turn % 7; i++) { /* turns of different lengths */
        }
    }
    int64_t status = sys_sleep(rest / cycles_per_ns);
    uint64_t now = cycles();
    uint32_t place = __atomic_fetch_add(&shared.next, 1, __ATOMIC_ACQ_REL);
    shared.order[place] = (uint32_t)(uintptr_t)argument;
    shared.stamps[place] = now;
    return status == STATUS_OK;
}

/* They run in the order in which they went to sleep, one after the other, none before its time. That their deadlines are the
 * same to the cycle, tests/e2e/kernel_sched.lua sees. covers: SC-12 (order) */
static bool test_equal_deadlines_end_in_the_order_of_the_calls(void)
{
    int64_t tids[SLEEPERS];
    memset(&shared, 0, sizeof(shared));
    EXPECT(cycles_per_ms % NS_PER_MS == 0);
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 2) == STATUS_OK);
    for (uintptr_t i = 0; i < SLEEPERS; i++) {
        EXPECT(start_on(0, sleep_until_the_deadline, (void *)i, &tids[i]));
    }
    pause_ms(1);
    shared.deadline = cycles() + 5 * cycles_per_ms;
    __atomic_store_n(&shared.gate, 1, __ATOMIC_RELEASE);
    EXPECT(sys_futex_wake(&shared.gate, SLEEPERS, FUTEX_PRIVATE) == SLEEPERS);
    for (unsigned i = 0; i < SLEEPERS; i++) {
        EXPECT(ends_with_1(tids[i]));
    }
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    for (unsigned i = 0; i < SLEEPERS; i++) {
        EXPECT(shared.order[i] == i);
        EXPECT(shared.stamps[i] >= shared.deadline &&
               shared.stamps[i] - shared.deadline <= TICK_MS * cycles_per_ms);
        EXPECT(i == 0 || shared.stamps[i] > shared.stamps[i - 1]);
    }
    return true;
}

/* Notes itself behind another, in one step, as long as there is room. */
static uint64_t note_turns(void *number)
{
    uint64_t own = (uint64_t)(uintptr_t)number;
    while (sys_futex_wait(&shared.gate, 0, THREAD_PATIENCE_FOREVER, FUTEX_PRIVATE) == STATUS_OK) {
    }
    while (cycles() < spin_end) {
        uint64_t before = __atomic_load_n(&shared.turns, __ATOMIC_RELAXED);
        if ((before & 3) != own && before >> 62 == 0) {
            __atomic_compare_exchange_n(&shared.turns, &before, before << 2 | own, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED);
        }
    }
    return 1;
}

/* Three of a level that never yield: each runs again when the two others have. covers: SC-01 */
static bool test_turns_of_a_level_follow_one_order(void)
{
    const struct sched_params rr = {.policy = SCHED_RR, .level = LEVEL, .slice_ns = 2 * NS_PER_MS};
    int64_t tids[3];
    memset(&shared, 0, sizeof(shared));
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 2) == STATUS_OK);
    for (uintptr_t i = 0; i < 3; i++) {
        EXPECT(start_on(0, note_turns, (void *)(i + 1), &tids[i]));
        EXPECT(sys_sched_set(SCHED_THREAD, (uint64_t)tids[i], &rr) == STATUS_OK);
    }
    pause_ms(1);
    spin_for(80);
    __atomic_store_n(&shared.gate, 1, __ATOMIC_RELEASE);
    EXPECT(sys_futex_wake(&shared.gate, 3, FUTEX_PRIVATE) == 3);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(ends_with_1(tids[i]));
    }
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    EXPECT(shared.turns >> 62 != 0); /* 32 turns */
    for (uint64_t turns = shared.turns; turns >> 6 != 0; turns >>= 2) {
        EXPECT((turns & 3) == (turns >> 6 & 3) && (turns & 3) != (turns >> 2 & 3));
    }
    return true;
}

const struct tap_test wake_tests[] = {
    {"a_woken_real_time_thread_runs_at_once", test_a_woken_real_time_thread_runs_at_once},
    {"a_wake_from_another_cpu_is_followed_at_once", test_a_wake_from_another_cpu_is_followed_at_once},
    {"an_idle_cpu_runs_at_once_who_is_woken_there", test_an_idle_cpu_runs_at_once_who_is_woken_there},
    {"equal_deadlines_end_in_the_order_of_the_calls", test_equal_deadlines_end_in_the_order_of_the_calls},
    {"turns_of_a_level_follow_one_order", test_turns_of_a_level_follow_one_order},
};

const unsigned wake_test_count = sizeof(wake_tests) / sizeof(wake_tests[0]);
