/* Names, bounds and what parameters must fulfil together. */

#include "timing/params.h"

const struct timing_param_row timing_param_rows[TIMING_PARAM_COUNT] = {
#define PARAM(name, least, most, comment) {#name, least, most, false},
#define POWER(name, least, most, comment) {#name, least, most, true},
#include "timing/params.def"
#undef PARAM
#undef POWER
};

const char *const timing_class_names[COST_CLASS_COUNT] = {
#define COST(class_, kind, flat_cycles, comment) [COST_##class_] = #class_,
#include "timing/cost.def"
#undef COST
};

const uint8_t timing_class_kinds[COST_CLASS_COUNT] = {
#define COST(class_, kind, flat_cycles, comment) [COST_##class_] = TIMING_##kind,
#include "timing/cost.def"
#undef COST
};

static bool check_values(const struct timing_params *p, struct error *e)
{
    for (unsigned i = 0; i < TIMING_PARAM_COUNT; i++) {
        const struct timing_param_row *row = &timing_param_rows[i];
        uint32_t v = p->value[i];
        if (v < row->least || v > row->most || (row->power && (v & (v - 1)) != 0)) {
            return error_set(e, "%s = %u: %u to %u%s", row->name, v, row->least, row->most,
                             row->power ? ", a power of two" : "");
        }
    }
    return true;
}

static bool check_ports(const struct timing_params *p, struct error *e)
{
    if (p->port_count > TIMING_PORTS_MAX || p->unit_count > TIMING_UNITS_MAX) {
        return error_set(e, "more than %u port groups or %u units", TIMING_PORTS_MAX, TIMING_UNITS_MAX);
    }
    for (unsigned g = 0; g < p->port_count; g++) {
        if (p->capacity[g] < 1 || p->capacity[g] > TIMING_CAPACITY_MAX) {
            return error_set(e, "port group %s: 1 to %u starts a cycle", p->port_name[g],
                             TIMING_CAPACITY_MAX);
        }
    }
    return true;
}

static bool check_class(const struct timing_params *p, unsigned i, struct error *e)
{
    const struct timing_class *c = &p->classes[i];
    bool stage = timing_class_kinds[i] != TIMING_NONE && timing_class_kinds[i] != TIMING_MOVES;
    if (c->ops < 1 || c->ops > TIMING_OPS_MAX || c->latency > TIMING_LATENCY_MAX ||
        c->occupy > TIMING_LATENCY_MAX) {
        return error_set(e, "class %s: ops 1 to %u, cycles to %u", timing_class_names[i], TIMING_OPS_MAX,
                         TIMING_LATENCY_MAX);
    }
    if (!stage && (c->latency != 0 || c->ports != 0 || c->unit != TIMING_UNIT_NONE)) {
        return error_set(e, "class %s has no execution stage: no latency, ports or unit",
                         timing_class_names[i]);
    }
    if ((c->ports >> p->port_count) != 0 || (c->unit != TIMING_UNIT_NONE && c->unit >= p->unit_count)) {
        return error_set(e, "class %s: no such port group or unit", timing_class_names[i]);
    }
    return true;
}

bool timing_params_check(const struct timing_params *p, struct error *e)
{
    if (!check_values(p, e) || !check_ports(p, e)) {
        return false;
    }
    for (unsigned i = 0; i < COST_CLASS_COUNT; i++) {
        if (!check_class(p, i, e)) {
            return false;
        }
    }
    if (p->value[TIMING_snoop_cycles] > p->value[TIMING_cache_to_cache_cycles]) {
        return error_set(e, "snoop_cycles: at most cache_to_cache_cycles");
    }
    if (p->value[TIMING_l1d_sets] * p->value[TIMING_l1d_ways] >
        p->value[TIMING_l2_sets] * p->value[TIMING_l2_ways]) {
        return error_set(e, "L2 is smaller than L1D, whose lines it has to contain");
    }
    return true;
}

static void visit_class(struct timing_class *c, struct visitor *v)
{
    visit_u16(v, "ports", &c->ports);
    visit_u16(v, "latency", &c->latency);
    visit_u16(v, "occupy", &c->occupy);
    visit_u8(v, "unit", &c->unit);
    visit_u8(v, "ops", &c->ops);
}

struct digest timing_params_digest(const struct timing_params *p)
{
    struct timing_params copy = *p;
    struct digest_visitor *d = digest_visitor_create(VISIT_MODEL);
    struct visitor *v = digest_visitor_base(d);
    visit_array(v, "value", copy.value, 4, TIMING_PARAM_COUNT);
    visit_u32(v, "port_count", &copy.port_count);
    visit_array(v, "capacity", copy.capacity, 1, copy.port_count);
    visit_u16(v, "load_ports", &copy.load_ports);
    visit_u16(v, "store_ports", &copy.store_ports);
    visit_u32(v, "unit_count", &copy.unit_count);
    for (unsigned i = 0; i < COST_CLASS_COUNT; i++) {
        visit_class(&copy.classes[i], v);
    }
    return digest_visitor_finish(d);
}
