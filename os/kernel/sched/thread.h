#ifndef OS_KERNEL_SCHED_THREAD_H
#define OS_KERNEL_SCHED_THREAD_H

/* The thread control block: one structure for scheduler and processes. */

#include <stdbool.h>
#include <stdint.h>

#include "abi/status.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/frame.h"
#include "ipc/endpoint.h"
#include "lib/fail.h"
#include "lib/list.h"
#include "lib/tree.h"
#include "sched/runqueue.h"

typedef struct pid pid_t;
typedef struct tid tid_t;

enum thread_state {
    THREAD_NEW,     /* not yet started */
    THREAD_READY,   /* in a run queue */
    THREAD_RUNNING, /* current on a CPU */
    THREAD_WAITING, /* in a wait queue or asleep, or about to be */
    THREAD_WAKING,  /* taken from its old CPU, or new; not yet in a run queue */
    THREAD_DEAD,    /* will never run again */
};

#define AFFINITY_ALL UINT64_MAX

struct process;
struct thread_record;

struct thread {
    struct fpu_state fpu;
    uint64_t saved_stack; /* stack pointer while not running */
    struct fpu_use fpu_use;
    tid_t tid;
    enum thread_state state; /* under the lock of the queue of `cpu` once started */
    uint32_t cpu;            /* whose run queue owns the thread */
    uint32_t preempt_disable;
    bool need_resched;
    bool on_sleepers;
    bool is_idle;
    bool wait_prepared; /* between sched_prepare_wait and sched_block or sched_cancel_wait */
    bool timed_out;
    struct sched_entity sched;
    struct tree_node sleep_node;
    struct list dead_node;
    struct list process_node;
    struct process *process;     /* null: kernel thread */
    struct address_space *space; /* null: the kernel's own tables */
    uint64_t stack_top;
    uint64_t user_fs_base;
    uint64_t user_gs_base;
    uint64_t affinity;     /* bit n: may run on CPU n */
    uint32_t deadline_cpu; /* where a deadline thread was admitted */
    uint32_t home_node;    /* NUMA node near which it is kept */
    uint64_t migrations;
    uint64_t moved_at;    /* cycles */
    uint64_t ready_since; /* cycles, while READY */
    uint64_t run_delay;   /* cycles it was ready and did not run, so far */
    uint64_t switches;    /* times it was put on a CPU */
    uint64_t dead_since;
    struct ipc_party ipc; /* its messages (ipc/ipc.h) */
    bool ending;          /* is to end on its way out to user mode (proc/threads.h); set under proc.tree */
    struct thread_record *record; /* for who joins it, null: nobody can */
    uint64_t user_stack;          /* lowest byte of the stack that ends with the thread, 0: none */
    uint64_t user_stack_bytes;    /* with its thread-local storage */
    uint64_t syscalls;            /* not yet added to its process's, like: */
    uint64_t messages;            /* sent and called */
    struct failure noted;         /* since the present call began (sys/errors.h) */
    struct failure failed;        /* by the last call that failed; status STATUS_OK: none has */
    status_t copy_fault;          /* what the last fault of a copy that it ended was answered with */
};

/* Usual parameters: kernel threads that nothing may hold up; programs; what may wait for ever. */
extern const struct sched_params sched_kernel;
extern const struct sched_params sched_normal;
extern const struct sched_params sched_background;

/* What a thread made by this one starts with: the same, but a deadline is not inherited. */
const struct sched_params *sched_params_of_child(const struct thread *thread);

/* Whether what ended threads give back is told on the console (log=threads on the command line). */
bool thread_log(void);
void thread_log_set(bool on);

/* Makes the cache of thread control blocks. */
MUST_CHECK status_t thread_system_init(void);

/*
 * A thread with a kernel stack, state NEW. The parameters are checked and no deadline. function null: a user thread
 * that arch_thread_first_user or arch_thread_clone_user is to tell where it begins. STATUS_ERR_NO_MEMORY, STATUS_ERR_LIMIT.
 */
MUST_CHECK status_t thread_create(struct thread **out, const struct sched_params *params,
                                  void (*function)(void *), void *argument);

/* The register frame at the top of the kernel stack of a user thread. */
static inline struct frame *thread_user_frame(const struct thread *thread)
{
    return (struct frame *)(uintptr_t)(thread->stack_top - sizeof(struct frame));
}

/* Frees control block and stack of a thread that was never started. */
void thread_destroy_new(struct thread *thread);

/* Gives control block back (stack already freed). */
void thread_free_block(struct thread *thread);

/* Legal state changes; panics on any other. */
void thread_set_state(struct thread *thread, enum thread_state to);

#endif
