/* Changing and reading how a thread is scheduled. */
#include "lib/irq_scope.h"
#include "sched/internal.h"

/*
 * A CPU of the thread's mask that admits the entity, by preference `first`; cpu_count_present() when there is none. Then the
 * thread's share is what it was, else it is given up.
 */
static unsigned admit(const struct thread *thread, const struct sched_entity *entity, unsigned first)
{
    for (unsigned i = 0; i < cpu_count_present(); i++) {
        unsigned id = (first + i) % cpu_count_present();
        struct cpu *cpu = cpu_table[id];
        bool same = id == thread->deadline_cpu;
        if (cpu_is_online(cpu) && !__atomic_load_n(&cpu->draining, __ATOMIC_SEQ_CST) &&
            (thread->affinity & 1ull << id) != 0 &&
            run_queue_admit(&cpu->queue, entity, same ? &thread->sched : NULL)) {
            if (!same) {
                run_queue_release(&cpu_table[thread->deadline_cpu]->queue, &thread->sched);
            }
            return id;
        }
    }
    return cpu_count_present();
}

/* A thread's place or class may be wrong now: sees that it moves or switches. Locked; released when this returns. */
static void settle(struct cpu *cpu, struct thread *thread)
{
    bool tell = false;
    bool move = false;
    if (cpu->current == thread) {
        cpu->rank = sched_rank(&thread->sched);
        cpu->timer_stale = true;
        thread->need_resched = true;
        tell = true;
    } else if (thread->state == THREAD_READY) {
        move = !sched_may_run(thread, cpu);
        tell = thread->sched.exhausted || run_queue_should_switch(&cpu->queue, sched_running(cpu));
        cpu->timer_stale |= tell;
        cpu->current->need_resched |= tell;
        if (move) {
            sched_detach(cpu, thread);
        }
    }
    spin_unlock(&cpu->queue.lock);
    if (tell) {
        sched_tell(cpu);
    }
    if (move) {
        sched_enqueue(thread, sched_target(thread, cpu->id), RUN_MOVED, MOVE_FORCED);
    }
}

static status_t change_params(struct thread *thread, const struct sched_params *params)
{
    struct sched_entity wanted = {.run_cycles = 0};
    sched_entity_set(&wanted, params);
    IRQS_OFF_IN_BLOCK();
    struct cpu *cpu = sched_lock_owner(thread);
    unsigned home = cpu->id;
    if (wanted.bandwidth == 0) {
        run_queue_release(&cpu_table[thread->deadline_cpu]->queue, &thread->sched);
    } else if ((home = admit(thread, &wanted, cpu->id)) == cpu_count_present()) {
        spin_unlock(&cpu->queue.lock);
        return STATUS_ERR_LIMIT;
    }
    uint64_t now = clock_cycles();
    sched_account(cpu, now, cpu->account_idle);
    thread->deadline_cpu = home;
    run_queue_change(&cpu->queue, &thread->sched, params, cpu->current == thread, now);
    settle(cpu, thread);
    return STATUS_OK;
}

status_t sched_set_params(struct thread *thread, const struct sched_params *params)
{
    status_t status = change_params(thread, params);
    sched_switch_if_needed();
    return status;
}

static status_t change_affinity(struct thread *thread, uint64_t mask)
{
    IRQS_OFF_IN_BLOCK();
    struct cpu *cpu = sched_lock_owner(thread);
    if (thread->sched.class_id == CLASS_DEADLINE && (mask & 1ull << thread->deadline_cpu) == 0) {
        spin_unlock(&cpu->queue.lock);
        return STATUS_ERR_STATE;
    }
    thread->affinity = mask;
    settle(cpu, thread);
    return STATUS_OK;
}

status_t sched_set_affinity(struct thread *thread, uint64_t mask)
{
    if ((mask & cpu_online_mask()) == 0) {
        return STATUS_ERR_RANGE;
    }
    status_t status = change_affinity(thread, mask);
    sched_switch_if_needed();
    return status;
}

void sched_info_read(struct thread *thread, struct sched_info *out)
{
    uint64_t flags = arch_irq_save();
    struct cpu *cpu = sched_lock_owner(thread);
    sched_account(cpu, clock_cycles(), cpu->account_idle);
    *out = (struct sched_info){
        .params = thread->sched.params,
        .affinity = thread->affinity,
        .run_cycles = thread->sched.run_cycles,
        .delay_cycles = thread->run_delay,
        .switches = thread->switches,
        .migrations = thread->migrations,
        .tid = thread->tid.number,
        .cpu = thread->cpu,
        .home_node = thread->home_node,
    };
    spin_unlock(&cpu->queue.lock);
    arch_irq_restore(flags);
}
