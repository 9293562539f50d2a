/*
 * schedmix: what the scheduler promises, from the user's side. Each test starts spinning or sleeping processes, sets their
 * policies and CPUs, and reads their figures from the kernel. TAP output; with names as arguments only those tests run.
 * "--ms N" is how long a test measures (default 200), "--events N" how often CPUs go or come (default 100).
 */
#include "schedmix.h"

#define MAIN_LEVEL 20u
#define SLEEPER_MS 10u /* what a long sleep is worth at most */

uint64_t measure_ms = 200;
unsigned hotplug_events = 100;
uint64_t cycles_per_ms;
unsigned cpus;
uint32_t children[CHILDREN_MAX];
unsigned child_count;
uint64_t spin_end;

const struct sched_params fair = {.policy = SCHED_FAIR};

struct sched_params fifo(uint32_t level)
{
    return (struct sched_params){.policy = SCHED_FIFO, .level = level};
}

static struct sched_params weighted(uint32_t weight)
{
    return (struct sched_params){.policy = SCHED_FAIR, .weight = weight};
}

/* ---- processes ---- */

void spin(void)
{
    while (cycles() < spin_end) {
        __asm__ volatile("pause");
    }
}

void spin_for(uint64_t ms)
{
    spin_end = cycles() + ms * cycles_per_ms;
}

void pause_ms(uint64_t ms)
{
    sys_sleep(ms * NS_PER_MS);
}

uint32_t start(void (*function)(void), struct sched_params params, uint64_t affinity)
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

struct sched_info info_of(uint32_t pid)
{
    struct sched_info info = {.tid = 0};
    sys_sched_get(SCHED_PROCESS, pid, &info);
    return info;
}

uint64_t run_cycles(uint32_t pid)
{
    return info_of(pid).run_cycles;
}

const struct system_stats *stats(void)
{
    static struct system_stats figures;
    sys_stats(&figures, sizeof(figures));
    return &figures;
}

bool all_end(void)
{
    bool good = true;
    int32_t status;
    for (; child_count != 0; child_count--) {
        good &= sys_wait(0, &status, 0) > 0 && status == 0;
    }
    return good;
}

bool near(uint64_t value, uint64_t wanted, uint64_t tolerance)
{
    return value <= wanted + tolerance && value + tolerance >= wanted;
}

bool end_all(void)
{
    for (unsigned i = 0; i < child_count; i++) {
        EXPECT(sys_process_kill(children[i], 0) == 0);
    }
    return all_end();
}

void yield_often(void)
{
    while (cycles() < spin_end) {
        sys_yield();
    }
}

uint64_t all_cpus(void)
{
    return (1ull << cpus) - 1;
}

/* ---- shares and slices ---- */

static uint64_t switches(unsigned cpu)
{
    return stats()->cpus[cpu].switches;
}

/* Weights 1:2:4 on one CPU, within 1 % or, in runs of less than 7 s, one slice. covers: SC-04 (1 % from 7 s on), SC-09 */
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

/* Switches of CPU 0 in the measured time while so many spin there. */
static uint64_t switches_of_spinners(unsigned number)
{
    spin_for(3600000);
    for (unsigned i = 0; i < number; i++) {
        start(spin, fair, 1);
    }
    pause_ms(20);
    uint64_t before = switches(0);
    pause_ms(measure_ms);
    return switches(0) - before;
}

/* Two have slices of 10 ms, four share the latency of 20 ms, and forty would have half a millisecond each: they have the
 * floor of 1 ms. Run by tests/e2e/kernel_sched_long.lua. */
static bool test_slices_shrink_with_load(void)
{
    const struct {
        unsigned spinners;
        unsigned switches_a_slice;
    } cases[] = {{2, 1}, {4, 2}, {40, 10}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t wanted = measure_ms * cases[i].switches_a_slice / SLICE_MS;
        uint64_t count = switches_of_spinners(cases[i].spinners);
        print("# %u spinners: %u switches in %u ms\n", cases[i].spinners, (unsigned)count,
              (unsigned)measure_ms);
        EXPECT(near(count, wanted, wanted / 5 + 1));
        EXPECT(end_all());
    }
    return true;
}

static void sleep_and_spin(void)
{
    pause_ms(measure_ms);
    spin();
}

/* Beside one that spins all the time: who has slept is ahead by its credit and a slice at most, who is new by a slice; both
 * have their share from then on. Run by tests/e2e/kernel_sched_long.lua. */
static bool test_sleep_and_birth_gain_little(void)
{
    const uint64_t window = 100 * cycles_per_ms;
    spin_for(3600000);
    uint32_t steady = start(spin, fair, 1);
    uint32_t sleeper = start(sleep_and_spin, fair, 1);
    pause_ms(measure_ms + 1);
    uint64_t before[2] = {run_cycles(steady), run_cycles(sleeper)};
    pause_ms(window / cycles_per_ms);
    uint64_t of_steady = run_cycles(steady) - before[0];
    EXPECT(near(run_cycles(sleeper) - before[1], of_steady, (SLEEPER_MS + SLICE_MS) * cycles_per_ms));
    EXPECT(of_steady > window / 3);
    before[0] = run_cycles(steady);
    uint32_t born = start(spin, fair, 1);
    pause_ms(window / cycles_per_ms);
    EXPECT(near(run_cycles(born), run_cycles(steady) - before[0], 2 * SLICE_MS * cycles_per_ms));
    EXPECT(end_all());
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

/* Two of one level share by their slices, one below them gets nothing. covers: SC-01 (shares) SC-05 */
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

/* A FIFO thread that never ends leaves 5 % of every second to the others. Run by
 * tests/e2e/kernel_sched_long.lua. */
static bool test_real_time_is_throttled(void)
{
    const uint64_t second = 1000 * cycles_per_ms;
    sys_sleep((second - cycles() % second) * NS_PER_MS / cycles_per_ms); /* the shares' periods begin there */
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

/* This one's own CPU is not idle all the time. covers: SC-21 SC-13 ST-08 */
static bool test_idle_cpus_take_no_ticks(void)
{
    struct cpu_stats before[64];
    struct sched_info own;
    EXPECT(sys_sched_get(SCHED_THREAD, 0, &own) == 0);
    memcpy(before, stats()->cpus, sizeof(before));
    pause_ms(200);
    const struct system_stats *after = stats();
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        EXPECT(after->cpus[cpu].ticks - before[cpu].ticks <= (cpu == own.cpu ? 1 : 0));
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

/* ---- runner ---- */

static const struct tap_test everywhere[] = {
    {"shares_follow_weights", test_shares_follow_weights},
    {"sleep_and_birth_gain_little", test_sleep_and_birth_gain_little},
    {"equal_spinners_change_every_quantum", test_equal_spinners_change_every_quantum},
    {"slices_shrink_with_load", test_slices_shrink_with_load},
    {"real_time_runs_in_strict_order", test_real_time_runs_in_strict_order},
    {"round_robin_shares_a_level", test_round_robin_shares_a_level},
    {"deadlines_get_their_budget", test_deadlines_get_their_budget},
    {"a_raised_level_counts_at_once", test_a_raised_level_counts_at_once},
    {"yield_lets_the_other_run", test_yield_lets_the_other_run},
    {"idle_cpus_take_no_ticks", test_idle_cpus_take_no_ticks},
    {"figures_of_a_thread_agree", test_figures_of_a_thread_agree},
    {"bad_arguments_are_refused", test_bad_arguments_are_refused},
};

static const struct tap_test by_name[] = {
    {"real_time_is_throttled", test_real_time_is_throttled},
};

/* What a test that failed has left. */
static void end_all_and_leave(void)
{
    (void)end_all();
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
}

/* Takes the options out of the words; what is left are names of tests. Returns how many words that are. */
static int take_options(int argc, char **argv)
{
    int kept = 0;
    for (int i = 0; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--ms") == 0) {
            measure_ms = (uint64_t)parse_number(argv[++i]);
        } else if (i + 1 < argc && strcmp(argv[i], "--events") == 0) {
            hotplug_events = (unsigned)parse_number(argv[++i]);
        } else {
            argv[kept++] = argv[i];
        }
    }
    return kept;
}

int main(int argc, char **argv);

int main(int argc, char **argv)
{
    const struct sched_params own = fifo(MAIN_LEVEL);
    int words = take_options(argc, argv);
    cpus = stats()->cpus_online;
    cycles_per_ms = stats()->clock_hz / 1000;
    sys_sched_set(SCHED_THREAD, 0, &own);
    tap_after_failure(end_all_and_leave);
    const struct tap_group groups[] = {
        {everywhere, sizeof(everywhere) / sizeof(everywhere[0])},
        {wake_tests, wake_test_count},
        {several_tests, several_test_count},
        {long_tests, long_test_count},
        {by_name, sizeof(by_name) / sizeof(by_name[0])},
    };
    unsigned unasked = cpus < 3 ? cpus : 3; /* groups; the last two take long */
    return tap_run(groups, words > 1 ? 5 : unasked, words, argv);
}
