/*
 * Run queue of one CPU: the classes in their order, and what is common to them. The real-time class may use at most
 * SCHED_RT_RUNTIME_NS of every SCHED_RT_PERIOD_NS while the fair or the idle class wants to run; the periods start at
 * multiples of their length. Kernel threads (level 31) do not count and are not held back.
 */
#include "sched/runqueue.h"

#include "arch/x86_64/clock.h"
#include "panic.h"
#include "sched/class.h"

struct sched_tunables sched_tunables;

static const struct sched_class *const classes[CLASS_COUNT] = {
    [CLASS_DEADLINE] = &class_deadline,
    [CLASS_REALTIME] = &class_realtime,
    [CLASS_FAIR] = &class_fair,
    [CLASS_IDLE] = &class_idle,
};

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void sched_tunables_init(void)
{
    sched_tunables = (struct sched_tunables){
        .slice = clock_cycles_from_ns(SCHED_SLICE_DEFAULT_NS),
        .latency = clock_cycles_from_ns(SCHED_LATENCY_NS),
        .slice_floor = clock_cycles_from_ns(SCHED_SLICE_FLOOR_NS),
        .sleeper = clock_cycles_from_ns(SCHED_SLEEPER_NS),
        .wake = clock_cycles_from_ns(SCHED_WAKE_NS),
        .realtime_period = clock_cycles_from_ns(SCHED_RT_PERIOD_NS),
        .realtime_runtime = clock_cycles_from_ns(SCHED_RT_RUNTIME_NS),
    };
}

void run_queue_init(struct run_queue *queue, const char *name)
{
    *queue = (struct run_queue){.class_mask = 0};
    spinlock_init(&queue->lock, name, LOCK_CLASS_RUN_QUEUE);
    tree_init(&queue->deadline_ready);
    tree_init(&queue->deadline_exhausted);
    tree_init(&queue->fair_ready);
    tree_init(&queue->sleepers);
    list_init(&queue->idle_ready);
    for (unsigned level = 0; level < SCHED_LEVELS; level++) {
        list_init(&queue->levels[level]);
    }
}

/* ---- parameters ---- */

static bool in_range(uint64_t value, uint64_t smallest, uint64_t largest)
{
    return value >= smallest && value <= largest;
}

static status_t deadline_params_check(const struct sched_params *params)
{
    return in_range(params->period_ns, SCHED_PERIOD_MIN_NS, SCHED_PERIOD_MAX_NS) &&
                   in_range(params->deadline_ns, 1, params->period_ns) &&
                   in_range(params->runtime_ns, 1000, params->deadline_ns)
               ? STATUS_OK
               : STATUS_ERR_RANGE;
}

status_t sched_params_check(const struct sched_params *params)
{
    bool slice_good =
        params->slice_ns == 0 || in_range(params->slice_ns, SCHED_SLICE_MIN_NS, SCHED_SLICE_MAX_NS);
    bool good = false;
    switch (params->policy) {
    case SCHED_DEADLINE:
        return deadline_params_check(params);
    case SCHED_FIFO:
    case SCHED_RR:
        good = params->level < SCHED_LEVELS;
        break;
    case SCHED_FAIR:
        good = params->nice >= SCHED_NICE_MIN && params->nice <= SCHED_NICE_MAX &&
               (params->weight == 0 || in_range(params->weight, SCHED_WEIGHT_MIN, SCHED_WEIGHT_MAX));
        break;
    case SCHED_IDLE:
        good = true;
        break;
    default:
        return STATUS_ERR_ARGUMENT;
    }
    return good && slice_good ? STATUS_OK : STATUS_ERR_RANGE;
}

static enum sched_class_id class_of(uint32_t policy)
{
    switch (policy) {
    case SCHED_DEADLINE:
        return CLASS_DEADLINE;
    case SCHED_FIFO:
    case SCHED_RR:
        return CLASS_REALTIME;
    case SCHED_FAIR:
        return CLASS_FAIR;
    case SCHED_IDLE:
        return CLASS_IDLE;
    default:
        panic("no class has policy %u", policy);
    }
}

void sched_entity_set(struct sched_entity *entity, const struct sched_params *params)
{
    entity->params = *params;
    entity->class_id = class_of(params->policy);
    list_init(&entity->level_node);
    entity->slice_left = 0;
    entity->slice_cycles =
        params->slice_ns == 0 ? sched_tunables.slice : clock_cycles_from_ns(params->slice_ns);
    entity->weight = entity->class_id == CLASS_IDLE ? SCHED_WEIGHT_MIN : SCHED_WEIGHT_UNIT;
    if (entity->class_id == CLASS_FAIR) {
        entity->weight = params->weight != 0 ? params->weight : fair_weight_of_nice(params->nice);
    }
    entity->inverse = (uint32_t)((1ull << 32) / entity->weight);
    entity->bandwidth = 0;
    if (entity->class_id == CLASS_DEADLINE) {
        entity->runtime = clock_cycles_from_ns(params->runtime_ns);
        entity->relative_deadline = clock_cycles_from_ns(params->deadline_ns);
        entity->period = clock_cycles_from_ns(params->period_ns);
        entity->budget = 0;
        entity->bandwidth = (uint32_t)(params->runtime_ns * SCHED_BANDWIDTH_UNIT / params->deadline_ns) + 1;
    }
}

bool run_queue_admit(struct run_queue *queue, const struct sched_entity *entity,
                     const struct sched_entity *instead)
{
    uint64_t before = __atomic_load_n(&queue->deadline_bandwidth, __ATOMIC_RELAXED);
    uint64_t after;
    do {
        after = before + entity->bandwidth - (instead != NULL ? instead->bandwidth : 0);
        if (after > SCHED_BANDWIDTH_LIMIT && entity->bandwidth != 0) {
            return false;
        }
    } while (!__atomic_compare_exchange_n(&queue->deadline_bandwidth, &before, after, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return true;
}

void run_queue_release(struct run_queue *queue, const struct sched_entity *entity)
{
    __atomic_sub_fetch(&queue->deadline_bandwidth, entity->bandwidth, __ATOMIC_RELAXED);
}

/* ---- queue ---- */

void run_queue_add(struct run_queue *queue, struct sched_entity *entity, enum run_reason reason, uint64_t now)
{
    if (classes[entity->class_id]->add(queue, entity, reason, now)) {
        entity->queued = true;
        queue->class_mask |= 1u << entity->class_id;
        __atomic_store_n(&queue->ready_count, queue->ready_count + 1, __ATOMIC_RELAXED);
    }
}

void run_queue_remove(struct run_queue *queue, struct sched_entity *entity)
{
    const struct sched_class *class = classes[entity->class_id];
    class->remove(queue, entity);
    if (entity->queued) {
        entity->queued = false;
        __atomic_store_n(&queue->ready_count, queue->ready_count - 1, __ATOMIC_RELAXED);
        if (class->first(queue) == NULL) {
            queue->class_mask &= ~(1u << entity->class_id);
        }
    }
}

/* The real-time threads of the user may not run now: their share is spent and somebody below them wants to run. */
static bool realtime_is_held_back(const struct run_queue *queue, const struct sched_entity *running)
{
    const uint32_t below_realtime = SCHED_CLASSES_BELOW(CLASS_REALTIME);
    bool below = (queue->class_mask & below_realtime) != 0 ||
                 (running != NULL && ((1u << running->class_id) & below_realtime) != 0);
    return below && realtime_is_spent(queue);
}

/* Mask of the classes that may run. */
static uint32_t eligible(const struct run_queue *queue, const struct sched_entity *running)
{
    uint32_t mask = queue->class_mask;
    bool kernel_level = (queue->level_mask & 1u << SCHED_LEVEL_KERNEL) != 0;
    if ((mask & 1u << CLASS_REALTIME) != 0 && !kernel_level && realtime_is_held_back(queue, running)) {
        mask &= ~(1u << CLASS_REALTIME);
    }
    return mask;
}

struct sched_entity *run_queue_take(struct run_queue *queue, uint64_t now)
{
    run_queue_advance(queue, now);
    uint32_t mask = eligible(queue, NULL);
    if (mask == 0) {
        return NULL;
    }
    const struct sched_class *class = classes[__builtin_ctz(mask)];
    struct sched_entity *entity = class->first(queue);
    run_queue_remove(queue, entity);
    class->give_slice(queue, entity);
    return entity;
}

void run_queue_charge(struct run_queue *queue, struct sched_entity *running, uint64_t cycles, uint64_t now)
{
    run_queue_advance(queue, now);
    running->run_cycles += cycles;
    classes[running->class_id]->charge(queue, running, cycles);
    uint64_t into_period = now + sched_tunables.realtime_period - queue->realtime_period_end;
    queue->realtime_used =
        earlier(queue->realtime_used, into_period); /* the rest was used before the period */
}

bool run_queue_should_switch(const struct run_queue *queue, const struct sched_entity *running)
{
    uint32_t mask = eligible(queue, running);
    if (running == NULL) {
        return mask != 0;
    }
    const struct sched_class *class = classes[running->class_id];
    if (running->class_id == CLASS_REALTIME && running->params.level != SCHED_LEVEL_KERNEL &&
        realtime_is_held_back(queue, NULL)) {
        return true;
    }
    unsigned best = mask != 0 ? (unsigned)__builtin_ctz(mask) : CLASS_COUNT;
    if (best != running->class_id) {
        return best < running->class_id || class->gives_way(running, NULL);
    }
    return class->gives_way(running, class->first(queue));
}

bool run_queue_hand_over(struct run_queue *queue, const struct sched_entity *running,
                         struct sched_entity *entity, uint64_t now)
{
    run_queue_advance(queue, now);
    uint32_t mask = eligible(queue, NULL);
    unsigned best = mask != 0 ? (unsigned)__builtin_ctz(mask) : CLASS_COUNT;
    if (entity->class_id == CLASS_DEADLINE || best < entity->class_id ||
        (entity->class_id == CLASS_REALTIME && realtime_is_spent(queue))) {
        return false;
    }
    const struct sched_class *class = classes[entity->class_id];
    if (entity->class_id == CLASS_REALTIME && best == CLASS_REALTIME &&
        class->first(queue)->params.level > entity->params.level) {
        return false;
    }
    if (class->place != NULL) {
        class->place(queue, entity);
    }
    entity->slice_left = running->class_id == entity->class_id ? running->slice_left : 0;
    run_queue_renew(queue, entity);
    return true;
}

void run_queue_change(struct run_queue *queue, struct sched_entity *entity, const struct sched_params *params,
                      bool running, uint64_t now)
{
    enum sched_class_id before = entity->class_id;
    bool inside = entity->queued || entity->exhausted;
    if (inside) {
        run_queue_remove(queue, entity);
    }
    sched_entity_set(entity, params);
    bool other_class = before != entity->class_id;
    if (other_class) {
        entity->virtual_run = queue->fair_base;
    }
    entity->period_start = now - entity->period; /* deadline: the next period begins when it is ready */
    if (inside) {
        run_queue_add(queue, entity, other_class ? RUN_NEW : RUN_MOVED, now);
    } else if (running) {
        classes[entity->class_id]->give_slice(queue, entity);
    }
}

void run_queue_renew(const struct run_queue *queue, struct sched_entity *running)
{
    if (running->slice_left == 0) {
        classes[running->class_id]->give_slice(queue, running);
    }
}

void run_queue_advance(struct run_queue *queue, uint64_t now)
{
    if (!tree_key_before(now, queue->realtime_period_end)) {
        queue->realtime_used = 0;
        queue->realtime_period_end =
            now - now % sched_tunables.realtime_period + sched_tunables.realtime_period;
    }
    if (!tree_empty(&queue->deadline_exhausted)) {
        deadline_replenish(queue, now);
    }
}

uint64_t run_queue_next_event(const struct run_queue *queue, const struct sched_entity *running, uint64_t now)
{
    uint64_t event = SCHED_NO_EVENT;
    if (running != NULL) {
        uint64_t allowance = classes[running->class_id]->allowance(queue, running);
        event = allowance == SCHED_NO_EVENT ? event : now + allowance;
    }
    if (!tree_empty(&queue->deadline_exhausted)) {
        event = earlier(event, tree_first(&queue->deadline_exhausted)->key);
    }
    if ((queue->class_mask & 1u << CLASS_REALTIME) != 0 && realtime_is_spent(queue)) {
        event = earlier(event, queue->realtime_period_end);
    }
    return event;
}

/* ---- load, moves ---- */

struct sched_entity *sched_find_in_list(const struct list *list, run_queue_wanted wanted, void *context,
                                        unsigned *left)
{
    list_for_each(at, list)
    {
        struct sched_entity *entity = list_entry(at, struct sched_entity, level_node);
        if (*left == 0) {
            break;
        }
        if (wanted(entity, context)) {
            return entity;
        }
        (*left)--;
    }
    return NULL;
}

struct sched_entity *run_queue_find(const struct run_queue *queue, run_queue_wanted wanted, void *context)
{
    unsigned left = SCHED_SCAN;
    struct sched_entity *found = NULL;
    for (unsigned id = 0; id < CLASS_COUNT && found == NULL; id++) {
        if (classes[id]->find != NULL) {
            found = classes[id]->find(queue, wanted, context, &left);
        }
    }
    return found;
}

void run_queue_leave(const struct run_queue *queue, struct sched_entity *entity)
{
    entity->virtual_run -= queue->fair_base;
}

void run_queue_join(const struct run_queue *queue, struct sched_entity *entity)
{
    entity->virtual_run += queue->fair_base;
}

bool run_queue_check(const struct run_queue *queue)
{
    bool good = true;
    uint32_t sum = 0;
    for (unsigned id = 0; id < CLASS_COUNT; id++) {
        uint32_t ready = 0;
        good &= classes[id]->check(queue, &ready);
        good &= (ready != 0) == ((queue->class_mask & 1u << id) != 0);
        sum += ready;
    }
    return good && sum == queue->ready_count;
}
