/* Quiescence: reaper, slots of revoked capabilities, then what waits for a grace period, then the front caches of all CPUs, then the heap. */
#include "sys/quiesce.h"

#include "arch/arch.h"
#include "cap/cap.h"
#include "lib/rcu.h"
#include "mm/kheap.h"
#include "mm/slab.h"
#include "sched/reaper.h"
#include "sched/sched.h"
#include "smp/ipi.h"

static void drain_this_cpu(void *argument)
{
    (void)argument;
    slab_drain_cpu(arch_cpu_id());
}

void quiesce(void)
{
    reaper_wait();
    cap_collect();
    rcu_barrier();
    preempt_disable();
    drain_this_cpu(NULL);
    preempt_enable();
    ipi_call_others(drain_this_cpu, NULL);
    kheap_trim();
}
