#ifndef ORRERY_TESTS_INSN_GEN_H
#define ORRERY_TESTS_INSN_GEN_H

/* Cases of the instruction oracle. */

#include "insn_case.h"

/* The rows that cases are made of: not excluded, had by the host (native_open comes before). Call once. */
void gen_init(void);

/* Is the row one of them; of those that the host lacks, or does in another way? */
bool gen_has_row(unsigned row);
bool gen_host_lacks(unsigned row);

/* Makes the case of a seed and a number: a function of these two, the rows and the tables. */
void gen_case(uint64_t seed, uint64_t number, struct insn_case *c);

#endif
