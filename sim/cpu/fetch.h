#ifndef ORRERY_CPU_FETCH_H
#define ORRERY_CPU_FETCH_H

/* Fetching one instruction outside blocks. */

#include "cpu/insn.h"

/* Fetches and decodes the instruction at rip, over a page boundary if it must. FLOW_NEXT, or FLOW_FAULT: #PF,
 * #GP of the segment or of more than 15 bytes, #UD. */
enum flow fetch_insn(struct cpu *cpu, struct insn *out);

#endif
