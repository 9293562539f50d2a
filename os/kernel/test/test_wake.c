/* Wakes: a thread is found by its state, a process by its number, wherever they are. */
#include "arch/arch.h"
#include "arch/x86_64/clock.h"
#include "proc/threads.h"
#include "sched/internal.h"
#include "sched/wait.h"
#include "test/ktest.h"
#include "test/workers.h"

#define LIMIT_NS 60000000000ull /* a busy host may let a processor stand still */

enum { QUEUED, ASLEEP, READY, RUNNING, NEW, KINDS };

static struct wait_queue queue = WAIT_QUEUE_INIT(queue, "test.wake");
static struct thread *threads[KINDS];
static uint32_t runs[KINDS]; /* how often its work was begun */
static uint32_t woken[KINDS];
static uint32_t stop;

static void note(uint32_t *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static void wait_in_queue(void *argument)
{
    struct waiter waiter;
    (void)argument;
    note(&runs[QUEUED]);
    wait_queue_join(&queue, &waiter);
    bool in_time = wait_queue_sleep(&waiter, WAIT_FOREVER);
    wait_queue_leave(&queue, &waiter);
    woken[QUEUED] += in_time;
}

static void wait_for_a_time(void *argument)
{
    (void)argument;
    note(&runs[ASLEEP]);
    sched_prepare_wait();
    woken[ASLEEP] += sched_block(clock_cycles() + clock_cycles_from_ns(100 * LIMIT_NS));
}

static void run_once(void *argument)
{
    (void)argument;
    note(&runs[READY]);
}

static void run_until_told(void *argument)
{
    (void)argument;
    note(&runs[RUNNING]);
    while (__atomic_load_n(&stop, __ATOMIC_ACQUIRE) == 0) {
        arch_pause();
    }
}

static bool comes_true(bool (*condition)(void))
{
    uint64_t end = clock_cycles() + clock_cycles_from_ns(LIMIT_NS);
    while (!condition() && clock_cycles() < end) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(100000));
    }
    return condition();
}

static bool is_state(unsigned kind, enum thread_state state)
{
    return __atomic_load_n(&threads[kind]->state, __ATOMIC_ACQUIRE) == state;
}

static unsigned other_cpu(void)
{
    return cpu_count_online() - 1;
}

/* On one CPU nothing else runs while the test does. */
static bool has_running(void)
{
    return cpu_count_online() > 1;
}

static bool all_there(void)
{
    return is_state(QUEUED, THREAD_WAITING) && is_state(ASLEEP, THREAD_WAITING) &&
           (!has_running() || is_state(RUNNING, THREAD_RUNNING));
}

static bool all_over(void)
{
    bool over = true;
    for (unsigned kind = 0; kind < NEW; kind++) {
        over &= is_state(kind, THREAD_DEAD) || (kind == RUNNING && !has_running());
    }
    return over;
}

/* Threads in each state, but for READY, which needs preemption off to last. The test itself keeps off the CPU of the one that
 * runs. */
static bool make_threads(void)
{
    static void (*const works[KINDS])(void *) = {wait_in_queue, wait_for_a_time, run_once, run_until_told,
                                                 run_once};
    stop = 0;
    if (sched_set_affinity(thread_current(), 1) != STATUS_OK) {
        return false;
    }
    for (unsigned kind = 0; kind < KINDS; kind++) {
        runs[kind] = 0;
        woken[kind] = 0;
        if (thread_create(&threads[kind], &sched_normal, works[kind], NULL) != STATUS_OK) {
            return false;
        }
    }
    sched_start_on(threads[QUEUED], other_cpu());
    sched_start_on(threads[ASLEEP], 0);
    if (has_running()) {
        sched_start_on(threads[RUNNING], other_cpu());
    }
    return comes_true(all_there);
}

/* Wakes them all while one of them is READY on this CPU: true when that one stayed what and where it was. */
static bool wake_with_a_ready_one(void (*wake_all)(void))
{
    preempt_disable();
    struct cpu *cpu = cpu_this();
    sched_start_on(threads[READY], cpu->id);
    wake_all();
    uint64_t flags = spin_lock_irqsave(&cpu->queue.lock);
    bool kept =
        is_state(READY, THREAD_READY) && threads[READY]->cpu == cpu->id && run_queue_check(&cpu->queue);
    spin_unlock_irqrestore(&cpu->queue.lock, flags);
    kept &= runs[READY] == 0 && is_state(NEW, THREAD_NEW);
    preempt_enable();
    return kept;
}

/* Each woken once, nobody begun twice, nothing left behind. */
static bool each_was_woken_as_it_should(void)
{
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    bool over = comes_true(all_over);
    over &= runs[QUEUED] == 1 && woken[QUEUED] == 1 && list_empty(&queue.waiters);
    over &= runs[ASLEEP] == 1 && woken[ASLEEP] == 1;
    over &= sched_set_affinity(thread_current(), AFFINITY_ALL) == STATUS_OK;
    over &= runs[READY] == 1 && runs[RUNNING] == (has_running() ? 1 : 0) && runs[NEW] == 0;
    thread_destroy_new(threads[NEW]);
    if (!has_running()) {
        thread_destroy_new(threads[RUNNING]);
    }
    return over;
}

static void wake_each(void)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        sched_wake(threads[kind]);
    }
}

/* In a wait queue, among the sleepers, in a run queue, on a CPU, nowhere yet. covers: SC-22 */
void ktest_a_wake_finds_a_thread_wherever_it_is(void)
{
    KEXPECT(make_threads());
    bool kept = wake_with_a_ready_one(wake_each);
    KEXPECT(each_was_woken_as_it_should() && kept);
}

static pid_t number;
static bool found;

/* The way of a kill: process table, its threads, their states. */
static void wake_process(void)
{
    struct process *process = process_get(number);
    found = process != NULL;
    if (found) {
        process_end_begin(process, 0);
        process_put(process);
    }
}

static struct process *make_process(struct process *parent)
{
    struct process *process = process_make();
    if (process != NULL) {
        uint64_t flags = spin_lock_irqsave(&process_tree_lock);
        process_link_locked(process, parent);
        for (unsigned kind = 0; kind < KINDS; kind++) {
            process_add_thread_locked(process, threads[kind]);
        }
        spin_unlock_irqrestore(&process_tree_lock, flags);
    }
    return process;
}

static void end_process(struct process *process)
{
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        process_remove_thread_locked(process, threads[kind]);
    }
    process_set_state(process, PROCESS_EXITING);
    process_set_state(process, PROCESS_ZOMBIE);
    process_reap_locked(process);
    spin_unlock_irqrestore(&process_tree_lock, flags);
    process_put(process);
}

/* covers: SC-22 */
void ktest_a_process_is_woken_by_its_number_wherever_its_threads_are(void)
{
    struct process *parent = process_make();
    KEXPECT(parent != NULL && make_threads());
    struct process *process = make_process(parent);
    KEXPECT(process != NULL);
    number = (pid_t){process->pid.number + 1};
    wake_process();
    bool nobody = !found && is_state(QUEUED, THREAD_WAITING) && is_state(ASLEEP, THREAD_WAITING);
    number = process->pid;
    bool kept = wake_with_a_ready_one(wake_process);
    bool told = found;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        told &= threads[kind]->ending;
    }
    end_process(process);
    process_unmake(parent);
    KEXPECT(each_was_woken_as_it_should() && nobody && kept && told);
}

/* ---- a thread on its way ---- */

enum step { AWAY, TO_BE_FOUND, LOOKED_FOR, FOUND };

static struct {
    struct thread *thread;
    uint32_t step;
    uint32_t cpu; /* where it was found */
} traveller;

static void end_at_once(void *unused)
{
    (void)unused;
    worker_ends();
}

static bool step_comes(uint32_t step)
{
    uint64_t end = clock_cycles() + clock_cycles_from_ns(LIMIT_NS);
    while (__atomic_load_n(&traveller.step, __ATOMIC_ACQUIRE) != step && clock_cycles() < end) {
        arch_pause();
    }
    return __atomic_load_n(&traveller.step, __ATOMIC_ACQUIRE) == step;
}

static void find_traveller(void *unused)
{
    (void)unused;
    uint64_t flags = arch_irq_save();
    if (step_comes(TO_BE_FOUND)) {
        __atomic_store_n(&traveller.step, LOOKED_FOR, __ATOMIC_RELEASE);
        struct cpu *cpu = sched_lock_owner(traveller.thread);
        traveller.cpu = cpu->id;
        __atomic_store_n(&traveller.step, FOUND, __ATOMIC_RELEASE);
        spin_unlock(&cpu->queue.lock);
    }
    arch_irq_restore(flags);
    worker_ends();
}

/* From this CPU to the last, and holds for a while where it is in no queue. True: nobody found it there. */
static bool travel_slowly(void)
{
    preempt_disable();
    uint64_t flags = arch_irq_save();
    struct cpu *cpu = cpu_this();
    traveller.thread->affinity = AFFINITY_ALL;
    spin_lock(&cpu->queue.lock);
    sched_detach(cpu, traveller.thread);
    spin_unlock(&cpu->queue.lock);
    __atomic_store_n(&traveller.step, TO_BE_FOUND, __ATOMIC_RELEASE);
    bool hidden = step_comes(LOOKED_FOR);
    uint64_t end = clock_cycles() + clock_cycles_from_ns(20000);
    while (clock_cycles() < end) {
        hidden &= __atomic_load_n(&traveller.step, __ATOMIC_ACQUIRE) == LOOKED_FOR;
    }
    sched_enqueue(traveller.thread, other_cpu(), RUN_MOVED, MOVE_FORCED);
    arch_irq_restore(flags);
    preempt_enable();
    return hidden;
}

/* Who looks for it between two queues must not act by the old one: it may run and wait elsewhere meanwhile. covers: SC-22 */
void ktest_a_thread_on_its_way_is_found_when_it_has_come(void)
{
    if (cpu_count_online() == 1) {
        return;
    }
    traveller.step = AWAY;
    workers_begin();
    KEXPECT(sched_set_affinity(thread_current(), 1) == STATUS_OK);
    KEXPECT(worker_make(find_traveller, &sched_kernel, other_cpu()) != NULL);
    KEXPECT(thread_create(&traveller.thread, &sched_normal, end_at_once, NULL) == STATUS_OK);
    preempt_disable();
    sched_start_on(traveller.thread, cpu_this()->id);
    bool hidden = travel_slowly();
    preempt_enable();
    KEXPECT(workers_wait(2, LIMIT_NS) && hidden && traveller.cpu == other_cpu());
    KEXPECT(sched_set_affinity(thread_current(), AFFINITY_ALL) == STATUS_OK);
}
