#ifndef OS_KERNEL_TEST_WORKERS_H
#define OS_KERNEL_TEST_WORKERS_H

/* Kernel threads of tests: so many a CPU, or each on a given one; the wait for their ends; the reaper of tests. */

#include <stdbool.h>
#include <stdint.h>

#include "sched/thread.h"

#define WORKERS_MAX 128u

/*
 * Runs work(argument, number) in `count` threads, number n on CPU n modulo the CPUs online, and returns when all have
 * returned. False: a thread could not be made, or they were not done after `limit_ns`.
 */
bool workers_run(unsigned count, void (*work)(void *argument, unsigned number), void *argument,
                 uint64_t limit_ns);

/*
 * For tests that start each thread by themselves: workers_begin() before the first, worker_ends() as the last that each thread
 * does, and the wait for so many ends. False: there were fewer after `limit_ns`, or more.
 */
void workers_begin(void);
void worker_ends(void);
bool workers_wait(uint32_t count, uint64_t limit_ns);

/* Starts a new thread on this CPU, where it stays: no tick takes it elsewhere. False: it does not stay. */
MUST_CHECK bool worker_start(struct thread *thread, unsigned cpu);

/* Makes and starts one. Null: it could not be made, or does not stay. */
struct thread *worker_make(void (*work)(void *), const struct sched_params *params, unsigned cpu);

/*
 * From the first call on, another thread than that of the tests is the reaper, as in a system that runs, so quiesce() may be
 * called. False: it could not be made.
 */
bool workers_reaper(void);

/* The CPUs, a bit each, among which that thread may be moved. */
bool workers_reaper_may_run_on(uint64_t cpus);

#endif
