/*
 * What belongs together: a CPU and its instance of the scheduler, which it uses without any other lock; the threads that the
 * scheduler has and those that processes have.
 */
#include "arch/x86_64/clock.h"
#include "arch/x86_64/percpu.h"
#include "proc/process.h"
#include "sched/internal.h"
#include "test/ktest.h"
#include "test/lockdep.h"
#include "test/workers.h"

#define YIELDS    50u
#define PROCESSES 3u
#define THREADS   12u
#define LOOKS     200u
#define LIMIT_NS  10000000000ull

static bool enough;

/* ---- one instance a CPU ---- */

static struct {
    struct run_queue *queue;
    struct thread *idle;
    struct thread *current;
    uint32_t cpu; /* that the running thread's record names */
} seen[ARCH_MAX_CPUS];

static void note_instance(void *unused)
{
    (void)unused;
    uint64_t flags = arch_irq_save();
    struct cpu *cpu = cpu_this();
    seen[cpu->id].queue = &cpu->queue;
    seen[cpu->id].idle = cpu->idle;
    seen[cpu->id].current = cpu->current;
    seen[cpu->id].cpu = thread_current() == cpu->current ? cpu->current->cpu : ARCH_MAX_CPUS;
    arch_irq_restore(flags);
    worker_ends();
}

/* The scheduler that a CPU finds as its own is its own: there is no other for all. covers: SC-03 */
void ktest_each_cpu_has_a_scheduler_of_its_own(void)
{
    unsigned count = cpu_count_online();
    workers_begin();
    for (unsigned id = 0; id < count; id++) {
        seen[id].queue = NULL;
        KEXPECT(worker_make(note_instance, &sched_normal, id) != NULL);
    }
    KEXPECT(workers_wait(count, LIMIT_NS));
    for (unsigned id = 0; id < count; id++) {
        KEXPECT(seen[id].queue == &cpu_table[id]->queue && seen[id].cpu == id);
        KEXPECT(seen[id].idle == cpu_table[id]->idle && seen[id].current != seen[id].idle);
        for (unsigned other = 0; other < id; other++) {
            KEXPECT(seen[id].queue != seen[other].queue && seen[id].idle != seen[other].idle);
        }
    }
}

static struct {
    uint32_t taken;
    uint32_t others;
    uint32_t switches;
    bool over;
} trace;

static void yield_until_over(void *unused)
{
    (void)unused;
    while (!__atomic_load_n(&trace.over, __ATOMIC_ACQUIRE)) {
        sched_yield();
    }
    worker_ends();
}

/* Each yield here is a decision and a switch to the other one. */
static void yield_and_trace(void *unused)
{
    (void)unused;
    sched_yield(); /* until the other one has started */
    uint64_t before = thread_current()->switches;
    lockdep_trace(&cpu_this()->queue.lock);
    for (unsigned i = 0; i < YIELDS; i++) {
        sched_yield();
    }
    lockdep_traced(&trace.taken, &trace.others);
    trace.switches = (uint32_t)(thread_current()->switches - before);
    __atomic_store_n(&trace.over, true, __ATOMIC_RELEASE);
    worker_ends();
}

/* False when something else ran there, too, and took locks of its own. */
static bool decisions_take_one_lock(void)
{
    unsigned cpu = cpu_count_online() - 1;
    workers_begin();
    trace.over = false;
    return worker_make(yield_until_over, &sched_normal, cpu) != NULL &&
           worker_make(yield_and_trace, &sched_normal, cpu) != NULL && workers_wait(2, LIMIT_NS) &&
           trace.others == 0 && trace.taken >= YIELDS && trace.switches >= YIELDS;
}

/* All locks that a CPU takes while two of its threads take turns are that of its own queue. covers: SC-03 */
void ktest_a_local_decision_takes_the_lock_of_its_own_queue_only(void)
{
    KEXPECT(ktest_undisturbed(decisions_take_one_lock));
}

/* ---- threads and processes ---- */

static struct process *processes[PROCESSES];

/* The tree is locked. */
static bool is_listed(const struct process *process, const struct thread *thread)
{
    bool found = false;
    list_for_each(node, &process->threads)
    {
        found |= node == &thread->process_node;
    }
    return found;
}

/* A thread that the scheduler has. Tree and queue are locked. */
static bool leads_back(const struct cpu *cpu, const struct thread *thread)
{
    return thread->cpu == cpu->id && (thread->process == NULL || is_listed(thread->process, thread));
}

static bool all_of_list(const struct cpu *cpu, const struct list *level)
{
    bool good = true;
    list_for_each(node, level)
    {
        good &= leads_back(cpu, sched_thread_of(list_entry(node, struct sched_entity, level_node)));
    }
    return good;
}

static bool all_of_tree(const struct cpu *cpu, const struct tree *tree)
{
    bool good = true;
    for (struct tree_node *node = tree_first(tree); node != NULL; node = tree_next(node)) {
        good &= leads_back(cpu, sched_thread_of(tree_entry(node, struct sched_entity, node)));
    }
    return good;
}

/* From the scheduler: whoever runs, is ready or sleeps. The tree is locked. */
static bool scheduler_leads_to_processes(struct cpu *cpu)
{
    uint64_t flags = spin_lock_irqsave(&cpu->queue.lock);
    const struct run_queue *queue = &cpu->queue;
    bool good = leads_back(cpu, cpu->current) && all_of_tree(cpu, &queue->fair_ready) &&
                all_of_tree(cpu, &queue->deadline_ready) && all_of_tree(cpu, &queue->deadline_exhausted) &&
                all_of_list(cpu, &queue->idle_ready);
    for (unsigned level = 0; level < SCHED_LEVELS; level++) {
        good &= all_of_list(cpu, &queue->levels[level]);
    }
    for (struct tree_node *node = tree_first(&queue->sleepers); node != NULL; node = tree_next(node)) {
        good &= leads_back(cpu, tree_entry(node, struct thread, sleep_node));
    }
    spin_unlock_irqrestore(&cpu->queue.lock, flags);
    return good;
}

static bool has_node(const struct tree *tree, const struct tree_node *wanted)
{
    struct tree_node *node = tree_first(tree);
    while (node != NULL && node != wanted) {
        node = tree_next(node);
    }
    return node != NULL;
}

/* From a process: the scheduler has the thread where its state says. The tree is locked. */
static bool is_where_it_says(struct thread *thread)
{
    if (__atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) == THREAD_NEW) {
        return true;
    }
    uint64_t flags = arch_irq_save();
    struct cpu *cpu = sched_lock_owner(thread);
    bool good = thread->sched.queued == (thread->state == THREAD_READY) && thread->state != THREAD_DEAD;
    good &= thread->state != THREAD_RUNNING || cpu->current == thread;
    good &= thread->state != THREAD_READY || has_node(&cpu->queue.fair_ready, &thread->sched.node);
    good &= thread->on_sleepers == has_node(&cpu->queue.sleepers, &thread->sleep_node);
    spin_unlock(&cpu->queue.lock);
    arch_irq_restore(flags);
    return good;
}

static bool processes_lead_to_the_scheduler(const struct process *process)
{
    bool good = true;
    uint32_t count = 0;
    list_for_each(node, &process->threads)
    {
        struct thread *thread = list_entry(node, struct thread, process_node);
        good &= thread->process == process && is_where_it_says(thread);
        count++;
    }
    return good && count == process->thread_count &&
           (process->main_thread == NULL || is_listed(process, process->main_thread));
}

/* The checker: every link, in both directions. */
static bool links_are_sound_locked(void)
{
    bool good = true;
    for (unsigned i = 0; i < PROCESSES; i++) {
        good &= processes_lead_to_the_scheduler(processes[i]);
    }
    for (unsigned id = 0; id < cpu_count_online(); id++) {
        good &= scheduler_leads_to_processes(cpu_table[id]);
    }
    return good;
}

static bool links_are_sound(void)
{
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    bool good = links_are_sound_locked();
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return good;
}

/* Ready, running, asleep, and at last in no process, as a thread that ends. */
static void live(void *unused)
{
    struct thread *self = thread_current();
    (void)unused;
    arch_irq_enable(); /* threads of processes start with interrupts off */
    for (unsigned i = 0; !__atomic_load_n(&enough, __ATOMIC_ACQUIRE); i++) {
        if (i % 3 == 0) {
            sched_sleep_until(clock_cycles() + clock_cycles_from_ns(20000));
        } else {
            sched_yield();
        }
    }
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    process_remove_thread_locked(self->process, self);
    self->process = NULL;
    spin_unlock_irqrestore(&process_tree_lock, flags);
    worker_ends();
}

/* Threads of all processes, not started. */
static bool make_threads(struct thread **threads)
{
    bool made = true;
    for (unsigned i = 0; i < PROCESSES; i++) {
        processes[i] = process_make();
        made &= processes[i] != NULL;
    }
    for (unsigned i = 0; made && i < THREADS; i++) {
        made = thread_create(&threads[i], &sched_normal, live, NULL) == STATUS_OK;
        if (made) {
            uint64_t flags = spin_lock_irqsave(&process_tree_lock);
            threads[i]->process = processes[i % PROCESSES];
            process_add_thread_locked(processes[i % PROCESSES], threads[i]);
            spin_unlock_irqrestore(&process_tree_lock, flags);
        }
    }
    return made;
}

/* A thread that names another process, that is counted and not listed, that is listed and not counted: all are found. */
static bool planted_faults_are_found(struct thread *thread)
{
    struct process *right = thread->process;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    thread->process = right == processes[0] ? processes[1] : processes[0];
    bool found = !links_are_sound_locked();
    thread->process = right;
    list_remove(&thread->process_node);
    found &= !links_are_sound_locked();
    list_push_back(&right->threads, &thread->process_node);
    right->thread_count--;
    found &= !links_are_sound_locked();
    right->thread_count++;
    bool good = links_are_sound_locked();
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return found && good;
}

/* Of which the process knows nothing: found by what the scheduler has, unless the thread is between two places there. */
static bool unlisted_thread_is_found(struct thread *thread)
{
    bool found = false;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    struct process *process = thread->process;
    if (process != NULL) {
        list_remove(&thread->process_node);
        process->thread_count--;
        found = !links_are_sound_locked();
        process->thread_count++;
        list_push_back(&process->threads, &thread->process_node);
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return found;
}

/* covers: SC-27 */
void ktest_threads_of_scheduler_and_processes_lead_to_each_other(void)
{
    struct thread *threads[THREADS];
    workers_begin();
    KEXPECT(make_threads(threads) && links_are_sound());
    bool sound = planted_faults_are_found(threads[0]);
    uint32_t unlisted = 0;
    enough = false;
    for (unsigned i = 0; i < THREADS; i++) {
        sched_start(threads[i]);
        sound &= links_are_sound();
    }
    /* a slow host may need more */
    for (unsigned look = 0; look < LOOKS || (unlisted <= LOOKS / 10 && look < 100 * LOOKS); look++) {
        sound &= links_are_sound();
        unlisted += unlisted_thread_is_found(threads[look % THREADS]);
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(5000));
    }
    __atomic_store_n(&enough, true, __ATOMIC_RELEASE);
    KEXPECT(workers_wait(THREADS, LIMIT_NS) && links_are_sound());
    for (unsigned i = 0; i < PROCESSES; i++) {
        sound &= processes[i]->thread_count == 0;
        process_unmake(processes[i]);
    }
    KEXPECT(sound);
    KEXPECT(unlisted > LOOKS / 10);
}
