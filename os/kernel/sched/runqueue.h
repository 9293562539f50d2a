#ifndef OS_KERNEL_SCHED_RUNQUEUE_H
#define OS_KERNEL_SCHED_RUNQUEUE_H

/*
 * Ready threads of one CPU and the policy that orders them. Four classes, strict: deadline (earliest deadline first,
 * a budget every period), real time (32 levels, FIFO and round robin), fair (virtual run time by weight), idle. The
 * policy orders entities and is told the time in cycles: it reads no clock, and knows neither threads nor processors (the
 * last two members of struct run_queue are the scheduler's; they lie here since the same lock guards them). Of the clock
 * it needs what turns nanoseconds into cycles. The entity that runs is not in the queue.
 */

#include <stdbool.h>
#include <stdint.h>

#include "abi/sched.h"
#include "abi/status.h"
#include "lib/list.h"
#include "lib/spinlock.h"
#include "lib/tree.h"

#define SCHED_LATENCY_NS      20000000ull   /* fair: every ready thread runs once in this time ... */
#define SCHED_SLICE_FLOOR_NS  1000000ull    /* ... unless its slice would be shorter than this */
#define SCHED_SLEEPER_NS      10000000ull   /* fair: what a long sleep is worth at most */
#define SCHED_WAKE_NS         1000000ull    /* fair: a woken thread preempts when it is this far behind */
#define SCHED_RT_PERIOD_NS    1000000000ull /* real time may use ... */
#define SCHED_RT_RUNTIME_NS   950000000ull  /* ... so much of it while others are ready */
#define SCHED_PERIOD_MIN_NS   100000ull     /* deadline */
#define SCHED_PERIOD_MAX_NS   4000000000ull
#define SCHED_BANDWIDTH_UNIT  (1u << 20) /* one whole CPU */
#define SCHED_BANDWIDTH_LIMIT 996147u    /* 95 % of a CPU for the deadline class */
#define SCHED_LEVELS          32u
#define SCHED_SCAN            64u /* entities looked at to find one that can be moved */
#define SCHED_NO_EVENT        UINT64_MAX

/* Why a thread changes CPUs. */
enum sched_move {
    MOVE_WAKE,   /* woken or started where there was place */
    MOVE_PULL,   /* taken by a CPU that had nothing to do */
    MOVE_PUSH,   /* given away by a busy CPU */
    MOVE_FORCED, /* it may not stay: affinity, admission, the CPU goes */
    MOVE_COUNT
};

enum sched_class_id { CLASS_DEADLINE, CLASS_REALTIME, CLASS_FAIR, CLASS_IDLE, CLASS_COUNT };

/* Why an entity is put into a queue. */
enum run_reason {
    RUN_NEW,       /* has never run */
    RUN_WOKEN,     /* was blocked */
    RUN_PREEMPTED, /* ran, and would like to go on */
    RUN_EXPIRED,   /* ran to the end of its slice */
    RUN_YIELDED,   /* ran, and lets others go first */
    RUN_MOVED,     /* was ready in another queue */
};

struct sched_entity {
    struct sched_params params;
    struct tree_node node;  /* fair: by virtual run time; deadline: by deadline, or by replenishment */
    struct list level_node; /* real time, idle */
    uint64_t run_cycles;    /* on a CPU, so far */
    uint64_t slice_left;    /* cycles */
    uint64_t slice_cycles;  /* longest slice */
    /* fair */
    uint64_t virtual_run; /* cycles of a thread of unit weight; between queues without the queue's base */
    uint32_t weight;
    uint32_t inverse; /* 2^32 / weight */
    /* deadline, cycles */
    uint64_t runtime;
    uint64_t relative_deadline;
    uint64_t period;
    uint64_t budget;
    uint64_t period_start;
    uint32_t bandwidth; /* share of a CPU, of SCHED_BANDWIDTH_UNIT */
    enum sched_class_id class_id;
    bool queued;    /* ready in a queue */
    bool exhausted; /* in a queue, waiting for its budget */
};

struct run_queue {
    struct spinlock lock;
    uint32_t class_mask;  /* bit n: class n has ready entities */
    uint32_t ready_count; /* of all classes */
    struct tree deadline_ready;
    struct tree deadline_exhausted; /* by replenishment */
    uint64_t deadline_bandwidth;    /* admitted, of SCHED_BANDWIDTH_UNIT */
    uint32_t level_mask;            /* bit n: levels[n] is not empty */
    struct list levels[SCHED_LEVELS];
    uint64_t realtime_used;       /* cycles in the current period, without the kernel's level */
    uint64_t realtime_period_end; /* cycles */
    struct tree fair_ready;
    uint64_t fair_base;   /* smallest virtual run time, never decreases */
    uint64_t fair_weight; /* of the ready ones */
    struct list idle_ready;
    /* Not the policy's: guarded by the same lock. */
    struct tree sleepers;         /* threads by the time to wake them */
    struct thread *switched_from; /* between leaving a thread and the first step of the next */
};

/* Turns the constants above into cycles; once, when clock_cycles_from_ns works. */
void sched_tunables_init(void);

/* STATUS_ERR_ARGUMENT, _RANGE: what of the parameters cannot be. Level SCHED_LEVEL_KERNEL is in range. */
MUST_CHECK status_t sched_params_check(const struct sched_params *params);

/* A new entity, or another policy for one that is in no queue. The parameters are checked; run time stays. */
void sched_entity_set(struct sched_entity *entity, const struct sched_params *params);

void run_queue_init(struct run_queue *queue, const char *name);

/* Lock held for all that follow. `now` is in cycles. */

/* Bound: O(1) in the real-time and idle classes, O(log n) in the others. */
void run_queue_add(struct run_queue *queue, struct sched_entity *entity, enum run_reason reason,
                   uint64_t now);

/* Takes an entity out that is ready or exhausted. Bound as above. */
void run_queue_remove(struct run_queue *queue, struct sched_entity *entity);

/* Takes the best entity to run, null when nothing is ready. Bound: O(1) or O(log n). */
struct sched_entity *run_queue_take(struct run_queue *queue, uint64_t now);

/* Puts time that the running entity has used on its account. */
void run_queue_charge(struct run_queue *queue, struct sched_entity *running, uint64_t cycles, uint64_t now);

/* True when the running entity (null: the CPU is idle) must make place. Charge it first. Bound: O(1). */
bool run_queue_should_switch(const struct run_queue *queue, const struct sched_entity *running);

/* Another slice for the running entity when it has used its own up and need not make place. */
void run_queue_renew(const struct run_queue *queue, struct sched_entity *running);

/* Readmits what the time has come for: budgets, the real-time share. */
void run_queue_advance(struct run_queue *queue, uint64_t now);

/* When the queue wants to be looked at again, SCHED_NO_EVENT when never. Bound: O(1). */
uint64_t run_queue_next_event(const struct run_queue *queue, const struct sched_entity *running,
                              uint64_t now);

/* Virtual run times are relative to their queue: leave takes the base of the old queue off, join adds the new one's. */
void run_queue_leave(const struct run_queue *queue, struct sched_entity *entity);
void run_queue_join(const struct run_queue *queue, struct sched_entity *entity);

/*
 * Gives an entity another policy wherever it is: ready, blocked, or running (charge it first). The caller has seen to
 * the admission.
 */
void run_queue_change(struct run_queue *queue, struct sched_entity *entity, const struct sched_params *params,
                      bool running, uint64_t now);

/*
 * `entity`, which was blocked, shall run at once in the place of `running`, for the rest of its slice. False, and nothing
 * done, when that is not its right: something better is ready, or its class is real time and spent, or deadline.
 */
MUST_CHECK bool run_queue_hand_over(struct run_queue *queue, const struct sched_entity *running,
                                    struct sched_entity *entity, uint64_t now);

/* Answers whether an entity is wanted; may note in the context what it saw. */
typedef bool (*run_queue_wanted)(const struct sched_entity *entity, void *context);

/* The first ready entity of real time, fair and idle class that is wanted, of those the first SCHED_SCAN; null: none. */
struct sched_entity *run_queue_find(const struct run_queue *queue, run_queue_wanted wanted, void *context);

/*
 * Admission of a deadline entity: false when the queue's CPU would be promised more than SCHED_BANDWIDTH_LIMIT. `instead`, an
 * entity that was admitted here before, or null, gives its share up in the same step. What was admitted is given back
 * by run_queue_release. Both do nothing for other classes, and need no lock.
 */
MUST_CHECK bool run_queue_admit(struct run_queue *queue, const struct sched_entity *entity,
                                const struct sched_entity *instead);
void run_queue_release(struct run_queue *queue, const struct sched_entity *entity);

/* Every link, mask, count and sum agrees; true when so. Bound: O(n). For tests and assertions. */
bool run_queue_check(const struct run_queue *queue);

#endif
