/*
 * The flat timing model: an instruction costs its class, plus a constant when it touches memory.
 * Deviations: no caches, no overlap, no prediction; every figure is assumed (see cost.def).
 */

#include "timing/cost.h"

const struct cost_table cost_fast = {
    .name = "fast",
    .base_cycles =
        {
#define COST(class_, kind, flat_cycles, comment) [COST_##class_] = 1,
#include "timing/cost.def"
#undef COST
        },
    .memory_cycles = 0,
    .exception_cycles = 1,
};

const struct cost_table cost_flat = {
    .name = "flat",
    .base_cycles =
        {
#define COST(class_, kind, flat_cycles, comment) [COST_##class_] = (flat_cycles),
#include "timing/cost.def"
#undef COST
        },
    .memory_cycles = 4,
    .exception_cycles = 60,
};
