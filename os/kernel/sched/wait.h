#ifndef OS_KERNEL_SCHED_WAIT_H
#define OS_KERNEL_SCHED_WAIT_H

/*
 * Wait queues. The pattern that cannot lose a wake-up:
 *
 *     wait_queue_join(queue, &waiter);      from here on a wake-up is remembered
 *     if (!condition()) {
 *         wait_queue_sleep(&waiter, deadline);
 *     }
 *     wait_queue_leave(queue, &waiter);
 *
 * A thread may join several queues before it sleeps, and leaves each of them. The waker makes the condition
 * true first, then calls wait_queue_wake_all. A waiter lives on its thread's stack; leave takes the queue's
 * lock, so no waker can still look at it afterwards.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/list.h"
#include "lib/spinlock.h"

#define WAIT_FOREVER UINT64_MAX

struct wait_queue {
    struct spinlock lock;
    struct list waiters;
};

struct thread;

struct waiter {
    struct list node;
    struct thread *thread;
};

#define WAIT_QUEUE_INIT(queue, queue_name)                                                   \
    {                                                                                        \
        .lock = SPINLOCK_INIT(queue_name, WAIT_QUEUE), .waiters = LIST_INIT((queue).waiters) \
    }

void wait_queue_init(struct wait_queue *queue, const char *name);
void wait_queue_join(struct wait_queue *queue, struct waiter *waiter);

/* Sleeps until woken or until the deadline in cycles. False: the deadline passed (a wake-up may still have
 * come). */
bool wait_queue_sleep(struct waiter *waiter, uint64_t deadline_cycles);

void wait_queue_leave(struct wait_queue *queue, struct waiter *waiter);

/* Any context, interrupts on or off. */
void wait_queue_wake_all(struct wait_queue *queue);

#endif
