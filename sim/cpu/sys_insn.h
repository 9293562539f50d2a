#ifndef ORRERY_CPU_SYS_INSN_H
#define ORRERY_CPU_SYS_INSN_H

/* Prototypes of the execution functions of insn_sys.def. */

#include "cpu/insn.h"

#define INSN_FORM(mnemonic, form, exec, cost, flags, undefined) exec_fn exec;
#define INSN(mnemonic, exec, cost, flags, undefined)            exec_fn exec;
#include "cpu/insn_sys.def"
#undef INSN
#undef INSN_FORM

#endif
