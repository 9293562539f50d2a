#ifndef OS_KERNEL_SCHED_PATIENCE_H
#define OS_KERNEL_SCHED_PATIENCE_H

/* How long a caller is ready to wait: nanoseconds in system calls, a deadline in cycles in the kernel. */

#include "arch/x86_64/clock.h"
#include "sched/wait.h"

/* 36 years. More is for ever; as much as this added to a clock does not overflow. */
#define PATIENCE_MAX_NS (1ull << 60)

/* The deadline of a wait that begins now. */
static inline uint64_t patience_deadline(uint64_t patience_ns)
{
    return patience_ns > PATIENCE_MAX_NS ? WAIT_FOREVER : clock_cycles() + clock_cycles_from_ns(patience_ns);
}

#endif
