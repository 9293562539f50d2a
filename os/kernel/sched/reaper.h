#ifndef OS_KERNEL_SCHED_REAPER_H
#define OS_KERNEL_SCHED_REAPER_H

/*
 * Deferred free of dead threads: a dead thread's stack and control block are freed 100 ticks (1 s) after its
 * last switch, by a kernel thread. That it has switched away for ever is known, not guessed: it is queued
 * here by the thread that ran next. When the memory is wanted (reaper_reclaim, or more than REAPER_BACKLOG dead
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

/* Hands over a thread that is DEAD and no longer runs on any CPU. No lock held; interrupts off. */
void reaper_add(struct thread *thread);

/*
 * Sleeps until every thread has been freed that was dead at the call: handed over, or ending behind an exit status
 * that others could see (sched_announce_end). Those that die later do not prolong it.
 */
void reaper_wait(void);

/* Frees what is dead without its delay and returns when that is done; false when nothing was dead. Thread context. */
bool reaper_reclaim(void);

/* Dead threads not yet freed. */
uint32_t reaper_pending(void);

#endif
