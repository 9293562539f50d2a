#ifndef ORRERY_TIMING_PIPELINE_H
#define ORRERY_TIMING_PIPELINE_H

/*
 * The stages of the pipeline (docs/timing.md, sections 3, 4, 8 and 10), in line: every instruction goes through them. core.c
 * puts them together for any instruction; timing_step does it for most, and the handlers of the plainest ones (cpu/op_time.c)
 * take their part of it. A rule of section 3 that is changed is changed in each column:
 *
 *   rule            any (core.c)             quick             simple                     simple, one load (op_time.c: time_load)
 *   3 dispatch      dispatch                 timing_step       timing_start_at_once       timing_near_room
 *   4, 5 loads      load_all                 timing_near_load  -                          timing_load_may_start, timing_load_hits
 *   6 execution     pipelined                timing_step       timing_start_at_once,      timing_loaded_may_start
 *                                                              timing_start_later
 *   7 stores        store_addresses          timing_step       timing_step                -
 *   8, 9 retire     pipelined                timing_step       timing_finish              timing_load_ends
 *   11 branches     timing_branch            timing_branch     timing_predict, _predicted -
 */

#include "timing/model.h"

/* What handlers are made of: they are left by a jump, and nothing of them may be a call that saves all registers. */
#define TIMING_INLINE static inline __attribute__((always_inline))

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

/* What is used in cycle t. */
TIMING_INLINE uint64_t timing_used_at(const struct timing_core *c, uint64_t t)
{
    const struct timing_slot *slot = &c->calendar[t % TIMING_WINDOW];
    uint64_t used = slot->used, empty = c->calendar_empty;
    /* not with a branch: it would be a gamble */
    return __builtin_expect_with_probability(slot->cycle == t, 1, 0.5) ? used : empty;
}

/* An operation starts in cycle t, in which so much is used. */
TIMING_INLINE void timing_take_slot(struct timing_core *c, const struct timing_op *op, uint64_t t,
                                    uint64_t used)
{
    c->calendar[t % TIMING_WINDOW] = (struct timing_slot){t, used + op->add};
}

/* The first cycle from t on, within the window, in which the ports of an operation have room; it is taken. */
TIMING_INLINE uint64_t timing_take_port(struct timing_core *c, const struct timing_op *op, uint64_t t)
{
    if (op->full != 0) {
        uint64_t end = c->dispatch + TIMING_WINDOW;
        for (; t < end; t++) {
            uint64_t used = timing_used_at(c, t);
            if ((used & op->full) == 0) {
                timing_take_slot(c, op, t, used);
                break;
            }
        }
    }
    return t;
}

/* The same for the first cycle alone: false, if there is none. */
TIMING_INLINE bool timing_take_first(struct timing_core *c, const struct timing_op *op, uint64_t t)
{
    if (op->full != 0) {
        uint64_t used = timing_used_at(c, t);
        if ((used & op->full) != 0 || t - c->dispatch >= TIMING_WINDOW) {
            return false;
        }
        timing_take_slot(c, op, t, used);
    }
    return true;
}

/* The cycle in which an operation starts that may start at t (docs/timing.md: start). any_order: the machine is not in
 * order. */
TIMING_INLINE uint64_t timing_start_at(struct timing_core *c, const struct timing_op *op, uint64_t t,
                                       bool any_order)
{
    if (any_order || !c->in_order) {
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
    uint64_t cycle = later_of(t, c->dispatch + (c->dispatched >= c->dispatch_width));
    c->dispatched = (cycle > c->dispatch ? 0 : c->dispatched) + 1;
    c->dispatch = cycle;
    c->ops++;
}

/* ---- registers ---- */

static inline uint64_t timing_sources_ready(const struct timing_core *c, const struct uop *uop)
{
    uint64_t a = later_of(c->ready[uop->source[0]], c->ready[uop->source[1]]);
    uint64_t b = later_of(c->ready[uop->source[2]], c->ready[uop->source[3]]);
    return later_of(a, b);
}

/* The same of a simple one. */
static inline uint64_t timing_few_sources_ready(const struct timing_core *c, const struct uop *uop)
{
    return later_of(c->ready[uop->source[0]], c->ready[uop->source[1]]);
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

/* The same of a simple one. */
static inline void timing_set_few_results(struct timing_core *c, const struct uop *uop, uint64_t end)
{
    c->ready[uop->result[0]] = end;
    c->ready[uop->result[1]] = end;
    c->ready[uop->result[2]] = end;
}

/* ---- execution ---- */

/* Has it an execution stage? */
static inline bool timing_has_stage(const struct timing_op *op)
{
    return op->kind == TIMING_PIPE || op->kind == TIMING_VECTOR;
}

/* When the stage of an operation that may start at t starts. simple: it has no unit, and the machine is not in order. */
TIMING_INLINE uint64_t timing_execute(struct timing_core *c, const struct timing_op *op, uint64_t t,
                                      bool simple)
{
    if (simple) {
        return timing_take_port(c, op, t);
    }
    t = later_of(t, c->unit_free[op->unit]);
    uint64_t start = timing_start_at(c, op, t, false);
    if (op->unit != TIMING_UNITS_MAX) {
        c->unit_free[op->unit] = start + op->occupy;
    }
    return start;
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
    for (unsigned left = ops; left > 0; left--) {
        now = timing_retire_one(c, c->ops - left, done, now);
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
TIMING_INLINE uint64_t timing_may_forward(const struct timing_core *c, const struct timing_access *a,
                                          uint64_t start)
{
    if (c->store_commit <= start) {
        return 0; /* the youngest of all has */
    }
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
TIMING_INLINE void timing_store_put(struct timing_core *c, const struct timing_store *store, uint64_t owned,
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

/* ---- memory: out of line, in load.c ---- */

/* Has L1I the line? Then it is used. The line that was used last in its set is worth a look before. */
bool timing_fetch_hits(struct timing_core *c, uint64_t line);

/* The same for line and the one behind it, in which an instruction lies; what is fetched by then stays so. */
bool timing_fetch_hits_two(struct timing_core *c, uint64_t line);

/* Latency of a load (or of a fetch, instruction true: what it takes longer than a hit) of one line that starts at start. */
uint64_t timing_line_latency(struct timing_core *c, uint64_t line, bool instruction, uint64_t key,
                             uint64_t start);

/* When the value of a load of one piece, or two over a page boundary, that starts at start is there, translation apart. */
uint64_t timing_load_value(struct timing_core *c, const struct uop *uop, const struct timing_access *pieces,
                           unsigned count, bool vector, bool forward, uint64_t key, uint64_t start);

/* When the line of a store is owned, asked at key (docs/timing.md, 6.1). 0: the drain will ask. */
uint64_t timing_store_owned(struct timing_core *c, const struct timing_access *access, uint64_t address,
                            uint64_t key);

/* The same of a store that is memory at the key: the lines are written. */
uint64_t timing_store_at_once(struct timing_core *c, const struct timing_access *access, uint64_t address,
                              uint64_t key);

/* What a near branch, whose direction and target are known at end, does to prediction and fetch; of a conditional one see
 * branch.h. */
void timing_branch(struct timing_core *c, const struct uop *uop, const struct predictor_site *site,
                   const struct timing_outcome *o, uint64_t end);

/* ---- most instructions ---- */

/* The value of a load whose page is known; most are of one line, and have no store to be forwarded from. */
static inline uint64_t timing_near_load(struct timing_core *c, const struct timing_insn *insn,
                                        const struct timing_access *a, uint64_t key, uint64_t start)
{
    uint64_t line = timing_line(a->at);
    bool vector = timing_is_vector(&insn->op);
    if (timing_line(a->at + a->size_bytes - 1u) != line || timing_may_forward(c, a, start) != 0) {
        return timing_load_value(c, &insn->uop, a, 1, vector, true, key, start);
    }
    timing_count(c, TIMING_COUNT_LOADS);
    uint64_t latency =
        cache_is_recent(&c->l1d, line) ? c->l1_load : timing_line_latency(c, line, false, key, start);
    return start + latency + (vector ? c->vector_load : 0);
}

/* When the line of a store whose page is known is owned; most are already. */
static inline uint64_t timing_near_owned(struct timing_core *c, const struct timing_access *a,
                                         uint64_t address, uint64_t key)
{
    uint64_t line = timing_line(a->at);
    bool here = timing_line(a->at + a->size_bytes - 1u) == line && timing_is_owned(c, line) &&
                cache_is_recent(&c->l1d, line);
    return here ? address : timing_store_owned(c, a, address, key);
}

/* A store whose page is known enters the queue. */
static inline void timing_near_put(struct timing_core *c, const struct uop *uop,
                                   const struct timing_access *a, uint64_t owned, uint64_t known,
                                   uint64_t retired)
{
    const struct timing_store store = {.at = a->at,
                                       .known = known,
                                       .whole_at = a->at,
                                       .whole_end = a->at + a->size_bytes,
                                       .renaming = uop->renaming,
                                       .size_bytes = a->size_bytes};
    timing_store_put(c, &store, owned, retired);
}

/* When the first operation finds places in the queues. */
static inline uint64_t timing_near_room(const struct timing_core *c, bool load, bool store)
{
    uint64_t room = load ? c->load_retired[(c->loads - c->load_queue) % TIMING_LOAD_RING] + 1 : 0;
    return store ? later_of(room, c->store[(c->stores - c->store_queue) % TIMING_STORE_RING].commit) : room;
}

/* The whole of an instruction that is pipelined and makes, to pages that the first-level TLB has, one load at most (or NULL)
 * and one store at most, behind it (or NULL); the clock afterwards. *end: when its result is there. Handlers of simple ones
 * (struct timing_insn.simple) say so, and which accesses there are, with constants: they have nothing but what is theirs. */
TIMING_INLINE uint64_t timing_step(struct timing_core *c, const struct timing_insn *insn,
                                   const struct timing_access *load, const struct timing_access *store,
                                   bool simple, bool queued, uint64_t now, uint64_t *end)
{
    const struct timing_op *op = &insn->op;
    const struct uop *uop = &insn->uop;
    unsigned ops = (simple ? 1u : op->ops) + (load && store && (uop->flags & UOP_EXTRA));
    timing_dispatch_one(c, timing_near_room(c, load != NULL, store != NULL));
    for (unsigned i = 1; i < ops; i++) {
        timing_dispatch_one(c, 0);
    }
    uint64_t d = c->dispatch, first = 0;
    uint64_t sources = simple ? timing_few_sources_ready(c, uop) : timing_sources_ready(c, uop);
    uint64_t ready = later_of(d, sources);
    uint64_t address = later_of(d, timing_address_ready(c, uop));
    if (load) {
        uint64_t start = timing_start_at(c, &c->load_op, later_of(address, c->load_fence), simple);
        ready = later_of(ready, timing_near_load(c, insn, load, now, start));
    }
    *end = simple || timing_has_stage(op) ? timing_execute(c, op, ready, simple) + op->latency : ready;
    if (simple) {
        timing_set_few_results(c, uop, *end);
    } else {
        timing_set_results(c, uop, *end);
    }
    uint64_t done = *end, known;
    if (store) {
        first = timing_start_at(c, &c->store_op, address, simple);
        done = later_of(first + 1, done);
    }
    known = done;
    if (store && !queued) {
        timing_count(c, TIMING_COUNT_STORES);
        done = later_of(done, timing_store_at_once(c, store, first, now));
    }
    uint64_t retired = timing_retire(c, ops, done, now);
    if (load) {
        c->load_retired[c->loads++ % TIMING_LOAD_RING] = retired;
    }
    if (store && queued) {
        timing_near_put(c, uop, store, timing_near_owned(c, store, first, now), known, retired);
    }
    return retired;
}

/* ---- simple instructions without accesses ---- */

/* Almost all start in the first cycle in which they may, so that the way of those calls nothing and keeps little: a handler that
 * is made of it saves no registers. */

/* A simple instruction dispatches and starts: true. *end: when its result is there. False: its ports have no room in the first
 * cycle; it is dispatched, and timing_start_later is next. */
TIMING_INLINE bool timing_start_at_once(struct timing_core *c, const struct timing_insn *insn, uint64_t *end)
{
    timing_dispatch_one(c, 0);
    uint64_t t = later_of(c->dispatch, timing_few_sources_ready(c, &insn->uop));
    *end = t + insn->op.latency;
    return timing_take_first(c, &insn->op, t);
}

TIMING_INLINE uint64_t timing_start_later(struct timing_core *c, const struct timing_insn *insn)
{
    uint64_t t = later_of(c->dispatch, timing_few_sources_ready(c, &insn->uop));
    return timing_take_port(c, &insn->op, t) + insn->op.latency;
}

/* It completes and retires: the clock afterwards. */
TIMING_INLINE uint64_t timing_finish(struct timing_core *c, const struct timing_insn *insn, uint64_t end,
                                     uint64_t now)
{
    timing_set_few_results(c, &insn->uop, end);
    return timing_retire_one(c, c->ops - 1, end, now);
}

/* ---- simple instructions with one load, whose page the first-level TLB has ---- */

/* Is the line the one that L1D used last in its set? Then the value is there insn->hit_cycles after the start, unless it is
 * forwarded. */
TIMING_INLINE bool timing_load_hits(const struct timing_core *c, const struct timing_access *a)
{
    uint64_t line = timing_line(a->at);
    return timing_line(a->at + a->size_bytes - 1u) == line && cache_is_recent(&c->l1d, line);
}

/* When the load may start; the instruction is dispatched. */
TIMING_INLINE uint64_t timing_load_may_start(const struct timing_core *c, const struct timing_insn *insn)
{
    return later_of(later_of(c->dispatch, timing_address_ready(c, &insn->uop)), c->load_fence);
}

/* When the rest of it may start; the value is there. */
TIMING_INLINE uint64_t timing_loaded_may_start(const struct timing_core *c, const struct timing_insn *insn,
                                               uint64_t value)
{
    return later_of(later_of(c->dispatch, timing_few_sources_ready(c, &insn->uop)), value);
}

/* It completes: the clock after it. */
TIMING_INLINE uint64_t timing_load_ends(struct timing_core *c, const struct timing_insn *insn, uint64_t end,
                                        uint64_t now)
{
    uint64_t retired = timing_finish(c, insn, end, now);
    c->load_retired[c->loads++ % TIMING_LOAD_RING] = retired;
    return retired;
}

#endif
