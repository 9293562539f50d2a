#ifndef ORRERY_TESTS_SMALL_TIMING_H
#define ORRERY_TESTS_SMALL_TIMING_H

/* The parameters of a machine with the least of everything. */

#include "timing/params.h"

static inline void small_timing(struct timing_params *p)
{
    *p = (struct timing_params){
        .name = "least", .port_count = 1, .port_name = {"p"}, .capacity = {1}, .load_ports = 1};
    for (unsigned i = 0; i < TIMING_PARAM_COUNT; i++) {
        p->value[i] = timing_param_rows[i].least;
    }
    for (unsigned i = 0; i < COST_CLASS_COUNT; i++) {
        p->classes[i] = (struct timing_class){.ops = 1, .unit = TIMING_UNIT_NONE};
    }
}

#endif
