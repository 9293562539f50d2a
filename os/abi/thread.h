#ifndef OS_ABI_THREAD_H
#define OS_ABI_THREAD_H

/* Threads and the words they wait at: what kernel and user programs share. */

#include <stdint.h>

#define THREADS_MAX             1024u      /* of one process */
#define THREAD_STACK_BYTES      65536u     /* when 0 is asked for */
#define THREAD_STACK_MAX_BYTES  0x4000000u /* 64 MiB */
#define THREAD_PATIENCE_FOREVER UINT64_MAX

#define THREAD_DETACHED 0x1u /* nobody joins it */

/*
 * A new thread starts at `entry` with the six arguments in RDI, RSI, RDX, RCX, R8 and R9, as a function that was called and
 * must not return; all other registers are 0 and the FPU is as in a new program.
 */
struct thread_params {
    uint64_t entry;
    uint64_t arguments[6];
    uint64_t stack_bytes; /* rounded up to pages; 0: THREAD_STACK_BYTES */
    uint64_t flags;       /* THREAD_DETACHED */
};

/* What the FS base of a thread points to. The program's thread-local variables end where it begins. */
struct thread_block {
    uint64_t self;      /* its own address */
    uint64_t stack_low; /* lowest byte of the stack */
    uint64_t stack_bytes;
    uint64_t user; /* the program's */
};

#define FUTEX_PRIVATE 0x1u /* the word is not in a region that several processes share */

#define SPAWN_CAPS_MAX 64u

/* A capability that a spawned process gets: a child of the caller's. */
struct spawn_cap {
    uint64_t handle; /* of the caller's */
    uint32_t rights;
    uint32_t flags; /* CAP_FLAG_* */
    uint64_t given; /* out: its handle in the child */
};

/* Figures of a process. */
struct process_info {
    uint64_t resident_pages;
    uint64_t table_frames;
    uint64_t area_bytes;
    uint64_t faults;
    uint64_t syscalls;
    uint64_t messages; /* sent and called */
    uint32_t pid;
    uint32_t parent;
    uint32_t threads;
    uint32_t threads_listed; /* counted by a walk over them */
    uint32_t children;
    uint32_t main_thread; /* tid, 0 when it has ended */
};

#endif
