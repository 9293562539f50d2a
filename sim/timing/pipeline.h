#ifndef ORRERY_TIMING_PIPELINE_H
#define ORRERY_TIMING_PIPELINE_H

/*
 * The stages of the pipeline (docs/timing.md, sections 3, 4, 8 and 10), in line: every instruction goes through them. core.c
 * puts them together for any instruction; what stands here is also used by the handlers of the plainest ones (cpu/op_time.c).
 */

#include "timing/model.h"

static inline void timing_count(struct timing_core *c, enum timing_counter n)
{
    c->counters[n]++;
}

static inline uint64_t timing_line(uint64_t at)
{
    return at >> TIMING_LINE_SHIFT;
}

static inline uint64_t later_of(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- ports ---- */

/* The first cycle from t on, within the window, in which the ports of an operation have room; it is taken. */
static inline uint64_t timing_take_port(struct timing_core *c, const struct timing_op *op, uint64_t t)
{
    if (op->full != 0) {
        uint64_t end = c->dispatch + TIMING_WINDOW;
        for (; t < end; t++) {
            struct timing_slot *slot = &c->calendar[t % TIMING_WINDOW];
            uint64_t known = -(uint64_t)(slot->cycle == t); /* without a branch: it would be a gamble */
            uint64_t used = (slot->used & known) | (c->calendar_empty & ~known);
            if ((used & op->full) == 0) {
                slot->cycle = t;
                slot->used = used + op->add;
                break;
            }
        }
    }
    return t;
}

/* The cycle in which an operation starts that may start at t (docs/timing.md: start). */
static inline uint64_t timing_start_at(struct timing_core *c, const struct timing_op *op, uint64_t t)
{
    if (!c->in_order) {
        return timing_take_port(c, op, t);
    }
    c->last_start = timing_take_port(c, op, later_of(t, c->last_start));
    return c->last_start;
}

/* ---- dispatch ---- */

static inline void timing_dispatch_one(struct timing_core *c, uint64_t earliest)
{
    /* 0 before there were so many */
    uint64_t room = c->retired[(c->ops - c->reorder_buffer) % TIMING_RETIRE_RING] + 1;
    uint64_t t = later_of(later_of(earliest, c->fetch_ready), room);
    bool full = c->dispatched >= c->dispatch_width;
    uint64_t next = c->dispatch + full;
    uint32_t with = full ? 1 : c->dispatched + 1;
    c->dispatched = t > next ? 1 : with;
    c->dispatch = later_of(t, next);
    c->ops++;
}

/* ---- registers ---- */

static inline uint64_t timing_sources_ready(const struct timing_core *c, const struct uop *uop)
{
    uint64_t a = later_of(c->ready[uop->source[0]], c->ready[uop->source[1]]);
    uint64_t b = later_of(c->ready[uop->source[2]], c->ready[uop->source[3]]);
    return later_of(a, b);
}

static inline uint64_t timing_address_ready(const struct timing_core *c, const struct uop *uop)
{
    return later_of(c->ready[uop->address[0]], c->ready[uop->address[1]]);
}

/* The same of an instruction that is not quick. */
static inline uint64_t timing_addresses_ready(const struct timing_core *c, const struct uop *uop)
{
    return later_of(timing_address_ready(c, uop), c->ready[uop->address[2]]);
}

static inline void timing_set_results(struct timing_core *c, const struct uop *uop, uint64_t end)
{
    for (unsigned i = 0; i < TIMING_RESULTS; i++) {
        c->ready[uop->result[i]] = end;
    }
}

/* ---- execution ---- */

/* Has it an execution stage? */
static inline bool timing_has_stage(const struct timing_op *op)
{
    return op->kind == TIMING_PIPE || op->kind == TIMING_VECTOR;
}

static inline bool timing_is_vector(const struct timing_op *op)
{
    return op->kind == TIMING_VECTOR || op->kind == TIMING_MOVES;
}

/* ---- retirement ---- */

/* Operation k. */
static inline uint64_t timing_retire_one(struct timing_core *c, uint64_t k, uint64_t done, uint64_t now)
{
    uint64_t before = c->retired[(k - c->retire_width) % TIMING_RETIRE_RING] + 1;
    now = later_of(later_of(now, done), before);
    c->retired[k % TIMING_RETIRE_RING] = now;
    return now;
}

static inline uint64_t timing_retire(struct timing_core *c, unsigned ops, uint64_t done, uint64_t now)
{
    for (uint64_t k = c->ops - ops; k < c->ops; k++) {
        now = timing_retire_one(c, k, done, now);
    }
    return now;
}

/* ---- forwarding ---- */

static inline unsigned timing_granule(uint64_t at)
{
    return (unsigned)(at >> 3) % TIMING_GRANULES;
}

/* 1 + the number of the youngest store that may overlap the access, which has at most 16 bytes, without having committed at
 * start; 0: there is none. Commit times ascend, so of each word the youngest store tells. */
static inline uint64_t timing_may_forward(const struct timing_core *c, const struct timing_access *a,
                                          uint64_t start)
{
    uint64_t first = c->granules[timing_granule(a->at)],
             last = c->granules[timing_granule(a->at + a->size_bytes - 1u)];
    uint64_t youngest = later_of(first, last);
    if (a->size_bytes > 8) {
        youngest = later_of(youngest, c->granules[timing_granule(a->at + a->size_bytes / 2u)]);
    }
    bool queued = youngest + c->store_queue > c->stores && youngest != 0;
    return queued && c->store[(youngest - 1) % TIMING_STORE_RING].commit > start ? youngest : 0;
}

/* ---- stores ---- */

/* Is the line known to be in state M here? */
static inline bool timing_is_owned(const struct timing_core *c, uint64_t line)
{
    return c->owned[line % TIMING_OWNED] == line + 1;
}

#define TIMING_FREE UINT64_MAX /* as `retired`: an iteration that costs nothing */

/* A store takes its place in the queue and gets its commit time; owned: when its line is; retired: of its instruction, or
 * TIMING_FREE. */
static inline void timing_store_put(struct timing_core *c, const struct timing_store *store, uint64_t owned,
                                    uint64_t retired)
{
    uint64_t line = timing_line(store->at);
    uint64_t gap = c->store_line == line + 1 || retired == TIMING_FREE ? 0 : c->store_gap;
    struct timing_store *s = &c->store[c->stores % TIMING_STORE_RING];
    timing_count(c, TIMING_COUNT_STORES);
    c->store_commit = later_of(later_of(retired + 1, c->store_commit + gap), owned);
    c->store_line = line + 1;
    *s = *store;
    s->commit = c->store_commit;
    c->stores++;
    unsigned last = timing_granule(store->at + store->size_bytes - 1);
    for (unsigned g = timing_granule(store->at); g != last; g = (g + 1) % TIMING_GRANULES) {
        c->granules[g] = c->stores;
    }
    c->granules[last] = c->stores;
}

/* ---- caches ---- */

/* Has L1I, or L1D, the line? Then it is used. Out of line; the line that was used last in its set is worth a look before. */
bool timing_fetch_hits(struct timing_core *c, uint64_t line);
bool timing_data_hits(struct timing_core *c, uint64_t line);

static inline bool timing_data_is_near(struct timing_core *c, uint64_t line)
{
    return cache_is_recent(&c->l1d, line) || timing_data_hits(c, line);
}

/* ---- the plainest instructions ---- */

/* Of one operation, without a unit, on a machine that is not in order (struct timing_insn.simple). */

/* May an instruction that makes the access a, a load, and no other, take this way: one line, which L1 has, and no store that it
 * could be forwarded from? Then the line has been used. */
static inline bool timing_load_is_simple(struct timing_core *c, const struct timing_access *a)
{
    uint64_t line = timing_line(a->at);
    return a->kind == TIMING_LOAD && timing_line(a->at + a->size_bytes - 1u) == line &&
           timing_may_forward(c, a, c->dispatch) == 0 && timing_data_is_near(c, line);
}

/* Execution from ready on, and retirement: the clock afterwards. *end: when the result is there. */
static inline uint64_t timing_simple_end(struct timing_core *c, const struct timing_insn *insn,
                                         uint64_t ready, uint64_t now, uint64_t *end)
{
    *end = timing_has_stage(&insn->op) ? timing_take_port(c, &insn->op, ready) + insn->op.latency : ready;
    timing_set_results(c, &insn->uop, *end);
    return timing_retire_one(c, c->ops - 1, *end, now);
}

/* The whole of one without accesses that is no branch. */
static inline uint64_t timing_simple(struct timing_core *c, const struct timing_insn *insn, uint64_t now)
{
    uint64_t end;
    timing_dispatch_one(c, 0);
    return timing_simple_end(c, insn, later_of(c->dispatch, timing_sources_ready(c, &insn->uop)), now, &end);
}

/* What a near branch, whose direction and target are known at end, does to prediction and fetch. */
void timing_branch(struct timing_core *c, const struct uop *uop, const struct timing_outcome *o,
                   uint64_t end);

/* The same of a near branch without accesses. */
static inline uint64_t timing_simple_branch(struct timing_core *c, const struct timing_insn *insn,
                                            const struct timing_outcome *o, uint64_t now)
{
    uint64_t end;
    timing_dispatch_one(c, 0);
    uint64_t ready = later_of(c->dispatch, timing_sources_ready(c, &insn->uop));
    now = timing_simple_end(c, insn, ready, now, &end);
    timing_branch(c, &insn->uop, o, end);
    return now;
}

/* The same of one with such a load. */
static inline uint64_t timing_simple_load(struct timing_core *c, const struct timing_insn *insn, uint64_t now)
{
    uint64_t end;
    timing_dispatch_one(c, c->load_retired[(c->loads - c->load_queue) % TIMING_LOAD_RING] + 1);
    uint64_t ready = later_of(c->dispatch, timing_sources_ready(c, &insn->uop));
    uint64_t address = later_of(later_of(c->dispatch, c->load_fence), timing_address_ready(c, &insn->uop));
    uint64_t value = timing_take_port(c, &c->load_op, address) + c->l1_load;
    value += timing_is_vector(&insn->op) ? c->vector_load : 0;
    timing_count(c, TIMING_COUNT_LOADS);
    now = timing_simple_end(c, insn, later_of(ready, value), now, &end);
    c->load_retired[c->loads++ % TIMING_LOAD_RING] = now;
    return now;
}

/* May an instruction that makes the access a, a store, and no other, take this way: one line, which is this vCPU's alone, and
 * which L1 has? Then the line has been used. */
static inline bool timing_store_is_simple(struct timing_core *c, const struct timing_access *a)
{
    uint64_t line = timing_line(a->at);
    return a->kind == TIMING_STORE && timing_line(a->at + a->size_bytes - 1u) == line &&
           timing_is_owned(c, line) && timing_data_is_near(c, line);
}

/* The same of one with such a store, which is queued. */
static inline uint64_t timing_simple_store(struct timing_core *c, const struct timing_insn *insn,
                                           const struct timing_access *a, uint64_t now)
{
    const struct timing_op *op = &insn->op;
    timing_dispatch_one(c, c->store[(c->stores - c->store_queue) % TIMING_STORE_RING].commit);
    uint64_t end = later_of(c->dispatch, timing_sources_ready(c, &insn->uop));
    uint64_t address = later_of(c->dispatch, timing_address_ready(c, &insn->uop));
    if (timing_has_stage(op)) {
        end = timing_take_port(c, op, end) + op->latency;
    }
    address = timing_take_port(c, &c->store_op, address);
    uint64_t known = later_of(address + 1, end);
    uint64_t retired = timing_retire_one(c, c->ops - 1, known, now);
    timing_set_results(c, &insn->uop, end);
    const struct timing_store store = {.at = a->at,
                                       .known = known,
                                       .whole_at = a->at,
                                       .whole_end = a->at + a->size_bytes,
                                       .renaming = insn->uop.renaming,
                                       .size_bytes = a->size_bytes};
    timing_store_put(c, &store, address, retired);
    return retired;
}

#endif
