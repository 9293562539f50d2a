#ifndef OS_KERNEL_PROC_PROCESS_H
#define OS_KERNEL_PROC_PROCESS_H

/*
 * Processes; the scheduler knows threads only. Tree, table, states, exit statuses and quotas are
 * under one lock (proc.tree), held for a few steps at a time.
 */

#include <stdbool.h>
#include <stdint.h>

#include "abi/abi.h"
#include "abi/status.h"
#include "arch/x86_64/frame.h"
#include "cap/cap.h"
#include "ipc/rate_gate.h"
#include "lib/list.h"
#include "mm/vm.h"
#include "proc/user_stack.h"
#include "sched/thread.h"
#include "sched/wait.h"

#define PROCESS_NAME_BYTES    32u
#define PROCESS_TABLE_BUCKETS 1024u
#define PROCESS_TREE_QUOTA    4096u /* of init's tree */
#define PROCESS_QUOTA_DEPTH   16u   /* trees inside one another */

enum process_state {
    PROCESS_NEW, /* being built, not in the table */
    PROCESS_LIVE,
    PROCESS_EXITING, /* gives its resources back */
    PROCESS_ZOMBIE,  /* waits for its parent */
    PROCESS_DEAD,    /* reaped; freed with the last reference */
};

/* Limit of a tree of processes. A tree inside another counts in both. */
struct process_quota {
    struct process_quota *outer;
    uint32_t references;
    uint32_t limit;
    uint32_t used;
    uint32_t depth; /* trees around this one */
};

struct process {
    pid_t pid;
    enum process_state state;
    uint32_t references;
    struct process *parent; /* null for init */
    struct list children;
    struct list sibling_node;
    struct list table_node;
    struct list threads;        /* that have not ended; from thread_create, fork or exec to thread end */
    uint32_t thread_count;      /* length of that list; changes under proc.tree, read anywhere */
    struct thread *main_thread; /* null when it has ended */
    struct list thread_records; /* of threads that can be joined */
    struct wait_queue threads_changed; /* one has ended */
    struct tls_image tls;
    struct wait_queue child_ended;
    int32_t exit_status;
    struct address_space *space; /* null once given back */
    struct cap_space *caps;
    struct process_quota *quota;
    struct rate_gate rate; /* of messages */
    uint64_t syscalls;     /* of threads that have ended */
    uint64_t messages;     /* of the same */
    bool ending;           /* all its threads are to end, and exit_status says why */
    char name[PROCESS_NAME_BYTES];
};

struct process_totals {
    uint32_t processes; /* all but dead ones */
    uint32_t threads;   /* of processes */
    uint64_t forks;
    uint64_t exits;
};

MUST_CHECK status_t process_system_init(void);

/* Creates init (pid 1) from a program of the boot image and starts it. Fails as exec does. */
MUST_CHECK status_t process_start_init(const char *path, const char *argument);

static inline struct process *process_current(void)
{
    struct thread *thread;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(thread) : "i"(CPU_CURRENT));
    return thread->process;
}

/* Process of a number with a reference, null when there is none. process_put gives the reference back. */
struct process *process_get(pid_t pid);
void process_put(struct process *process);

/* Capability space of a live child of the current process, with a reference; null: no such child. */
struct cap_space *process_child_caps(pid_t pid);

void process_totals_read(struct process_totals *out);

/* The system calls. fork returns in the child with a frame of its own. */
MUST_CHECK status_t process_fork(const struct frame *frame, pid_t *child);

/*
 * A child with a program of the boot image and nothing else: what it may do are the capabilities derived from those of the
 * current process that caps names, whose handles in the child come back in `given`. A source in a well-known slot is
 * derived into the same one. given_to: where the caller wants them, written before the child runs. Fails as exec and
 * cap_derive, with STATUS_ERR_EXISTS for two of one well-known slot; then there is no child.
 */
MUST_CHECK status_t process_spawn(const char *path, vaddr_t argv, vaddr_t envp, struct spawn_cap *caps,
                                  uint32_t count, vaddr_t given_to, pid_t *child);

/* Replaces the program of the current process; on success the frame leads to the new one. */
MUST_CHECK status_t process_exec(struct frame *frame, vaddr_t path, vaddr_t argv, vaddr_t envp);

/* Ends the current process: its other threads too. */
_Noreturn void process_exit(int32_t status);

/* pid 0: any child. STATUS_ERR_NO_CHILD; STATUS_ERR_AGAIN when none has ended and block is false. */
MUST_CHECK status_t process_wait(pid_t wanted, bool block, pid_t *ended, int32_t *status);

/* The live process that holds most frames, the younger of two, with a reference; not init, and none that is ending already.
 * Null when there is none. */
struct process *process_get_largest(uint64_t *frames);

/* Has it given its memory back? */
bool process_is_empty(struct process *process);

/* Gives a process another space (null: none) and returns the old one, which nobody looks at any more. */
struct address_space *process_swap_space(struct process *process, struct address_space *space);

/* May the current process look at this one, or change it? STATUS_ERR_NO_PROCESS: it was reaped after it was found;
 * STATUS_ERR_PERMISSION: neither the current one nor a descendant. The tree is locked. */
MUST_CHECK status_t process_own_locked(const struct process *process);

/* Figures of the current process (pid 0) or a descendant. STATUS_ERR_NO_PROCESS, STATUS_ERR_PERMISSION. */
MUST_CHECK status_t process_info_read(pid_t pid, struct process_info *out);

/* A child of the current process has ended and is not yet waited for. */
bool process_has_zombie(void);

/* The current process and its future descendants become a quota tree of their own. STATUS_ERR_RANGE,
 * _LIMIT (too deep), _NO_MEMORY. */
MUST_CHECK status_t process_quota_set(uint32_t limit);

/* An exception of user code that nobody serves: prints one line and ends the process with 256 + vector, or, when memory was
 * out and the process holds most of it, with STATUS_KILLED_NO_MEMORY. */
_Noreturn void process_fault(const struct frame *frame, uint64_t address, status_t reason);

/* ---- inside proc/ ---- */

extern struct spinlock process_tree_lock;
struct process *process_make(void);
void process_unmake(struct process *process);
void process_set_state(struct process *process, enum process_state to);
void process_link_locked(struct process *process, struct process *parent);
void process_add_thread_locked(struct process *process, struct thread *thread);
void process_remove_thread_locked(struct process *process, struct thread *thread);
_Noreturn void process_finish(struct process *process);
void process_reap_locked(struct process *process);
void process_count_exit(void);
struct process *process_init_get(void);
MUST_CHECK status_t quota_charge(struct process_quota *quota);
void quota_uncharge(struct process_quota *quota);
struct address_space *space_make(pid_t pid, status_t *status);
struct address_space *space_block_alloc(void);
void space_block_free(struct address_space *space);
void space_destroy(struct address_space *space);

#endif
