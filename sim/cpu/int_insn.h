#ifndef ORRERY_CPU_INT_INSN_H
#define ORRERY_CPU_INT_INSN_H

/* Prototypes of the execution functions of insn_int.def, and what their files share. */

#include "cpu/insn.h"
#include "cpu/sem.h"

#define INSN_FORM(mnemonic, form, exec, cost, flags, undefined) exec_fn exec;
#define INSN(mnemonic, exec, cost, flags, undefined)            exec_fn exec;
#include "cpu/insn_int.def"
#undef INSN
#undef INSN_FORM

/* Checks a near branch target (canonical in 64-bit mode, else below the limit of CS) and makes it rip. */
enum flow branch_to(struct cpu *cpu, uint64_t target);
/* Would branch_to(target) fault? Then cpu->fault is set and false returned. */
bool branch_check(struct cpu *cpu, uint64_t target);

#endif
