#ifndef OS_KERNEL_TEST_WORKERS_H
#define OS_KERNEL_TEST_WORKERS_H

/* Kernel threads of tests, so many a CPU, and the wait for their end; the reaper of tests. */

#include <stdbool.h>
#include <stdint.h>

#define WORKERS_MAX 128u

/*
 * Runs work(argument, number) in `count` threads, number n on CPU n modulo the CPUs online, and returns when all have
 * returned. False: a thread could not be made, or they were not done after `limit_ns`.
 */
bool workers_run(unsigned count, void (*work)(void *argument, unsigned number), void *argument,
                 uint64_t limit_ns);

/*
 * From the first call on, another thread than that of the tests is the reaper, as in a system that runs, so quiesce() may be
 * called. False: it could not be made.
 */
bool workers_reaper(void);

#endif
