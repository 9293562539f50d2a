#ifndef ORRERY_TESTS_INSN_COMPARE_H
#define ORRERY_TESTS_INSN_COMPARE_H

/* What must be equal after a case, and how a difference is told. */

#include "insn_case.h"

#include <stdio.h>

/* The instruction at which the case ended; count: none of them. */
unsigned compare_stop(const struct insn_case *c, const struct insn_state *s);

/* How many instructions completed. After a jump that was taken, those behind it count as not begun. */
unsigned compare_completed(const struct insn_case *c, const struct insn_state *s);

/* True when the simulator did what the host did. c->absent: the host did not run, and only #UD will do. With out: says
 * what differs, a line each. */
bool compare_states(const struct insn_case *c, const struct insn_state *host, const struct insn_state *sim,
                    FILE *out);

/* The case in words: instructions, and the input that matters. */
void compare_print_case(const struct insn_case *c, FILE *out);

#endif
