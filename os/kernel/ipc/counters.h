#ifndef OS_KERNEL_IPC_COUNTERS_H
#define OS_KERNEL_IPC_COUNTERS_H

/* What is counted of messages (abi/ipc_counters.def), on each CPU for itself. */

#include <stdint.h>

#include "abi/ipc.h"

enum ipc_counter {
#define IPC_COUNTER(id, name, text) IPC_COUNTER_##id,
#include "abi/ipc_counters.def"
#undef IPC_COUNTER
    IPC_COUNTER_COUNT
};

/* One more. Preemption may be on: a count then goes to the CPU of before, exactly all the same. */
void ipc_count(enum ipc_counter counter);

/* Sums over all CPUs. */
void ipc_counters_read(struct ipc_stats *out);

#endif
