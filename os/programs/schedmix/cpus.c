/* Several CPUs: who is moved, where to and when; and CPUs that go and come. */
#include "schedmix.h"

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

/* Two begin on one CPU and may leave it: nobody has reason to until the other falls idle. covers: SC-15 */
static bool test_an_idle_cpu_pulls(void)
{
    uint64_t before = stats()->cpus[1].moves_pull;
    spin_for(80);
    start(work_and_sleep, fair, 2);
    uint32_t spinners[2] = {start(spin, fair, 1), start(spin, fair, 1)};
    pause_ms(1);
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(sys_sched_affinity(SCHED_PROCESS, spinners[i], 3) == 0);
    }
    EXPECT(all_end());
    EXPECT(stats()->cpus[1].moves_pull > before);
    return true;
}

/* One thread too many is not passed around. covers: SC-16 */
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

/* Of three, two change places all the time, so that their data is in the caches; the third has waited. It is what goes to a
 * CPU that has nothing to do, though its class makes it the last that would run. covers: SC-17 */
static bool test_a_cold_thread_goes_first(void)
{
    const struct sched_params last = {.policy = SCHED_IDLE};
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 4) == STATUS_OK);
    spin_for(3600000);
    uint32_t hot[2] = {start(yield_often, fair, 1), start(yield_often, fair, 1)};
    uint32_t cold = start(spin, last, 1);
    pause_ms(25);
    EXPECT(info_of(hot[0]).cpu == 0 && info_of(hot[1]).cpu == 0 && info_of(cold).cpu == 0);
    uint64_t moved = info_of(hot[0]).migrations + info_of(hot[1]).migrations;
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(sys_sched_affinity(SCHED_PROCESS, children[i], 3) == STATUS_OK);
    }
    pause_ms(3 * TICK_MS);
    EXPECT(info_of(cold).cpu == 1);
    EXPECT(info_of(hot[0]).cpu == 0 && info_of(hot[1]).cpu == 0);
    EXPECT(info_of(hot[0]).migrations + info_of(hot[1]).migrations == moved);
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    EXPECT(end_all());
    return true;
}

/* Two on one CPU, all others idle: one of them goes to a CPU of the same node, which shares the last-level cache, whichever
 * CPU comes first in the order. Needs nodes of two CPUs. covers: SC-17 (same cache), SC-19 (no crossing) */
static bool test_a_thread_goes_to_the_nearest_cpu(void)
{
    for (unsigned busy = 0; busy < cpus; busy++) {
        unsigned near_cpu = busy ^ 1u;
        EXPECT(stats()->cpus[busy].node == stats()->cpus[near_cpu].node);
        unsigned own = (busy + 2) % cpus;
        EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1ull << own) == STATUS_OK);
        spin_for(3600000);
        start(spin, fair, 1ull << busy);
        start(spin, fair, 1ull << busy);
        pause_ms(25);
        for (unsigned i = 0; i < 2; i++) {
            EXPECT(sys_sched_affinity(SCHED_PROCESS, children[i], all_cpus() & ~(1ull << own)) == STATUS_OK);
        }
        pause_ms(4 * TICK_MS);
        unsigned on[2] = {info_of(children[0]).cpu, info_of(children[1]).cpu};
        EXPECT((on[0] == busy && on[1] == near_cpu) || (on[1] == busy && on[0] == near_cpu));
        EXPECT(end_all());
    }
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    return true;
}

/* Milliseconds from when one of two on CPU 0 may go to CPU 1, which is idle, so long after a tick, until it is there. */
static unsigned wait_for_idle_cpu(void (*work)(void), unsigned phase_ms)
{
    const uint64_t tick = TICK_MS * cycles_per_ms;
    unsigned on[2] = {0};
    start(work, fair, 1);
    start(work, fair, 1);
    pause_ms(2 * TICK_MS);
    sys_sleep((tick - cycles() % tick) * NS_PER_MS / cycles_per_ms + phase_ms * NS_PER_MS);
    for (unsigned i = 0; i < 2; i++) {
        sys_sched_affinity(SCHED_PROCESS, children[i], 3);
    }
    uint64_t begin = cycles();
    while (on[0] == on[1] && cycles() - begin < 200 * cycles_per_ms) {
        sys_sleep(NS_PER_MS / 4);
        on[0] = info_of(children[0]).cpu;
        on[1] = info_of(children[1]).cpu;
    }
    return (unsigned)((cycles() - begin) / cycles_per_ms);
}

/* An idle CPU takes no ticks and does not ask, so what is ready on another waits for that one's next tick; if it has just
 * run whenever the tick comes, for two ticks more. covers: SC-15 (bound), SC-17 (cache-hot ones stay for two attempts) */
static bool test_an_idle_cpu_gets_what_waits(void)
{
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 4) == STATUS_OK);
    spin_for(3600000);
    for (unsigned phase_ms = 1; phase_ms < TICK_MS; phase_ms += 4) {
        unsigned cold_ms = wait_for_idle_cpu(spin, phase_ms);
        EXPECT(end_all());
        unsigned hot_ms = wait_for_idle_cpu(yield_often, phase_ms);
        EXPECT(end_all());
        print("# %u ms after the tick: one that has waited gets there in %u ms, one that ran just now in %u "
              "ms\n",
              phase_ms, cold_ms, hot_ms);
        EXPECT(cold_ms <= TICK_MS);
        EXPECT(hot_ms > TICK_MS && hot_ms <= 3 * TICK_MS);
    }
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    return true;
}

/* A child binds itself, some time after it was started. */
static bool is_bound_to(uint32_t pid, uint64_t mask)
{
    for (unsigned waited_ms = 0; waited_ms < 10000; waited_ms++) {
        struct sched_info info = info_of(pid);
        if (info.tid == 0) {
            return false; /* it has ended */
        }
        if (info.affinity == mask && (mask & 1ull << info.cpu) != 0) {
            return true;
        }
        pause_ms(1);
    }
    return false;
}

/* covers: SC-20 */
static bool test_nobody_runs_outside_its_mask(void)
{
    const uint64_t mask = 6;
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 0) == STATUS_ERR_RANGE);
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1ull << 63) == STATUS_ERR_RANGE);
    spin_for(3600000);
    for (unsigned i = 0; i < 6; i++) {
        start(i % 2 == 0 ? spin : yield_often, i % 3 == 0 ? fifo(2) : fair, mask);
        EXPECT(is_bound_to(children[i], mask));
    }
    for (unsigned look = 0; look < 40; look++) {
        for (unsigned i = 0; i < 6; i++) {
            EXPECT((mask & 1ull << info_of(children[i]).cpu) != 0);
        }
        pause_ms(1);
    }
    EXPECT(end_all());
    return true;
}

/* Three, one and two spin on CPUs 1, 2 and 3. Six that wait on CPU 0 may go there, and go one by one where the fewest are:
 * at once, in one step, so that nobody has balanced. covers: SC-20 (least-loaded CPU within mask) */
static bool test_a_thread_goes_to_the_least_loaded_of_its_mask(void)
{
    static const unsigned spinners[] = {1, 1, 1, 2, 3, 3};
    static const unsigned wanted[] = {2, 2, 3, 1, 2, 3}; /* of equals, the first from where it was */
    uint64_t moved[6];
    EXPECT(cpus == 4 && sys_sched_affinity(SCHED_THREAD, 0, 1) == STATUS_OK);
    spin_for(3600000);
    for (unsigned i = 0; i < 12; i++) {
        uint64_t mask = i < 6 ? 1ull << spinners[i] : 1;
        EXPECT(is_bound_to(start(spin, fair, mask), mask));
    }
    pause_ms(TICK_MS);
    for (unsigned i = 0; i < 6; i++) {
        uint32_t pid = children[6 + i];
        moved[i] = info_of(pid).migrations;
        EXPECT(sys_sched_affinity(SCHED_PROCESS, pid, 14) == STATUS_OK);
        EXPECT(info_of(pid).cpu == wanted[i] && info_of(pid).migrations == moved[i] + 1);
    }
    for (unsigned i = 0; i < 6; i++) { /* four on each: nobody has a reason to go */
        EXPECT(info_of(children[6 + i]).cpu == wanted[i] &&
               info_of(children[6 + i]).migrations == moved[i] + 1);
    }
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    return end_all();
}

static handle_t bell;

static void wait_and_spin(void)
{
    uint64_t bits;
    if (sys_notification_wait(bell, 1, &bits, IPC_FOREVER) == STATUS_OK) {
        spin();
    }
}

/* Who waited on a CPU where two spin is woken on that of its mask where one does; CPU 3, which is idle, is not in the mask.
 * covers: SC-20 (least-loaded CPU within mask) */
static bool test_who_is_woken_goes_to_the_least_loaded_of_its_mask(void)
{
    static const unsigned spinners[] = {1, 1, 2};
    bell = (handle_t)sys_notification_create();
    EXPECT(cpus == 4 && (int64_t)bell > 0 && sys_sched_affinity(SCHED_THREAD, 0, 1) == STATUS_OK);
    spin_for(3600000);
    uint32_t pid = start(wait_and_spin, fair, 2);
    EXPECT(is_bound_to(pid, 2));
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(is_bound_to(start(spin, fair, 1ull << spinners[i]), 1ull << spinners[i]));
    }
    pause_ms(TICK_MS);
    EXPECT(sys_sched_affinity(SCHED_PROCESS, pid, 6) == STATUS_OK);
    struct sched_info before = info_of(pid);
    EXPECT(before.cpu == 1 && sys_notification_signal(bell, 1) == STATUS_OK);
    struct sched_info after = info_of(pid); /* before the next tick */
    EXPECT(after.cpu == 2 && after.migrations == before.migrations + 1);
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    return end_all() && sys_cap_delete(bell) == STATUS_OK;
}

/*
 * A real-time thread that would have to wait goes where only fair ones run, though there are as many there: two that begin on
 * CPU 0 and may leave it. covers: SC-18
 */
static bool test_real_time_threads_evade_each_other(void)
{
    spin_for(100);
    for (unsigned i = 0; i < 2 * (cpus - 1); i++) {
        start(spin, fair, 1ull << (1 + i % (cpus - 1)));
    }
    uint32_t first = start(spin, fifo(3), 1);
    uint32_t second = start(spin, fifo(3), 1);
    pause_ms(10);
    EXPECT(info_of(first).cpu == 0 && info_of(second).cpu == 0);
    EXPECT(sys_sched_affinity(SCHED_PROCESS, first, all_cpus()) == STATUS_OK);
    EXPECT(sys_sched_affinity(SCHED_PROCESS, second, all_cpus()) == STATUS_OK);
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

/* ---- crossings of nodes ---- */

static uint64_t crossings(void)
{
    uint64_t sum = 0;
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        sum += stats()->cpus[cpu].node_crossings;
    }
    return sum;
}

static uint64_t cpus_of_node(unsigned node)
{
    uint64_t mask = 0;
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        mask |= stats()->cpus[cpu].node == node ? 1ull << cpu : 0;
    }
    return mask;
}

/* One is sent round all CPUs, backwards every other time: a step to another node is a crossing, counted where it ends, and a
 * step inside a node is none. On a machine without nodes there are none. covers: SC-19 (who is sent) */
static bool test_each_crossing_of_nodes_is_counted_once(void)
{
    unsigned at = 0;
    unsigned crossed = 0;
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1) == STATUS_OK);
    spin_for(3600000);
    uint32_t pid = start(spin, fair, 1);
    EXPECT(is_bound_to(pid, 1));
    uint64_t begin = crossings();
    for (unsigned step = 1; step <= 4 * cpus; step++) {
        unsigned to = step / cpus % 2 == 0 ? step % cpus : cpus - 1 - step % cpus;
        bool crosses = stats()->cpus[at].node != stats()->cpus[to].node;
        uint64_t sum = crossings();
        uint64_t there = stats()->cpus[to].node_crossings;
        EXPECT(sys_sched_affinity(SCHED_PROCESS, pid, 1ull << to) == STATUS_OK);
        EXPECT(is_bound_to(pid, 1ull << to));
        EXPECT(stats()->cpus[to].node_crossings - there == crosses && crossings() - sum == crosses);
        crossed += crosses;
        at = to;
    }
    print("# %u of %u steps crossed\n", crossed, 4 * cpus);
    EXPECT(crossings() - begin == crossed && (crossed != 0) == (stats()->nodes > 1));
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    return end_all();
}

static void sleep_long(void)
{
    sys_sleep(3600000 * NS_PER_MS);
}

/* Children that are on no CPU of the mask, every step-th of them from the first. */
static unsigned outside(uint64_t mask, unsigned first, unsigned step)
{
    unsigned count = 0;
    for (unsigned i = first; i < child_count; i += step) {
        count += (mask & 1ull << info_of(children[i]).cpu) == 0;
    }
    return count;
}

/* The CPUs of the last node go off one by one: who runs there crosses when the last of them goes, who sleeps there with its own
 * CPU, each once, to the boot CPU's node. covers: SC-19 (who is left without a CPU) */
static bool test_who_loses_its_node_crosses_once(void)
{
    unsigned node = stats()->cpus[cpus - 1].node;
    uint64_t mask = cpus_of_node(node) & ~1ull;
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1) == STATUS_OK);
    spin_for(3600000);
    for (unsigned i = 0; i < 6; i++) {
        EXPECT(is_bound_to(start(i % 2 == 0 ? spin : sleep_long, fair, mask), mask));
    }
    pause_ms(2 * TICK_MS);
    uint64_t begin = crossings();
    uint64_t left = mask;
    for (unsigned cpu = 1; cpu < cpus; cpu++) {
        if ((mask & 1ull << cpu) != 0) {
            EXPECT(outside(mask, 0, 2) == 0);
            EXPECT(sys_cpu_set(cpu, 0) == STATUS_OK);
            left &= ~(1ull << cpu);
            pause_ms(2 * TICK_MS);
            EXPECT(outside(mask, 0, 2) == (left == 0 ? 3 : 0));
            EXPECT(crossings() - begin == (node != 0 ? outside(mask, 0, 1) : 0));
        }
    }
    EXPECT(outside(mask, 0, 1) == 6);
    EXPECT(end_all());
    for (unsigned cpu = 1; cpu < cpus; cpu++) {
        EXPECT((mask & 1ull << cpu) == 0 || sys_cpu_set(cpu, 1) == STATUS_OK);
    }
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    return true;
}

/* Four for each CPU of the first node, which then may leave it: those that are found on another node afterwards crossed, once
 * each, and nobody else did. covers: SC-19 (who is given away) */
static bool test_a_full_node_gives_away_who_is_counted(void)
{
    uint64_t mask = cpus_of_node(0);
    EXPECT(sys_sched_affinity(SCHED_THREAD, 0, 1) == STATUS_OK);
    spin_for(3600000);
    for (unsigned i = 0; i < 2 * cpus; i++) {
        EXPECT(is_bound_to(start(spin, fair, mask), mask));
    }
    uint64_t begin = crossings();
    for (unsigned i = 0; i < 2 * cpus; i++) {
        EXPECT(sys_sched_affinity(SCHED_PROCESS, children[i], all_cpus()) == STATUS_OK);
    }
    pause_ms(10 * TICK_MS);
    unsigned away = outside(mask, 0, 1);
    print("# %u of %u crossed, counted %u\n", away, 2 * cpus, (unsigned)(crossings() - begin));
    EXPECT(crossings() - begin == away && (away != 0) == (stats()->nodes > 1));
    sys_sched_affinity(SCHED_THREAD, 0, UINT64_MAX);
    return end_all();
}

/* 64 on every CPU, up to 256: each gets its share within a third, from 5 s on within a tenth, and everything goes on. They
 * spin until they are ended: a time set before they are made might come before they are measured. Run by
 * tests/e2e/kernel_sched_long.lua. */
static bool test_many_threads_share_fairly(void)
{
    unsigned number = 64 * cpus < CHILDREN_MAX ? 64 * cpus : CHILDREN_MAX;
    static uint64_t before[CHILDREN_MAX];
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    spin_for(3600000);
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
        uint64_t ran = run_cycles(children[i]) - before[i];
        least = ran < least ? ran : least;
        most = ran > most ? ran : most;
    }
    print("# of %u threads one ran %u %% of its share, one %u %%\n", number, (unsigned)(100 * least / share),
          (unsigned)(100 * most / share));
    uint64_t tolerance = share / (measure_ms < 5000 ? 3 : 10);
    EXPECT(near(least, share, tolerance) && near(most, share, tolerance));
    return end_all();
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
 * those too whose CPU has gone, and nobody ever runs on a CPU that is off. covers: SM-04, SM-07 (16 events), SM-09 (moved by force) */
static bool test_cpus_go_and_come_under_load(void)
{
    static void (*const works[])(void) = {spin, yield_often, sleep_often, fork_often};
    uint64_t off = 0;
    EXPECT(sys_cpu_set(0, 0) == STATUS_ERR_RESERVED);
    EXPECT(sys_cpu_set(cpus, 0) == STATUS_ERR_RANGE);
    EXPECT(sys_cpu_set(1, 2) == STATUS_ERR_RANGE);
    spin_for(hotplug_events * 3 + 20);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t mask = i < 4 ? all_cpus() : 1ull << (cpus - 1);
        uint32_t pid = start(works[i % 4], fair, mask);
        EXPECT(is_bound_to(pid, mask) || info_of(pid).tid == 0); /* before its CPU goes */
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

/* What `lost` says of masks that still have a CPU: kept, and nobody is elsewhere. Who sleeps is nowhere. */
static bool masks_hold(const uint64_t *masks, unsigned number, uint64_t lost)
{
    bool hold = true;
    for (unsigned i = 0; i < number; i++) {
        struct sched_info info = info_of(children[i]);
        hold = hold && info.affinity == masks[i] && (masks[i] & ~lost & 1ull << info.cpu) != 0;
    }
    return hold;
}

/* Masks of two CPUs, of which one goes off and comes back. covers: SC-20 */
static bool test_masks_hold_while_cpus_go(void)
{
    uint64_t masks[8];
    unsigned number = 0;
    EXPECT(cpus >= 4);
    spin_for(3600000);
    for (; number < 8; number++) {
        masks[number] = (number % 4 < 2 ? 3ull : 6ull) << 1; /* 1 and 2; 2 and 3 */
        uint32_t pid =
            start(number % 2 == 0 ? spin : yield_often, number % 3 == 0 ? fifo(2) : fair, masks[number]);
        EXPECT(is_bound_to(pid, masks[number]));
    }
    for (unsigned event = 0; event < hotplug_events / 2; event++) {
        unsigned cpu = 1 + next_random() % 3;
        EXPECT(sys_cpu_set(cpu, 0) == 0);
        for (unsigned look = 0; look < 3; look++) {
            EXPECT(masks_hold(masks, number, 1ull << cpu));
            pause_ms(1);
        }
        EXPECT(sys_cpu_set(cpu, 1) == 0);
        EXPECT(masks_hold(masks, number, 0));
        sys_sleep(next_random() % (NS_PER_MS / 2));
    }
    return end_all();
}

/* The one exception: whose last CPU goes may run anywhere from then on. covers: SC-20 */
static bool test_who_loses_the_last_cpu_of_its_mask_runs_anywhere(void)
{
    spin_for(3600000);
    uint32_t pid = start(spin, fair, 4);
    EXPECT(is_bound_to(pid, 4) && sys_cpu_set(2, 0) == 0);
    struct sched_info info = info_of(pid);
    EXPECT(info.affinity == UINT64_MAX && info.cpu != 2 && run_cycles(pid) != 0);
    EXPECT(sys_cpu_set(2, 1) == 0 && info_of(pid).affinity == UINT64_MAX);
    return end_all();
}

const struct tap_test several_tests[] = {
    {"load_spreads", test_load_spreads},
    {"an_idle_cpu_pulls", test_an_idle_cpu_pulls},
    {"three_on_two_cpus_stay", test_three_on_two_cpus_stay},
    {"a_cold_thread_goes_first", test_a_cold_thread_goes_first},
    {"a_thread_goes_to_the_nearest_cpu", test_a_thread_goes_to_the_nearest_cpu},
    {"an_idle_cpu_gets_what_waits", test_an_idle_cpu_gets_what_waits},
    {"nobody_runs_outside_its_mask", test_nobody_runs_outside_its_mask},
    {"a_thread_goes_to_the_least_loaded_of_its_mask", test_a_thread_goes_to_the_least_loaded_of_its_mask},
    {"who_is_woken_goes_to_the_least_loaded_of_its_mask",
     test_who_is_woken_goes_to_the_least_loaded_of_its_mask},
    {"real_time_threads_evade_each_other", test_real_time_threads_evade_each_other},
    {"threads_stay_near_their_memory", test_threads_stay_near_their_memory},
    {"each_crossing_of_nodes_is_counted_once", test_each_crossing_of_nodes_is_counted_once},
    {"who_loses_its_node_crosses_once", test_who_loses_its_node_crosses_once},
    {"a_full_node_gives_away_who_is_counted", test_a_full_node_gives_away_who_is_counted},
};

const unsigned several_test_count = sizeof(several_tests) / sizeof(several_tests[0]);

const struct tap_test long_tests[] = {
    {"many_threads_share_fairly", test_many_threads_share_fairly},
    {"cpus_go_and_come_under_load", test_cpus_go_and_come_under_load},
    {"masks_hold_while_cpus_go", test_masks_hold_while_cpus_go},
    {"who_loses_the_last_cpu_of_its_mask_runs_anywhere",
     test_who_loses_the_last_cpu_of_its_mask_runs_anywhere},
};

const unsigned long_test_count = sizeof(long_tests) / sizeof(long_tests[0]);
