/*
 * The scheduler core: switching, preemption, waiting. Who may do what: a thread's state and queue membership change under
 * the lock of the run queue of thread->cpu. That lock is held from the decision to switch until the next thread has taken
 * over (thread_switched), so nobody can put a thread on another CPU whose registers are not saved yet. thread->cpu itself
 * changes while the thread is WAKING, or asleep with both locks held: sched_owns.
 */
#include "sched/sched.h"

#include "arch/x86_64/pcid.h"
#include "arch/x86_64/switch.h"
#include "lib/irq_scope.h"
#include "mm/slab.h"
#include "panic.h"
#include "sched/account.h"
#include "sched/internal.h"
#include "sched/reaper.h"
#include "sched/wait.h"
#include "smp/hotplug.h"

#define RELAX_NS     20000ull
#define TOTALS_TRIES 8u /* readings of all CPUs until none finds a thread between two of them */

static bool preemption_enabled;

/* ---- accounts ---- */

void sched_account(struct cpu *cpu, uint64_t now, bool idle_next)
{
    struct thread *thread = cpu->current;
    uint64_t cycles = now - cpu->accounted;
    if ((int64_t)cycles < 0) {
        return; /* another CPU has looked a moment later */
    }
    account_passed(cpu, cycles, now, cpu->account_idle, idle_next);
    if (thread == cpu->idle) {
        thread->sched.run_cycles += cycles;
        run_queue_advance(&cpu->queue, now);
    } else {
        run_queue_charge(&cpu->queue, &thread->sched, cycles, now);
    }
}

void sched_times_read(const struct cpu *cpu, struct sched_times *out)
{
    uint32_t sequence;
    uint64_t now;
    uint64_t rest;
    do {
        sequence = __atomic_load_n(&cpu->account_sequence, __ATOMIC_ACQUIRE) & ~1u;
        now = clock_cycles();
        rest = now - cpu->accounted;
        rest = (int64_t)rest < 0 || !cpu_is_online(cpu) ? 0 : rest;
        out->idle_cycles = cpu->idle_cycles + (cpu->account_idle ? rest : 0);
        out->busy_cycles = cpu->busy_cycles + (cpu->account_idle ? 0 : rest);
        out->elapsed_cycles = cpu->accounted + rest - cpu->account_start;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__atomic_load_n(&cpu->account_sequence, __ATOMIC_RELAXED) != sequence);
}

/* ---- switching ---- */

/* What the next thread does first: releases the queue of this CPU, and buries the thread that was left, or puts it on
 * another CPU when it could not stay: only now its registers are saved. */
static void thread_switched(void)
{
    struct cpu *cpu = cpu_this();
    struct thread *from = cpu->queue.switched_from;
    cpu->queue.switched_from = NULL;
    bool dead = from != NULL && from->state == THREAD_DEAD;
    bool leaves = from != NULL && from->state == THREAD_WAKING;
    spin_unlock(&cpu->queue.lock);
    if (leaves) {
        sched_enqueue(from, sched_target(from, cpu->id), RUN_MOVED, MOVE_FORCED);
    } else if (dead) {
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

/* From `from` to another thread. Locked; the lock is released when this returns. */
static void switch_to(struct cpu *cpu, struct thread *from, struct thread *to, uint64_t now)
{
    sched_account(cpu, now, to->is_idle);
    if (from->is_idle) {
        sched_tick_start(cpu, now);
    }
    if (to->is_idle) {
        sched_tick_stop(cpu);
    } else {
        account_waited(cpu, to, now);
    }
    thread_set_state(to, THREAD_RUNNING);
    account_switch(cpu, to);
    __atomic_store_n(&cpu->rank, to->is_idle ? RANK_NOTHING : sched_rank(&to->sched), __ATOMIC_RELAXED);
    cpu->policy_deadline = run_queue_next_event(&cpu->queue, to->is_idle ? NULL : &to->sched, now);
    sched_timer_update(cpu, to->is_idle);
    cpu->queue.switched_from = from;
    arch_thread_switch(cpu, from, to);
    thread_switched();
}

/* Switches to the best ready thread, or to the idle thread. The current one is accounted for, and in the queue if it is
 * to go on. Locked; the lock is released when this returns. */
static void switch_away(struct cpu *cpu, uint64_t now)
{
    struct thread *from = cpu->current;
    struct sched_entity *next = run_queue_take(&cpu->queue, now);
    struct thread *to = next != NULL ? tree_entry(next, struct thread, sched) : cpu->idle;
    from->need_resched = false;
    if (to != from) {
        switch_to(cpu, from, to, now);
        return;
    }
    thread_set_state(to, THREAD_RUNNING);
    sched_timer_policy(cpu, now);
    spin_unlock(&cpu->queue.lock);
}

static enum run_reason reason_to_leave(const struct sched_entity *entity)
{
    return entity->class_id != CLASS_DEADLINE && entity->slice_left == 0 ? RUN_EXPIRED : RUN_PREEMPTED;
}

/* The current thread stays ready, here or, when it may not, elsewhere. Locked. */
static void requeue_current(struct cpu *cpu, enum run_reason reason, uint64_t now)
{
    struct thread *thread = cpu->current;
    if (!sched_may_run(thread, cpu)) {
        thread_set_state(thread, THREAD_WAKING);
        run_queue_leave(&cpu->queue, &thread->sched);
        account_leave(cpu);
        return;
    }
    thread_set_state(thread, THREAD_READY);
    if (!thread->is_idle) {
        thread->ready_since = now;
        run_queue_add(&cpu->queue, &thread->sched, reason, now);
    }
}

void sched_reschedule(struct cpu *cpu)
{
    spin_lock(&cpu->queue.lock);
    uint64_t now = clock_cycles();
    struct sched_entity *running = sched_running(cpu);
    sched_account(cpu, now, running == NULL);
    cpu->current->need_resched = false;
    if (!run_queue_should_switch(&cpu->queue, running) && sched_may_run(cpu->current, cpu)) {
        if (running != NULL) {
            run_queue_renew(&cpu->queue, running);
        }
        sched_timer_policy(cpu, now);
        spin_unlock(&cpu->queue.lock);
        return;
    }
    requeue_current(cpu, running != NULL ? reason_to_leave(running) : RUN_PREEMPTED, now);
    switch_away(cpu, now);
}

void sched_yield(void)
{
    uint64_t flags = arch_irq_save();
    struct cpu *cpu = cpu_this();
    const struct thread *thread = cpu->current;
    if (thread->is_idle) {
        sched_reschedule(cpu);
    } else if (__atomic_load_n(&cpu->queue.ready_count, __ATOMIC_RELAXED) != 0 ||
               thread->sched.class_id == CLASS_DEADLINE || !sched_may_run(thread, cpu)) {
        spin_lock(&cpu->queue.lock);
        uint64_t now = clock_cycles();
        sched_account(cpu, now, false);
        requeue_current(cpu, RUN_YIELDED, now);
        switch_away(cpu, now);
    }
    arch_irq_restore(flags);
}

void sched_relax(void)
{
    const struct thread *thread = thread_current();
    if (thread->is_idle || thread->sched.class_id >= CLASS_FAIR || thread->preempt_disable != 0) {
        sched_yield();
    } else {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(RELAX_NS));
    }
}

void sched_preempt_from_interrupt(void)
{
    struct cpu *cpu = cpu_this();
    struct thread *thread = cpu->current;
    if (thread != NULL && thread->need_resched && thread->preempt_disable == 0 && cpu->irq_depth == 0 &&
        preemption_enabled) {
        sched_reschedule(cpu);
    }
}

void preempt_disable(void)
{
    thread_current()->preempt_disable++;
    __asm__ volatile("" : : : "memory");
}

/* Interrupts on. */
static void reschedule_now(void)
{
    uint64_t flags = arch_irq_save();
    sched_reschedule(cpu_this());
    arch_irq_restore(flags);
}

void preempt_enable(void)
{
    struct thread *thread = thread_current();
    __asm__ volatile("" : : : "memory");
    if (thread->preempt_disable == 0) {
        panic("preempt_enable without preempt_disable");
    }
    if (--thread->preempt_disable == 0 && thread->need_resched && arch_irq_enabled()) {
        reschedule_now();
    }
}

void sched_switch_if_needed(void)
{
    struct thread *thread = thread_current();
    if (thread->need_resched && thread->preempt_disable == 0 && arch_irq_enabled()) {
        reschedule_now();
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
        if (deadline_cycles != WAIT_FOREVER) {
            sched_sleepers_add(cpu, thread, deadline_cycles);
        }
        account_sleep(cpu);
        uint64_t now = clock_cycles();
        sched_account(cpu, now, false);
        switch_away(cpu, now);
    }
    arch_irq_restore(flags);
    sched_switch_if_needed();
    return !thread->timed_out;
}

/* Makes a WAITING thread this CPU's: true when it is in no queue and WAKING. Own queue locked before and after. */
static bool claim(struct cpu *cpu, struct thread *thread)
{
    struct cpu *owner = cpu;
    if (!sched_owns(cpu, thread)) {
        spin_unlock(&cpu->queue.lock);
        owner = sched_lock_owner(thread);
    }
    bool free = thread->state == THREAD_WAITING && owner->current != thread && sched_may_run(thread, cpu);
    if (free) {
        sched_sleepers_remove(owner, thread);
        account_wake(owner);
        thread_set_state(thread, THREAD_WAKING);
    }
    if (owner != cpu) {
        if (free) {
            run_queue_leave(&owner->queue, &thread->sched);
            account_leave(owner);
        }
        spin_unlock(&owner->queue.lock);
        spin_lock(&cpu->queue.lock);
        if (free) {
            run_queue_join(&cpu->queue, &thread->sched);
            account_join(cpu);
            sched_note_move(cpu, thread, MOVE_WAKE, clock_cycles());
            __atomic_store_n(&thread->cpu, cpu->id, __ATOMIC_RELEASE);
        }
    }
    return free;
}

/* The current thread blocks and a claimed one runs, directly if it has the right to. Locked; released when this returns. */
static void block_and_run(struct cpu *cpu, struct thread *to, uint64_t now)
{
    struct thread *from = cpu->current;
    sched_account(cpu, now, false);
    if (from->state == THREAD_WAITING && run_queue_hand_over(&cpu->queue, &from->sched, &to->sched, now)) {
        thread_set_state(to, THREAD_READY);
        to->ready_since = now;
        from->need_resched = false;
        account_handoff(cpu);
        account_sleep(cpu);
        switch_to(cpu, from, to, now);
        return;
    }
    if (sched_make_ready(cpu, to, RUN_WOKEN, now)) {
        sched_tell(cpu);
    }
    if (from->state == THREAD_WAITING) {
        account_sleep(cpu);
        switch_away(cpu, now);
    } else {
        spin_unlock(&cpu->queue.lock);
    }
}

bool sched_handoff(struct thread *to, uint64_t deadline_cycles)
{
    struct thread *thread = thread_current();
    uint64_t flags = arch_irq_save();
    struct cpu *cpu = cpu_this();
    spin_lock(&cpu->queue.lock);
    if (!claim(cpu, to)) {
        spin_unlock(&cpu->queue.lock);
        arch_irq_restore(flags);
        sched_wake(to);
        return sched_block(deadline_cycles);
    }
    thread->wait_prepared = false;
    thread->preempt_disable--;
    if (thread->state == THREAD_WAITING && deadline_cycles != WAIT_FOREVER) {
        sched_sleepers_add(cpu, thread, deadline_cycles);
    }
    block_and_run(cpu, to, clock_cycles());
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

/* ---- ends ---- */

void sched_exit(void)
{
    arch_irq_disable();
    struct cpu *cpu = cpu_this();
    spin_lock(&cpu->queue.lock);
    uint64_t now = clock_cycles();
    sched_account(cpu, now, false);
    run_queue_release(&cpu_table[cpu->current->deadline_cpu]->queue, &cpu->current->sched);
    thread_set_state(cpu->current, THREAD_DEAD);
    account_end(cpu);
    switch_away(cpu, now);
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

/* ---- idle ---- */

void sched_init_this_cpu(struct thread *idle, uint64_t stack_top)
{
    struct cpu *cpu = cpu_this();
    idle->is_idle = true;
    idle->cpu = cpu->id;
    idle->stack_top = stack_top;
    thread_set_state(idle, THREAD_WAKING);
    thread_set_state(idle, THREAD_READY);
    thread_set_state(idle, THREAD_RUNNING);
    cpu->idle = idle;
    cpu->current = idle;
    cpu->armed_deadline = CLOCK_NEVER;
    cpu->policy_deadline = CLOCK_NEVER;
    cpu->account_idle = true;
    cpu->account_start = clock_cycles();
    cpu->accounted = cpu->account_start;
    sched_tick_stop(cpu);
}

void sched_idle(void)
{
    struct cpu *cpu = cpu_this();
    for (;;) {
        slab_poll();
        arch_irq_disable();
        if (__atomic_load_n(&cpu->park, __ATOMIC_ACQUIRE) == CPU_PARK_LEAVE) {
            cpu_park(cpu);
        }
        if (__atomic_load_n(&cpu->queue.ready_count, __ATOMIC_RELAXED) != 0 || sched_balance_pull(cpu)) {
            sched_reschedule(cpu);
            arch_irq_enable();
        } else {
            arch_idle_wait();
        }
    }
}

/* ---- figures ---- */

/* Adds the threads of a CPU; how many more have left it for others than came from them. Between two takings of the lock. Not
 * inline, so that tests/e2e/kernel_stats.lua finds its beginning. */
static __attribute__((noinline)) int64_t add_counts(struct sched_totals *out, const struct cpu *cpu)
{
    out->switches += cpu_is_online(cpu) ? __atomic_load_n(&cpu->switches, __ATOMIC_RELAXED) : 0;
    out->ready += __atomic_load_n(&cpu->queue.ready_count, __ATOMIC_RELAXED);
    out->running += __atomic_load_n(&cpu->current, __ATOMIC_RELAXED) != cpu->idle;
    out->sleeping += __atomic_load_n(&cpu->threads_waiting, __ATOMIC_RELAXED);
    out->alive += (uint32_t)(__atomic_load_n(&cpu->threads_started, __ATOMIC_RELAXED) -
                             __atomic_load_n(&cpu->threads_ended, __ATOMIC_RELAXED));
    return -__atomic_load_n(&cpu->threads_moved, __ATOMIC_RELAXED);
}

/* The tickets of the queue's lock are the sequence: who changes a count has drawn one. Interrupts are off, since theirs do. */
static int64_t read_counts(struct sched_totals *out, const struct cpu *cpu)
{
    IRQS_OFF_IN_BLOCK();
    const struct sched_totals before = *out;
    uint16_t ticket;
    int64_t moving;
    do {
        while (!spin_unheld(&cpu->queue.lock, &ticket)) {
            arch_pause();
        }
        *out = before;
        moving = add_counts(out, cpu);
    } while (spin_taken_since(&cpu->queue.lock, ticket));
    return moving;
}

/* Takes `by` off a count as far as it goes; what is left of it. */
static uint32_t take_off(uint32_t *count, uint32_t by)
{
    uint32_t taken = by < *count ? by : *count;
    *count -= taken;
    return by - taken;
}

/*
 * On each CPU those that run, are ready and sleep are those that started here, or came, and did not end or leave. Summed up,
 * what left and came is who is on the way between two CPUs, or was when its CPUs were read at different times: one that none
 * of them has counts as ready, one that two of them had counts once, in whichever state there is.
 */
void sched_totals_read(struct sched_totals *out)
{
    int64_t moving;
    unsigned tries = 0;
    do {
        *out = (struct sched_totals){0};
        moving = 0;
        for (unsigned id = 0; id < cpu_count_present(); id++) {
            moving += read_counts(out, cpu_table[id]);
        }
    } while (moving != 0 && ++tries < TOTALS_TRIES);
    if (moving >= 0) {
        out->ready += (uint32_t)moving;
        return;
    }
    uint32_t twice = take_off(&out->ready, (uint32_t)-moving);
    twice = take_off(&out->sleeping, twice);
    (void)take_off(&out->running, twice);
}
