#ifndef ORRERY_TESTS_INSN_ORACLE_H
#define ORRERY_TESTS_INSN_ORACLE_H

/* Runs cases on both sides and counts. */

#include <stdbool.h>
#include <stdint.h>

struct oracle_counts {
    uint64_t cases, differences;
    uint64_t completed;   /* cases in which every instruction did */
    uint64_t disturbed;   /* cases that the host ran differently the second time */
    uint64_t *ran, *done; /* by row: instructions that were begun, and completed */
};

/* Makes both sides. False: this host cannot, *why says why. Once in a process. */
bool oracle_open(const char **why);
void oracle_close(void);

/* Runs cases first .. first + count - 1 of a seed; stops after `tolerance` differences. Prints each difference and the
 * command that repeats it, and with progress a line every ten million cases. */
void oracle_run(uint64_t seed, uint64_t first, uint64_t count, unsigned tolerance, bool progress,
                struct oracle_counts *counts);

/* Prints what the rows came to; returns the number of rows of the instruction table that were not reached as they
 * should be: neither excluded, nor lacked by the host, nor begun `least` times, nor completed where they can. */
unsigned oracle_check_rows(const struct oracle_counts *counts, uint64_t least);

/* Prints rows that are neither excluded nor have any encoding; how many. Needs no oracle_open. */
unsigned oracle_check_forms(void);

/* Rows without a form, excluded ones and those that the host lacks, one a line. */
void oracle_print_rows(void);

#endif
