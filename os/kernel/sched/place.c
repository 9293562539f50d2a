/*
 * Which CPU a thread is put on. Near means: the same node, whose CPUs are taken to share their last-level cache. A
 * real-time thread goes where the least important thread runs, if it would have to wait where it was; a deadline thread
 * only to where it was admitted.
 */
#include "sched/internal.h"

/* Costs of a placement, in quarters of a waiting thread. */
#define COST_THREAD 4u
#define COST_FAR    3u /* another node than its memory's: better than to wait for a thread */
#define COST_OTHER  1u /* not the CPU whose caches may still hold its data */
#define COST_NEVER  UINT32_MAX

uint32_t sched_rank(const struct sched_entity *entity)
{
    if (entity == NULL) {
        return RANK_NOTHING;
    }
    switch (entity->class_id) {
    case CLASS_DEADLINE:
        return RANK_DEADLINE;
    case CLASS_REALTIME:
        return RANK_REALTIME + entity->params.level;
    case CLASS_FAIR:
        return RANK_FAIR;
    case CLASS_IDLE:
    case CLASS_COUNT:
        break;
    }
    return RANK_IDLE;
}

static bool looks_idle(const struct cpu *cpu)
{
    return sched_load(cpu) == 0;
}

static uint32_t cost(const struct thread *thread, const struct cpu *cpu, unsigned last)
{
    if (!cpu_is_online(cpu) || !sched_may_run(thread, cpu)) {
        return COST_NEVER;
    }
    uint32_t waits = sched_load(cpu) * COST_THREAD;
    if (thread->sched.class_id == CLASS_REALTIME) { /* only what it cannot displace makes it wait */
        uint32_t rank = __atomic_load_n(&cpu->rank, __ATOMIC_RELAXED);
        waits = rank >= sched_rank(&thread->sched) ? COST_THREAD * RANK_DEADLINE : rank;
    }
    return waits + (cpu->node != thread->home_node ? COST_FAR : 0) + (cpu->id != last ? COST_OTHER : 0);
}

/* The cheapest CPU; cpu_count_present() when there is none. */
static unsigned cheapest(const struct thread *thread, unsigned last)
{
    unsigned best = cpu_count_present();
    uint32_t lowest = COST_NEVER;
    for (unsigned i = 0; i < cpu_count_present(); i++) {
        unsigned id = (last + i) % cpu_count_present();
        uint32_t here = cost(thread, cpu_table[id], last);
        if (here < lowest) {
            best = id;
            lowest = here;
        }
    }
    return best;
}

unsigned sched_target(struct thread *thread, unsigned last)
{
    if (thread->sched.class_id == CLASS_DEADLINE && cpu_is_online(cpu_table[thread->deadline_cpu])) {
        return thread->deadline_cpu;
    }
    const struct cpu *before = cpu_table[last];
    if (cpu_is_online(before) && sched_may_run(thread, before) && looks_idle(before) &&
        before->node == thread->home_node) {
        return last;
    }
    unsigned best = cheapest(thread, last);
    if (best == cpu_count_present()) { /* every CPU of its mask has gone: better elsewhere than never */
        thread->affinity = AFFINITY_ALL;
        best = cheapest(thread, last);
    }
    return best;
}
