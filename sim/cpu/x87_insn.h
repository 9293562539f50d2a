#ifndef ORRERY_CPU_X87_INSN_H
#define ORRERY_CPU_X87_INSN_H

/* What the execution functions of the x87 family share. */

#include "cpu/insn.h"
#include "cpu/x87_ops.h"

/* #NM when CR0.EM or CR0.TS is set, else FLOW_NEXT: enough for the instructions that do not wait. */
enum flow x87_check_available(struct cpu *cpu);
/* The same, then #MF for a pending exception (with CR0.NE = 0, the external FERR# way, not modelled). */
enum flow x87_check_waiting(struct cpu *cpu);

static inline bool x87_has_memory(const struct insn *insn)
{
    return insn->modrm < 0xc0;
}

/* The reg and rm fields of ModRM: the operation, and i of ST(i). */
static inline unsigned x87_reg(const struct insn *insn)
{
    return insn->modrm >> 3 & 7u;
}

static inline unsigned x87_rm(const struct insn *insn)
{
    return insn->modrm & 7u;
}

#define INSN(mnemonic, exec, cost, flags, undefined) exec_fn exec;
#include "cpu/insn_x87.def"
#undef INSN

#endif
