#ifndef OS_KERNEL_SCHED_INTERNAL_H
#define OS_KERNEL_SCHED_INTERNAL_H

/* What the files of the scheduler share. "Locked": the lock of the CPU's run queue is held, interrupts are off. */

#include "arch/x86_64/clock.h"
#include "sched/sched.h"

/* What a CPU runs, as a number that other CPUs can read: a larger one is harder to displace. */
#define RANK_NOTHING  0u
#define RANK_IDLE     1u
#define RANK_FAIR     2u
#define RANK_REALTIME 3u /* and the level */
#define RANK_DEADLINE 100u

/* The entity that runs, null when the CPU is idle. Locked. */
static inline struct sched_entity *sched_running(const struct cpu *cpu)
{
    return cpu->current == cpu->idle ? NULL : &cpu->current->sched;
}

static inline struct thread *sched_thread_of(const struct sched_entity *entity)
{
    return tree_entry(entity, struct thread, sched);
}

static inline bool cpu_is_online(const struct cpu *cpu)
{
    return cpu != NULL && __atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) == CPU_STATE_ONLINE;
}

/* May the thread run on this CPU at all? */
static inline bool sched_may_run(const struct thread *thread, const struct cpu *cpu)
{
    return thread->is_idle ||
           ((thread->affinity & 1ull << cpu->id) != 0 && !__atomic_load_n(&cpu->draining, __ATOMIC_RELAXED) &&
            (thread->sched.class_id != CLASS_DEADLINE || thread->deadline_cpu == cpu->id));
}

uint32_t sched_rank(const struct sched_entity *entity);

/* Threads that are ready or run; without the lock: of a moment ago. */
static inline uint32_t sched_load(const struct cpu *cpu)
{
    return __atomic_load_n(&cpu->queue.ready_count, __ATOMIC_RELAXED) +
           (__atomic_load_n(&cpu->rank, __ATOMIC_RELAXED) != RANK_NOTHING);
}

/* ---- sched.c ---- */

/*
 * Puts the time until now on the accounts of the CPU and of the thread that runs there. idle_next: what runs from now
 * on is the idle thread. Locked; any CPU may do it.
 */
void sched_account(struct cpu *cpu, uint64_t now, bool idle_next);

/* Switches if the policy says so, or the thread may not stay. Interrupts off. */
void sched_reschedule(struct cpu *cpu);

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

/* ---- place.c ---- */

/*
 * The CPU for a thread that is to become ready and was last on CPU `last`: that one, an idle one near it, or the least
 * loaded, of those it may run on. When none of its mask is online, the mask becomes all CPUs. Bound: O(CPUs).
 */
unsigned sched_target(struct thread *thread, unsigned last);

/* ---- wake.c ---- */

/*
 * The thread is this CPU's and stays while the queue is locked. Not one on its way: it is WAKING since it was taken under the
 * lock of its old CPU, and is given cpu and the next state, in that order, under the lock of the new one only. Thus state is
 * read first: whoever sees the next one sees the new CPU. Locked.
 */
static inline bool sched_owns(const struct cpu *cpu, const struct thread *thread)
{
    return __atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) != THREAD_WAKING &&
           __atomic_load_n(&thread->cpu, __ATOMIC_ACQUIRE) == cpu->id;
}

/*
 * Takes the lock of the queue that owns a thread; the thread stays there while it is held. For one on its way this waits until it
 * has come. Interrupts off.
 */
struct cpu *sched_lock_owner(struct thread *thread);

/* Counts that a thread goes from its CPU, which thread->cpu still names, to this one. That one's queue locked. */
void sched_note_move(struct cpu *cpu, struct thread *thread, enum sched_move move, uint64_t now);

/*
 * Makes a thread ready in the queue of its CPU. True when that CPU must be told (sched_tell, after the lock is released).
 * Locked.
 */
MUST_CHECK bool sched_make_ready(struct cpu *cpu, struct thread *thread, enum run_reason reason,
                                 uint64_t now);

/* Makes a CPU look at its queue and timer; this one does so at the end of the interrupt or call. */
void sched_tell(const struct cpu *cpu);

/* Puts a thread that is in no queue (WAKING) on a CPU; thread->cpu is where it was. Interrupts off, no lock held. */
void sched_enqueue(struct thread *thread, unsigned target, enum run_reason reason, enum sched_move move);

/* Takes a READY thread out of its queue, to be put on another CPU by sched_enqueue. Locked. */
void sched_detach(struct cpu *cpu, struct thread *thread);

/* ---- balance.c ---- */

/* At each tick of a busy CPU: gives threads away while another CPU has clearly less to do. Interrupts off, no lock held. */
void sched_balance_push(struct cpu *cpu);

/* A CPU with nothing to do takes a thread from a busy one; true when it got one. Interrupts off, no lock held. */
bool sched_balance_pull(struct cpu *cpu);

#endif
