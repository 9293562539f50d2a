#ifndef ORRERY_TESTS_INSN_NATIVE_H
#define ORRERY_TESTS_INSN_NATIVE_H

/* The host side: runs a case on the CPU that runs this program, in this process. */

#include "insn_case.h"

/* Maps the address space of the cases and takes over the signals of traps. False: this host cannot, *why says why.
 * Nothing else of the process may lie below 4 GiB. Call once. */
bool native_open(const char **why);
void native_close(void);

/* Runs a case until it traps. A case that does not within seconds ends the program with a message. */
void native_run(const struct insn_case *c, struct insn_state *out);

/* TSC_AUX as RDPID has it on the CPU that this thread is bound to. */
uint32_t native_tsc_aux(void);

/* Does the host have it (value of ZydisISAExt)? Extensions that are part of every x86-64 CPU count as had. */
bool native_has(unsigned isa_ext);

#endif
