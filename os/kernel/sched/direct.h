#ifndef OS_KERNEL_SCHED_DIRECT_H
#define OS_KERNEL_SCHED_DIRECT_H

/*
 * Straight from one thread to another, for ipc/fast.c: what sched_handoff does when nothing stands in its way, without its
 * generality, and inline. Three steps, interrupts off throughout:
 *
 *     begin    refuses when `to` is not WAITING on this CPU without a deadline, when something better is ready here, or something due, when
 *              the current thread is to end (who tells it pokes it afterwards, under the lock), or when one of the two is
 *              not of the fair class; locks the run queue
 *     switch   the current thread waits; its stack is not used any more
 *     leave    for the stack of the other thread, or for user mode by its frame (arch_stack_resume, message_resume): there
 *              the queue is released
 *
 * Until then nobody can wake the thread that was left: its stack is still in use.
 */

#include "arch/x86_64/change.h"
#include "arch/x86_64/switch.h"
#include "sched/account.h"
#include "sched/fair.h"
#include "sched/internal.h"

/* May run here at once, and has nothing to do first: sched_owns it, and it waits. Locked. */
ALWAYS_INLINE bool sched_direct_free(const struct cpu *cpu, const struct thread *thread)
{
    return __atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) == THREAD_WAITING &&
           __atomic_load_n(&thread->cpu, __ATOMIC_ACQUIRE) == cpu->id && !thread->on_sleepers &&
           (thread->affinity & 1ull << cpu->id) != 0 && !__atomic_load_n(&cpu->draining, __ATOMIC_RELAXED);
}

/*
 * Time of the decision, 0 when the general way must be gone. Else the run queue stays locked, the current thread is
 * accounted for, and the other steps follow.
 */
MUST_CHECK ALWAYS_INLINE uint64_t sched_direct_begin(struct cpu *cpu, struct thread *to)
{
    spin_lock(&cpu->queue.lock);
    uint64_t now = arch_cycles();
    uint64_t cycles = now - cpu->accounted;
    struct thread *from = cpu->current;
    if ((int64_t)cycles < 0 || !sched_direct_free(cpu, to) || from->need_resched || from->ending ||
        !fair_hand_on(&cpu->queue, &from->sched, &to->sched, cycles, now)) {
        spin_unlock(&cpu->queue.lock);
        return 0;
    }
    account_passed(cpu, cycles, now, false, false);
    return now;
}

/* The current thread waits, with this saved stack; `to` runs. The caller leaves its stack next. One more sleeps on this CPU
 * and one less, so no count of account.h changes. */
ALWAYS_INLINE void sched_direct_switch(struct cpu *cpu, struct thread *to, uint64_t saved_stack)
{
    struct thread *from = cpu->current;
    from->saved_stack = saved_stack;
    __atomic_store_n(&from->state, THREAD_WAITING, __ATOMIC_RELAXED);
    __atomic_store_n(&to->state, THREAD_RUNNING, __ATOMIC_RELAXED);
    account_switch(cpu, to);
    arch_user_change(cpu, from, to);
}

#endif
