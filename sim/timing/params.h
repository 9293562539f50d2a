#ifndef ORRERY_TIMING_PARAMS_H
#define ORRERY_TIMING_PARAMS_H

/*
 * The parameters of a reference machine: numbers (params.def), port groups, units, and what each class of instructions
 * takes. What they mean is docs/timing.md; who reads a machine file into this is above (script/machine_file.c).
 */

#include "base/status.h"
#include "base/visit.h"
#include "timing/cost.h"

#include <stdbool.h>
#include <stdint.h>

#define TIMING_PORTS_MAX    16u
#define TIMING_CAPACITY_MAX 7u /* of a port group: starts in a cycle */
#define TIMING_UNITS_MAX    8u
#define TIMING_NAME_MAX     32u
#define TIMING_OPS_MAX      31u
#define TIMING_LATENCY_MAX  4095u
#define TIMING_UNIT_NONE    0xffu

enum timing_param {
#define PARAM(name, least, most, comment) TIMING_##name,
#define POWER(name, least, most, comment) TIMING_##name,
#include "timing/params.def"
#undef PARAM
#undef POWER
    TIMING_PARAM_COUNT
};

/* The most that each may be, for who has room for so many. */
enum {
#define PARAM(name, least, most, comment) TIMING_MOST_##name = (most),
#define POWER(name, least, most, comment) TIMING_MOST_##name = (most),
#include "timing/params.def"
#undef PARAM
#undef POWER
};

/* One number's row: bounds for who reads a file. */
struct timing_param_row {
    const char *name;
    uint32_t least, most;
    bool power; /* a power of two */
};
extern const struct timing_param_row timing_param_rows[TIMING_PARAM_COUNT];

/* What an instruction of a class takes. */
struct timing_class {
    uint16_t ports;   /* bit g: port group g */
    uint16_t latency; /* cycles */
    uint16_t occupy;  /* cycles that unit is taken */
    uint8_t unit;     /* or TIMING_UNIT_NONE */
    uint8_t ops;
};

struct timing_params {
    char name[TIMING_NAME_MAX]; /* of the machine */
    uint32_t value[TIMING_PARAM_COUNT];
    uint32_t port_count, unit_count;
    char port_name[TIMING_PORTS_MAX][TIMING_NAME_MAX];
    char unit_name[TIMING_UNITS_MAX][TIMING_NAME_MAX];
    uint8_t capacity[TIMING_PORTS_MAX]; /* 1..TIMING_CAPACITY_MAX */
    uint16_t load_ports, store_ports;   /* of every load, of every store's address */
    struct timing_class classes[COST_CLASS_COUNT];
};

/* How instructions of a class go through the core. */
enum timing_kind { TIMING_NONE, TIMING_MOVES, TIMING_PIPE, TIMING_VECTOR, TIMING_LOCK, TIMING_SERIAL };

/* Names and kinds of the classes, by enum cost_class. */
extern const char *const timing_class_names[COST_CLASS_COUNT];
extern const uint8_t timing_class_kinds[COST_CLASS_COUNT]; /* enum timing_kind */

/* Are all values in bounds, and do they fit together? The message names the parameter. */
bool timing_params_check(const struct timing_params *p, struct error *e);

/* All that a cycle follows from: names of the machine, of port groups and units are no part of it. What was loaded is checked
 * by timing_params_check. */
void timing_params_visit(struct timing_params *p, struct visitor *v);
struct digest timing_params_digest(const struct timing_params *p);

#endif
