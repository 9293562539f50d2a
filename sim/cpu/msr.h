#ifndef ORRERY_CPU_MSR_H
#define ORRERY_CPU_MSR_H

/* Model-specific registers; the list is msr.def. Source: APM vol. 2, appendix A, "MSR Cross-Reference". */

#include "cpu/cpu.h"

/* Power-on values of the registers that are storage. INIT leaves them alone. */
void msr_reset(struct cpu *cpu);

/* RDMSR and WRMSR without the privilege check: FLOW_NEXT; FLOW_FAULT #GP(0); FLOW_STOP not modelled; a write
 * may be FLOW_REPEAT, when the interrupt command register waits and the instruction must run again. */
enum flow msr_read(struct cpu *cpu, uint32_t number, uint64_t *value);
enum flow msr_write(struct cpu *cpu, uint32_t number, uint64_t value);

/* The time-stamp counter now. */
uint64_t msr_tsc(const struct cpu *cpu);

/* Rows, for lists: name of a register, or NULL when i is beyond the last. */
const char *msr_row_name(unsigned i, uint32_t *number);

#endif
