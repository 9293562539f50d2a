/*
 * schedmix: what the scheduler promises, from the user's side. Each test starts spinning or sleeping processes, sets their
 * policies and CPUs, and reads their figures from the kernel. TAP output; with names as arguments only those tests run.
 * "--ms N" is how long a test measures (default 200), "--events N" how often CPUs go or come (default 100).
 */
#include <stdbool.h>

#include "lib/orrery.h"

#define CHILDREN_MAX  256u
#define NS_PER_MS     1000000ull
#define SLICE_MS      10u
#define LATENCY_LIMIT 30000u /* cycles: 10 us at 3 GHz */
#define MAIN_LEVEL    20u

static uint64_t measure_ms = 200;
static unsigned hotplug_events = 100;
static uint64_t cycles_per_ms;
static unsigned cpus;
static int failed_line;
static uint32_t children[CHILDREN_MAX];
static unsigned child_count;
static uint64_t spin_end; /* cycles; children spin until then */

#define EXPECT(condition)           \
    do {                            \
        if (!(condition)) {         \
            failed_line = __LINE__; \
            return false;           \
        }                           \
    } while (0)

static const struct sched_params fair = {.policy = SCHED_FAIR};

static struct sched_params fifo(uint32_t level)
{
    return (struct sched_params){.policy = SCHED_FIFO, .level = level};
}

static struct sched_params weighted(uint32_t weight)
{
    return (struct sched_params){.policy = SCHED_FAIR, .weight = weight};
}

/* ---- processes ---- */

static void spin(void)
{
    while (cycles() < spin_end) {
        __asm__ volatile("pause");
    }
}

/* From now on children spin for that long. */
static void spin_for(uint64_t ms)
{
    spin_end = cycles() + ms * cycles_per_ms;
}

static void pause_ms(uint64_t ms)
{
    sys_sleep(ms * NS_PER_MS);
}

/* A child that runs the function under these parameters on these CPUs. */
static uint32_t start(void (*function)(void), struct sched_params params, uint64_t affinity)
{
    int64_t pid = sys_fork();
    if (pid == 0) {
        if (sys_sched_affinity(SCHED_THREAD, 0, affinity) != 0 ||
            sys_sched_set(SCHED_THREAD, 0, &params) != 0) {
            sys_exit(99);
        }
        function();
        sys_exit(0);
    }
    if (child_count < CHILDREN_MAX) {
        children[child_count++] = (uint32_t)pid;
    }
    return (uint32_t)pid;
}

static struct sched_info info_of(uint32_t pid)
{
    struct sched_info info = {.tid = 0};
    sys_sched_get(SCHED_PROCESS, pid, &info);
    return info;
}

static uint64_t run_cycles(uint32_t pid)
{
    return info_of(pid).run_cycles;
}

static const struct system_stats *stats(void)
{
    static struct system_stats figures;
    sys_stats(&figures, sizeof(figures));
    return &figures;
}

static uint64_t switches(unsigned cpu)
{
    return stats()->cpus[cpu].switches;
}

/* Waits for all children; false when one ended with another status than 0. */
static bool all_end(void)
{
    bool good = true;
    int32_t status;
    for (; child_count != 0; child_count--) {
        good &= sys_wait(0, &status, 0) > 0 && status == 0;
    }
    return good;
}

/* |value - wanted| <= tolerance */
static bool near(uint64_t value, uint64_t wanted, uint64_t tolerance)
{
    return value <= wanted + tolerance && value + tolerance >= wanted;
}

/* ---- shares and slices ---- */

/* Weights 1:2:4 on one CPU, within 1 % (and one slice, which only short runs notice). covers: SC-04 SC-09 */
static bool test_shares_follow_weights(void)
{
    uint64_t before[3];
    uint64_t used[3];
    uint64_t sum = 0;
    spin_for(measure_ms + 60);
    for (unsigned i = 0; i < 3; i++) {
        start(spin, weighted(1024u << i), 1);
    }
    pause_ms(20);
    for (unsigned i = 0; i < 3; i++) {
        before[i] = run_cycles(children[i]);
    }
    pause_ms(measure_ms);
    for (unsigned i = 0; i < 3; i++) {
        used[i] = run_cycles(children[i]) - before[i];
        sum += used[i];
    }
    for (unsigned i = 0; i < 3; i++) {
        uint64_t wanted = (sum << i) / 7;
        uint64_t tolerance =
            wanted / 100 > SLICE_MS * cycles_per_ms ? wanted / 100 : SLICE_MS * cycles_per_ms;
        EXPECT(near(used[i], wanted, tolerance));
    }
    EXPECT(
        near(sum, measure_ms * cycles_per_ms, measure_ms * cycles_per_ms / 100)); /* the rest is overhead */
    EXPECT(all_end());
    return true;
}

/* Two equal ones that never yield change places every 10 ms. covers: PR-01 PR-02 PR-06 */
static bool test_equal_spinners_change_every_quantum(void)
{
    spin_for(measure_ms + 60);
    start(spin, fair, 1);
    start(spin, fair, 1);
    sys_sched_affinity(SCHED_THREAD, 0, cpus > 1 ? 2 : 1);
    pause_ms(20);
    uint64_t before = switches(0);
    pause_ms(measure_ms);
    uint64_t count = switches(0) - before;
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    EXPECT(near(count, measure_ms / SLICE_MS, 3));
    EXPECT(all_end());
    return true;
}

/* Four share the latency of 20 ms: twice as many switches as two. covers: SC-06 */
static bool test_slices_shrink_with_load(void)
{
    spin_for(measure_ms + 60);
    for (unsigned i = 0; i < 4; i++) {
        start(spin, fair, 1);
    }
    pause_ms(20);
    uint64_t before = switches(0);
    pause_ms(measure_ms);
    EXPECT(near(switches(0) - before, measure_ms / (SLICE_MS / 2), 6));
    EXPECT(all_end());
    return true;
}

/* ---- order ---- */

/* Whoever is more important ends first, though it was started last. covers: SC-02 SC-05 */
static bool test_real_time_runs_in_strict_order(void)
{
    uint32_t pids[4];
    int32_t status;
    sys_sched_affinity(SCHED_THREAD, 0, 1); /* nobody else runs on CPU 0 before this one sleeps */
    spin_for(60);
    pids[0] = start(spin, (struct sched_params){.policy = SCHED_IDLE}, 1);
    pids[1] = start(spin, fair, 1);
    pids[2] = start(spin, fifo(3), 1);
    pids[3] = start(spin, fifo(4), 1);
    for (unsigned i = 4; i-- > 0;) {
        EXPECT(sys_wait(0, &status, 0) == pids[i] && status == 0);
    }
    child_count = 0;
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    return true;
}

/* Two of one level share by their slices, one below them gets nothing. covers: SC-01 SC-05 */
static bool test_round_robin_shares_a_level(void)
{
    const struct sched_params rr = {.policy = SCHED_RR, .level = 7, .slice_ns = 2 * NS_PER_MS};
    spin_for(measure_ms + 60);
    uint32_t a = start(spin, rr, 1);
    uint32_t b = start(spin, rr, 1);
    uint32_t below = start(spin, fifo(6), 1);
    pause_ms(20);
    uint64_t before[3] = {run_cycles(a), run_cycles(b), run_cycles(below)};
    pause_ms(measure_ms);
    EXPECT(near(run_cycles(a) - before[0], measure_ms * cycles_per_ms / 2, 3 * cycles_per_ms));
    EXPECT(near(run_cycles(b) - before[1], measure_ms * cycles_per_ms / 2, 3 * cycles_per_ms));
    EXPECT(run_cycles(below) == before[2]);
    EXPECT(all_end());
    return true;
}

/* A FIFO thread that never ends leaves 5 % of every second to the others. covers: SC-05 */
static bool test_real_time_is_throttled(void)
{
    spin_for(1200);
    start(spin, fifo(5), 1);
    uint32_t poor = start(spin, fair, 1);
    pause_ms(20);
    uint64_t before = run_cycles(poor);
    pause_ms(1000);
    /* the kernel's own fair threads have a share of the 5 % */
    EXPECT(near(run_cycles(poor) - before, 50 * cycles_per_ms, 5 * cycles_per_ms));
    EXPECT(all_end());
    return true;
}

/* 2 ms every 10 ms beside a spinner, no less and no more; what would not fit is refused. covers: SC-05 */
static bool test_deadlines_get_their_budget(void)
{
    const struct sched_params small = {.policy = SCHED_DEADLINE,
                                       .runtime_ns = 2 * NS_PER_MS,
                                       .deadline_ns = 10 * NS_PER_MS,
                                       .period_ns = 10 * NS_PER_MS};
    struct sched_params large = small;
    large.runtime_ns = 8 * NS_PER_MS;
    spin_for(measure_ms + 60);
    uint32_t child = start(spin, small, 1);
    uint32_t other = start(spin, fair, 1);
    pause_ms(20);
    EXPECT(sys_sched_set(SCHED_PROCESS, other, &large) == STATUS_ERR_LIMIT);
    EXPECT(sys_sched_affinity(SCHED_PROCESS, child, 2) < 0);
    uint64_t before = run_cycles(child);
    pause_ms(measure_ms);
    /* the window may cut off a budget at either end; switches are counted too */
    EXPECT(near(run_cycles(child) - before, measure_ms * cycles_per_ms / 5, 3 * cycles_per_ms));
    EXPECT(all_end());
    return true;
}

/* The one that waits behind another of its level passes it when its level is raised. covers: SC-31 */
static bool test_a_raised_level_counts_at_once(void)
{
    struct sched_params better = fifo(6);
    spin_for(80);
    uint32_t first = start(spin, fifo(5), 1);
    pause_ms(2);
    uint32_t second = start(spin, fifo(5), 1);
    pause_ms(10);
    uint64_t waited = run_cycles(second);
    EXPECT(sys_sched_set(SCHED_PROCESS, second, &better) == 0);
    uint64_t stopped = run_cycles(first);
    pause_ms(20);
    EXPECT(run_cycles(second) - waited > 19 * cycles_per_ms);
    EXPECT(near(run_cycles(first), stopped, cycles_per_ms / 10));
    EXPECT(all_end());
    return true;
}

/* Sleeps of 1 ms end at most 10 us late though others spin on the CPU. */
static void sleep_precisely(void)
{
    for (unsigned i = 0; i < 20; i++) {
        uint64_t begin = cycles();
        sys_sleep(NS_PER_MS);
        uint64_t late = cycles() - begin - cycles_per_ms;
        if (late > LATENCY_LIMIT) {
            sys_exit(1);
        }
    }
}

/* covers: PR-05 SC-12 */
static bool test_a_woken_real_time_thread_runs_at_once(void)
{
    spin_for(60);
    start(spin, fair, 1);
    start(spin, fifo(1), 1);
    start(sleep_precisely, fifo(10), 1);
    EXPECT(all_end());
    return true;
}

static void yield_often(void)
{
    while (cycles() < spin_end) {
        sys_yield();
    }
}

/* Two that yield all the time share a CPU, and change places far more often than slices would make them. covers: SC-10 */
static bool test_yield_lets_the_other_run(void)
{
    spin_for(60);
    uint32_t a = start(yield_often, fair, 1);
    uint32_t b = start(yield_often, fair, 1);
    pause_ms(50);
    uint64_t of_a = run_cycles(a);
    uint64_t of_b = run_cycles(b);
    EXPECT(info_of(a).switches > 500 && info_of(b).switches > 500);
    EXPECT(near(of_a, of_b, of_a / 10 + SLICE_MS * cycles_per_ms));
    EXPECT(all_end());
    return true;
}

/* ---- several CPUs ---- */

static uint64_t all_cpus(void)
{
    return (1ull << cpus) - 1;
}

/* Eight spinners that all began on CPU 0 are two on each of four within eight ticks. covers: SC-14 SC-15 SM-09 */
static bool test_load_spreads(void)
{
    unsigned on[64] = {0};
    uint64_t pushes = 0;
    spin_for(110);
    for (unsigned i = 0; i < 2 * cpus; i++) {
        start(spin, fair, 1);
    }
    pause_ms(15);
    for (unsigned i = 0; i < 2 * cpus; i++) {
        EXPECT(info_of(children[i]).cpu == 0);
        EXPECT(sys_sched_affinity(SCHED_PROCESS, children[i], all_cpus()) == 0);
    }
    pause_ms(80);
    for (unsigned i = 0; i < 2 * cpus; i++) {
        on[info_of(children[i]).cpu]++;
    }
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        EXPECT(on[cpu] == 2);
        pushes += stats()->cpus[cpu].moves_push;
    }
    EXPECT(pushes != 0);
    EXPECT(all_end());
    return true;
}

/* Works for a while, then sleeps: its CPU falls idle with nobody to push anything there. */
static void work_and_sleep(void)
{
    for (unsigned i = 0; i < 5; i++) {
        uint64_t end = cycles() + 15 * cycles_per_ms;
        while (cycles() < end) {
            __asm__ volatile("pause");
        }
        pause_ms(1);
    }
}

/* covers: SC-15 */
static bool test_an_idle_cpu_pulls(void)
{
    uint64_t before = stats()->cpus[1].moves_pull;
    spin_for(80);
    start(work_and_sleep, fair, 2);
    start(spin, fair, 3);
    start(spin, fair, 3);
    EXPECT(all_end());
    EXPECT(stats()->cpus[1].moves_pull > before);
    return true;
}

/* One thread too many is not passed around. covers: SC-16 SC-17 */
static bool test_three_on_two_cpus_stay(void)
{
    uint64_t before = 0;
    uint64_t after = 0;
    spin_for(measure_ms + 80);
    for (unsigned i = 0; i < 3; i++) {
        start(spin, fair, 3);
    }
    sys_sched_affinity(SCHED_THREAD, 0, all_cpus() & ~3ull);
    pause_ms(40);
    for (unsigned i = 0; i < 3; i++) {
        before += info_of(children[i]).migrations;
    }
    pause_ms(measure_ms);
    for (unsigned i = 0; i < 3; i++) {
        after += info_of(children[i]).migrations;
    }
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    EXPECT(after == before);
    EXPECT(all_end());
    return true;
}

/* covers: SC-20 */
static bool test_nobody_runs_outside_its_mask(void)
{
    const uint64_t mask = 6;
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 0) == STATUS_ERR_RANGE);
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1ull << 63) == STATUS_ERR_RANGE);
    spin_for(50);
    for (unsigned i = 0; i < 6; i++) {
        start(i % 2 == 0 ? spin : yield_often, i % 3 == 0 ? fifo(2) : fair, mask);
    }
    pause_ms(5);
    while (cycles() < spin_end - cycles_per_ms) {
        for (unsigned i = 0; i < 6; i++) {
            EXPECT((mask & 1ull << info_of(children[i]).cpu) != 0);
        }
        pause_ms(1);
    }
    EXPECT(all_end());
    return true;
}

/* A real-time thread that would have to wait goes where only a fair one runs. covers: SC-18 */
static bool test_real_time_threads_evade_each_other(void)
{
    spin_for(60);
    for (unsigned i = 0; i < cpus; i++) {
        start(spin, fair, 1ull << i);
    }
    uint32_t first = start(spin, fifo(3), all_cpus());
    uint32_t second = start(spin, fifo(3), all_cpus());
    pause_ms(20); /* two ticks */
    EXPECT(info_of(first).cpu != info_of(second).cpu);
    uint64_t before = run_cycles(first) + run_cycles(second);
    pause_ms(20);
    EXPECT(run_cycles(first) + run_cycles(second) - before > 39 * cycles_per_ms);
    EXPECT(all_end());
    return true;
}

/* With half as many threads as CPUs, of which each node could hold them all, nobody leaves the node of its memory.
 * covers: SC-19 */
static bool test_threads_stay_near_their_memory(void)
{
    uint64_t before = 0;
    uint64_t after = 0;
    spin_for(measure_ms + 40);
    for (unsigned i = 0; i < cpus / 2; i++) {
        start(spin, fair, all_cpus());
    }
    pause_ms(40);
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        before += stats()->cpus[cpu].node_crossings;
    }
    while (cycles() < spin_end - 2 * cycles_per_ms) {
        for (unsigned i = 0; i < cpus / 2; i++) {
            struct sched_info info = info_of(children[i]);
            EXPECT(stats()->cpus[info.cpu].node == info.home_node);
        }
        pause_ms(5);
    }
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        after += stats()->cpus[cpu].node_crossings;
    }
    EXPECT(after == before);
    EXPECT(all_end());
    return true;
}

/* covers: SC-21 SC-13 ST-08 */
static bool test_idle_cpus_take_no_ticks(void)
{
    struct cpu_stats before[64];
    memcpy(before, stats()->cpus, sizeof(before));
    pause_ms(200);
    const struct system_stats *after = stats();
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        EXPECT(after->cpus[cpu].ticks - before[cpu].ticks <= 1);
        EXPECT(after->cpus[cpu].idle_cycles - before[cpu].idle_cycles > 190 * cycles_per_ms);
    }
    return true;
}

/* What the kernel counts for a thread is what it has seen pass itself. covers: ST-07 SC-30 */
static bool test_figures_of_a_thread_agree(void)
{
    struct sched_info before;
    struct sched_info after;
    EXPECT(sys_sched_get(SCHED_THREAD, 0, &before) == 0);
    uint64_t begin = cycles();
    while (cycles() - begin < 5 * cycles_per_ms) {
    }
    uint64_t took = cycles() - begin;
    EXPECT(sys_sched_get(SCHED_THREAD, 0, &after) == 0);
    EXPECT(near(after.run_cycles - before.run_cycles, took, took / 100));
    EXPECT(after.tid == before.tid && after.tid != 0);
    pause_ms(1);
    EXPECT(sys_sched_get(SCHED_THREAD, 0, &before) == 0);
    EXPECT(before.switches > after.switches);
    return true;
}

static bool test_bad_arguments_are_refused(void)
{
    struct sched_info info;
    struct sched_params bad = fifo(SCHED_LEVEL_KERNEL);
    EXPECT(sys_sched_set(SCHED_THREAD, 0, &bad) == STATUS_ERR_RANGE);
    bad.policy = 77;
    EXPECT(sys_sched_set(SCHED_THREAD, 0, &bad) == STATUS_ERR_ARGUMENT);
    EXPECT(sys_sched_set(2, 0, &fair) == STATUS_ERR_ARGUMENT);
    EXPECT(sys_sched_set(SCHED_THREAD, 0, NULL) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_sched_get(SCHED_THREAD, UINT32_MAX, &info) == STATUS_ERR_NOT_FOUND);
    EXPECT(sys_sched_get(SCHED_PROCESS, UINT32_MAX, &info) == STATUS_ERR_NO_PROCESS);
    EXPECT(sys_sched_get(SCHED_PROCESS, 1, &info) == STATUS_ERR_PERMISSION); /* init is nobody's child */
    EXPECT(sys_sched_get(SCHED_THREAD, 0, (struct sched_info *)0xffffffff80000000ull) ==
           STATUS_ERR_BAD_ADDRESS);
    return true;
}

/* 64 on every CPU: each gets its share within a third, and everything goes on. covers: PR-07 (64 on one CPU) */
static bool test_many_threads_share_fairly(void)
{
    unsigned number = 64 * cpus < CHILDREN_MAX ? 64 * cpus : CHILDREN_MAX;
    static uint64_t before[CHILDREN_MAX];
    spin_for(measure_ms + 1000);
    for (unsigned i = 0; i < number; i++) {
        start(spin, fair, all_cpus());
    }
    pause_ms(200);
    for (unsigned i = 0; i < number; i++) {
        before[i] = run_cycles(children[i]);
    }
    pause_ms(measure_ms + 440);
    uint64_t share = (measure_ms + 440) * cycles_per_ms * cpus / number;
    for (unsigned i = 0; i < number; i++) {
        EXPECT(near(run_cycles(children[i]) - before[i], share, share / 3));
    }
    EXPECT(all_end());
    return true;
}

/* ---- CPUs that go and come ---- */

static void sleep_often(void)
{
    while (cycles() < spin_end) {
        sys_sleep(100000);
    }
}

/* Forks all the time, so that memory, processes and shootdowns are under way everywhere. */
static void fork_often(void)
{
    while (cycles() < spin_end) {
        int64_t pid = sys_fork();
        if (pid == 0) {
            sys_exit(0);
        }
        if (sys_wait(0, NULL, 0) != pid) {
            sys_exit(1);
        }
    }
}

static unsigned next_random(void)
{
    static uint64_t state = 0x5eed;
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(state >> 33);
}

/* Spinners, yielders, sleepers and forkers everywhere, one of each pinned; CPUs go and come at random. All of them end,
 * those too whose CPU has gone, and nobody ever runs on a CPU that is off. covers: SM-04 SM-07 SM-09 (moved by force) */
static bool test_cpus_go_and_come_under_load(void)
{
    static void (*const works[])(void) = {spin, yield_often, sleep_often, fork_often};
    uint64_t off = 0;
    EXPECT(sys_cpu_set(0, 0) == STATUS_ERR_RESERVED);
    EXPECT(sys_cpu_set(cpus, 0) == STATUS_ERR_RANGE);
    EXPECT(sys_cpu_set(1, 2) == STATUS_ERR_RANGE);
    spin_for(hotplug_events * 3);
    for (unsigned i = 0; i < 8; i++) {
        start(works[i % 4], fair, i < 4 ? all_cpus() : 1ull << (cpus - 1));
    }
    for (unsigned event = 0; event < hotplug_events; event++) {
        unsigned cpu = 1 + next_random() % (cpus - 1);
        EXPECT(sys_cpu_set(cpu, (off & 1ull << cpu) != 0) == 0);
        off ^= 1ull << cpu;
        for (unsigned i = 0; i < child_count; i++) {
            EXPECT((off & 1ull << info_of(children[i]).cpu) == 0 || i % 4 >= 2); /* who sleeps is nowhere */
        }
        sys_sleep(next_random() % (2 * NS_PER_MS));
    }
    for (unsigned cpu = 1; cpu < cpus; cpu++) {
        EXPECT((off & 1ull << cpu) == 0 || sys_cpu_set(cpu, 1) == 0);
    }
    EXPECT(all_end());
    return true;
}

/* ---- runner ---- */

struct test {
    const char *name;
    bool (*function)(void);
};

static const struct test everywhere[] = {
    {"shares_follow_weights", test_shares_follow_weights},
    {"real_time_runs_in_strict_order", test_real_time_runs_in_strict_order},
    {"round_robin_shares_a_level", test_round_robin_shares_a_level},
    {"deadlines_get_their_budget", test_deadlines_get_their_budget},
    {"a_raised_level_counts_at_once", test_a_raised_level_counts_at_once},
    {"a_woken_real_time_thread_runs_at_once", test_a_woken_real_time_thread_runs_at_once},
    {"yield_lets_the_other_run", test_yield_lets_the_other_run},
    {"idle_cpus_take_no_ticks", test_idle_cpus_take_no_ticks},
    {"figures_of_a_thread_agree", test_figures_of_a_thread_agree},
    {"bad_arguments_are_refused", test_bad_arguments_are_refused},
};

static const struct test on_three_cpus[] = {
    {"equal_spinners_change_every_quantum", test_equal_spinners_change_every_quantum},
    {"slices_shrink_with_load", test_slices_shrink_with_load},
    {"load_spreads", test_load_spreads},
    {"an_idle_cpu_pulls", test_an_idle_cpu_pulls},
    {"three_on_two_cpus_stay", test_three_on_two_cpus_stay},
    {"nobody_runs_outside_its_mask", test_nobody_runs_outside_its_mask},
    {"real_time_threads_evade_each_other", test_real_time_threads_evade_each_other},
    {"threads_stay_near_their_memory", test_threads_stay_near_their_memory},
};

/* These take long: they run only when asked for by name. */
static const struct test by_name[] = {
    {"real_time_is_throttled", test_real_time_is_throttled},
    {"many_threads_share_fairly", test_many_threads_share_fairly},
    {"cpus_go_and_come_under_load", test_cpus_go_and_come_under_load},
};

static const struct group {
    const struct test *tests;
    unsigned count;
    unsigned cpus; /* they need */
} groups[] = {
    {everywhere, sizeof(everywhere) / sizeof(everywhere[0]), 1},
    {on_three_cpus, sizeof(on_three_cpus) / sizeof(on_three_cpus[0]), 3},
    {by_name, sizeof(by_name) / sizeof(by_name[0]), UINT32_MAX},
};

#define GROUPS (sizeof(groups) / sizeof(groups[0]))

static bool wanted(const struct test *test, const struct group *group, int argc, char **argv)
{
    bool named = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--ms") == 0 || strcmp(argv[i], "--events") == 0) {
            i++;
        } else if (strcmp(test->name, argv[i]) == 0) {
            return true;
        } else {
            named = true;
        }
    }
    return !named && cpus >= group->cpus;
}

static unsigned run(const struct test *test, unsigned number)
{
    if (test->function()) {
        print("ok %u - %s\n", number, test->name);
        return 0;
    }
    print("not ok %u - %s (line %d)\n", number, test->name, failed_line);
    all_end();
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    return 1;
}

static unsigned run_all(int argc, char **argv)
{
    unsigned failures = 0;
    unsigned number = 0;
    for (unsigned g = 0; g < GROUPS; g++) {
        for (unsigned i = 0; i < groups[g].count; i++) {
            const struct test *test = &groups[g].tests[i];
            number++;
            if (wanted(test, &groups[g], argc, argv)) {
                failures += run(test, number);
            } else {
                print("ok %u - %s # SKIP\n", number, test->name);
            }
        }
    }
    print("1..%u\n", number);
    return failures;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    const struct sched_params own = fifo(MAIN_LEVEL);
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--ms") == 0) {
            measure_ms = (uint64_t)parse_number(argv[i + 1]);
        } else if (strcmp(argv[i], "--events") == 0) {
            hotplug_events = (unsigned)parse_number(argv[i + 1]);
        }
    }
    cpus = stats()->cpus_online;
    cycles_per_ms = stats()->clock_hz / 1000;
    sys_sched_set(SCHED_THREAD, 0, &own);
    print("TAP version 13\n");
    return run_all(argc, argv) == 0 ? 0 : 1;
}
