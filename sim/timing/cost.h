#ifndef ORRERY_TIMING_COST_H
#define ORRERY_TIMING_COST_H

/* Classes of instructions, and their cost in cycles where that is all there is: the fast engine and the flat machine. */

#include <stdint.h>

enum cost_class {
#define COST(class_, kind, flat_cycles, comment) COST_##class_,
#include "timing/cost.def"
#undef COST
    COST_CLASS_COUNT
};

struct cost_table {
    const char *name;
    uint8_t base_cycles[COST_CLASS_COUNT]; /* per instruction, or per iteration of a repeated one; >= 1 */
    uint8_t memory_cycles;                 /* added once an instruction with an explicit memory operand */
    uint8_t exception_cycles;              /* delivery of an exception or interrupt; >= 1 */
};

/* How long devices take, whatever the engine. */
enum device_cost_cycles {
#define DEVICE_COST(id, cycles, comment) id##_CYCLES = (cycles),
#include "timing/device_cost.def"
#undef DEVICE_COST
};

/* One cycle for everything. */
extern const struct cost_table cost_fast;
/* Costs of cost.def and a flat memory cost. */
extern const struct cost_table cost_flat;

#endif
