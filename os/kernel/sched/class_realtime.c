/*
 * Real-time class: a list a level and a mask of the levels that are not empty. FIFO and RR share the levels; a preempted
 * thread goes on before the others of its level, one that yields or has used its slice (RR) goes behind them. Source:
 * POSIX.1-2017, "Scheduling Policies". The share of the class is bounded (runqueue.c); level 31, the kernel's own, is not.
 */
#include "sched/class.h"

static bool realtime_add(struct run_queue *queue, struct sched_entity *entity, enum run_reason reason,
                         uint64_t now)
{
    (void)now;
    struct list *level = &queue->levels[entity->params.level];
    if (reason == RUN_PREEMPTED) {
        list_push_front(level, &entity->level_node);
    } else {
        list_push_back(level, &entity->level_node);
        entity->slice_left = reason == RUN_MOVED ? entity->slice_left : 0;
    }
    queue->level_mask |= 1u << entity->params.level;
    return true;
}

static void realtime_remove(struct run_queue *queue, struct sched_entity *entity)
{
    list_remove(&entity->level_node);
    if (list_empty(&queue->levels[entity->params.level])) {
        queue->level_mask &= ~(1u << entity->params.level);
    }
}

static struct sched_entity *realtime_first(const struct run_queue *queue)
{
    if (queue->level_mask == 0) {
        return NULL;
    }
    unsigned level = 31u - (unsigned)__builtin_clz(queue->level_mask);
    return list_entry(queue->levels[level].next, struct sched_entity, level_node);
}

static struct sched_entity *realtime_find(const struct run_queue *queue, run_queue_wanted wanted,
                                          void *context, unsigned *left)
{
    struct sched_entity *found = NULL;
    for (uint32_t mask = queue->level_mask; mask != 0 && found == NULL;) {
        unsigned level = 31u - (unsigned)__builtin_clz(mask);
        found = sched_find_in_list(&queue->levels[level], wanted, context, left);
        mask &= ~(1u << level);
    }
    return found;
}

static void realtime_give_slice(const struct run_queue *queue, struct sched_entity *entity)
{
    (void)queue;
    if (entity->slice_left == 0) {
        entity->slice_left = entity->slice_cycles;
    }
}

static void realtime_charge(struct run_queue *queue, struct sched_entity *running, uint64_t cycles)
{
    if (running->params.level != SCHED_LEVEL_KERNEL) {
        queue->realtime_used += cycles;
    }
    if (running->params.policy == SCHED_RR) {
        spend(&running->slice_left, cycles);
    }
}

static bool realtime_gives_way(const struct sched_entity *running, const struct sched_entity *first)
{
    return first != NULL && (first->params.level > running->params.level ||
                             (running->slice_left == 0 && first->params.level == running->params.level));
}

static uint64_t realtime_allowance(const struct run_queue *queue, const struct sched_entity *running)
{
    uint64_t share = SCHED_NO_EVENT;
    if (running->params.level != SCHED_LEVEL_KERNEL && !realtime_is_spent(queue)) {
        share = sched_tunables.realtime_runtime - queue->realtime_used;
    }
    uint64_t slice =
        running->params.policy == SCHED_RR && running->slice_left != 0 ? running->slice_left : SCHED_NO_EVENT;
    return share < slice ? share : slice;
}

static bool realtime_check(const struct run_queue *queue, uint32_t *ready)
{
    *ready = 0;
    bool good = true;
    for (unsigned level = 0; level < SCHED_LEVELS; level++) {
        good &= list_empty(&queue->levels[level]) == ((queue->level_mask & (1u << level)) == 0);
        list_for_each(at, &queue->levels[level])
        {
            const struct sched_entity *entity = list_entry(at, struct sched_entity, level_node);
            good &= entity->queued && entity->class_id == CLASS_REALTIME && entity->params.level == level;
            (*ready)++;
        }
    }
    return good;
}

const struct sched_class class_realtime = {
    .add = realtime_add,
    .remove = realtime_remove,
    .first = realtime_first,
    .find = realtime_find,
    .give_slice = realtime_give_slice,
    .charge = realtime_charge,
    .gives_way = realtime_gives_way,
    .allowance = realtime_allowance,
    .check = realtime_check,
};
