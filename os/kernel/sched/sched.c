/*
 * The scheduler core. Who may do what: a thread's state and queue membership change under the lock of the run
 * queue of thread->cpu. That lock is held from the decision to switch until the next thread has taken over
 * (thread_switched), so nobody can put a thread on another CPU whose registers are not saved yet.
 */
#include "sched/sched.h"

#include "arch/x86_64/clock.h"
#include "arch/x86_64/pcid.h"
#include "arch/x86_64/switch.h"
#include "mm/slab.h"
#include "panic.h"
#include "sched/reaper.h"
#include "smp/ipi.h"

static bool preemption_enabled;

static uint64_t quantum_cycles(void)
{
    return clock_cycles_from_ns(SCHED_QUANTUM_NS);
}

static uint64_t tick_cycles(void)
{
    return clock_cycles_from_ns(SCHED_TICK_NS);
}

/* ---- timer ---- */

static uint64_t first_deadline(const struct cpu *cpu)
{
    uint64_t deadline = cpu->tick_deadline;
    if (cpu->quantum_deadline < deadline) {
        deadline = cpu->quantum_deadline;
    }
    if (!list_empty(&cpu->queue.sleepers)) {
        uint64_t wake = list_entry(cpu->queue.sleepers.next, struct thread, sleep_node)->wake_deadline;
        deadline = wake < deadline ? wake : deadline;
    }
    return deadline;
}

/* Arms the timer for what is due first. An earlier one than needed is left alone unless `exact`. Lock held.
 */
static void timer_update(struct cpu *cpu, bool exact)
{
    uint64_t deadline = first_deadline(cpu);
    if (deadline < cpu->armed_deadline || (exact && deadline != cpu->armed_deadline)) {
        cpu->armed_deadline = deadline;
        clock_arm(deadline);
    }
}

static void tick_stop(struct cpu *cpu)
{
    cpu->idle_since = clock_cycles();
    cpu->tick_deadline = CLOCK_NEVER;
    cpu->quantum_deadline = CLOCK_NEVER;
}

/* The tick keeps its phase over idle time: always a multiple of its period. */
static void tick_start(struct cpu *cpu, uint64_t now)
{
    cpu->idle_cycles += now - cpu->idle_since;
    cpu->tick_deadline = now - now % tick_cycles() + tick_cycles();
}

/* ---- switching ---- */

/* What the next thread does first: releases the queue of this CPU and buries the thread that was left. */
static void thread_switched(void)
{
    struct cpu *cpu = cpu_this();
    struct thread *from = cpu->queue.switched_from;
    cpu->queue.switched_from = NULL;
    bool dead = from != NULL && from->state == THREAD_DEAD;
    spin_unlock(&cpu->queue.lock);
    if (dead) {
        reaper_add(from);
        if (cpu->ends % 2 != 0) {
            __atomic_add_fetch(&cpu->ends, 1, __ATOMIC_SEQ_CST);
        }
    }
}

void thread_started(void)
{
    thread_switched();
    if (thread_current()->process == NULL) {
        arch_irq_enable();
    }
}

/* Switches to the best ready thread. Queue lock held, interrupts off; the lock is released when this returns.
 */
static void switch_away(struct cpu *cpu)
{
    struct thread *from = cpu->current;
    struct thread *to = run_queue_pop(&cpu->queue);
    from->need_resched = false;
    if (to == NULL) {
        if (from->state == THREAD_RUNNING) {
            spin_unlock(&cpu->queue.lock);
            return;
        }
        to = cpu->idle;
    }
    if (to == from) {
        thread_set_state(to, THREAD_RUNNING);
        spin_unlock(&cpu->queue.lock);
        return;
    }
    uint64_t now = clock_cycles();
    from->cycles_used += now - from->cycles_since;
    to->cycles_since = now;
    if (from->is_idle) {
        tick_start(cpu, now);
    }
    if (to->is_idle) {
        tick_stop(cpu);
    } else {
        cpu->quantum_deadline = now + quantum_cycles();
    }
    thread_set_state(to, THREAD_RUNNING);
    timer_update(cpu, to->is_idle);
    cpu->switches++;
    cpu->queue.switched_from = from;
    arch_thread_switch(cpu, from, to);
    thread_switched();
}

/* The current thread stays ready: back of its level. Queue lock held. */
static void requeue_current(struct cpu *cpu)
{
    struct thread *thread = cpu->current;
    thread_set_state(thread, THREAD_READY);
    if (!thread->is_idle) {
        run_queue_push(&cpu->queue, thread);
    }
}

static bool better_ready(const struct cpu *cpu)
{
    const struct thread *thread = cpu->current;
    return cpu->queue.ready_mask != 0 && (thread->is_idle || run_queue_has(&cpu->queue, thread->priority));
}

static void reschedule(struct cpu *cpu)
{
    spin_lock(&cpu->queue.lock);
    cpu->current->need_resched = false;
    if (!better_ready(cpu)) {
        spin_unlock(&cpu->queue.lock);
        return;
    }
    requeue_current(cpu);
    switch_away(cpu);
}

void sched_yield(void)
{
    uint64_t flags = arch_irq_save();
    reschedule(cpu_this());
    arch_irq_restore(flags);
}

void sched_preempt_from_interrupt(void)
{
    struct cpu *cpu = cpu_this();
    struct thread *thread = cpu->current;
    if (thread != NULL && thread->need_resched && thread->preempt_disable == 0 && cpu->irq_depth == 0 &&
        preemption_enabled) {
        reschedule(cpu);
    }
}

void preempt_disable(void)
{
    thread_current()->preempt_disable++;
    __asm__ volatile("" : : : "memory");
}

void preempt_enable(void)
{
    struct thread *thread = thread_current();
    __asm__ volatile("" : : : "memory");
    if (thread->preempt_disable == 0) {
        panic("preempt_enable without preempt_disable");
    }
    if (--thread->preempt_disable == 0 && thread->need_resched && arch_irq_enabled()) {
        sched_yield();
    }
}

void sched_switch_if_needed(void)
{
    struct thread *thread = thread_current();
    if (thread->need_resched && thread->preempt_disable == 0 && arch_irq_enabled()) {
        sched_yield();
    }
}

void sched_enable_preemption(void)
{
    if (thread_current() == NULL || slab_cache_of(thread_current()) == NULL) {
        panic("preemption enabled before heap and threads");
    }
    preemption_enabled = true;
}

/* ---- waiting ---- */

static struct run_queue *own_queue_lock(void)
{
    struct run_queue *queue = &cpu_this()->queue;
    spin_lock(&queue->lock);
    return queue;
}

void sched_prepare_wait(void)
{
    struct thread *thread = thread_current();
    uint64_t flags = arch_irq_save();
    preempt_disable();
    struct run_queue *queue = own_queue_lock();
    thread->wait_prepared = true;
    thread->timed_out = false;
    thread_set_state(thread, THREAD_WAITING);
    spin_unlock(&queue->lock);
    arch_irq_restore(flags);
}

void sched_cancel_wait(void)
{
    struct thread *thread = thread_current();
    if (!thread->wait_prepared) {
        return;
    }
    uint64_t flags = arch_irq_save();
    struct run_queue *queue = own_queue_lock();
    if (thread->state == THREAD_WAITING) {
        thread_set_state(thread, THREAD_RUNNING);
    }
    thread->wait_prepared = false;
    spin_unlock(&queue->lock);
    arch_irq_restore(flags);
    preempt_enable();
}

bool sched_block(uint64_t deadline_cycles)
{
    struct thread *thread = thread_current();
    uint64_t flags = arch_irq_save();
    struct cpu *cpu = cpu_this();
    spin_lock(&cpu->queue.lock);
    thread->wait_prepared = false;
    thread->preempt_disable--;
    if (thread->state != THREAD_WAITING) { /* woken between prepare and here */
        spin_unlock(&cpu->queue.lock);
    } else {
        if (deadline_cycles != CLOCK_NEVER) {
            thread->wake_deadline = deadline_cycles;
            run_queue_sleep(&cpu->queue, thread);
            timer_update(cpu, false);
        }
        switch_away(cpu);
    }
    arch_irq_restore(flags);
    sched_switch_if_needed();
    return !thread->timed_out;
}

void sched_sleep_until(uint64_t deadline_cycles)
{
    while (clock_cycles() < deadline_cycles) {
        sched_prepare_wait();
        sched_block(deadline_cycles);
    }
}

/* ---- waking and placing ---- */

static bool cpu_looks_idle(const struct cpu *cpu)
{
    return __atomic_load_n(&cpu->current, __ATOMIC_RELAXED) == cpu->idle &&
           __atomic_load_n(&cpu->queue.ready_count, __ATOMIC_RELAXED) == 0;
}

static uint32_t cpu_load(const struct cpu *cpu)
{
    return __atomic_load_n(&cpu->queue.ready_count, __ATOMIC_RELAXED) +
           (__atomic_load_n(&cpu->current, __ATOMIC_RELAXED) != cpu->idle);
}

static bool cpu_is_online(const struct cpu *cpu)
{
    return cpu != NULL && __atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) == CPU_STATE_ONLINE;
}

/* The CPU the thread ran on, or an idle one if that is busy. Bound: O(CPUs). */
static unsigned wake_target(unsigned last)
{
    if (cpu_looks_idle(cpu_table[last])) {
        return last;
    }
    for (unsigned i = 1; i < cpu_count_present(); i++) {
        unsigned id = (last + i) % cpu_count_present();
        if (cpu_is_online(cpu_table[id]) && cpu_looks_idle(cpu_table[id])) {
            return id;
        }
    }
    return last;
}

static unsigned least_loaded(void)
{
    unsigned best = arch_cpu_id();
    uint32_t best_load = cpu_load(cpu_table[best]);
    for (unsigned i = 1; i < cpu_count_present() && best_load != 0; i++) {
        unsigned id = (arch_cpu_id() + i) % cpu_count_present();
        if (cpu_is_online(cpu_table[id]) && cpu_load(cpu_table[id]) < best_load) {
            best = id;
            best_load = cpu_load(cpu_table[id]);
        }
    }
    return best;
}

/* Puts a NEW or WAKING thread on thread->cpu and tells that CPU when it should look. Interrupts off. */
static void enqueue(struct thread *thread)
{
    struct cpu *cpu = cpu_table[thread->cpu];
    spin_lock(&cpu->queue.lock);
    thread_set_state(thread, THREAD_READY);
    run_queue_push(&cpu->queue, thread);
    struct thread *running = cpu->current;
    bool urgent = running->is_idle || thread->priority < running->priority;
    if (urgent) {
        running->need_resched = true;
    }
    spin_unlock(&cpu->queue.lock);
    if (urgent && cpu != cpu_this()) {
        ipi_reschedule(cpu->id);
    }
}

void sched_wake(struct thread *thread)
{
    uint64_t flags = arch_irq_save();
    struct cpu *cpu;
    for (;;) {
        cpu = cpu_table[__atomic_load_n(&thread->cpu, __ATOMIC_ACQUIRE)];
        spin_lock(&cpu->queue.lock);
        if (cpu->id == thread->cpu) {
            break;
        }
        spin_unlock(&cpu->queue.lock);
    }
    if (thread->state != THREAD_WAITING) {
        spin_unlock(&cpu->queue.lock);
    } else if (cpu->current == thread) { /* has not switched away yet */
        thread_set_state(thread, THREAD_RUNNING);
        spin_unlock(&cpu->queue.lock);
    } else {
        if (thread->on_sleepers) {
            list_remove(&thread->sleep_node);
            thread->on_sleepers = false;
        }
        thread_set_state(thread, THREAD_WAKING);
        __atomic_store_n(&thread->cpu, wake_target(cpu->id), __ATOMIC_RELEASE);
        spin_unlock(&cpu->queue.lock);
        enqueue(thread);
    }
    arch_irq_restore(flags);
}

void sched_start_on(struct thread *thread, unsigned cpu)
{
    uint64_t flags = arch_irq_save();
    thread->cpu = cpu;
    enqueue(thread);
    arch_irq_restore(flags);
}

void sched_start(struct thread *thread)
{
    uint64_t flags = arch_irq_save();
    thread->cpu = least_loaded();
    enqueue(thread);
    arch_irq_restore(flags);
    sched_switch_if_needed();
}

void sched_exit(void)
{
    arch_irq_disable();
    struct cpu *cpu = cpu_this();
    spin_lock(&cpu->queue.lock);
    thread_set_state(cpu->current, THREAD_DEAD);
    switch_away(cpu);
    panic("a dead thread runs");
}

void sched_announce_end(void)
{
    preempt_disable();
    __atomic_add_fetch(&cpu_this()->ends, 1, __ATOMIC_SEQ_CST);
}

void sched_wait_announced_ends(void)
{
    for (unsigned id = 0; id < cpu_count_present(); id++) {
        const uint32_t *ends = &cpu_table[id]->ends;
        uint32_t seen = __atomic_load_n(ends, __ATOMIC_SEQ_CST);
        while (seen % 2 != 0 && __atomic_load_n(ends, __ATOMIC_SEQ_CST) == seen) {
            arch_pause();
            sched_yield();
        }
    }
}

void sched_adopt_space(struct address_space *space)
{
    uint64_t flags = arch_irq_save();
    thread_current()->space = space;
    arch_space_load(cpu_this(), space);
    arch_irq_restore(flags);
}

/* ---- interrupts ---- */

static void wake_due_sleepers(struct cpu *cpu, uint64_t now)
{
    while (!list_empty(&cpu->queue.sleepers)) {
        struct thread *thread = list_entry(cpu->queue.sleepers.next, struct thread, sleep_node);
        if (thread->wake_deadline > now) {
            break;
        }
        list_remove(&thread->sleep_node);
        thread->on_sleepers = false;
        thread->timed_out = true;
        thread_set_state(thread, THREAD_WAKING);
        thread_set_state(thread, THREAD_READY);
        run_queue_push(&cpu->queue, thread);
        if (cpu->current->is_idle || thread->priority < cpu->current->priority) {
            cpu->current->need_resched = true;
        }
    }
}

void sched_timer_interrupt(void)
{
    struct cpu *cpu = cpu_this();
    uint64_t now = clock_cycles();
    spin_lock(&cpu->queue.lock);
    cpu->armed_deadline = CLOCK_NEVER;
    if (now >= cpu->tick_deadline) {
        cpu->ticks++;
        cpu->tick_deadline = now - now % tick_cycles() + tick_cycles();
    }
    wake_due_sleepers(cpu, now);
    if (now >= cpu->quantum_deadline) {
        cpu->quantum_deadline = now + quantum_cycles();
        if (better_ready(cpu)) {
            cpu->current->need_resched = true;
        }
    }
    timer_update(cpu, true);
    spin_unlock(&cpu->queue.lock);
}

/* ---- idle ---- */

void sched_init_this_cpu(struct thread *idle, uint64_t stack_top)
{
    struct cpu *cpu = cpu_this();
    idle->is_idle = true;
    idle->cpu = cpu->id;
    idle->priority = PRIORITY_LOW;
    idle->stack_top = stack_top;
    thread_set_state(idle, THREAD_READY);
    thread_set_state(idle, THREAD_RUNNING);
    cpu->idle = idle;
    cpu->current = idle;
    cpu->armed_deadline = CLOCK_NEVER;
    tick_stop(cpu);
}

void sched_idle(void)
{
    struct cpu *cpu = cpu_this();
    for (;;) {
        slab_poll();
        arch_irq_disable();
        if (__atomic_load_n(&cpu->queue.ready_count, __ATOMIC_RELAXED) != 0) {
            reschedule(cpu);
            arch_irq_enable();
        } else {
            arch_idle_wait();
        }
    }
}

void sched_totals_read(struct sched_totals *out)
{
    *out = (struct sched_totals){0};
    for (unsigned id = 0; id < cpu_count_present(); id++) {
        const struct cpu *cpu = cpu_table[id];
        if (cpu_is_online(cpu)) {
            out->switches += __atomic_load_n(&cpu->switches, __ATOMIC_RELAXED);
            out->ready += __atomic_load_n(&cpu->queue.ready_count, __ATOMIC_RELAXED);
            out->running += __atomic_load_n(&cpu->current, __ATOMIC_RELAXED) != cpu->idle;
        }
    }
}
