#ifndef OS_KERNEL_TEST_LOCKDEP_H
#define OS_KERNEL_TEST_LOCKDEP_H

/* What the lock validator has seen since the start, or since lockdep_forget. */

#include <stdint.h>

struct lockdep_report {
    uint32_t breaches;
    const char *what; /* of the first breach: "order", "interrupts", "depth", "release" */
    const char *first;
    const char *second;
    uint64_t longest_cycles; /* for which a CPU held locks without a break; since the start */
    const char *longest_name;
};

void lockdep_read(struct lockdep_report *out);
void lockdep_forget(void);

/*
 * The lock trace of this CPU, from one call to the other: how many locks were taken outside interrupts, and how many of them
 * were not `expected`. The caller runs on the same CPU both times.
 */
struct spinlock;
void lockdep_trace(const struct spinlock *expected);
void lockdep_traced(uint32_t *taken, uint32_t *others);

#endif
