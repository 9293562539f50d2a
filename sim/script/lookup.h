#ifndef ORRERY_SCRIPT_LOOKUP_H
#define ORRERY_SCRIPT_LOOKUP_H

/* Register names of scenarios, through a gperf table made from names_registers.def. Values up to REGISTER_RFLAGS are
 * the numbers that the register effect takes. */
enum register_name {
#define NAME(word, value) value,
#include "script/names_registers.def"
#undef NAME
    REGISTER_COUNT
};

/* The number of a register, or -1. */
int lookup_register(const char *word);

#endif
