/* Making the reference machine, and its state. */

#include "timing/internal.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#define PORT_BITS 4u /* of a word of the calendar: 8 - capacity + operations started; 8 is full */
#define PORT_FULL 8u

/* Rings are indexed by counts modulo their size, also by "negative" ones of the first operations: sizes are powers of two, and none
 * is below what a machine may have. */
#define RING_HOLDS(ring, most) ((uint64_t)(most) <= (ring) && ((ring) & ((ring)-1)) == 0)

_Static_assert(RING_HOLDS(TIMING_RETIRE_RING, TIMING_MOST_reorder_buffer), "reorder_buffer");
_Static_assert(RING_HOLDS(TIMING_RETIRE_RING, TIMING_MOST_retire_width), "retire_width");
_Static_assert(RING_HOLDS(TIMING_LOAD_RING, TIMING_MOST_load_queue), "load_queue");
_Static_assert(RING_HOLDS(TIMING_STORE_RING, TIMING_MOST_store_queue), "store_queue");
_Static_assert(RING_HOLDS(TIMING_WINDOW, 1024), "cycles that a start is looked for: docs/timing.md, 3");

static struct timing_op make_op(uint16_t ports, uint8_t ops)
{
    struct timing_op op = {.unit = TIMING_UNITS_MAX, .ops = ops};
    for (unsigned g = 0; g < TIMING_PORTS_MAX; g++) {
        if (ports >> g & 1) {
            op.full |= (uint64_t)PORT_FULL << (PORT_BITS * g);
            op.add |= UINT64_C(1) << (PORT_BITS * g);
        }
    }
    return op;
}

static void make_ops(struct timing *t)
{
    const struct timing_params *p = &t->params;
    for (unsigned i = 0; i < COST_CLASS_COUNT; i++) {
        const struct timing_class *class = &p->classes[i];
        t->ops[i] = make_op(class->ports, class->ops);
        t->ops[i].latency = class->latency;
        t->ops[i].kind = timing_class_kinds[i];
        if (class->unit != TIMING_UNIT_NONE) {
            t->ops[i].unit = class->unit;
            t->ops[i].occupy = class->occupy;
        }
    }
    for (unsigned g = 0; g < TIMING_PORTS_MAX; g++) {
        uint64_t capacity = g < p->port_count ? p->capacity[g] : TIMING_CAPACITY_MAX;
        t->calendar_empty |= (PORT_FULL - capacity) << (PORT_BITS * g);
    }
}

static void tlb_init(struct timing_tlb *t, uint32_t entries, unsigned slots)
{
    t->entries = entries;
    t->overlay = alloc_zeroed(slots, sizeof *t->overlay);
    t->slots = alloc_zeroed(entries, sizeof *t->slots);
    t->numbers = alloc_zeroed(entries, sizeof *t->numbers);
}

static void tlb_deinit(struct timing_tlb *t)
{
    free(t->overlay);
    free(t->slots);
    free(t->numbers);
}

/* What every instruction needs of the parameters. */
static void copy_params(struct timing_core *c, const struct timing *t)
{
    const uint32_t *v = t->params.value;
    c->dispatch_width = v[TIMING_dispatch_width];
    c->retire_width = v[TIMING_retire_width];
    c->reorder_buffer = v[TIMING_reorder_buffer];
    c->load_queue = v[TIMING_load_queue];
    c->store_queue = v[TIMING_store_queue];
    c->in_order = v[TIMING_in_order];
    c->l1_load = v[TIMING_l1_load_cycles];
    c->vector_load = v[TIMING_vector_load_cycles];
    c->store_gap = v[TIMING_store_gap];
    c->taken_bubble = v[TIMING_taken_bubble_cycles];
    c->load_op = make_op(t->params.load_ports, 1);
    c->store_op = make_op(t->params.store_ports, 1);
    c->calendar_empty = t->calendar_empty;
}

static void core_init(struct timing_core *c, struct timing *t, unsigned number, unsigned tlb_slots)
{
    const uint32_t *v = t->params.value;
    c->shared = t;
    c->number = number;
    copy_params(c, t);
    memset(c->retired, 0xff, sizeof c->retired); /* "long ago": one cycle later is 0 */
    memset(c->load_retired, 0xff, sizeof c->load_retired);
    predictor_init(&c->predictor, &t->params);
    cache_init(&c->l1i, v[TIMING_l1i_sets], v[TIMING_l1i_ways]);
    cache_init(&c->l1d, v[TIMING_l1d_sets], v[TIMING_l1d_ways]);
    cache_init(&c->l2, v[TIMING_l2_sets], v[TIMING_l2_ways]);
    c->l2_landing = alloc_zeroed((size_t)c->l2.sets * c->l2.ways, sizeof *c->l2_landing);
    c->l2_lowering = alloc_zeroed((size_t)c->l2.sets * c->l2.ways, sizeof *c->l2_lowering);
    tlb_init(&c->dtlb, v[TIMING_dtlb_entries], tlb_slots);
    tlb_init(&c->itlb, v[TIMING_itlb_entries], tlb_slots);
    c->landing_capacity = 64;
    c->landings = alloc_zeroed(c->landing_capacity, sizeof *c->landings);
    for (unsigned i = 0; i < TIMING_WINDOW; i++) {
        c->calendar[i] = (struct timing_slot){UINT64_MAX, 0}; /* no cycle */
    }
}

struct timing *timing_create(const struct timing_params *params, unsigned cpus, unsigned tlb_slots)
{
    struct timing *t = alloc_zeroed(1, sizeof *t);
    const uint32_t *v = params->value;
    t->params = *params;
    t->cpus = cpus;
    make_ops(t);
    cache_init(&t->l3, v[TIMING_l3_sets], v[TIMING_l3_ways]);
    t->banks = alloc_zeroed((size_t)v[TIMING_dram_channels] * v[TIMING_dram_banks], sizeof *t->banks);
    t->bus_free = alloc_zeroed(v[TIMING_dram_channels], sizeof *t->bus_free);
    t->cores = alloc_zeroed(cpus, sizeof *t->cores);
    for (unsigned i = 0; i < cpus; i++) {
        core_init(&t->cores[i], t, i, tlb_slots);
    }
    t->tlb_slots = tlb_slots;
    return t;
}

void timing_prepare(const struct timing *t, const struct uop *uop, struct timing_insn *out)
{
    const struct timing_op *op = &t->ops[uop->class];
    bool simple = op->kind < TIMING_LOCK && op->ops == 1 && op->unit == TIMING_UNITS_MAX &&
                  uop->source[2] == TIMING_READY && uop->result[3] == TIMING_SINK;
    const uint32_t *v = t->params.value;
    uint32_t hit_cycles =
        v[TIMING_l1_load_cycles] + (timing_is_vector(op) ? v[TIMING_vector_load_cycles] : 0);
    *out = (struct timing_insn){
        .op = *op, .uop = *uop, .simple = simple && !v[TIMING_in_order], .hit_cycles = (uint16_t)hit_cycles};
    if (!timing_has_stage(op)) { /* so that simple ones need not ask */
        out->op.full = 0;
        out->op.latency = 0;
    }
}

static void core_deinit(struct timing_core *c)
{
    predictor_deinit(&c->predictor);
    cache_deinit(&c->l1i);
    cache_deinit(&c->l1d);
    cache_deinit(&c->l2);
    free(c->l2_landing);
    free(c->l2_lowering);
    tlb_deinit(&c->dtlb);
    tlb_deinit(&c->itlb);
    free(c->landings);
}

void timing_destroy(struct timing *t)
{
    if (t == NULL) {
        return;
    }
    for (unsigned i = 0; i < t->cpus; i++) {
        core_deinit(&t->cores[i]);
    }
    cache_deinit(&t->l3);
    free(t->cores);
    free(t->banks);
    free(t->bus_free);
    free(t);
}

/* ---- state ---- */

static void visit_tlb(struct timing_tlb *t, unsigned slots, struct visitor *v, const char *name)
{
    visit_enter(v, name, 0);
    visit_u32(v, "sequence", &t->sequence);
    visit_array(v, "overlay", &t->overlay[0].number, 4, 2 * (size_t)slots);
    visit_array(v, "slots", t->slots, 2, t->entries);
    visit_array(v, "numbers", t->numbers, 4, t->entries);
    for (unsigned i = 0; i < t->entries; i++) {
        visit_require(v, "slots", t->slots[i] < slots);
    }
    visit_leave(v);
}

static void visit_store(struct timing_store *s, struct visitor *v)
{
    visit_u64(v, "at", &s->at);
    visit_u64(v, "known", &s->known);
    visit_u64(v, "commit", &s->commit);
    visit_u64(v, "whole_at", &s->whole_at);
    visit_u64(v, "whole_end", &s->whole_end);
    visit_u32(v, "renaming", &s->renaming);
    visit_u8(v, "size", &s->size_bytes);
}

static void visit_pipeline(struct timing_core *c, struct visitor *v)
{
    visit_u64(v, "dispatch", &c->dispatch);
    visit_u64(v, "fetch_ready", &c->fetch_ready);
    visit_u64(v, "load_fence", &c->load_fence);
    visit_u64(v, "last_start", &c->last_start);
    visit_u64(v, "dispatched", &c->dispatched);
    visit_u64(v, "ops", &c->ops);
    visit_u64(v, "loads", &c->loads);
    visit_u64(v, "stores", &c->stores);
    visit_u64(v, "store_commit", &c->store_commit);
    visit_u64(v, "store_line", &c->store_line);
    visit_array(v, "ready", c->ready, 8, TIMING_READY);
    visit_array(v, "unit_free", c->unit_free, 8, TIMING_UNITS_MAX);
    visit_array(v, "retired", c->retired, 8, TIMING_RETIRE_RING);
    visit_array(v, "load_retired", c->load_retired, 8, TIMING_LOAD_RING);
    for (unsigned i = 0; i < TIMING_STORE_RING; i++) {
        visit_store(&c->store[i], v);
    }
    visit_array(v, "granules", c->granules, 8, TIMING_GRANULES);
    visit_array(v, "calendar", &c->calendar[0].cycle, 8, 2 * (size_t)TIMING_WINDOW);
    visit_u64(v, "fetched_line", &c->fetched_line);
    visit_u64(v, "string_chunk", &c->string_chunk);
    visit_u64(v, "repeating", &c->repeating);
}

static void visit_landings(struct timing_core *c, struct visitor *v)
{
    uint32_t count = c->landing_count;
    visit_count(v, "landings", &count, UINT32_C(1) << 20);
    if (v->loading) {
        free(c->landings);
        c->landing_capacity = count < 64 ? 64 : count;
        c->landings = alloc_zeroed(c->landing_capacity, sizeof *c->landings);
        c->landing_head = 0;
        c->landing_count = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct timing_landing *l = &c->landings[(c->landing_head + i) % c->landing_capacity];
        visit_u64(v, "at", &l->at_cycles);
        visit_u64(v, "line", &l->line);
    }
    visit_u64(v, "turn_line", &c->turn_line);
    visit_u64(v, "turn_at", &c->turn_at);
}

static void visit_core(struct timing_core *c, unsigned slots, struct visitor *v)
{
    visit_enter(v, "core", c->number);
    visit_pipeline(c, v);
    predictor_visit(&c->predictor, v);
    cache_visit(&c->l1i, v, "l1i");
    cache_visit(&c->l1d, v, "l1d");
    cache_visit(&c->l2, v, "l2");
    visit_array(v, "l2_landing", c->l2_landing, 8, (size_t)c->l2.sets * c->l2.ways);
    visit_array(v, "l2_lowering", c->l2_lowering, 8, (size_t)c->l2.sets * c->l2.ways);
    visit_tlb(&c->dtlb, slots, v, "dtlb");
    visit_tlb(&c->itlb, slots, v, "itlb");
    visit_landings(c, v);
    if (v->loading) {
        memset(c->owned, 0, sizeof c->owned);
        c->settled_at = TIMING_UNKNOWN;
        c->ahead_until = 0;
    }
    visit_leave(v);
}

void timing_visit(struct timing *t, struct visitor *v)
{
    if (v->level < VISIT_MODEL) {
        return;
    }
    size_t banks = (size_t)t->params.value[TIMING_dram_channels] * t->params.value[TIMING_dram_banks];
    for (unsigned i = 0; i < t->cpus; i++) {
        visit_core(&t->cores[i], t->tlb_slots, v);
    }
    cache_visit(&t->l3, v, "l3");
    visit_array(v, "banks", &t->banks[0].row, 8, banks * sizeof *t->banks / 8);
    visit_array(v, "bus_free", t->bus_free, 8, t->params.value[TIMING_dram_channels]);
    visit_array(v, "reservations", &t->reservations[0].line, 8, 2 * (size_t)TIMING_RESERVATIONS);
    if (v->loading) {
        t->reserved_until = 0;
        for (unsigned i = 0; i < TIMING_RESERVATIONS; i++) {
            t->reserved_until = later_of(t->reserved_until, t->reservations[i].until);
        }
    }
}
