#ifndef OS_ABI_ABI_H
#define OS_ABI_ABI_H

/* What kernel and user programs share besides status codes. Every structure is naturally aligned, without
 * padding. */

#include <stdint.h>

#include "abi/sched.h"
#include "abi/thread.h"

enum syscall_number {
#define SYSCALL(number, id, name, where, type, rights, result, arguments, returns, text) SYS_##id = (number),
#include "abi/syscalls.def"
#undef SYSCALL
    SYS_COUNT
};

enum cap_type {
#define CAP_TYPE(slot, id, text) CAP_##id = (slot),
#include "abi/capabilities.def"
#undef CAP_TYPE
    CAP_TYPE_COUNT
};

#define RIGHT_READ    0x1u
#define RIGHT_WRITE   0x2u
#define RIGHT_EXECUTE 0x4u
#define RIGHT_CREATE  0x8u
#define RIGHT_GRANT   0x10u
#define RIGHTS_ALL    0x1fu

/*
 * A capability as a program names it: slot in bits 0..31, generation of the slot in bits 32..47, the rest 0. A well-known
 * slot's number alone names whatever that slot holds.
 */
typedef uint64_t handle_t;

#define CAP_WELL_KNOWN_SLOTS 32u

/* Without a policy, fork's child gets a child of the capability. */
#define CAP_FLAG_KEEP_ON_EXEC 0x1u /* exec leaves it */
#define CAP_FLAG_INHERIT_COPY 0x2u /* fork's child gets a sibling */
#define CAP_FLAG_INHERIT_NONE 0x4u /* fork's child gets nothing */
#define CAP_FLAGS_ALL         0x7u
#define CAP_FLAG_REVOKED      0x8u /* told, not asked for: it stays in its slot for a second or two */

struct cap_info {
    uint64_t id;
    uint32_t type; /* enum cap_type */
    uint32_t rights;
    uint32_t generation;
    uint32_t flags;
};

/* What the audit ring tells. */
enum cap_event {
    CAP_EVENT_CREATE = 1, /* a capability for a new object */
    CAP_EVENT_DERIVE,     /* in the own space, by derive or copy */
    CAP_EVENT_TRANSFER,   /* derived into another space */
    CAP_EVENT_MOVE,       /* parent: 0, handle: the new one */
    CAP_EVENT_INHERIT,    /* fork; handle: how many */
    CAP_EVENT_DELETE,
    CAP_EVENT_REVOKE, /* parent: what was revoked */
    CAP_EVENT_DENY,   /* status: why */
};

struct cap_audit {
    uint64_t sequence; /* from 1 */
    uint64_t cycles;   /* time stamp */
    uint64_t id;       /* of the capability */
    uint64_t parent;   /* id of its source */
    handle_t handle;   /* in the holder's space */
    uint32_t actor;    /* pid of who did it */
    uint32_t holder;   /* pid of whose space it lies in */
    uint16_t event;    /* enum cap_event */
    uint16_t type;     /* enum cap_type */
    uint32_t rights;
    int32_t status;
    uint32_t reserved;
};

struct cap_stats {
    uint64_t cache_hits; /* lookups that a CPU remembered */
    uint64_t cache_misses;
    uint64_t denied;
    uint64_t made;
    uint64_t deleted;
    uint64_t revoked;
    uint64_t collected; /* slots of revoked capabilities given back */
    uint64_t audit_lost;
    uint64_t bytes; /* of all capability records */
};

#define ERROR_STATUSES 256u

/* How often calls have failed since the start: failures[n] with status -n. */
struct error_stats {
    uint64_t failures[ERROR_STATUSES];
};

/* How far a call came that failed. */
enum error_stage {
    ERROR_STAGE_ACTION,     /* all checks were passed */
    ERROR_STAGE_NUMBER,     /* there is no such call */
    ERROR_STAGE_CAPABILITY, /* the capability that its row asks for */
    ERROR_STAGE_CHECK,      /* its arguments */
};

#define ERROR_FILE_BYTES 60u

/* The last call of a thread that failed. All zero: none has. */
struct error_report {
    uint64_t call;
    int32_t status;
    uint32_t stage;     /* enum error_stage */
    uint64_t detail[2]; /* of the place: the value that was refused, and what it should have kept to */
    uint32_t line;      /* 0: the place where it arose is not noted */
    char file[ERROR_FILE_BYTES]; /* of the kernel's source */
};

#define WAIT_NO_BLOCK        1u
#define DRIVER_READ_OR_CHILD 1u

/* Exit status of a process that an exception ended. */
#define STATUS_KILLED_BASE 256
/* Exit status of a process that was ended because memory was out and it held most of it. */
#define STATUS_KILLED_NO_MEMORY 512

#define PROTECT_READ    1u
#define PROTECT_WRITE   2u
#define PROTECT_EXECUTE 4u
#define MAP_EXACT       16u
#define MAP_COPY        32u /* of a region: the mapping's writes go to copies of its own */
#define MAP_NOW         64u /* every page is there when the call returns, or none */
#define MAP_CACHE_SHIFT 8u
#define MAP_CACHE_MASK  0x700u /* of a region: 0 write-back, 1 write-through, 3 uncached, 4 write-combining */

#define REGION_MAX_BYTES 0x10000000ull /* of device memory too */
#define DMA_MAX_BYTES    0x100000ull

#define GSI_LEVEL      1u
#define GSI_ACTIVE_LOW 2u

struct region_info {
    uint64_t bytes;
    uint64_t mappings;
    uint64_t resident; /* pages in page tables, counted once each */
    uint64_t sealed;   /* 1: its content does not change any more */
    uint64_t denied;   /* faults by capabilities that had gone */
};

#define EXEC_MAX_STRINGS 64u    /* argv and envp together */
#define EXEC_MAX_BYTES   16384u /* of all strings with their terminators */
#define PATH_MAX_BYTES   64u    /* with its terminator */
#define USER_STACK_BYTES 262144u

#define BOOT_ARGUMENTS_MAX 1024u /* of the command line with its terminator; what is longer is cut */

#define STATS_MAX_CPUS 64u

struct cpu_stats {
    uint64_t switches;
    uint64_t ticks;
    uint64_t interrupts;
    uint64_t idle_cycles;
    uint64_t busy_cycles; /* idle + busy: since the CPU came up */
    uint64_t shootdowns_sent;
    uint64_t shootdowns_served;
    uint64_t run_delay_cycles; /* that threads which ran here had waited for it */
    uint64_t moves_wake;       /* threads that came from other CPUs: woken here, ... */
    uint64_t moves_pull;       /* ... taken when this one had nothing to do, */
    uint64_t moves_push;       /* ... given by a busy one, */
    uint64_t moves_forced;     /* ... because they could not stay */
    uint64_t node_crossings;   /* of all these, those from another node */
    uint32_t node;
    uint32_t online;
};

struct system_stats {
    uint64_t frames_free;
    uint64_t frames_managed;
    uint32_t processes;
    uint32_t threads;      /* of processes: the kernel's own are not among them */
    uint32_t threads_dead; /* waiting for their deferred free */
    uint32_t cpus_online;
    uint32_t cpus_present;
    uint32_t nodes;
    uint64_t clock_hz;
    uint64_t forks;
    uint64_t exits;
    uint64_t heap_bytes;   /* kernel heap: slabs and large blocks */
    uint64_t heap_objects; /* live objects of all caches */
    struct cpu_stats cpus[STATS_MAX_CPUS];
    uint64_t frames_dma; /* that serve nothing but dma_create ever after, whether somebody has them or not */
    uint32_t threads_running;  /* the kernel's own among them, idle ones not */
    uint32_t threads_ready;    /* that wait for a CPU */
    uint32_t threads_sleeping; /* that wait for something else */
    uint32_t threads_alive;    /* started and not ended: the sum of the three before */
};

#endif
