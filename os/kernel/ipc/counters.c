/* Counters of messages: a cache line or two a CPU, added up when asked. Deviations: a sum is no snapshot. */
#include "ipc/counters.h"

#include "arch/x86_64/percpu.h"

static struct {
    uint64_t counts[IPC_COUNTER_COUNT];
} __attribute__((aligned(64))) cpus[ARCH_MAX_CPUS];

void ipc_count(enum ipc_counter counter)
{
    __atomic_add_fetch(&cpus[arch_cpu_id()].counts[counter], 1, __ATOMIC_RELAXED);
}

static uint64_t sum(enum ipc_counter counter)
{
    uint64_t total = 0;
    for (unsigned cpu = 0; cpu < ARCH_MAX_CPUS; cpu++) {
        total += __atomic_load_n(&cpus[cpu].counts[counter], __ATOMIC_RELAXED);
    }
    return total;
}

void ipc_counters_read(struct ipc_stats *out)
{
#define IPC_COUNTER(id, name, text) out->name = sum(IPC_COUNTER_##id);
#include "abi/ipc_counters.def"
#undef IPC_COUNTER
    for (unsigned id = 0; id < cpu_count_present(); id++) { /* the scheduler's own count */
        out->handed_over +=
            cpu_table[id] != NULL ? __atomic_load_n(&cpu_table[id]->handoffs, __ATOMIC_RELAXED) : 0;
    }
}
