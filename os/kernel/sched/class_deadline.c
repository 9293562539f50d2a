/*
 * Deadline class: constant bandwidth server, earliest deadline first. Source: Abeni and Buttazzo, "Integrating Multimedia
 * Applications in Hard Real-Time Systems". An entity may run `runtime` cycles in every period; what it does not use by
 * the time it yields is lost; when its budget is used up it waits for the next period. Each CPU admits at most 95 % of
 * itself (run_queue_admit), so on one CPU no admitted deadline is missed. Deviations: entities do not lend each other
 * budget while one waits for another.
 */
#include "sched/class.h"

static struct sched_entity *entity_of(struct tree_node *node)
{
    return node != NULL ? tree_entry(node, struct sched_entity, node) : NULL;
}

static uint64_t replenishment(const struct sched_entity *entity)
{
    return entity->period_start + entity->period;
}

static void period_begin(struct sched_entity *entity, uint64_t start)
{
    entity->period_start = start;
    entity->budget = entity->runtime;
}

/* A product that cannot overflow. */
static bool product_less(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    __extension__ typedef unsigned __int128 wide;
    return (wide)a * b < (wide)c * d;
}

/* After a sleep: what is left of budget and period is kept only if it does not add up to more than the share. */
static void after_sleep(struct sched_entity *entity, uint64_t now)
{
    uint64_t deadline = entity->period_start + entity->relative_deadline;
    if (!tree_key_before(now, replenishment(entity)) ||
        (entity->budget != 0 &&
         (!tree_key_before(now, deadline) ||
          product_less((deadline - now), entity->runtime, entity->budget, entity->relative_deadline)))) {
        period_begin(entity, now);
    }
}

static bool deadline_add(struct run_queue *queue, struct sched_entity *entity, enum run_reason reason,
                         uint64_t now)
{
    if (reason == RUN_NEW) {
        period_begin(entity, now);
    } else if (reason == RUN_WOKEN) {
        after_sleep(entity, now);
    } else if (reason == RUN_YIELDED) {
        entity->budget = 0;
    }
    if (entity->budget == 0 && !tree_key_before(now, replenishment(entity))) {
        period_begin(entity, now);
    }
    entity->exhausted = entity->budget == 0;
    if (entity->exhausted) {
        tree_insert(&queue->deadline_exhausted, &entity->node, replenishment(entity));
    } else {
        tree_insert(&queue->deadline_ready, &entity->node, entity->period_start + entity->relative_deadline);
    }
    return !entity->exhausted;
}

static void deadline_remove(struct run_queue *queue, struct sched_entity *entity)
{
    tree_remove(entity->exhausted ? &queue->deadline_exhausted : &queue->deadline_ready, &entity->node);
    entity->exhausted = false;
}

static struct sched_entity *deadline_first(const struct run_queue *queue)
{
    return entity_of(tree_first(&queue->deadline_ready));
}

static void deadline_give_slice(const struct run_queue *queue, struct sched_entity *entity)
{
    (void)queue;
    (void)entity;
}

static void deadline_charge(struct run_queue *queue, struct sched_entity *running, uint64_t cycles)
{
    (void)queue;
    spend(&running->budget, cycles);
}

static bool deadline_gives_way(const struct sched_entity *running, const struct sched_entity *first)
{
    return running->budget == 0 ||
           (first != NULL &&
            tree_key_before(first->node.key, running->period_start + running->relative_deadline));
}

static uint64_t deadline_allowance(const struct run_queue *queue, const struct sched_entity *running)
{
    (void)queue;
    return running->budget != 0 ? running->budget
                                : sched_tunables.slice_floor; /* 0: it cannot be left just now */
}

void deadline_replenish(struct run_queue *queue, uint64_t now)
{
    struct sched_entity *entity;
    while ((entity = entity_of(tree_first(&queue->deadline_exhausted))) != NULL &&
           !tree_key_before(now, entity->node.key)) {
        uint64_t start = entity->node.key;
        run_queue_remove(queue, entity);
        /* A CPU that looks late begins the period now: deadlines never lie in the past. */
        period_begin(entity, now - start < entity->period ? start : now);
        run_queue_add(queue, entity, RUN_MOVED, now);
    }
}

static bool deadline_check(const struct run_queue *queue, uint32_t *ready)
{
    *ready = 0;
    bool good = true;
    for (struct tree_node *at = tree_first(&queue->deadline_ready); at != NULL; at = tree_next(at)) {
        const struct sched_entity *entity = entity_of(at);
        good &=
            entity->queued && !entity->exhausted && entity->class_id == CLASS_DEADLINE && entity->budget != 0;
        (*ready)++;
    }
    for (struct tree_node *at = tree_first(&queue->deadline_exhausted); at != NULL; at = tree_next(at)) {
        const struct sched_entity *entity = entity_of(at);
        good &= !entity->queued && entity->exhausted && entity->budget == 0;
    }
    return good;
}

const struct sched_class class_deadline = {
    .add = deadline_add,
    .remove = deadline_remove,
    .first = deadline_first,
    .give_slice = deadline_give_slice,
    .charge = deadline_charge,
    .gives_way = deadline_gives_way,
    .allowance = deadline_allowance,
    .check = deadline_check,
};
