/* The reaper: frees dead threads in batches, one shootdown a batch. */
#include "sched/reaper.h"

#include "arch/x86_64/clock.h"
#include "arch/x86_64/kmap.h"
#include "console.h"
#include "lib/spinlock.h"
#include "sched/rcu.h"
#include "sched/sched.h"
#include "sched/wait.h"

#define BATCH 16u

static struct spinlock reaper_lock = SPINLOCK_INIT("sched.reaper", REAPER);
static struct list dead = LIST_INIT(dead);
/* Threads are freed in the order in which they were handed over, so numbers say which ones. */
static uint64_t handed_over; /* so far */
static uint64_t freed;       /* so far */
static uint64_t hurried;     /* the first so many go without their delay */
static struct thread *reaper_thread;
static struct wait_queue waiters = WAIT_QUEUE_INIT(waiters, "sched.reaper.waiters");

/* Wakes the reaper when its plans change: the first dead thread, or too many. */
void reaper_add(struct thread *thread)
{
    thread->dead_since = clock_cycles();
    uint64_t flags = spin_lock_irqsave(&reaper_lock);
    list_push_back(&dead, &thread->dead_node);
    handed_over++;
    uint64_t pending = handed_over - freed;
    spin_unlock_irqrestore(&reaper_lock, flags);
    if (pending == 1 || pending == REAPER_BACKLOG) {
        sched_wake(reaper_thread);
    }
}

uint32_t reaper_pending(void)
{
    uint64_t flags = spin_lock_irqsave(&reaper_lock);
    uint64_t pending = handed_over - freed;
    spin_unlock_irqrestore(&reaper_lock, flags);
    return (uint32_t)pending;
}

/* Sleeps until the first `number` threads have been freed. */
static void wait_until_freed(uint64_t number)
{
    while (__atomic_load_n(&freed, __ATOMIC_ACQUIRE) < number) {
        struct waiter waiter;
        wait_queue_join(&waiters, &waiter);
        if (__atomic_load_n(&freed, __ATOMIC_ACQUIRE) < number) {
            wait_queue_sleep(&waiter, WAIT_FOREVER);
        }
        wait_queue_leave(&waiters, &waiter);
    }
}

void reaper_wait(void)
{
    sched_wait_announced_ends();
    wait_until_freed(__atomic_load_n(&handed_over, __ATOMIC_ACQUIRE));
}

bool reaper_reclaim(void)
{
    sched_wait_announced_ends();
    uint64_t flags = spin_lock_irqsave(&reaper_lock);
    uint64_t number = handed_over;
    bool any = freed < number;
    hurried = number;
    spin_unlock_irqrestore(&reaper_lock, flags);
    if (any) {
        sched_wake(reaper_thread);
        wait_until_freed(number);
    }
    return any;
}

/* Takes up to BATCH threads whose time has come; *next is when the first of the others is due. */
static unsigned take_due(struct thread **batch, uint64_t *next)
{
    uint64_t delay = clock_cycles_from_ns(REAPER_DELAY_NS);
    unsigned count = 0;
    uint64_t flags = spin_lock_irqsave(&reaper_lock);
    bool too_many = handed_over - freed >= REAPER_BACKLOG;
    uint64_t now = clock_cycles();
    *next = WAIT_FOREVER;
    while (count < BATCH && !list_empty(&dead)) {
        struct thread *thread = list_entry(dead.next, struct thread, dead_node);
        if (!too_many && freed + count >= hurried && now - thread->dead_since < delay) {
            *next = thread->dead_since + delay;
            break;
        }
        list_remove(&thread->dead_node);
        batch[count++] = thread;
    }
    spin_unlock_irqrestore(&reaper_lock, flags);
    return count;
}

static void free_batch(struct thread **batch, unsigned count)
{
    uint64_t tops[BATCH];
    for (unsigned i = 0; i < count; i++) {
        tops[i] = batch[i]->stack_top;
        if (thread_log()) {
            console_printf("thread %u: kernel stack, %llu bytes at 0x%llx: freed\n", batch[i]->tid.number,
                           (unsigned long long)KERNEL_STACK_BYTES,
                           (unsigned long long)(batch[i]->stack_top - KERNEL_STACK_BYTES));
        }
    }
    rcu_synchronize(); /* who wakes a thread in a read section may still look at it (ipc/ipc.c) */
    kmap_stacks_free(tops, count);
    for (unsigned i = 0; i < count; i++) {
        thread_free_block(batch[i]);
    }
    uint64_t flags = spin_lock_irqsave(&reaper_lock);
    __atomic_store_n(&freed, freed + count, __ATOMIC_RELEASE);
    spin_unlock_irqrestore(&reaper_lock, flags);
    wait_queue_wake_all(&waiters);
}

void reaper_prepare(void)
{
    reaper_thread = thread_current();
}

void reaper_run(void)
{
    for (;;) {
        struct thread *batch[BATCH];
        uint64_t next;
        sched_prepare_wait();
        unsigned count = take_due(batch, &next);
        if (count == 0) {
            sched_block(next);
            continue;
        }
        sched_cancel_wait();
        free_batch(batch, count);
    }
}
