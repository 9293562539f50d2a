#ifndef OS_KERNEL_SCHED_INTERNAL_H
#define OS_KERNEL_SCHED_INTERNAL_H

/* What the files of the scheduler share. "Locked": the lock of the CPU's run queue is held, interrupts are off. */

#include "arch/x86_64/clock.h"
#include "sched/sched.h"

/* The entity that runs, null when the CPU is idle. Locked. */
static inline struct sched_entity *sched_running(const struct cpu *cpu)
{
    return cpu->current == cpu->idle ? NULL : &cpu->current->sched;
}

static inline bool cpu_is_online(const struct cpu *cpu)
{
    return cpu != NULL && __atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) == CPU_STATE_ONLINE;
}

/* ---- sched.c ---- */

/*
 * Puts the time until now on the accounts of the CPU and of the thread that runs there. idle_next: what runs from now
 * on is the idle thread. Locked; any CPU may do it.
 */
void sched_account(struct cpu *cpu, uint64_t now, bool idle_next);

/* ---- timer.c ---- */

/* Arms the timer of this CPU for what is due first. An earlier one than needed is left alone unless `exact`. Locked. */
void sched_timer_update(struct cpu *cpu, bool exact);

/* What the policy wants next changed. Locked; on the CPU itself. */
void sched_timer_policy(struct cpu *cpu, uint64_t now);

/* The CPU goes idle: no ticks; it is busy again: ticks at multiples of their period, as before. Locked. */
void sched_tick_stop(struct cpu *cpu);
void sched_tick_start(struct cpu *cpu, uint64_t now);

/* Puts a thread among the sleepers of the CPU; equal deadlines wake in the order of the calls. Locked. */
void sched_sleepers_add(struct cpu *cpu, struct thread *thread, uint64_t deadline_cycles);
void sched_sleepers_remove(struct cpu *cpu, struct thread *thread);

/* ---- wake.c ---- */

/* Takes the lock of the queue that owns a thread; the thread stays there while it is held. Interrupts off. */
struct cpu *sched_lock_owner(struct thread *thread);

/*
 * Makes a thread ready in the queue of its CPU. True when that CPU must be told (sched_tell, after the lock is released).
 * Locked.
 */
MUST_CHECK bool sched_make_ready(struct cpu *cpu, struct thread *thread, enum run_reason reason,
                                 uint64_t now);

/* Makes a CPU look at its queue and timer; this one does so at the end of the interrupt or call. */
void sched_tell(const struct cpu *cpu);

#endif
