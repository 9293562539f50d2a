/*
 * Load balancing. Push: at each tick a CPU with threads waiting gives up to PUSH_MAX of them to the CPUs that have least to
 * do (one a tick would take a second to spread a hundred threads that began on one CPU); idle CPUs take no ticks, so they
 * cannot ask. Pull: a CPU that has become idle takes one from the busiest. Both move a thread only when the other CPU has
 * at least IMBALANCE threads less (IMBALANCE_FAR if it is on another node and not idle), so that one thread too many is
 * never passed around, and not again a thread that was moved less than a tick ago. Threads whose data is likely to have
 * left the caches go first; when FAILED_MAX attempts have found only others, one of those goes. Real-time threads go only
 * to CPUs that run something less important; deadline threads never. Deviations: load is a number of threads, not a sum
 * of weights; CPUs of a node are taken to share a cache; what gets ready behind another while a CPU is idle waits for the
 * next tick (docs/design/scheduler.md, Balancing).
 */
#include "sched/internal.h"

#define IMBALANCE     2u
#define IMBALANCE_FAR 3u
#define PUSH_MAX      4u        /* threads that a tick moves, with interrupts off */
#define HOT_NS        500000ull /* ran so recently that moving costs more than waiting */
#define FAILED_MAX    2u        /* attempts that found hot ones only, before a hot one will do */

struct choice {
    const struct cpu *to;
    uint64_t now;
    bool hot_too;
    bool hot_seen; /* one was refused for no other reason */
};

static bool is_hot(const struct thread *thread, uint64_t now)
{
    return thread->sched.run_cycles != 0 && now - thread->ready_since < clock_cycles_from_ns(HOT_NS);
}

static bool is_wanted(const struct sched_entity *entity, void *context)
{
    struct choice *choice = context;
    const struct thread *thread = sched_thread_of(entity);
    if (!sched_may_run(thread, choice->to)) {
        return false;
    }
    if (entity->class_id == CLASS_REALTIME) {
        return sched_rank(entity) > __atomic_load_n(&choice->to->rank, __ATOMIC_RELAXED);
    }
    bool rested =
        thread->migrations == 0 || choice->now - thread->moved_at >= clock_cycles_from_ns(SCHED_TICK_NS);
    bool hot = rested && !choice->hot_too && is_hot(thread, choice->now);
    choice->hot_seen |= hot;
    return rested && !hot;
}

static bool is_unbalanced(const struct cpu *busy, const struct cpu *other)
{
    uint32_t margin = busy->node == other->node || sched_load(other) == 0 ? IMBALANCE : IMBALANCE_FAR;
    return sched_load(busy) >= sched_load(other) + margin;
}

/*
 * Takes a thread out of a queue for another CPU; null when there is none that may and should go. *attempts: those in a row
 * for which only a hot one was there.
 */
static struct thread *take_one(struct cpu *from, const struct cpu *to, uint32_t *attempts)
{
    struct choice choice = {.to = to, .now = clock_cycles()};
    spin_lock(&from->queue.lock);
    struct sched_entity *found = run_queue_find(&from->queue, is_wanted, &choice);
    if (found == NULL && choice.hot_seen && *attempts >= FAILED_MAX) {
        choice.hot_too = true;
        found = run_queue_find(&from->queue, is_wanted, &choice);
    }
    *attempts = found == NULL && choice.hot_seen ? *attempts + 1 : 0;
    if (found != NULL) {
        sched_detach(from, sched_thread_of(found));
    }
    spin_unlock(&from->queue.lock);
    return found != NULL ? sched_thread_of(found) : NULL;
}

static bool move_one(struct cpu *from, struct cpu *to, enum sched_move move)
{
    struct cpu *chooser = move == MOVE_PULL ? to : from;
    struct thread *thread = take_one(from, to, &chooser->balance_failed);
    if (thread != NULL) {
        sched_enqueue(thread, to->id, RUN_MOVED, move);
    }
    return thread != NULL;
}

/* The online CPU with least (or most) threads beside `cpu`, of equals the nearest. Bound: O(CPUs). */
static struct cpu *extreme(const struct cpu *cpu, bool most)
{
    struct cpu *best = NULL;
    for (unsigned i = 1; i < cpu_count_present(); i++) {
        struct cpu *other = cpu_table[(cpu->id + i) % cpu_count_present()];
        if (!cpu_is_online(other) || __atomic_load_n(&other->draining, __ATOMIC_RELAXED)) {
            continue;
        }
        bool better = best == NULL ||
                      (most ? sched_load(other) > sched_load(best) : sched_load(other) < sched_load(best));
        bool nearer = best != NULL && sched_load(other) == sched_load(best) && other->node == cpu->node &&
                      best->node != cpu->node;
        best = better || nearer ? other : best;
    }
    return best;
}

/* A real-time thread waits here: the CPU that runs the least important thread, if that is less important. */
static struct cpu *realtime_place(const struct cpu *cpu)
{
    uint32_t level_mask = __atomic_load_n(&cpu->queue.level_mask, __ATOMIC_RELAXED);
    if (level_mask == 0) {
        return NULL;
    }
    uint32_t lowest = RANK_REALTIME + 31u - (uint32_t)__builtin_clz(level_mask);
    struct cpu *best = NULL;
    for (unsigned i = 1; i < cpu_count_present(); i++) {
        struct cpu *other = cpu_table[(cpu->id + i) % cpu_count_present()];
        uint32_t rank = __atomic_load_n(&other->rank, __ATOMIC_RELAXED);
        if (cpu_is_online(other) && rank < lowest) {
            best = other;
            lowest = rank;
        }
    }
    return best;
}

void sched_balance_push(struct cpu *cpu)
{
    if (__atomic_load_n(&cpu->queue.ready_count, __ATOMIC_RELAXED) == 0) {
        return;
    }
    struct cpu *other = realtime_place(cpu);
    if (other != NULL && move_one(cpu, other, MOVE_PUSH)) {
        return;
    }
    bool moved = true;
    for (unsigned i = 0; i < PUSH_MAX && moved; i++) {
        other = extreme(cpu, false);
        moved = other != NULL && is_unbalanced(cpu, other) && move_one(cpu, other, MOVE_PUSH);
    }
}

bool sched_balance_pull(struct cpu *cpu)
{
    struct cpu *busiest = extreme(cpu, true);
    return busiest != NULL && !cpu->draining && is_unbalanced(busiest, cpu) &&
           move_one(busiest, cpu, MOVE_PULL);
}
