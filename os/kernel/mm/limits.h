#ifndef OS_KERNEL_MM_LIMITS_H
#define OS_KERNEL_MM_LIMITS_H

/* Fixed bounds of memory management. */

#define MM_MAX_CPUS  64u /* equals ARCH_MAX_CPUS and HANDOFF_MAX_CPUS */
#define MM_MAX_NODES 8u

_Static_assert(MM_MAX_CPUS <= 64, "address_space.cpu_mask holds one bit a CPU");

#endif
