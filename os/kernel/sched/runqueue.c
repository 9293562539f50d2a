/* Run queue of one CPU: FIFO lists by level. */
#include "sched/runqueue.h"

#include "sched/thread.h"

void run_queue_init(struct run_queue *queue, const char *name)
{
    spinlock_init(&queue->lock, name, LOCK_CLASS_RUN_QUEUE);
    queue->ready_mask = 0;
    queue->ready_count = 0;
    queue->switched_from = NULL;
    for (unsigned level = 0; level < PRIORITY_COUNT; level++) {
        list_init(&queue->levels[level]);
    }
    list_init(&queue->sleepers);
}

void run_queue_push(struct run_queue *queue, struct thread *thread)
{
    list_push_back(&queue->levels[thread->priority], &thread->run_node);
    queue->ready_mask |= 1u << thread->priority;
    queue->ready_count++;
}

void run_queue_remove(struct run_queue *queue, struct thread *thread)
{
    list_remove(&thread->run_node);
    queue->ready_count--;
    if (list_empty(&queue->levels[thread->priority])) {
        queue->ready_mask &= ~(1u << thread->priority);
    }
}

struct thread *run_queue_pop(struct run_queue *queue)
{
    if (queue->ready_mask == 0) {
        return NULL;
    }
    unsigned level = (unsigned)__builtin_ctz(queue->ready_mask);
    struct thread *thread = list_entry(queue->levels[level].next, struct thread, run_node);
    run_queue_remove(queue, thread);
    return thread;
}

void run_queue_sleep(struct run_queue *queue, struct thread *thread)
{
    struct list *before = &queue->sleepers;
    while (before->prev != &queue->sleepers &&
           list_entry(before->prev, struct thread, sleep_node)->wake_deadline > thread->wake_deadline) {
        before = before->prev;
    }
    list_insert_before(before, &thread->sleep_node);
    thread->on_sleepers = true;
}
