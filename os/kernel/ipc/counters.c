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

/* What a CPU counts by itself, with interrupts off. */
static void add_cpu(struct ipc_stats *out, const struct cpu *cpu)
{
    uint64_t calls = __atomic_load_n(&cpu->short_calls, __ATOMIC_RELAXED);
    uint64_t replies = __atomic_load_n(&cpu->short_replies, __ATOMIC_RELAXED);
    out->called += calls;
    out->answered += replies;
    out->short_way += calls + replies;
    out->offered += calls + replies;
    out->handed_over += calls + replies + __atomic_load_n(&cpu->handoffs, __ATOMIC_RELAXED);
}

void ipc_counters_read(struct ipc_stats *out)
{
#define IPC_COUNTER(id, name, text) out->name = sum(IPC_COUNTER_##id);
#include "abi/ipc_counters.def"
#undef IPC_COUNTER
    for (unsigned id = 0; id < cpu_count_present(); id++) {
        if (cpu_table[id] != NULL) {
            add_cpu(out, cpu_table[id]);
        }
    }
}
