#ifndef OS_KERNEL_SCHED_RUNQUEUE_H
#define OS_KERNEL_SCHED_RUNQUEUE_H

/* Ready threads of one CPU: a list a priority level and a bit mask of the levels that are not empty. */

#include <stdbool.h>
#include <stdint.h>

#include "lib/list.h"
#include "lib/spinlock.h"

/* Levels, strict: a thread runs only while no better level is ready. */
enum priority { PRIORITY_KERNEL, PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW, PRIORITY_COUNT };

struct thread;

struct run_queue {
    struct spinlock lock;
    uint32_t ready_mask; /* bit n: levels[n] is not empty */
    uint32_t ready_count;
    struct list levels[PRIORITY_COUNT];
    struct list sleepers;         /* by wake_deadline, earliest first */
    struct thread *switched_from; /* between leaving a thread and the first step of the next */
};

void run_queue_init(struct run_queue *queue, const char *name);

/* Lock held for all that follow. */
void run_queue_push(struct run_queue *queue, struct thread *thread);

/* Takes the first thread of the best level, null when nothing is ready. Bound: O(1). */
struct thread *run_queue_pop(struct run_queue *queue);

/* Takes a queued thread out. */
void run_queue_remove(struct run_queue *queue, struct thread *thread);

/* A thread of this level or a better one is ready. */
static inline bool run_queue_has(const struct run_queue *queue, enum priority priority)
{
    return (queue->ready_mask & ((2u << priority) - 1)) != 0;
}

/* Sorted insertion; equal deadlines keep the order of their calls. Bound: O(sleepers). */
void run_queue_sleep(struct run_queue *queue, struct thread *thread);

#endif
