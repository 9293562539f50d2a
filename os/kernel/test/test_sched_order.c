/* Order of threads, edge cases of switching, time accounts. */
#include "arch/x86_64/clock.h"
#include "arch/x86_64/percpu.h"
#include "sched/sched.h"
#include "test/ktest.h"

#define TRACE_MAX 64u
#define ROUNDS    5u

static uint32_t trace[TRACE_MAX];
static uint32_t traced;
static uint32_t ended;

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
    __atomic_add_fetch(&ended, 1, __ATOMIC_RELEASE);
}

static bool wait_for_ends(uint32_t number)
{
    uint64_t limit = clock_cycles() + clock_cycles_from_ns(5000000000ull);
    while (__atomic_load_n(&ended, __ATOMIC_ACQUIRE) < number && clock_cycles() < limit) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(100000));
    }
    return __atomic_load_n(&ended, __ATOMIC_ACQUIRE) == number;
}

/* Threads of one level on this CPU take turns in the order in which they came. covers: SC-01 SC-10 PR-08 */
void ktest_threads_of_one_level_take_turns(void)
{
    struct thread *threads[3];
    traced = 0;
    ended = 0;
    for (unsigned i = 0; i < 3; i++) {
        KEXPECT(thread_create(&threads[i], &sched_kernel, note_and_yield, (void *)(uintptr_t)i) == STATUS_OK);
    }
    preempt_disable();
    for (unsigned i = 0; i < 3; i++) {
        sched_start_on(threads[i], arch_cpu_id());
    }
    preempt_enable();
    KEXPECT(wait_for_ends(3));
    KEXPECT(traced == 3 * ROUNDS);
    for (unsigned i = 0; i < 3 * ROUNDS; i++) {
        KEXPECT(trace[i] == i % 3);
    }
}

static void note_once(void *argument)
{
    note((uint32_t)(uintptr_t)argument);
    __atomic_add_fetch(&ended, 1, __ATOMIC_RELEASE);
}

/* Made ready in the wrong order while the CPU may not switch: idle, fair, two real-time levels. covers: SC-02 SC-05 */
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
    ended = 0;
    for (unsigned i = 0; i < 4; i++) {
        KEXPECT(thread_create(&threads[i], &params[i], note_once, (void *)(uintptr_t)i) == STATUS_OK);
    }
    preempt_disable();
    for (unsigned i = 0; i < 4; i++) {
        sched_start_on(threads[i], arch_cpu_id());
    }
    preempt_enable();
    KEXPECT(wait_for_ends(4));
    for (unsigned i = 0; i < 4; i++) {
        KEXPECT(trace[i] == 3 - i);
    }
}

/* Nobody else is ready: a yield is no switch, and costs the thread nothing but time. covers: PR-08 */
void ktest_a_yield_to_nobody_stays_where_it_is(void)
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
    KEXPECT(alone && after == switches);
}

/* covers: ST-08 */
void ktest_idle_and_busy_time_add_up_on_every_cpu(void)
{
    uint64_t idle_before = 0;
    uint64_t idle_after = 0;
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned cpu = 0; cpu < cpu_count_online(); cpu++) {
            struct sched_times times;
            sched_times_read(cpu_table[cpu], &times);
            KEXPECT(times.idle_cycles + times.busy_cycles == times.elapsed_cycles);
            idle_before += round == 0 ? times.idle_cycles : 0;
            idle_after += round == 199 ? times.idle_cycles : 0;
        }
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(10000));
    }
    KEXPECT(idle_after >= idle_before + clock_cycles_from_ns(10000) * 190);
}

/* A thread's time is the time it has run: this one sleeps for most of it. covers: ST-07 */
void ktest_a_thread_s_time_is_what_it_ran(void)
{
    uint64_t span = clock_cycles_from_ns(1000000);
    uint64_t begin = clock_cycles();
    uint64_t used = sched_thread_cycles(thread_current());
    while (clock_cycles() - begin < span) {
        arch_pause();
    }
    uint64_t spun = sched_thread_cycles(thread_current()) - used;
    uint64_t took = clock_cycles() - begin;
    KEXPECT(spun <= took && spun + span / 10 >= took);
    begin = clock_cycles();
    used = sched_thread_cycles(thread_current());
    sched_sleep_until(begin + 10 * span);
    KEXPECT(sched_thread_cycles(thread_current()) - used < span);
}
