#ifndef ORRERY_TESTS_INSN_MACHINE_H
#define ORRERY_TESTS_INSN_MACHINE_H

/* The simulator's side: one vCPU in user mode behind page tables that give the address space of a case, with the
 * descriptor tables that the host's kernel has. */

#include "insn_case.h"

/* How a run ended that did not end in a trap: values of insn_state.vector. */
#define MACHINE_NOT_MODELLED 0xfff0u
#define MACHINE_SHUTDOWN     0xfff1u
#define MACHINE_HANGS        0xfff2u

/* Makes the machine; tsc_aux is what RDPID shall give. NULL when there is no memory. */
struct insn_machine *insn_machine_open(uint32_t tsc_aux);
void insn_machine_close(struct insn_machine *m);

/* Cases n * MACHINE_SERIES and on run one after the other with what the ones before left in the TLB and in its
 * accelerators; the first of a series finds them empty. */
#define MACHINE_SERIES 64u

/* Runs a case until it traps. The case number chooses cached blocks or single steps, and stores that commit at once or are
 * queued. */
void insn_machine_run(struct insn_machine *m, const struct insn_case *c, struct insn_state *out);

/* What a run that ended in MACHINE_NOT_MODELLED lacked. */
const char *machine_stop_text(const struct insn_machine *m);

#endif
