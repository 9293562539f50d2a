#ifndef OS_KERNEL_SCHED_CLASS_H
#define OS_KERNEL_SCHED_CLASS_H

/* What a scheduling class does; inside sched/. Sums that are common to all classes are runqueue.c's. */

#include "sched/runqueue.h"

struct sched_class {
    /* Puts a ready entity in. False: it may not run yet (deadline: no budget), and does not count as ready. */
    bool (*add)(struct run_queue *queue, struct sched_entity *entity, enum run_reason reason, uint64_t now);
    void (*remove)(struct run_queue *queue, struct sched_entity *entity);
    /* Where an entity that was blocked stands in the order; null: its place does not depend on that. */
    void (*place)(const struct run_queue *queue, struct sched_entity *entity);
    /* The best ready entity, not taken out; null when there is none. */
    struct sched_entity *(*first)(const struct run_queue *queue);
    /* The first ready entity that is wanted, of the next *left ones, which it takes off; null op: none may be moved. */
    struct sched_entity *(*find)(const struct run_queue *queue, run_queue_wanted wanted, void *context,
                                 unsigned *left);
    /* It is about to run, or runs on with nothing left of its slice: gives it one, where the class has slices. */
    void (*give_slice)(const struct run_queue *queue, struct sched_entity *entity);
    void (*charge)(struct run_queue *queue, struct sched_entity *running, uint64_t cycles);
    /* The running entity of this class must make place for the first ready one of it (null: there is none). */
    bool (*gives_way)(const struct sched_entity *running, const struct sched_entity *first);
    /* Cycles that the running entity may go on before it must be looked at again. */
    uint64_t (*allowance)(const struct run_queue *queue, const struct sched_entity *running);
    bool (*check)(const struct run_queue *queue, uint32_t *ready);
};

/* Masks of the classes that rank above one, and below it. */
#define SCHED_CLASSES_ABOVE(id) ((1u << (id)) - 1)
#define SCHED_CLASSES_BELOW(id) (SCHED_CLASSES_ABOVE(CLASS_COUNT) & ~SCHED_CLASSES_ABOVE((id) + 1))

extern const struct sched_class class_deadline;
extern const struct sched_class class_realtime;
extern const struct sched_class class_fair;
extern const struct sched_class class_idle;

/* The constants of runqueue.h in cycles. */
struct sched_tunables {
    uint64_t slice;
    uint64_t latency;
    uint64_t slice_floor;
    uint64_t sleeper;
    uint64_t wake;
    uint64_t realtime_period;
    uint64_t realtime_runtime;
};

extern struct sched_tunables sched_tunables;

/* Takes cycles off a slice or a budget. */
static inline void spend(uint64_t *left, uint64_t cycles)
{
    *left -= cycles < *left ? cycles : *left;
}

/* The real-time class has used its share of the period. */
static inline bool realtime_is_spent(const struct run_queue *queue)
{
    return queue->realtime_used >= sched_tunables.realtime_runtime;
}

/* Deadline: gives new budgets to whom they are due. */
void deadline_replenish(struct run_queue *queue, uint64_t now);

/* Real time, idle: `find` in one list. */
struct sched_entity *sched_find_in_list(const struct list *list, run_queue_wanted wanted, void *context,
                                        unsigned *left);

/* Fair: load weight of a nice value. */
uint32_t fair_weight_of_nice(int32_t nice);

#endif
