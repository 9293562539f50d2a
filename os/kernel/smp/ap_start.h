#ifndef OS_KERNEL_SMP_AP_START_H
#define OS_KERNEL_SMP_AP_START_H

#include "abi/status.h"

struct cpu;

/*
 * Starts every application processor of the ACPI tables by INIT and up to two start-up IPIs, one after the
 * other. A CPU that does not answer within 100 ms is left out. Thread context, interrupts on.
 * STATUS_ERR_NO_MEMORY.
 */
MUST_CHECK status_t ap_start_all(void);

/*
 * Starts again a CPU that went through cpu_park. Thread context, interrupts on. STATUS_ERR_NO_MEMORY; STATUS_ERR_TIMEOUT:
 * it does not answer.
 */
MUST_CHECK status_t ap_restart(struct cpu *cpu);

/* Gives the boot processor its IST stacks. STATUS_ERR_NO_MEMORY. */
MUST_CHECK status_t cpu_prepare_boot(void);

/* Fills in the boot processor's area and the table of the CPUs in the machine. */
void cpu_table_init(void);

#endif
