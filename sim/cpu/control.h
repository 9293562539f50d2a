#ifndef ORRERY_CPU_CONTROL_H
#define ORRERY_CPU_CONTROL_H

/* Writes of the registers that choose the mode, with all their checks and effects. #GP(0) when refused. */

#include "cpu/cpu.h"

enum flow control_write_cr0(struct cpu *cpu, uint64_t value);
enum flow control_write_efer(struct cpu *cpu, uint64_t value);

/* True, with #GP(0) in cpu->fault, when CR4.UMIP keeps this privilege from reading system registers. */
bool control_umip_faults(struct cpu *cpu);

#endif
