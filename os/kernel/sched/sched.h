#ifndef OS_KERNEL_SCHED_SCHED_H
#define OS_KERNEL_SCHED_SCHED_H

/*
 * The scheduler: one instance a CPU. What runs next is the run queue's decision (runqueue.h); slices end on a one-shot
 * deadline, a 100 Hz tick is for bookkeeping while the CPU is busy, and there are no ticks while it is idle.
 */

#include "arch/x86_64/percpu.h"
#include "sched/thread.h"

#define SCHED_TICK_NS 10000000ull

/* Makes the running context of this CPU its idle thread; `stack_top` is the stack it runs on. */
void sched_init_this_cpu(struct thread *idle, uint64_t stack_top);

/* From now on interrupts preempt. Panics when there is no heap or no thread yet: both have the locks that make it safe. */
void sched_enable_preemption(void);

/* The loop of an idle thread. */
_Noreturn void sched_idle(void);

static inline struct thread *thread_current(void)
{
    struct thread *thread;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(thread) : "i"(CPU_CURRENT));
    return thread;
}

/* Replaces the address space of the current thread (null: the kernel's own tables) and loads it. */
void sched_adopt_space(struct address_space *space);

/* Puts a NEW thread on the least loaded CPU. */
void sched_start(struct thread *thread);

/* Puts a NEW thread on a given CPU. */
void sched_start_on(struct thread *thread, unsigned cpu);

/*
 * Lets other ready threads run, of the own class (behind whom the caller goes) or a better one. A deadline thread gives
 * up the rest of its budget until its next period.
 */
void sched_yield(void);

/* For loops that wait for another thread, of whatever class: yields, or sleeps a moment where that would not let a thread
 * of a worse class run. Thread context. */
void sched_relax(void);

/* Ends the current thread; its control block and stack go to the reaper. */
_Noreturn void sched_exit(void);

/*
 * Announces that the current thread is about to end: what others see of it from now on is its end. Preemption is off
 * from here to sched_exit.
 */
void sched_announce_end(void);

/* Returns when every thread whose end was announced before the call is with the reaper. Thread context. */
void sched_wait_announced_ends(void);

/* Sleeps until a time in cycles. */
void sched_sleep_until(uint64_t deadline_cycles);

/*
 * For wait.c: sets the current thread WAITING; sleeps if it still is (deadline in cycles or WAIT_FOREVER),
 * true when woken and false on the deadline; sets it RUNNING again; wakes a WAITING thread.
 */
void sched_prepare_wait(void);
bool sched_block(uint64_t deadline_cycles);
void sched_cancel_wait(void);
void sched_wake(struct thread *thread);

/* Sees that a thread looks at what was changed about it: wakes it where it waits, interrupts it where it runs. The caller
 * sees to it that the thread exists. */
void sched_poke(struct thread *thread);

/*
 * For IPC: in place of sched_block by a thread that has called sched_prepare_wait and now waits for the doing of `to`, a
 * thread that is blocked. `to` runs on this CPU at once, for the rest of the caller's slice, without a queue in between:
 * if it is WAITING, may run here, and nothing better is ready here; else it is woken and the caller blocks as usual.
 * Result as of sched_block. `to` must not be freed meanwhile. Thread context, no lock held.
 */
bool sched_handoff(struct thread *to, uint64_t deadline_cycles);

/* Preemption off and on in thread context; nests. A switch that was due happens at the last enable. */
void preempt_disable(void);
void preempt_enable(void);

/* Lets a better thread that was just made ready on this CPU run at once, if interrupts and preemption are on.
 */
void sched_switch_if_needed(void);

/* From the timer interrupt. */
void sched_timer_interrupt(void);

/* From the reschedule interrupt; the switch itself happens at the end of every interrupt. */
void sched_reschedule_interrupt(void);

/* From the end of an interrupt: switches if that is due and allowed. Interrupts off. */
void sched_preempt_from_interrupt(void);

/* First step of a new thread (entry.S). */
void thread_started(void);

/*
 * Gives a thread other parameters (checked by sched_params_check) wherever it is; it moves or switches at once where that
 * is wanted. STATUS_ERR_LIMIT: no CPU it may run on admits the deadline. The caller sees to it that the thread exists.
 */
MUST_CHECK status_t sched_set_params(struct thread *thread, const struct sched_params *params);

/* STATUS_ERR_RANGE: none of these CPUs is online. STATUS_ERR_STATE: a deadline was promised elsewhere. */
MUST_CHECK status_t sched_set_affinity(struct thread *thread, uint64_t mask);

/*
 * For hotplug, of a CPU that is draining: puts its ready threads on other CPUs and makes the one that runs leave. True when
 * none is left. Thread context, perhaps on that very CPU, which the caller then leaves.
 */
bool sched_drain(struct cpu *cpu);

/* Makes this CPU wake the sleepers of another one on which nothing runs any more: each has moved here, which is counted. */
void sched_move_sleepers(struct cpu *cpu);

void sched_info_read(struct thread *thread, struct sched_info *out);

/* Where the time of a CPU went since it came up; idle + busy = elapsed, exactly. Any context, takes no lock. */
struct sched_times {
    uint64_t idle_cycles;
    uint64_t busy_cycles;
    uint64_t elapsed_cycles;
};

void sched_times_read(const struct cpu *cpu, struct sched_times *out);

struct sched_totals {
    uint64_t switches;
    uint32_t ready;
    uint32_t running; /* threads other than idle ones */
    uint32_t sleeping;
    uint32_t alive; /* started and not ended: ready + running + sleeping, each counted by itself */
};

/*
 * Every CPU's counts are those of one moment, of all CPUs those of moments close together: a thread is in exactly one count
 * however it moves meanwhile. Takes no lock; waits while a queue's lock is held.
 */
void sched_totals_read(struct sched_totals *out);

#endif
