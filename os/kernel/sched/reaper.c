/* The reaper: frees dead threads in batches, one shootdown a batch. */
#include "sched/reaper.h"

#include "arch/x86_64/clock.h"
#include "arch/x86_64/kmap.h"
#include "lib/spinlock.h"
#include "sched/sched.h"
#include "sched/wait.h"

#define BATCH 16u

static struct spinlock lock = SPINLOCK_INIT("sched.reaper", REAPER);
static struct list dead = LIST_INIT(dead);
static uint32_t dead_count; /* queued or being freed */
static bool hurry;
static struct thread *reaper_thread;
static struct wait_queue idle_waiters = WAIT_QUEUE_INIT(idle_waiters, "sched.reaper.idle");

/* Wakes the reaper when its plans change: the first dead thread, or too many. */
void reaper_add(struct thread *thread)
{
    thread->dead_since = clock_cycles();
    uint64_t flags = spin_lock_irqsave(&lock);
    list_push_back(&dead, &thread->run_node);
    uint32_t count = __atomic_add_fetch(&dead_count, 1, __ATOMIC_RELAXED);
    spin_unlock_irqrestore(&lock, flags);
    if (count == 1 || count == REAPER_BACKLOG) {
        sched_wake(reaper_thread);
    }
}

void reaper_hurry(void)
{
    __atomic_store_n(&hurry, true, __ATOMIC_RELEASE);
    sched_wake(reaper_thread);
}

uint32_t reaper_pending(void)
{
    return __atomic_load_n(&dead_count, __ATOMIC_ACQUIRE);
}

void reaper_wait_idle(void)
{
    while (reaper_pending() != 0) {
        struct waiter waiter;
        wait_queue_join(&idle_waiters, &waiter);
        if (reaper_pending() != 0) {
            wait_queue_sleep(&waiter, WAIT_FOREVER);
        }
        wait_queue_leave(&idle_waiters, &waiter);
    }
}

/* Takes up to BATCH threads whose time has come; *next is when the first of the others is due. */
static unsigned take_due(struct thread **batch, uint64_t *next)
{
    uint64_t delay = clock_cycles_from_ns(REAPER_DELAY_NS);
    unsigned count = 0;
    uint64_t flags = spin_lock_irqsave(&lock);
    bool at_once = __atomic_load_n(&hurry, __ATOMIC_ACQUIRE) || dead_count >= REAPER_BACKLOG;
    uint64_t now = clock_cycles();
    *next = WAIT_FOREVER;
    while (count < BATCH && !list_empty(&dead)) {
        struct thread *thread = list_entry(dead.next, struct thread, run_node);
        if (!at_once && now - thread->dead_since < delay) {
            *next = thread->dead_since + delay;
            break;
        }
        list_remove(&thread->run_node);
        batch[count++] = thread;
    }
    if (list_empty(&dead)) {
        __atomic_store_n(&hurry, false, __ATOMIC_RELEASE);
    }
    spin_unlock_irqrestore(&lock, flags);
    return count;
}

static void free_batch(struct thread **batch, unsigned count)
{
    uint64_t tops[BATCH];
    for (unsigned i = 0; i < count; i++) {
        tops[i] = batch[i]->stack_top;
    }
    kmap_stacks_free(tops, count);
    for (unsigned i = 0; i < count; i++) {
        thread_free_block(batch[i]);
    }
    if (__atomic_sub_fetch(&dead_count, count, __ATOMIC_RELEASE) == 0) {
        wait_queue_wake_all(&idle_waiters);
    }
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
