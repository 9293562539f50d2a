#ifndef OS_KERNEL_LIB_RCU_CPU_H
#define OS_KERNEL_LIB_RCU_CPU_H

/* What RCU keeps of one CPU, in its per-CPU area; only that CPU writes it. */

#include <stdbool.h>
#include <stdint.h>

struct rcu_cpu {
    uint32_t nesting; /* read sections inside one another */
    bool asked;       /* answer at the end of the read section */
};

#endif
