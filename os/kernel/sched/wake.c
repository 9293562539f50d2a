/*
 * Waking threads, starting them, and moving them between the queues of CPUs. No wake searches: a thread's state and CPU say
 * whether it waits, is ready or runs, and by its own links it leaves whatever queue it is in; a process is found by its
 * number in the process table, and its threads in its list.
 */
#include "sched/account.h"
#include "sched/internal.h"
#include "smp/ipi.h"

struct cpu *sched_lock_owner(struct thread *thread)
{
    for (;;) {
        struct cpu *cpu = cpu_table[__atomic_load_n(&thread->cpu, __ATOMIC_ACQUIRE)];
        spin_lock(&cpu->queue.lock);
        if (sched_owns(cpu, thread)) {
            return cpu;
        }
        spin_unlock(&cpu->queue.lock);
    }
}

bool sched_make_ready(struct cpu *cpu, struct thread *thread, enum run_reason reason, uint64_t now)
{
    thread_set_state(thread, THREAD_READY);
    thread->ready_since = now;
    run_queue_add(&cpu->queue, &thread->sched, reason, now);
    if (thread->sched.exhausted) { /* nothing to run, but a time to look again */
        cpu->timer_stale = true;
        return true;
    }
    bool urgent = run_queue_should_switch(&cpu->queue, sched_running(cpu));
    if (urgent) {
        cpu->current->need_resched = true;
    }
    return urgent;
}

void sched_tell(const struct cpu *cpu)
{
    if (cpu != cpu_this() || cpu->timer_stale) {
        ipi_reschedule(cpu->id);
    }
}

void sched_note_move(struct cpu *cpu, struct thread *thread, enum sched_move move, uint64_t now)
{
    const struct cpu *from = cpu_table[thread->cpu];
    thread->migrations++;
    thread->moved_at = now;
    cpu->moves[move]++;
    cpu->node_crossings += from->node != cpu->node;
}

void sched_enqueue(struct thread *thread, unsigned target, enum run_reason reason, enum sched_move move)
{
    struct cpu *cpu = cpu_table[target];
    spin_lock(&cpu->queue.lock);
    uint64_t now = clock_cycles();
    if (reason != RUN_NEW && thread->cpu != target) {
        sched_note_move(cpu, thread, move, now);
    }
    __atomic_store_n(&thread->cpu, target, __ATOMIC_RELEASE);
    if (reason == RUN_NEW) {
        account_start(cpu);
    } else {
        account_join(cpu);
    }
    sched_account(cpu, now, cpu->account_idle);
    run_queue_join(&cpu->queue, &thread->sched);
    bool tell = sched_make_ready(cpu, thread, reason, now);
    spin_unlock(&cpu->queue.lock);
    if (tell) {
        sched_tell(cpu);
    }
}

void sched_detach(struct cpu *cpu, struct thread *thread)
{
    run_queue_remove(&cpu->queue, &thread->sched);
    run_queue_leave(&cpu->queue, &thread->sched);
    account_leave(cpu);
    thread_set_state(thread, THREAD_WAKING);
}

/* A WAITING thread that has left its CPU. Locked; released when this returns. */
static void wake_blocked(struct cpu *cpu, struct thread *thread)
{
    sched_sleepers_remove(cpu, thread);
    account_wake(cpu);
    thread_set_state(thread, THREAD_WAKING);
    unsigned target = sched_target(thread, cpu->id);
    if (target != cpu->id) {
        run_queue_leave(&cpu->queue, &thread->sched);
        account_leave(cpu);
        spin_unlock(&cpu->queue.lock);
        sched_enqueue(thread, target, RUN_WOKEN, MOVE_WAKE);
        return;
    }
    uint64_t now = clock_cycles();
    sched_account(cpu, now, cpu->account_idle);
    bool tell = sched_make_ready(cpu, thread, RUN_WOKEN, now);
    spin_unlock(&cpu->queue.lock);
    if (tell) {
        sched_tell(cpu);
    }
}

void sched_wake(struct thread *thread)
{
    uint64_t flags = arch_irq_save();
    struct cpu *cpu = sched_lock_owner(thread);
    if (thread->state != THREAD_WAITING) {
        spin_unlock(&cpu->queue.lock);
    } else if (cpu->current == thread) { /* has not switched away yet */
        thread_set_state(thread, THREAD_RUNNING);
        spin_unlock(&cpu->queue.lock);
    } else {
        wake_blocked(cpu, thread);
    }
    arch_irq_restore(flags);
}

void sched_poke(struct thread *thread)
{
    sched_wake(thread);
    uint64_t flags = arch_irq_save();
    struct cpu *cpu = sched_lock_owner(thread);
    bool elsewhere = cpu->current == thread && cpu != cpu_this();
    spin_unlock(&cpu->queue.lock);
    if (elsewhere) {
        ipi_reschedule(cpu->id);
    }
    arch_irq_restore(flags);
}

/* From here on no other CPU finds the thread, until it is in a queue. Interrupts off. */
static void leave_new(struct thread *thread)
{
    struct cpu *cpu = sched_lock_owner(thread);
    thread_set_state(thread, THREAD_WAKING);
    spin_unlock(&cpu->queue.lock);
}

void sched_start_on(struct thread *thread, unsigned cpu)
{
    uint64_t flags = arch_irq_save();
    leave_new(thread);
    thread->affinity = 1ull << cpu;
    thread->home_node = cpu_table[cpu]->node;
    sched_enqueue(thread, cpu, RUN_NEW, MOVE_WAKE);
    arch_irq_restore(flags);
}

void sched_start(struct thread *thread)
{
    uint64_t flags = arch_irq_save();
    leave_new(thread);
    unsigned target = sched_target(thread, arch_cpu_id());
    thread->home_node = cpu_table[target]->node;
    sched_enqueue(thread, target, RUN_NEW, MOVE_WAKE);
    arch_irq_restore(flags);
    sched_switch_if_needed();
}
