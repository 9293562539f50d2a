/* Taking threads and sleepers away from a CPU that goes. */
#include "sched/account.h"
#include "sched/internal.h"

/* Puts every ready thread elsewhere and makes the one that runs leave. */
bool sched_drain(struct cpu *cpu)
{
    for (;;) {
        uint64_t flags = spin_lock_irqsave(&cpu->queue.lock);
        struct sched_entity *entity = run_queue_take(&cpu->queue, clock_cycles());
        if (entity == NULL) {
            bool empty = cpu->current == cpu->idle;
            cpu->current->need_resched |= !empty;
            spin_unlock_irqrestore(&cpu->queue.lock, flags);
            if (!empty) {
                sched_tell(cpu);
            }
            sched_switch_if_needed();
            return empty;
        }
        struct thread *thread = sched_thread_of(entity);
        run_queue_leave(&cpu->queue, entity);
        account_leave(cpu);
        thread_set_state(thread, THREAD_WAKING);
        spin_unlock(&cpu->queue.lock);
        sched_enqueue(thread, sched_target(thread, cpu->id), RUN_MOVED, MOVE_FORCED);
        arch_irq_restore(flags);
    }
}

static void lock_both(struct cpu *a, struct cpu *b)
{
    spin_lock(a->id < b->id ? &a->queue.lock : &b->queue.lock);
    spin_lock(a->id < b->id ? &b->queue.lock : &a->queue.lock);
}

void sched_move_sleepers(struct cpu *cpu)
{
    uint64_t flags = arch_irq_save();
    struct cpu *to = cpu_this();
    lock_both(cpu, to);
    uint64_t now = clock_cycles();
    for (struct tree_node *first; (first = tree_first(&cpu->queue.sleepers)) != NULL;) {
        struct thread *thread = tree_entry(first, struct thread, sleep_node);
        uint64_t deadline = first->key;
        sched_sleepers_remove(cpu, thread);
        account_wake(cpu);
        run_queue_leave(&cpu->queue, &thread->sched);
        account_leave(cpu);
        run_queue_join(&to->queue, &thread->sched);
        account_join(to);
        sched_note_move(to, thread, MOVE_FORCED, now);
        __atomic_store_n(&thread->cpu, to->id, __ATOMIC_RELEASE);
        sched_sleepers_add(to, thread, deadline);
        account_sleep(to);
    }
    sched_timer_update(to, false);
    spin_unlock(&cpu->queue.lock);
    spin_unlock(&to->queue.lock);
    arch_irq_restore(flags);
}
