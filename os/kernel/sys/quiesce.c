/* Quiescence: reaper, slots of revoked capabilities and of those in messages, then what waits for a grace period, then the front
 * caches of all CPUs, then the heap, then the CPUs' frames. */
#include "sys/quiesce.h"

#include "arch/arch.h"
#include "cap/cap.h"
#include "ipc/transit.h"
#include "mm/frame.h"
#include "mm/kheap.h"
#include "mm/slab.h"
#include "sched/rcu.h"
#include "sched/reaper.h"
#include "sched/sched.h"
#include "smp/ipi.h"

struct cache_drain {
    struct slab_drain cpus[ARCH_MAX_CPUS];
    bool more;
};

static void drain_some(void *argument)
{
    struct cache_drain *drain = argument;
    unsigned cpu = arch_cpu_id();
    if (slab_drain_step(cpu, &drain->cpus[cpu])) {
        __atomic_store_n(&drain->more, true, __ATOMIC_RELAXED);
    }
}

/* The others do it in interrupts, of which each is short; they are asked until all are through. */
static void drain_fronts(void)
{
    struct cache_drain drain = {0};
    do {
        drain.more = false;
        preempt_disable();
        drain_some(&drain);
        preempt_enable();
        ipi_call_others(drain_some, &drain);
    } while (drain.more);
}

void quiesce(void)
{
    reaper_wait();
    cap_collect();
    transit_trim();
    rcu_barrier();
    drain_fronts();
    kheap_trim();
    frame_cpu_drain_all();
}
