/* Wait queues on top of sched_block and sched_wake. */
#include "sched/wait.h"

#include "sched/sched.h"

void wait_queue_init(struct wait_queue *queue, const char *name)
{
    spinlock_init(&queue->lock, name, LOCK_CLASS_WAIT_QUEUE);
    list_init(&queue->waiters);
}

void wait_queue_join(struct wait_queue *queue, struct waiter *waiter)
{
    waiter->thread = thread_current();
    uint64_t flags = spin_lock_irqsave(&queue->lock);
    list_push_back(&queue->waiters, &waiter->node);
    if (!waiter->thread->wait_prepared) { /* else it waits on another queue as well */
        sched_prepare_wait();
    }
    spin_unlock_irqrestore(&queue->lock, flags);
}

bool wait_queue_sleep(struct waiter *waiter, uint64_t deadline_cycles)
{
    (void)waiter;
    return sched_block(deadline_cycles);
}

void wait_queue_leave(struct wait_queue *queue, struct waiter *waiter)
{
    uint64_t flags = spin_lock_irqsave(&queue->lock);
    list_remove(&waiter->node);
    spin_unlock_irqrestore(&queue->lock, flags);
    sched_cancel_wait();
}

void wait_queue_wake_all(struct wait_queue *queue)
{
    uint64_t flags = spin_lock_irqsave(&queue->lock);
    for (struct list *node; (node = list_pop_front(&queue->waiters)) != NULL;) {
        sched_wake(list_entry(node, struct waiter, node)->thread);
    }
    spin_unlock_irqrestore(&queue->lock, flags);
    sched_switch_if_needed();
}
