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

/* What values must fulfil together. L2 contains every line of an L1; a longer history in the first table would make it the
 * second. */
static bool check_together(const struct timing_params *p, struct error *e)
{
    const uint32_t *v = p->value;
    uint32_t l2_lines = v[TIMING_l2_sets] * v[TIMING_l2_ways];
    if (v[TIMING_snoop_cycles] > v[TIMING_cache_to_cache_cycles]) {
        return error_set(e, "snoop_cycles = %u: at most cache_to_cache_cycles = %u", v[TIMING_snoop_cycles],
                         v[TIMING_cache_to_cache_cycles]);
    }
    if (v[TIMING_l1d_sets] * v[TIMING_l1d_ways] > l2_lines) {
        return error_set(e,
                         "l1d_sets * l1d_ways = %u lines: at most l2_sets * l2_ways = %u, which has them all",
                         v[TIMING_l1d_sets] * v[TIMING_l1d_ways], l2_lines);
    }
    if (v[TIMING_l1i_sets] * v[TIMING_l1i_ways] > l2_lines) {
        return error_set(e,
                         "l1i_sets * l1i_ways = %u lines: at most l2_sets * l2_ways = %u, which has them all",
                         v[TIMING_l1i_sets] * v[TIMING_l1i_ways], l2_lines);
    }
    if (v[TIMING_history_1] > v[TIMING_history_2]) {
        return error_set(e, "history_1 = %u: at most history_2 = %u", v[TIMING_history_1],
                         v[TIMING_history_2]);
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
    return check_together(p, e);
}

static void visit_class(struct timing_class *c, struct visitor *v)
{
    visit_u16(v, "ports", &c->ports);
    visit_u16(v, "latency", &c->latency);
    visit_u16(v, "occupy", &c->occupy);
    visit_u8(v, "unit", &c->unit);
    visit_u8(v, "ops", &c->ops);
}

void timing_params_visit(struct timing_params *p, struct visitor *v)
{
    visit_array(v, "value", p->value, 4, TIMING_PARAM_COUNT);
    visit_count(v, "port_count", &p->port_count, TIMING_PORTS_MAX);
    visit_array(v, "capacity", p->capacity, 1, p->port_count);
    visit_u16(v, "load_ports", &p->load_ports);
    visit_u16(v, "store_ports", &p->store_ports);
    visit_u32(v, "unit_count", &p->unit_count);
    for (unsigned i = 0; i < COST_CLASS_COUNT; i++) {
        visit_class(&p->classes[i], v);
    }
}

struct digest timing_params_digest(const struct timing_params *p)
{
    struct timing_params copy = *p;
    struct digest_visitor *d = digest_visitor_create(VISIT_MODEL);
    timing_params_visit(&copy, digest_visitor_base(d));
    return digest_visitor_finish(d);
}
