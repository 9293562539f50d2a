/*
 * Grace periods. The writer publishes the CPUs it waits for, interrupts each of them, and spins until the last has
 * answered; one writer at a time, the others take the grace period that began after their call for their own.
 *
 * Why an answer proves the end of all older read sections: sections run with preemption off and counted on their CPU.
 * Either the interrupt finds the count at zero, or the section that it interrupted answers when the count comes to zero.
 * Interrupt code that reads leaves the count as it found it.
 */
#include "sched/rcu.h"

#include "arch/x86_64/percpu.h"
#include "must.h"
#include "panic.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "smp/ipi.h"

/*
 * A line each: whoever waits for a period of another CPU polls `turn`, the CPU whose period it is polls `waiting`. A period
 * begins and ends with one turn more, so an odd one says that one is under way.
 */
static struct {
    uint64_t turn __attribute__((aligned(64)));
    uint64_t waiting __attribute__((aligned(64))); /* CPUs that have not answered */
} grace;

static struct {
    struct rcu_node *first; /* newest first */
    uint64_t pushed;        /* nodes ever */
    uint64_t called;        /* nodes whose function has returned */
    struct thread *thread;
    struct wait_queue done;
} deferred = {.done = WAIT_QUEUE_INIT(deferred.done, "rcu.done")};

void rcu_answer(void)
{
    struct cpu *cpu = cpu_this();
    cpu->rcu.asked = false;
    __atomic_and_fetch(&grace.waiting, ~(1ull << cpu->id), __ATOMIC_SEQ_CST);
}

void rcu_interrupt(void)
{
    struct cpu *cpu = cpu_this();
    if ((__atomic_load_n(&grace.waiting, __ATOMIC_SEQ_CST) & 1ull << cpu->id) == 0) {
        return;
    }
    if (cpu->rcu.nesting == 0) {
        rcu_answer();
    } else {
        cpu->rcu.asked = true;
    }
}

/* One grace period; the turn is odd and this CPU's, preemption off. */
static void run_grace_period(void)
{
    uint64_t targets = cpu_online_mask() & ~(1ull << arch_cpu_id());
    __atomic_store_n(&grace.waiting, targets, __ATOMIC_SEQ_CST);
    for (uint64_t left = targets; left != 0; left &= left - 1) {
        ipi_reschedule((unsigned)__builtin_ctzll(left));
    }
    while (__atomic_load_n(&grace.waiting, __ATOMIC_SEQ_CST) != 0) {
        arch_pause();
    }
}

/*
 * Preemption is off while the period is this one's: a better thread that came between would wait for this one for ever. It is
 * no read section, so writers answer each other.
 */
void rcu_synchronize(void)
{
    if (rcu_reading()) {
        panic("rcu: grace period wanted in a read section");
    }
    /* What the caller has unlinked is seen by all before the turn is read: the period may be another CPU's. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t turn = __atomic_load_n(&grace.turn, __ATOMIC_SEQ_CST);
    /* The end of one that begins from now on; the one under way may have begun too early. */
    uint64_t wanted = (turn + 3) & ~1ull;
    for (; turn < wanted; turn = __atomic_load_n(&grace.turn, __ATOMIC_SEQ_CST)) {
        preempt_disable();
        bool ours = (turn & 1) == 0 && __atomic_compare_exchange_n(&grace.turn, &turn, turn + 1, false,
                                                                   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
        if (ours) {
            run_grace_period();
            __atomic_store_n(&grace.turn, turn + 2, __ATOMIC_SEQ_CST);
        }
        preempt_enable();
        if (!ours) {
            arch_pause();
        }
    }
}

void rcu_defer(struct rcu_node *node, rcu_function function)
{
    node->function = function;
    __atomic_add_fetch(&deferred.pushed, 1, __ATOMIC_SEQ_CST);
    struct rcu_node *first = __atomic_load_n(&deferred.first, __ATOMIC_RELAXED);
    do {
        node->next = first;
    } while (!__atomic_compare_exchange_n(&deferred.first, &first, node, true, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    if (first == NULL) {
        sched_wake(deferred.thread);
    }
}

/* Oldest first. */
static struct rcu_node *reversed(struct rcu_node *newest)
{
    struct rcu_node *oldest = NULL;
    while (newest != NULL) {
        struct rcu_node *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void serve(void *argument)
{
    (void)argument;
    for (;;) {
        sched_prepare_wait();
        struct rcu_node *node = __atomic_exchange_n(&deferred.first, NULL, __ATOMIC_SEQ_CST);
        if (node == NULL) {
            sched_block(WAIT_FOREVER);
            continue;
        }
        sched_cancel_wait();
        rcu_synchronize();
        for (node = reversed(node); node != NULL;) {
            struct rcu_node *next = node->next;
            node->function(node);
            node = next;
            __atomic_add_fetch(&deferred.called, 1, __ATOMIC_SEQ_CST);
        }
        wait_queue_wake_all(&deferred.done);
    }
}

void rcu_start(void)
{
    struct thread *thread;
    must(thread_create(&thread, &sched_kernel, serve, NULL), "rcu");
    deferred.thread = thread;
    sched_start(thread);
}

void rcu_barrier(void)
{
    uint64_t wanted = __atomic_load_n(&deferred.pushed, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&deferred.called, __ATOMIC_SEQ_CST) < wanted) {
        struct waiter waiter;
        wait_queue_join(&deferred.done, &waiter);
        if (__atomic_load_n(&deferred.called, __ATOMIC_SEQ_CST) < wanted) {
            wait_queue_sleep(&waiter, WAIT_FOREVER);
        }
        wait_queue_leave(&deferred.done, &waiter);
    }
}
