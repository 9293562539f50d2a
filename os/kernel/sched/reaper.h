#ifndef OS_KERNEL_SCHED_REAPER_H
#define OS_KERNEL_SCHED_REAPER_H

/*
 * Deferred free of dead threads: a dead thread's stack and control block are freed 100 ticks (1 s) after its
 * last switch, by a kernel thread. That it has switched away for ever is known, not guessed: it is queued
 * here by the thread that ran next. When the memory is wanted (reaper_hurry, or more than REAPER_BACKLOG dead
 * threads) the wait is cut.
 */

#include <stdbool.h>
#include <stdint.h>

#define REAPER_DELAY_NS 1000000000ull
#define REAPER_BACKLOG  512u

struct thread;

/* Makes the current kernel thread the reaper-to-be: dead threads are kept from here on. */
void reaper_prepare(void);

/* The reaper's work, for ever; on the thread that called reaper_prepare. */
_Noreturn void reaper_run(void);

/* Hands over a thread that is DEAD and no longer runs on any CPU. Run-queue lock may be held; interrupts off.
 */
void reaper_add(struct thread *thread);

/* Frees everything that is dead as soon as possible; returns at once. */
void reaper_hurry(void);

/* Sleeps until no dead thread is left. */
void reaper_wait_idle(void);

/* Dead threads not yet freed. */
uint32_t reaper_pending(void);

#endif
