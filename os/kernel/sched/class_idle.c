/* Idle class: round robin among those that run only when nothing else wants to. */
#include "sched/class.h"

static bool idle_add(struct run_queue *queue, struct sched_entity *entity, enum run_reason reason,
                     uint64_t now)
{
    (void)now;
    if (reason == RUN_PREEMPTED) {
        list_push_front(&queue->idle_ready, &entity->level_node);
    } else {
        list_push_back(&queue->idle_ready, &entity->level_node);
        entity->slice_left = 0;
    }
    return true;
}

static void idle_remove(struct run_queue *queue, struct sched_entity *entity)
{
    (void)queue;
    list_remove(&entity->level_node);
}

static struct sched_entity *idle_first(const struct run_queue *queue)
{
    return list_empty(&queue->idle_ready)
               ? NULL
               : list_entry(queue->idle_ready.next, struct sched_entity, level_node);
}

static struct sched_entity *idle_find(const struct run_queue *queue, run_queue_wanted wanted, void *context,
                                      unsigned *left)
{
    return sched_find_in_list(&queue->idle_ready, wanted, context, left);
}

static void idle_give_slice(const struct run_queue *queue, struct sched_entity *entity)
{
    (void)queue;
    if (entity->slice_left == 0) {
        entity->slice_left = entity->slice_cycles;
    }
}

static void idle_charge(struct run_queue *queue, struct sched_entity *running, uint64_t cycles)
{
    (void)queue;
    spend(&running->slice_left, cycles);
}

static bool idle_gives_way(const struct sched_entity *running, const struct sched_entity *first)
{
    return first != NULL && running->slice_left == 0;
}

static uint64_t idle_allowance(const struct run_queue *queue, const struct sched_entity *running)
{
    (void)queue;
    return running->slice_left != 0 ? running->slice_left : sched_tunables.slice;
}

static bool idle_check(const struct run_queue *queue, uint32_t *ready)
{
    *ready = 0;
    bool good = true;
    list_for_each(at, &queue->idle_ready)
    {
        const struct sched_entity *entity = list_entry(at, struct sched_entity, level_node);
        good &= entity->queued && entity->class_id == CLASS_IDLE;
        (*ready)++;
    }
    return good;
}

const struct sched_class class_idle = {
    .add = idle_add,
    .remove = idle_remove,
    .first = idle_first,
    .find = idle_find,
    .give_slice = idle_give_slice,
    .charge = idle_charge,
    .gives_way = idle_gives_way,
    .allowance = idle_allowance,
    .check = idle_check,
};
