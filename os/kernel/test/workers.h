#ifndef OS_KERNEL_TEST_WORKERS_H
#define OS_KERNEL_TEST_WORKERS_H

/* Kernel threads of tests, so many a CPU, and the wait for their end. */

#include <stdbool.h>
#include <stdint.h>

#define WORKERS_MAX 128u

/*
 * Runs work(argument, number) in `count` threads, number n on CPU n modulo the CPUs online, and returns when all have
 * returned. False: a thread could not be made, or they were not done after `limit_ns`.
 */
bool workers_run(unsigned count, void (*work)(void *argument, unsigned number), void *argument,
                 uint64_t limit_ns);

#endif
