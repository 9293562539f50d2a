/* CPU hotplug: the state machine with steps of its own, then real CPUs. With one CPU there is none to take away. */
#include "arch/x86_64/clock.h"
#include "arch/x86_64/percpu.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include "sched/sched.h"
#include "smp/hotplug.h"
#include "smp/ipi.h"
#include "test/ktest.h"

#define CYCLES 100u

/* ---- the machine ---- */

static char journal[32];
static unsigned journal_length;
static char fails; /* the step of this letter */

static status_t note(char what)
{
    journal[journal_length++] = what;
    return what == fails ? STATUS_ERR_TIMEOUT : STATUS_OK;
}

static status_t up_a(struct cpu *cpu)
{
    (void)cpu;
    return note('a');
}

static status_t up_b(struct cpu *cpu)
{
    (void)cpu;
    return note('b');
}

static status_t up_c(struct cpu *cpu)
{
    (void)cpu;
    return note('c');
}

static status_t down_a(struct cpu *cpu)
{
    (void)cpu;
    return note('A');
}

static status_t down_b(struct cpu *cpu)
{
    (void)cpu;
    return note('B');
}

static status_t down_c(struct cpu *cpu)
{
    (void)cpu;
    return note('C');
}

static const struct hotplug_step walk[] = {
    {"a", up_a, down_a}, {"none", NULL, NULL}, {"b", up_b, down_b}, {"c", up_c, down_c}};

static bool walks(bool up, char failing, const char *wanted)
{
    journal_length = 0;
    fails = failing;
    status_t status = hotplug_walk(walk, sizeof(walk) / sizeof(walk[0]), up, NULL);
    unsigned length = 0;
    while (wanted[length] != '\0') {
        length++;
    }
    bool same = length == journal_length && status == (failing == '\0' ? STATUS_OK : STATUS_ERR_TIMEOUT);
    for (unsigned i = 0; i < length && same; i++) {
        same = wanted[i] == journal[i];
    }
    return same;
}

/* Every place a failure can be in, up and down. covers: SM-04 (steps undone) */
void ktest_a_failing_step_undoes_the_others(void)
{
    KEXPECT(walks(true, '\0', "abc"));
    KEXPECT(walks(false, '\0', "CBA"));
    KEXPECT(walks(true, 'a', "a"));
    KEXPECT(walks(true, 'b', "abA"));
    KEXPECT(walks(true, 'c', "abcBA"));
    KEXPECT(walks(false, 'C', "C"));
    KEXPECT(walks(false, 'B', "CBc"));
    KEXPECT(walks(false, 'A', "CBAbc"));
}

/* ---- real CPUs ---- */

static unsigned coming;

static bool it_comes(void)
{
    return cpu_up(coming) == STATUS_OK;
}

/* The kernel gives a CPU up that takes longer than 100 ms to start. */
static bool bring_up(unsigned cpu)
{
    coming = cpu;
    return ktest_undisturbed(it_comes);
}

/* covers: SM-06 (refusals) */
void ktest_some_cpus_do_not_go(void)
{
    KEXPECT(cpu_down(0) == STATUS_ERR_RESERVED);
    KEXPECT(cpu_up(0) == STATUS_ERR_RESERVED);
    KEXPECT(cpu_down(cpu_count_present()) == STATUS_ERR_RANGE);
    if (cpu_count_online() < 2) {
        return;
    }
    KEXPECT(cpu_up(1) == STATUS_ERR_STATE);
    KEXPECT(cpu_down(1) == STATUS_OK);
    KEXPECT(cpu_down(1) == STATUS_ERR_STATE);
    KEXPECT((cpu_online_mask() & 2) == 0 && cpu_count_online() == cpu_count_present() - 1);
    KEXPECT(bring_up(1));
    KEXPECT((cpu_online_mask() & 2) != 0 && cpu_count_online() == cpu_count_present());
}

static bool told;
static uint32_t started;
static uint32_t running;
static uint32_t woken;

static void spin_until_told(void *argument)
{
    (void)argument;
    __atomic_add_fetch(&running, 1, __ATOMIC_RELEASE);
    __atomic_add_fetch(&started, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&told, __ATOMIC_ACQUIRE)) {
        arch_pause();
    }
    __atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
}

static void sleep_a_while(void *argument)
{
    (void)argument;
    __atomic_add_fetch(&running, 1, __ATOMIC_RELEASE);
    __atomic_add_fetch(&started, 1, __ATOMIC_RELEASE);
    sched_sleep_until(clock_cycles() + clock_cycles_from_ns(20000000));
    __atomic_add_fetch(&woken, 1, __ATOMIC_RELEASE);
    __atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
}

static bool wait_for(const uint32_t *word, uint32_t value)
{
    uint64_t end = clock_cycles() + clock_cycles_from_ns(60000000000ull);
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value && clock_cycles() < end) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(100000));
    }
    return __atomic_load_n(word, __ATOMIC_ACQUIRE) == value;
}

/* One thread runs, one waits, one sleeps on the CPU that goes, and all are pinned to it. covers: SM-04 SC-20 (after
 * hotplug) */
void ktest_no_thread_is_lost_with_its_cpu(void)
{
    if (cpu_count_online() < 2) {
        return;
    }
    struct thread *threads[3];
    unsigned last = cpu_count_present() - 1;
    told = false;
    running = 0;
    started = 0;
    woken = 0;
    for (unsigned i = 0; i < 3; i++) {
        KEXPECT(thread_create(&threads[i], &sched_normal, i == 2 ? sleep_a_while : spin_until_told, NULL) ==
                STATUS_OK);
        sched_start_on(threads[i], last);
    }
    KEXPECT(wait_for(&started, 3));
    KEXPECT(cpu_down(last) == STATUS_OK);
    KEXPECT(cpu_table[last]->queue.ready_count == 0 && tree_empty(&cpu_table[last]->queue.sleepers));
    uint64_t switches = cpu_table[last]->switches;
    bool asleep =
        __atomic_load_n(&woken, __ATOMIC_ACQUIRE) == 0; /* a slow machine takes longer than it sleeps */
    KEXPECT(wait_for(&woken, 1));
    KEXPECT(threads[0]->cpu != last && threads[1]->cpu != last);
    KEXPECT(!asleep || threads[2]->cpu != last);
    KEXPECT(cpu_table[last]->switches == switches); /* nothing has touched it */
    KEXPECT(bring_up(last));
    told = true;
    KEXPECT(wait_for(&running, 0));
}

/* A promise keeps the CPU; nothing has changed then. covers: SM-04 (a step that fails) */
void ktest_a_promised_deadline_keeps_its_cpu(void)
{
    static const struct sched_params params = {
        .policy = SCHED_DEADLINE, .runtime_ns = 1000000, .deadline_ns = 20000000, .period_ns = 20000000};
    if (cpu_count_online() < 2) {
        return;
    }
    struct thread *thread;
    told = false;
    running = 0;
    started = 0;
    KEXPECT(thread_create(&thread, &sched_normal, spin_until_told, NULL) == STATUS_OK);
    sched_start_on(thread, 1);
    KEXPECT(wait_for(&running, 1));
    KEXPECT(sched_set_params(thread, &params) == STATUS_OK);
    KEXPECT(cpu_down(1) == STATUS_ERR_BUSY);
    KEXPECT(!cpu_table[1]->draining && (cpu_online_mask() & 2) != 0 && thread->cpu == 1);
    KEXPECT(sched_set_params(thread, &sched_normal) == STATUS_OK);
    KEXPECT(cpu_down(1) == STATUS_OK && bring_up(1));
    told = true;
    KEXPECT(wait_for(&running, 0));
}

static void drain_here(void *argument)
{
    (void)argument;
    slab_drain_cpu(arch_cpu_id());
}

/* Free frames when no CPU keeps anything back in its slab fronts. */
static uint64_t frames_at_rest(void)
{
    preempt_disable();
    drain_here(NULL);
    ipi_call_others(drain_here, NULL);
    preempt_enable();
    return frame_free_count();
}

/* Each CPU but the first goes and comes in turn; one that was given up on is started first. */
static bool cycles_keep_every_frame(void)
{
    unsigned cpus = cpu_count_present();
    for (unsigned cpu = 1; cpu < cpus; cpu++) {
        if ((cpu_online_mask() & 1ull << cpu) == 0 && !bring_up(cpu)) {
            return false;
        }
    }
    uint64_t before = frames_at_rest();
    for (unsigned cycle = 0; cycle < CYCLES && cpus > 1; cycle++) {
        unsigned cpu = 1 + cycle % (cpus - 1);
        if (cpu_down(cpu) != STATUS_OK || cpu_up(cpu) != STATUS_OK) {
            return false;
        }
    }
    return frames_at_rest() == before;
}

/* While a thread spins everywhere: tasks move, nothing is kept. covers: SM-03 SM-05 SC-13 */
void ktest_a_hundred_cycles_of_hotplug_keep_every_frame(void)
{
    struct thread *thread;
    told = false;
    running = 0;
    started = 0;
    KEXPECT(thread_create(&thread, &sched_background, spin_until_told, NULL) == STATUS_OK);
    sched_start(thread);
    KEXPECT(wait_for(&running, 1));
    KEXPECT(ktest_undisturbed(cycles_keep_every_frame));
    told = true;
    KEXPECT(wait_for(&running, 0));
}
