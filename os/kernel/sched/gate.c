/* Sleeping at words of the kernel. Deviations: no priority is inherited from who sleeps. */
#include "sched/gate.h"

#include "arch/arch.h"
#include "lib/list.h"
#include "lib/spinlock.h"
#include "sched/sched.h"
#include "sched/wait.h"

#define BUCKETS 64u

struct sleeper {
    struct list node;
    const uint32_t *word;
    struct thread *thread;
    bool overtaken; /* it has waited before */
    bool owns;      /* the word was handed to it */
};

static struct bucket {
    struct spinlock lock;
    struct list sleepers;
} buckets[BUCKETS];

void gate_init(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        spinlock_init(&buckets[i].lock, "sched.gate", LOCK_CLASS_GATE);
        list_init(&buckets[i].sleepers);
    }
}

static struct bucket *bucket_of(const uint32_t *word)
{
    return &buckets[((uint64_t)(uintptr_t)word >> 4) * 0x9e3779b97f4a7c15ull >> 58];
}

bool gate_wait(const uint32_t *word, bool overtaken)
{
    struct thread *thread = thread_current();
    struct bucket *bucket = bucket_of(word);
    if (!arch_irq_enabled() || thread->preempt_disable != 0 || thread->is_idle) {
        arch_pause();
        return false;
    }
    struct sleeper sleeper = {.word = word, .thread = thread, .overtaken = overtaken};
    uint64_t flags = spin_lock_irqsave(&bucket->lock);
    bool sleeps = __atomic_load_n(word, __ATOMIC_RELAXED) == 2;
    list_init(&sleeper.node);
    if (sleeps) {
        (overtaken ? list_push_front : list_push_back)(&bucket->sleepers, &sleeper.node);
        sched_prepare_wait();
    }
    spin_unlock_irqrestore(&bucket->lock, flags);
    if (sleeps) {
        sched_block(WAIT_FOREVER);
        flags = spin_lock_irqsave(&bucket->lock);
        list_remove(&sleeper.node);
        spin_unlock_irqrestore(&bucket->lock, flags);
    }
    return sleeper.owns;
}

/* The first that sleeps at a word, null when nobody does. Locked. */
static struct sleeper *first_at(const struct bucket *bucket, const uint32_t *word)
{
    list_for_each(node, &bucket->sleepers)
    {
        struct sleeper *sleeper = list_entry(node, struct sleeper, node);
        if (sleeper->word == word) {
            return sleeper;
        }
    }
    return NULL;
}

void gate_leave(uint32_t *word)
{
    struct bucket *bucket = bucket_of(word);
    uint64_t flags = spin_lock_irqsave(&bucket->lock);
    struct sleeper *first = first_at(bucket, word);
    if (first != NULL && first->overtaken) {
        first->owns = true;
    } else {
        __atomic_store_n(word, 0, __ATOMIC_RELEASE);
    }
    if (first != NULL) {
        list_remove(&first->node);
        sched_wake(first->thread);
    }
    spin_unlock_irqrestore(&bucket->lock, flags);
    sched_switch_if_needed();
}
