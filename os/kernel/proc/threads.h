#ifndef OS_KERNEL_PROC_THREADS_H
#define OS_KERNEL_PROC_THREADS_H

/*
 * Threads of a process. A thread ends itself, always: when it asks for it, or when it was told to (`ending`) and is on its
 * way out to user mode, where it holds nothing. Whatever blocks in a system call looks at thread_must_end() after it has
 * prepared to wait and before it sleeps, so that the poke of who told it is not lost.
 *
 * The last thread of a process ends the process. Its exit status is what process_exit was given first, else 0.
 */

#include <stdbool.h>

#include "proc/process.h"
#include "sched/sched.h"

struct thread_request {
    uint64_t entry;
    uint64_t arguments[6];
    uint64_t stack_bytes; /* whole pages, at least one */
    bool detached;
};

/* How a thread ended, for who joins it. */
struct thread_record {
    struct list node; /* of its process */
    tid_t tid;
    bool ended;
    uint64_t value;
};

static inline bool thread_must_end(void)
{
    return __atomic_load_n(&thread_current()->ending, __ATOMIC_ACQUIRE);
}

/*
 * A new thread of the current process, with a user stack and thread-local storage that end with it. STATUS_ERR_NO_MEMORY;
 * STATUS_ERR_LIMIT: threads, or areas; STATUS_ERR_INTERRUPTED: the caller itself is to end.
 */
MUST_CHECK status_t process_thread_create(const struct thread_request *request, tid_t *out);

/* Ends the current thread; user stack and thread-local storage are free when a joiner gets the value. */
_Noreturn void process_thread_exit(uint64_t value);

/*
 * Waits until a thread of the current process has ended. STATUS_ERR_NOT_FOUND: no such thread, detached, or joined by
 * another one; STATUS_ERR_ARGUMENT: itself; STATUS_ERR_TIMEOUT; STATUS_ERR_INTERRUPTED: the caller is to end.
 */
MUST_CHECK status_t process_thread_join(tid_t tid, uint64_t deadline, uint64_t *value);

/* Tells all threads of a process to end; the first status given is its exit status. Any context, proc.tree not held. */
void process_end_begin(struct process *process, int32_t status);

/*
 * The same of the current process or a descendant of it. STATUS_ERR_NO_PROCESS: there is none of that number that lives;
 * STATUS_ERR_PERMISSION: it is another's, or init.
 */
MUST_CHECK status_t process_kill(pid_t pid, int32_t status);

/* Ends all other threads of the current process and returns when they have ended; STATUS_ERR_INTERRUPTED: the caller was
 * told to end first. */
MUST_CHECK status_t process_end_others(void);

/* After process_end_others: nothing of them is left, and the current thread is the main one. */
void process_become_single(void);

/* Tid of the main thread, 0 when it has ended. The tree is locked. */
tid_t process_main_thread_locked(const struct process *process);

/* Ends the current thread when it was told to. At the way out to user mode, interrupts on or off. */
void process_check_end(void);

void process_drop_records(struct process *process);

#endif
