#ifndef OS_KERNEL_SCHED_ACCOUNT_H
#define OS_KERNEL_SCHED_ACCOUNT_H

/*
 * What the scheduler only counts, in one place, inline: tests/e2e/kernel_measures.lua takes the cycles of every
 * instruction that comes from this file for the cost of the statistics. Nothing here decides anything but `accounted`, from
 * which the next charge begins; what a slice or a budget needs is run_queue_charge's and, on the short way of messages,
 * fair_hand_on's (sched/fair.h). All of it: the lock of the CPU's queue is held, interrupts are off.
 */

#include "arch/x86_64/percpu.h"
#include "sched/thread.h"

/* Time that has passed on a CPU, idle or busy; readers (sched_times_read) take no lock, but look at the sequence twice. */
ALWAYS_INLINE void account_passed(struct cpu *cpu, uint64_t cycles, uint64_t now, bool idle, bool idle_next)
{
    arch_step32(&cpu->account_sequence);
    *(idle ? &cpu->idle_cycles : &cpu->busy_cycles) += cycles;
    cpu->accounted = now;
    if (idle != idle_next) {
        cpu->account_idle = idle_next;
    }
    arch_step32(&cpu->account_sequence);
}

/* A thread that was ready runs: so long it has waited for the CPU. */
ALWAYS_INLINE void account_waited(struct cpu *cpu, struct thread *thread, uint64_t now)
{
    uint64_t delay = now - thread->ready_since;
    thread->run_delay += delay;
    cpu->run_delay += delay;
}

/* A thread is put on a CPU. */
ALWAYS_INLINE void account_switch(struct cpu *cpu, struct thread *to)
{
    to->switches++;
    cpu->switches++;
}

/* ... by sched_handoff, straight from the one that ran. */
ALWAYS_INLINE void account_handoff(struct cpu *cpu)
{
    cpu->handoffs++;
}

/* A new thread is ready for the first time, here. */
ALWAYS_INLINE void account_start(struct cpu *cpu)
{
    cpu->threads_started++;
}

/* The thread that runs will never run again. */
ALWAYS_INLINE void account_end(struct cpu *cpu)
{
    cpu->threads_ended++;
}

/* A thread that was ready, ran or slept here is on its way to another CPU; it has come from one. */
ALWAYS_INLINE void account_leave(struct cpu *cpu)
{
    cpu->threads_moved--;
}

ALWAYS_INLINE void account_join(struct cpu *cpu)
{
    cpu->threads_moved++;
}

/* The thread that runs waits and makes place; a thread that waited and had made place does not wait any more. */
ALWAYS_INLINE void account_sleep(struct cpu *cpu)
{
    cpu->threads_waiting++;
}

ALWAYS_INLINE void account_wake(struct cpu *cpu)
{
    cpu->threads_waiting--;
}

#endif
