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

static struct {
    bool busy;
    uint64_t begun;   /* grace periods */
    uint64_t ended;   /* the newest that has ended */
    uint64_t waiting; /* CPUs that have not answered */
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

/* One grace period; grace.busy is held, preemption off. */
static void run_grace_period(void)
{
    uint64_t number = __atomic_add_fetch(&grace.begun, 1, __ATOMIC_SEQ_CST);
    uint64_t targets = cpu_online_mask() & ~(1ull << arch_cpu_id());
    __atomic_store_n(&grace.waiting, targets, __ATOMIC_SEQ_CST);
    for (uint64_t left = targets; left != 0; left &= left - 1) {
        ipi_reschedule((unsigned)__builtin_ctzll(left));
    }
    while (__atomic_load_n(&grace.waiting, __ATOMIC_SEQ_CST) != 0) {
        arch_pause();
    }
    __atomic_store_n(&grace.ended, number, __ATOMIC_SEQ_CST);
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
    /* A period that begins from now on will do; the one under way may have begun too early. */
    uint64_t wanted = __atomic_load_n(&grace.begun, __ATOMIC_SEQ_CST) + 1;
    preempt_disable();
    while (__atomic_load_n(&grace.ended, __ATOMIC_SEQ_CST) < wanted) {
        if (__atomic_exchange_n(&grace.busy, true, __ATOMIC_ACQUIRE)) {
            preempt_enable();
            arch_pause();
            preempt_disable();
            continue;
        }
        if (__atomic_load_n(&grace.ended, __ATOMIC_SEQ_CST) < wanted) {
            run_grace_period();
        }
        __atomic_store_n(&grace.busy, false, __ATOMIC_RELEASE);
    }
    preempt_enable();
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
