/* Order of threads, edge cases of switching, time accounts. */
#include "arch/x86_64/clock.h"
#include "arch/x86_64/percpu.h"
#include "sched/sched.h"
#include "test/ktest.h"
#include "test/workers.h"

#define TRACE_MAX 64u
#define ROUNDS    5u
#define LIMIT_NS  60000000000ull

static uint32_t trace[TRACE_MAX];
static uint32_t traced;

static void note(uint32_t what)
{
    uint32_t at = __atomic_fetch_add(&traced, 1, __ATOMIC_ACQ_REL);
    if (at < TRACE_MAX) {
        trace[at] = what;
    }
}

/* Runs on the CPU of the others; yields after each note. */
static void note_and_yield(void *argument)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        note((uint32_t)(uintptr_t)argument);
        sched_yield();
    }
    worker_ends();
}

/* They become ready on this CPU in their order before any of them runs, and stay. */
static bool start_here(struct thread **threads, unsigned number)
{
    bool pinned = true;
    preempt_disable();
    for (unsigned i = 0; i < number; i++) {
        pinned &= worker_start(threads[i], arch_cpu_id());
    }
    preempt_enable();
    return pinned;
}

/* Threads of one level on this CPU take turns in the order in which they came. covers: SC-01 SC-10 PR-08 */
void ktest_threads_of_one_level_take_turns(void)
{
    struct thread *threads[3];
    traced = 0;
    workers_begin();
    for (unsigned i = 0; i < 3; i++) {
        KEXPECT(thread_create(&threads[i], &sched_kernel, note_and_yield, (void *)(uintptr_t)i) == STATUS_OK);
    }
    KEXPECT(start_here(threads, 3) && workers_wait(3, LIMIT_NS));
    KEXPECT(traced == 3 * ROUNDS);
    for (unsigned i = 0; i < 3 * ROUNDS; i++) {
        KEXPECT(trace[i] == i % 3);
    }
}

/* Every link, mask, count and sum of the queues of all CPUs. */
static bool queues_are_sound(void)
{
    bool sound = true;
    for (unsigned i = 0; i < cpu_count_online(); i++) {
        struct run_queue *queue = &cpu_table[i]->queue;
        uint64_t flags = spin_lock_irqsave(&queue->lock);
        sound = run_queue_check(queue) && sound;
        spin_unlock_irqrestore(&queue->lock, flags);
    }
    return sound;
}

static void note_once(void *argument)
{
    note((uint32_t)(uintptr_t)argument);
    worker_ends();
}

/* Made ready in the wrong order while the CPU may not switch: idle, fair, two real-time levels. Then they end. covers: SC-02 SC-05 SC-25 */
void ktest_classes_run_in_strict_order(void)
{
    static const struct sched_params params[4] = {
        {.policy = SCHED_IDLE},
        {.policy = SCHED_FAIR, .nice = -20},
        {.policy = SCHED_RR, .level = 1},
        {.policy = SCHED_FIFO, .level = 2},
    };
    struct thread *threads[4];
    traced = 0;
    workers_begin();
    for (unsigned i = 0; i < 4; i++) {
        KEXPECT(thread_create(&threads[i], &params[i], note_once, (void *)(uintptr_t)i) == STATUS_OK);
    }
    KEXPECT(start_here(threads, 4) && workers_wait(4, LIMIT_NS));
    for (unsigned i = 0; i < 4; i++) {
        KEXPECT(trace[i] == 3 - i);
    }
    KEXPECT(queues_are_sound());
}

/* False when somebody else is ready, too. */
static bool yield_to_nobody(void)
{
    preempt_disable();
    uint64_t switches = thread_current()->switches;
    unsigned cpu = arch_cpu_id();
    bool alone = cpu_table[cpu]->queue.ready_count == 0;
    if (alone) {
        sched_yield();
    }
    uint64_t after = thread_current()->switches;
    preempt_enable();
    return alone && after == switches;
}

/* Nobody else is ready: a yield is no switch, and costs the thread nothing but time. covers: PR-08 */
void ktest_a_yield_to_nobody_stays_where_it_is(void)
{
    KEXPECT(ktest_undisturbed(yield_to_nobody));
}

static bool times_add_up;

/* Sleeps 200 times; true when the CPUs were idle for most of it. */
static bool idle_while_asleep(void)
{
    uint64_t idle_before = 0;
    uint64_t idle_after = 0;
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned cpu = 0; cpu < cpu_count_online(); cpu++) {
            struct sched_times times;
            sched_times_read(cpu_table[cpu], &times);
            times_add_up = times_add_up && times.idle_cycles + times.busy_cycles == times.elapsed_cycles;
            idle_before += round == 0 ? times.idle_cycles : 0;
            idle_after += round == 199 ? times.idle_cycles : 0;
        }
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(10000));
    }
    return idle_after >= idle_before + clock_cycles_from_ns(10000) * 190;
}

/* covers: ST-08 */
void ktest_idle_and_busy_time_add_up_on_every_cpu(void)
{
    times_add_up = true;
    KEXPECT(ktest_undisturbed(idle_while_asleep));
    KEXPECT(times_add_up);
}

static uint64_t cycles_used(void)
{
    struct sched_info info;
    sched_info_read(thread_current(), &info);
    return info.run_cycles;
}

/* Runs a while, then sleeps for longer. */
static bool only_running_is_charged(void)
{
    uint64_t span = clock_cycles_from_ns(1000000);
    uint64_t begin = clock_cycles();
    uint64_t used = cycles_used();
    while (clock_cycles() - begin < span) {
        arch_pause();
    }
    uint64_t spun = cycles_used() - used;
    uint64_t took = clock_cycles() - begin;
    begin = clock_cycles();
    used = cycles_used();
    sched_sleep_until(begin + 10 * span);
    return spun <= took && spun + span / 10 >= took && cycles_used() - used < span;
}

/* A thread's time is the time it has run: this one sleeps for most of it. covers: ST-07 */
void ktest_a_thread_s_time_is_what_it_ran(void)
{
    KEXPECT(ktest_undisturbed(only_running_is_charged));
}

#define RELAYS 200u

static struct thread *runners[2];
static uint32_t relays;

/* Hands the CPU to the other runner and waits for it to come back. */
static void relay(void *argument)
{
    unsigned own = (unsigned)(uintptr_t)argument;
    if (own == 1) { /* the second one waits for the first */
        sched_prepare_wait();
        (void)sched_block(CLOCK_NEVER);
    }
    while (__atomic_load_n(&relays, __ATOMIC_ACQUIRE) < RELAYS) {
        sched_prepare_wait();
        __atomic_add_fetch(&relays, 1, __ATOMIC_ACQ_REL);
        (void)sched_handoff(runners[1 - own], CLOCK_NEVER);
    }
    sched_wake(runners[1 - own]);
    worker_ends();
}

static bool run_relay(const struct sched_params *params, unsigned first, unsigned second)
{
    relays = 0;
    workers_begin();
    for (unsigned i = 0; i < 2; i++) {
        if (thread_create(&runners[i], params, relay, (void *)(uintptr_t)i) != STATUS_OK) {
            return false;
        }
    }
    sched_start_on(runners[1], second);
    while (__atomic_load_n(&runners[1]->state, __ATOMIC_ACQUIRE) != THREAD_WAITING) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(1000000));
    }
    sched_start_on(runners[0], first);
    return workers_wait(2, LIMIT_NS) && relays >= RELAYS;
}

static bool relayed; /* and nobody left their CPU */

static bool relay_without_other_switches(void)
{
    unsigned cpu = (arch_cpu_id() + 1) % cpu_count_online();
    uint64_t switches = cpu_table[cpu]->switches;
    relayed = relayed && run_relay(&sched_normal, cpu, cpu) && runners[0]->migrations == 0 &&
              runners[1]->migrations == 0;
    switches = cpu_table[cpu]->switches - switches;
    relayed = relayed && switches >= RELAYS;
    return cpu == arch_cpu_id() || switches < RELAYS + 40;
}

/* On one CPU each hand-over is one switch and touches no queue: nobody waits. covers: SC-32 (without messages) SC-11 */
void ktest_a_hand_over_switches_directly(void)
{
    relayed = true;
    KEXPECT(ktest_undisturbed(relay_without_other_switches));
    KEXPECT(relayed);
}

/* Pinned to different CPUs, or in a class that may not be handed over, it is a wake-up and a sleep. covers: SC-11 */
void ktest_a_hand_over_across_cpus_wakes(void)
{
    unsigned cpu = (arch_cpu_id() + 1) % cpu_count_online();
    KEXPECT(run_relay(&sched_normal, arch_cpu_id(), cpu));
    KEXPECT(run_relay(&sched_kernel, cpu, arch_cpu_id()));
    KEXPECT(run_relay(&sched_background, cpu, cpu));
    KEXPECT(runners[0]->migrations == 0 && runners[1]->migrations == 0);
}

static void spin_until_told(void *told)
{
    while (!__atomic_load_n((bool *)told, __ATOMIC_ACQUIRE)) {
        arch_pause();
    }
    worker_ends();
}

/* A thread that runs, one that waits and one that sleeps leave a CPU when their mask says so. covers: SC-20 SC-31 SC-25 */
void ktest_a_change_of_mask_or_class_moves_threads(void)
{
    static bool told;
    struct thread *threads[2];
    unsigned last = cpu_count_online() - 1;
    told = false;
    workers_begin();
    for (unsigned i = 0; i < 2; i++) {
        KEXPECT(thread_create(&threads[i], &sched_normal, spin_until_told, &told) == STATUS_OK);
        sched_start_on(threads[i], last);
    }
    sched_sleep_until(clock_cycles() + clock_cycles_from_ns(2000000));
    static const struct sched_params steps[] = {
        {.policy = SCHED_RR, .level = 4},
        {.policy = SCHED_IDLE},
        {.policy = SCHED_DEADLINE, .runtime_ns = 1000000, .deadline_ns = 10000000, .period_ns = 10000000},
        {.policy = SCHED_FAIR, .nice = 3},
    };
    for (unsigned step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
        for (unsigned i = 0; i < 2; i++) {
            KEXPECT(sched_set_params(threads[i], &steps[step]) == STATUS_OK);
        }
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(2000000));
        KEXPECT(queues_are_sound());
    }
    KEXPECT(cpu_table[last]->queue.deadline_bandwidth == 0);
    for (unsigned i = 0; i < 2; i++) {
        KEXPECT(sched_set_affinity(threads[i], 1) == STATUS_OK);
    }
    for (unsigned tries = 0; tries < 1000 && (threads[0]->cpu != 0 || threads[1]->cpu != 0); tries++) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(1000000));
    }
    KEXPECT(__atomic_load_n(&threads[0]->cpu, __ATOMIC_ACQUIRE) == 0);
    KEXPECT(__atomic_load_n(&threads[1]->cpu, __ATOMIC_ACQUIRE) == 0);
    told = true;
    KEXPECT(workers_wait(2, LIMIT_NS) && queues_are_sound());
}
