#ifndef OS_KERNEL_SCHED_FAIR_H
#define OS_KERNEL_SCHED_FAIR_H

/* Arithmetic of the fair class (class_fair.c), and what of it the direct switch of messages does inline. */

#include "sched/class.h"

#define FAIR_INVERSE_SHIFT 22 /* 2^32 / weight * 1024 = virtual time << 22 */

/* Virtual time that passes for an entity in so many cycles. */
static inline uint64_t fair_virtual_cycles(const struct sched_entity *entity, uint64_t cycles)
{
    __extension__ typedef unsigned __int128 wide;
    return entity->weight == SCHED_WEIGHT_UNIT
               ? cycles
               : (uint64_t)(((wide)cycles * entity->inverse) >> FAIR_INVERSE_SHIFT);
}

static inline uint64_t fair_later(uint64_t a, uint64_t b)
{
    return tree_key_before(a, b) ? b : a;
}

/* The smallest virtual run time of all, the running one's included. */
static inline uint64_t fair_smallest(const struct run_queue *queue, const struct sched_entity *running)
{
    const struct tree_node *first = tree_first(&queue->fair_ready);
    return first != NULL && tree_key_before(first->key, running->virtual_run) ? first->key
                                                                              : running->virtual_run;
}

/* Where an entity that was blocked stands: a long sleep is worth SCHED_SLEEPER_NS. */
static inline void fair_place(const struct run_queue *queue, struct sched_entity *entity)
{
    entity->virtual_run = fair_later(entity->virtual_run, queue->fair_base - sched_tunables.sleeper);
}

/*
 * Charge and hand-over (run_queue_charge, run_queue_hand_over) in one, in the common case: both are fair, nothing
 * better is ready, nothing is due, and the slice lasts, so that what is due next stays as it is. False, and nothing done, in any other.
 */
MUST_CHECK ALWAYS_INLINE bool fair_hand_on(struct run_queue *queue, struct sched_entity *running,
                                           struct sched_entity *entity, uint64_t cycles, uint64_t now)
{
    bool common = (queue->class_mask & SCHED_CLASSES_ABOVE(CLASS_FAIR)) == 0 &&
                  running->class_id == CLASS_FAIR && entity->class_id == CLASS_FAIR &&
                  running->slice_left > cycles && tree_key_before(now, queue->realtime_period_end) &&
                  tree_empty(&queue->deadline_exhausted);
    if (!common) {
        return false;
    }
    running->run_cycles += cycles;
    running->virtual_run += fair_virtual_cycles(running, cycles);
    running->slice_left -= cycles;
    queue->fair_base = fair_later(queue->fair_base, fair_smallest(queue, running));
    fair_place(queue, entity);
    entity->slice_left = running->slice_left;
    return true;
}

#endif
