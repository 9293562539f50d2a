#ifndef ORRERY_TESTS_INSN_AIM_H
#define ORRERY_TESTS_INSN_AIM_H

/* Makes the operands of an instruction worth running: addresses that hit something, registers and memory with values of
 * the operand's kind, targets of jumps that trap at once. */

#include "insn_case.h"
#include "insn_text.h"

/* The input of a case while its instructions are chosen. */
struct aim {
    struct rng *r;
    struct insn_case *c;
    uint32_t fixed;   /* bit n: the input of register n is chosen */
    uint32_t written; /* bit n: an instruction before this one changes it */
    bool rebased;     /* an instruction before this one changes the base of FS or GS */
    bool stepped;     /* RFLAGS.TF may be set */
};

/* Chooses what t, which will stand at `at`, reads; changes displacements and jump offsets in t. False: t must not run
 * here, or would do nothing of interest. */
bool aim_insn(struct aim *a, struct insn_text *t, uint64_t at);

/* The operands of particular instructions (insn_aim_special.c): registers, and what lies at `target`, which is where the
 * memory operand was aimed at, or 0. False as above. */
bool aim_special(struct aim *a, struct insn_text *t, uint64_t at, uint64_t target);

/* Gives register n its input, unless something gave it one or changes it before: then false. */
bool aim_register(struct aim *a, unsigned n, uint64_t value);

/* Puts bytes into the memory that the case starts with, as far as it may be written. */
void aim_plant(struct aim *a, uint64_t at, const void *bytes, unsigned size_bytes);
void aim_plant_word(struct aim *a, uint64_t at, uint64_t value, unsigned size_bytes);

/* Where a jump may go: nearly always a breakpoint. */
uint64_t aim_code(struct aim *a);
uint16_t aim_selector(struct aim *a);

#endif
