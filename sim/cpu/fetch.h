#ifndef ORRERY_CPU_FETCH_H
#define ORRERY_CPU_FETCH_H

/* Fetching one instruction outside blocks. */

#include "cpu/insn.h"
#include "cpu/timed.h"

/* Fetches and decodes the instruction at rip, over a page boundary if it must. FLOW_NEXT, or FLOW_FAULT: #PF,
 * #GP of the segment or of more than 15 bytes, #UD. *code: where its bytes are. */
enum flow fetch_insn(struct cpu *cpu, struct insn *out, struct timed_code *code);

#endif
