/*
 * Fair class: the entity with the smallest virtual run time runs; virtual time passes in inverse proportion to weight.
 * Source: Stoica and others, "A Proportional Share Resource Allocation Algorithm for Real-Time, Time-Shared Systems"; the
 * weights of the nice values are those of Linux (a step is worth about 10 % of the CPU). A slice is the entity's share of
 * SCHED_LATENCY_NS, so it shrinks as others come, down to a floor. Who wakes is placed at most SCHED_SLEEPER_NS before
 * the queue's base, who is new one slice behind it: nobody can save up time by sleeping, nor gain by being born.
 */
#include "sched/fair.h"

#define NICE_COUNT 40

static const uint32_t weights[NICE_COUNT] = {
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906,  3121,  2501,  1991,  1586,  1277,  1024,  820,   655,   526,   423,  335,  272,  215,
    172,   137,   110,   87,    70,    56,    45,    36,    29,    23,    18,   15,
};

uint32_t fair_weight_of_nice(int32_t nice)
{
    return weights[nice - SCHED_NICE_MIN];
}

static struct sched_entity *entity_of(struct tree_node *node)
{
    return node != NULL ? tree_entry(node, struct sched_entity, node) : NULL;
}

/* The share of the latency when `entity` runs beside those in the queue; floor and longest slice hold. */
static uint64_t slice_of(const struct run_queue *queue, const struct sched_entity *entity)
{
    uint64_t all = queue->fair_weight + entity->weight;
    uint64_t slice = sched_tunables.latency * entity->weight / all;
    if (slice < sched_tunables.slice_floor) {
        slice = sched_tunables.slice_floor;
    }
    return slice < entity->slice_cycles ? slice : entity->slice_cycles;
}

static bool fair_add(struct run_queue *queue, struct sched_entity *entity, enum run_reason reason,
                     uint64_t now)
{
    (void)now;
    if (reason == RUN_NEW) {
        entity->virtual_run = queue->fair_base + fair_virtual_cycles(entity, slice_of(queue, entity));
    } else if (reason == RUN_WOKEN) {
        fair_place(queue, entity);
    } else if (reason == RUN_YIELDED && !tree_empty(&queue->fair_ready)) {
        entity->virtual_run = fair_later(entity->virtual_run, tree_first(&queue->fair_ready)->key);
    }
    tree_insert(&queue->fair_ready, &entity->node, entity->virtual_run);
    queue->fair_weight += entity->weight;
    return true;
}

static void fair_remove(struct run_queue *queue, struct sched_entity *entity)
{
    tree_remove(&queue->fair_ready, &entity->node);
    queue->fair_weight -= entity->weight;
}

static struct sched_entity *fair_first(const struct run_queue *queue)
{
    return entity_of(tree_first(&queue->fair_ready));
}

static struct sched_entity *fair_find(const struct run_queue *queue, run_queue_wanted wanted, void *context,
                                      unsigned *left)
{
    struct sched_entity *found = NULL;
    for (struct tree_node *at = tree_first(&queue->fair_ready); found == NULL && at != NULL && *left != 0;
         at = tree_next(at), (*left)--) {
        found = wanted(entity_of(at), context) ? entity_of(at) : NULL;
    }
    return found;
}

static void fair_give_slice(const struct run_queue *queue, struct sched_entity *entity)
{
    entity->slice_left = slice_of(queue, entity);
}

static void fair_charge(struct run_queue *queue, struct sched_entity *running, uint64_t cycles)
{
    running->virtual_run += fair_virtual_cycles(running, cycles);
    spend(&running->slice_left, cycles);
    queue->fair_base = fair_later(queue->fair_base, fair_smallest(queue, running));
}

static bool fair_gives_way(const struct sched_entity *running, const struct sched_entity *first)
{
    if (first == NULL) {
        return false;
    }
    uint64_t lead = running->slice_left == 0 ? 0 : sched_tunables.wake;
    return tree_key_before(first->node.key + lead, running->virtual_run);
}

static uint64_t fair_allowance(const struct run_queue *queue, const struct sched_entity *running)
{
    (void)queue;
    return running->slice_left != 0 ? running->slice_left : sched_tunables.slice_floor;
}

static bool fair_check(const struct run_queue *queue, uint32_t *ready)
{
    *ready = 0;
    bool good = true;
    uint64_t sum = 0;
    for (struct tree_node *at = tree_first(&queue->fair_ready); at != NULL; at = tree_next(at)) {
        const struct sched_entity *entity = entity_of(at);
        good &= entity->queued && entity->class_id == CLASS_FAIR && entity->virtual_run == at->key;
        sum += entity->weight;
        (*ready)++;
    }
    return good && sum == queue->fair_weight;
}

static void fair_put(const struct run_queue *queue, struct sched_entity *entity)
{
    fair_place(queue, entity);
}

const struct sched_class class_fair = {
    .add = fair_add,
    .remove = fair_remove,
    .place = fair_put,
    .first = fair_first,
    .find = fair_find,
    .give_slice = fair_give_slice,
    .charge = fair_charge,
    .gives_way = fair_gives_way,
    .allowance = fair_allowance,
    .check = fair_check,
};
