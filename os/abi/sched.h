#ifndef OS_ABI_SCHED_H
#define OS_ABI_SCHED_H

/* Scheduling: what kernel and user programs share. */

#include <stdint.h>

/* Policies by class, best class first: DEADLINE; FIFO and RR (real time); FAIR; IDLE. The numbers are Linux's. */
enum sched_policy {
    SCHED_FAIR = 0,     /* shares by weight */
    SCHED_FIFO = 1,     /* runs until it blocks or yields, or a better one comes */
    SCHED_RR = 2,       /* as FIFO, with a slice within its level */
    SCHED_IDLE = 5,     /* runs when nothing else wants to */
    SCHED_DEADLINE = 6, /* a budget every period, earliest deadline first */
};

#define SCHED_LEVEL_KERNEL     31u /* real-time level of kernel threads */
#define SCHED_LEVEL_MAX        30u /* best one of user threads */
#define SCHED_NICE_MIN         (-20)
#define SCHED_NICE_MAX         19
#define SCHED_WEIGHT_UNIT      1024u /* of nice 0 */
#define SCHED_WEIGHT_MIN       2u
#define SCHED_WEIGHT_MAX       88761u
#define SCHED_SLICE_MIN_NS     100000ull
#define SCHED_SLICE_DEFAULT_NS 10000000ull /* where nothing else is said */
#define SCHED_SLICE_MAX_NS     1000000000ull

struct sched_params {
    uint32_t policy;      /* enum sched_policy */
    uint32_t level;       /* FIFO, RR: 0..SCHED_LEVEL_MAX, higher runs first */
    int32_t nice;         /* FAIR */
    uint32_t weight;      /* FAIR: SCHED_WEIGHT_MIN..MAX instead of what nice says, 0: as nice says */
    uint64_t slice_ns;    /* FAIR, RR: longest time in one go, SCHED_SLICE_MIN_NS..MAX; 0: the default */
    uint64_t runtime_ns;  /* DEADLINE: processor time every period */
    uint64_t deadline_ns; /* DEADLINE: from the start of the period, at most the period */
    uint64_t period_ns;   /* DEADLINE: 100 us .. 4 s */
};

/* Whom a scheduling call is about. */
#define SCHED_THREAD  0u /* a thread of the own process by its tid; 0: the caller */
#define SCHED_PROCESS 1u /* every thread of the own process or of a descendant, by pid; 0: the own one */

struct sched_info {
    struct sched_params params;
    uint64_t affinity;     /* bit n: may run on CPU n */
    uint64_t run_cycles;   /* time on a CPU */
    uint64_t delay_cycles; /* time it was ready and did not run */
    uint64_t switches;     /* times it was put on a CPU */
    uint64_t migrations;   /* times it changed CPUs */
    uint32_t tid;
    uint32_t cpu;       /* where it runs or ran last */
    uint32_t home_node; /* near which it is kept */
    uint32_t reserved;
};

#endif
