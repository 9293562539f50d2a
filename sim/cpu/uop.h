#ifndef ORRERY_CPU_UOP_H
#define ORRERY_CPU_UOP_H

/* What the timing model has to know of a decoded instruction: its class and its registers (docs/timing.md, 9 and 10). */

#include "cpu/insn.h"

#include <Zydis/Zydis.h>

/* Fills insn->uop. Everything else of insn is there; z and its operands, hidden ones too, are what it was made from. */
void uop_fill(struct insn *insn, const ZydisDecodedInstruction *z, const ZydisDecodedOperand *operands);

#endif
