#ifndef OS_KERNEL_SCHED_RCU_H
#define OS_KERNEL_SCHED_RCU_H

/*
 * Read-copy-update. A reader looks at shared structures without a lock, in a read section: preemption off, no sleeping.
 * A writer takes something out, waits for a grace period (every read section that might have seen it has ended), and then
 * frees it. Grace periods are expedited: the reschedule interrupt asks every CPU, which answers at once or at the end of
 * its read section.
 */

#include <stdbool.h>
#include <stdint.h>

#include "lib/list.h"

struct rcu_node;
typedef void (*rcu_function)(struct rcu_node *node);

/* Part of what is to be freed after a grace period. */
struct rcu_node {
    struct rcu_node *next;
    rcu_function function;
};

/* From the reschedule interrupt: answers unless this CPU is in a read section. */
void rcu_interrupt(void);

/* Answers for this CPU, which is in no read section. Preemption off. */
void rcu_answer(void);

/* Starts the thread that serves rcu_defer. Once, in thread context. */
void rcu_start(void);

/*
 * Returns when every read section has ended that had begun before the call. Thread context, interrupts on, no spinlock
 * held, not in a read section. Bound: the longest read section, or time with interrupts off, of any CPU.
 */
void rcu_synchronize(void);

/* Calls function(node) after a grace period, in thread context without locks. Any context but under a run queue's lock. */
void rcu_defer(struct rcu_node *node, rcu_function function);

/* Returns when every function has been called that was deferred before. Thread context, no locks. */
void rcu_barrier(void);

#if __STDC_HOSTED__

void rcu_read_lock(void);
void rcu_read_unlock(void);

/* This CPU is in a read section. */
bool rcu_reading(void);

#else

#include "arch/x86_64/percpu.h"

void preempt_disable(void);
void preempt_enable(void);

/* Begins a read section; they nest. Any context in which preempt_disable is allowed. */
static inline void rcu_read_lock(void)
{
    preempt_disable();
    cpu_this()->rcu.nesting++;
    __asm__ volatile("" : : : "memory");
}

static inline void rcu_read_unlock(void)
{
    __asm__ volatile("" : : : "memory");
    struct cpu *cpu = cpu_this();
    if (--cpu->rcu.nesting == 0 && __builtin_expect(cpu->rcu.asked, 0)) {
        rcu_answer();
    }
    preempt_enable();
}

static inline bool rcu_reading(void)
{
    return cpu_this()->rcu.nesting != 0;
}

#endif

#endif
