/*
 * The core: fetch, dispatch, ports, completion, retirement (docs/timing.md, sections 3, 4, 8, 10, 11). An instruction costs
 * a few dozen operations of the host; nothing loops over cycles but the search for a free port.
 */

#include "timing/internal.h"

#include "base/check.h"
#include "timing/branch.h"

/* ---- dispatch ---- */

/* What keeps the first operation besides: places in the queues. */
static inline uint64_t queue_room(const struct timing_core *c, unsigned loads, unsigned stores)
{
    uint64_t t = 0, load_queue = c->load_queue, store_queue = c->store_queue;
    for (unsigned i = 0; i < loads && i < load_queue; i++) {
        t = later_of(t, c->load_retired[(c->loads + i - load_queue) % TIMING_LOAD_RING] + 1);
    }
    for (unsigned i = 0; i < stores && i < store_queue; i++) {
        t = later_of(t, c->store[(c->stores + i - store_queue) % TIMING_STORE_RING].commit);
    }
    return t;
}

static void dispatch(struct timing_core *c, unsigned ops, unsigned loads, unsigned stores)
{
    uint64_t earliest = loads + stores != 0 ? queue_room(c, loads, stores) : 0;
    timing_dispatch_one(c, earliest);
    for (unsigned i = 1; i < ops; i++) {
        timing_dispatch_one(c, 0);
    }
}

/* ---- fetch ---- */

static inline void fetch_more(struct timing_core *c, uint64_t start, uint64_t cycles)
{
    if (cycles != 0) {
        c->fetch_ready = start + cycles;
    }
}

/* The page of the instruction was translated anew. */
static void fetch_page(struct timing_core *c, const struct timing_access *walk, unsigned walk_count,
                       const struct timing_access *a, uint64_t key)
{
    uint64_t start = later_of(c->fetch_ready, c->dispatch);
    fetch_more(c, start, timing_translate(c, &c->itlb, walk, walk_count, a, key, start));
}

static void fetch_new_line(struct timing_core *c, uint64_t line, uint64_t key)
{
    uint64_t start = later_of(c->fetch_ready, c->dispatch);
    c->fetched_line = line + 1;
    fetch_more(c, start, timing_line_latency(c, line, true, key, start));
}

static inline void fetch_lines(struct timing_core *c, const struct timing_outcome *o, uint64_t key)
{
    for (unsigned i = 0; i < 2 && o->code_bytes[i] != 0; i++) {
        uint64_t first = timing_line(o->code[i]), last = timing_line(o->code[i] + o->code_bytes[i] - 1);
        if (c->fetched_line != first + 1) {
            fetch_new_line(c, first, key);
        }
        if (last != first) {
            fetch_new_line(c, last, key);
        }
    }
}

/* ---- accesses ---- */

/* What an instruction's accesses are, counted. */
struct access_counts {
    unsigned loads, stores;
    bool device;
};

static struct access_counts count_accesses(struct timing_core *c, const struct timing_access *a,
                                           unsigned count, uint64_t key)
{
    struct access_counts p = {0};
    unsigned walk = 0; /* first of those that belong to the next access */
    for (unsigned i = 0; i < count; i++) {
        switch ((enum timing_access_kind)a[i].kind) {
        case TIMING_WALK:
        case TIMING_UPDATE:
            continue;
        case TIMING_FETCH:
            fetch_page(c, &a[walk], i - walk, &a[i], key);
            break;
        case TIMING_LOAD_DEVICE:
            p.device = true;
            p.loads++;
            break;
        case TIMING_LOAD:
            p.loads += !a[i].rest;
            break;
        case TIMING_STORE_DEVICE:
            p.device = true;
            break;
        case TIMING_STORE:
            p.stores++;
            break;
        }
        walk = i + 1;
    }
    return p;
}

/* The rest, in the next page, of the load a[i]: its index, or i when there is none. */
static unsigned rest_of(const struct timing_access *a, unsigned count, unsigned i)
{
    unsigned n = i + 1;
    while (n < count && (a[n].kind == TIMING_WALK || a[n].kind == TIMING_UPDATE)) {
        n++;
    }
    return n < count && a[n].kind == TIMING_LOAD && a[n].rest ? n : i;
}

/* The loads of a pipelined instruction; returns when the last value is there. A load of two pages is one. */
static uint64_t load_all(struct timing_core *c, const struct uop *uop, const struct timing_access *a,
                         unsigned count, uint64_t address, uint64_t key)
{
    uint64_t value = 0;
    bool vector = timing_is_vector(&c->shared->ops[uop->class]);
    unsigned walk = 0;
    for (unsigned i = 0; i < count; i++) {
        if (a[i].kind == TIMING_WALK || a[i].kind == TIMING_UPDATE) {
            continue;
        }
        if (a[i].kind == TIMING_LOAD) {
            uint64_t start = timing_start_at(c, &c->load_op, later_of(address, c->load_fence), false);
            uint64_t penalty = timing_translate(c, &c->dtlb, &a[walk], i - walk, &a[i], key, start);
            struct timing_access pieces[2] = {a[i]};
            unsigned rest = rest_of(a, count, i), whole = rest == i ? 1 : 2;
            if (whole == 2) {
                pieces[1] = a[rest];
                penalty += timing_translate(c, &c->dtlb, &a[i + 1], rest - i - 1, &a[rest], key, start);
            }
            value =
                later_of(value, timing_load_value(c, uop, pieces, whole, vector, true, key, start) + penalty);
            i = rest;
        }
        walk = i + 1;
    }
    return value;
}

/* Stores take their ports; returns when the last address is known. What their translation costs is known then as well. */
static uint64_t store_addresses(struct timing_core *c, const struct timing_access *a, unsigned count,
                                uint64_t address, uint64_t key, uint64_t first[1])
{
    uint64_t known = 0;
    unsigned walk = 0;
    *first = 0;
    for (unsigned i = 0; i < count; i++) {
        if (a[i].kind == TIMING_WALK || a[i].kind == TIMING_UPDATE) {
            continue;
        }
        if (a[i].kind == TIMING_STORE) {
            uint64_t start = timing_start_at(c, &c->store_op, address, false);
            start += timing_translate(c, &c->dtlb, &a[walk], i - walk, &a[i], key, start);
            *first = *first == 0 ? start : *first;
            known = later_of(known, start + 1);
        }
        walk = i + 1;
    }
    return known;
}

/* Enters the run of stores from a[0] on that follow each other in memory; returns how many accesses it was. */
static unsigned enter_run(struct timing_core *c, const struct uop *uop, const struct timing_access *a,
                          unsigned count, uint64_t address, uint64_t known, uint64_t retired, uint64_t key)
{
    struct timing_store whole = {.known = known, .whole_at = a[0].at, .whole_end = a[0].at + a[0].size_bytes};
    unsigned n = 1;
    for (; n < count && a[n].kind == TIMING_STORE && a[n].at == whole.whole_end; n++) {
        whole.whole_end += a[n].size_bytes;
    }
    for (unsigned i = 0; i < n; i++) {
        timing_store_enter(c, uop, &a[i], &whole, address, retired, key);
    }
    return n;
}

/* The stores enter the queue; address: when that of the first is known. */
static void queue_stores(struct timing_core *c, const struct uop *uop, const struct timing_access *a,
                         unsigned count, uint64_t address, uint64_t known, uint64_t retired, uint64_t key)
{
    for (unsigned i = 0; i < count;) {
        i +=
            a[i].kind == TIMING_STORE ? enter_run(c, uop, &a[i], count - i, address, known, retired, key) : 1;
    }
}

/* When all lines of stores that are not queued are owned. */
static uint64_t own_stores(struct timing_core *c, const struct timing_access *a, unsigned count,
                           uint64_t address, uint64_t key)
{
    uint64_t owned = 0;
    for (unsigned i = 0; i < count; i++) {
        if (a[i].kind == TIMING_STORE) {
            timing_count(c, TIMING_COUNT_STORES);
            owned = later_of(owned, timing_store_at_once(c, &a[i], address, key));
        }
    }
    return owned;
}

static inline void note_loads(struct timing_core *c, unsigned loads, uint64_t retired)
{
    for (unsigned i = 0; i < loads; i++) {
        c->load_retired[c->loads++ % TIMING_LOAD_RING] = retired;
    }
}

/* ---- branches ---- */

void timing_branch(struct timing_core *c, const struct uop *uop, const struct predictor_site *site,
                   const struct timing_outcome *o, uint64_t end)
{
    struct predictor *p = &c->predictor;
    if (uop->flags & UOP_CONDITION) {
        bool taken = o->next != o->fall;
        unsigned branch = timing_predict(c, site, taken, o->next);
        if (branch & PREDICTOR_ALLOCATE) {
            predictor_allocate(p, taken);
        }
        timing_predicted(c, branch, end);
        return;
    }
    bool right = true, known = true;
    timing_count(c, TIMING_COUNT_BRANCHES);
    if (uop->flags & UOP_DIRECT) {
        known = predictor_direct(p, site, o->next);
    }
    if (uop->flags & UOP_INDIRECT) {
        right = predictor_indirect(p, o->pc, o->next);
    }
    if (uop->flags & UOP_CALL) {
        predictor_call(p, o->fall);
    }
    if (uop->flags & UOP_RETURN) {
        right = predictor_return(p, o->next);
    }
    timing_redirect(c, right, known, true, end);
}

/* ---- instructions ---- */

static uint64_t pipelined(struct timing_core *c, const struct uop *uop, const struct timing_outcome *o,
                          const struct timing_access *a, unsigned count, const struct access_counts *p,
                          bool queued, uint64_t now)
{
    const struct timing_op *op = &c->shared->ops[uop->class];
    bool both = (uop->flags & UOP_EXTRA) && p->loads != 0 && p->stores != 0;
    unsigned ops = op->ops + (both ? 1u : 0u);
    dispatch(c, ops, p->loads, p->stores);
    uint64_t d = c->dispatch;
    uint64_t address = later_of(d, timing_addresses_ready(c, uop));
    uint64_t ready = later_of(d, timing_sources_ready(c, uop)), done, first = 0;
    uint64_t value = p->loads ? load_all(c, uop, a, count, address, now) : 0;
    ready = later_of(ready, value);
    bool stage = timing_has_stage(op);
    c->stamps.start = stage ? timing_execute(c, op, ready, false) : ready;
    uint64_t end = stage ? c->stamps.start + op->latency : ready;
    done = later_of(end, value);
    uint64_t known = 0;
    if (p->stores) {
        known = later_of(store_addresses(c, a, count, address, now, &first), end);
        done = later_of(done, known);
    }
    if (uop->flags & UOP_LEAVE) {
        c->ready[TIMING_RSP] = later_of(d, c->ready[TIMING_RBP]);
    }
    if (p->stores && !queued) {
        done = later_of(done, own_stores(c, a, count, first, now));
    }
    uint64_t retired = timing_retire(c, ops, done, now);
    note_loads(c, p->loads, retired);
    timing_set_results(c, uop, end);
    c->stamps.end = end;
    if (uop->flags & UOP_BRANCH) {
        const struct predictor_site site = predictor_site(&c->predictor, o->pc);
        timing_branch(c, uop, &site, o, end);
    }
    if (p->stores && queued) {
        queue_stores(c, uop, a, count, first, known, retired, now);
    }
    return retired;
}

/* Loads one after the other, each beginning when the one before has its value; returns when the last value is there. */
static uint64_t serial_loads(struct timing_core *c, const struct uop *uop, const struct timing_access *a,
                             unsigned count, uint64_t t, uint64_t key)
{
    unsigned walk = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t start = t;
        if (a[i].kind == TIMING_WALK || a[i].kind == TIMING_UPDATE) {
            continue;
        }
        if (a[i].kind == TIMING_LOAD || a[i].kind == TIMING_STORE) {
            t += timing_translate(c, &c->dtlb, &a[walk], i - walk, &a[i], key, start);
        }
        if (a[i].kind == TIMING_LOAD) {
            t += timing_load_value(c, uop, &a[i], 1, false, false, key, start) - start;
        } else if (a[i].kind == TIMING_LOAD_DEVICE || a[i].kind == TIMING_STORE_DEVICE) {
            t += timing_value(c, TIMING_mmio_cycles);
        }
        walk = i + 1;
    }
    return t;
}

/* Work that is not pipelined, from start on; returns its end. */
static uint64_t serial(struct timing_core *c, const struct uop *uop, unsigned latency,
                       const struct timing_access *a, unsigned count, uint64_t start, uint64_t key)
{
    uint64_t end = serial_loads(c, uop, a, count, start, key) + latency;
    c->stamps = (struct timing_stamps){c->dispatch, start, end};
    return end;
}

/* After serial work: nothing overtakes it. */
static void fence(struct timing_core *c, uint64_t end)
{
    c->fetch_ready = later_of(c->fetch_ready, end);
    c->load_fence = later_of(c->load_fence, end);
    c->fetched_line = 0;
}

static uint64_t serial_instruction(struct timing_core *c, const struct uop *uop,
                                   const struct timing_access *a, unsigned count,
                                   const struct access_counts *p, bool queued, uint64_t now)
{
    const struct timing_op *op = &c->shared->ops[uop->class];
    unsigned loads = p->loads;
    for (unsigned i = 0; i < count; i++) {
        loads += a[i].rest; /* the part in the next page is an access of its own */
    }
    dispatch(c, op->ops, loads, p->stores);
    uint64_t end = serial(c, uop, op->latency, a, count, later_of(now, c->dispatch), now), done = end;
    if (!queued) {
        done = later_of(done, own_stores(c, a, count, end, now));
    }
    uint64_t retired = timing_retire(c, op->ops, done, now);
    note_loads(c, loads, retired);
    timing_set_results(c, uop, end);
    fence(c, end);
    if (queued) {
        queue_stores(c, uop, a, count, end, end, retired, now);
    }
    return retired;
}

/* What the translations of an instruction's loads cost that begin at start. */
static uint64_t all_translations(struct timing_core *c, const struct timing_access *a, unsigned count,
                                 uint64_t start, uint64_t key)
{
    uint64_t penalty = 0;
    unsigned walk = 0;
    for (unsigned i = 0; i < count; i++) {
        if (a[i].kind == TIMING_WALK || a[i].kind == TIMING_UPDATE) {
            continue;
        }
        if (a[i].kind == TIMING_LOAD) {
            penalty += timing_translate(c, &c->dtlb, &a[walk], i - walk, &a[i], key, start);
        }
        walk = i + 1;
    }
    return penalty;
}

/* The lines are owned: the caller has seen to it (timing_lock). The store is memory at the key: it does not go through the queue. */
static uint64_t locked(struct timing_core *c, const struct uop *uop, const struct timing_access *a,
                       unsigned count, const struct access_counts *p, uint64_t now)
{
    const struct timing_op *op = &c->shared->ops[uop->class];
    dispatch(c, op->ops, p->loads, 0);
    uint64_t address = timing_addresses_ready(c, uop);
    uint64_t start = later_of(later_of(later_of(now, c->dispatch), address), timing_sources_ready(c, uop));
    start = later_of(start, c->load_fence);
    uint64_t translated = start + all_translations(c, a, count, start, now), value = translated;
    for (unsigned i = 0; i < count; i++) {
        if (a[i].kind == TIMING_LOAD) {
            timing_count(c, TIMING_COUNT_LOADS);
            value = later_of(value, timing_store_at_once(c, &a[i], translated, now));
        }
    }
    uint64_t end = value + op->latency;
    c->stamps = (struct timing_stamps){c->dispatch, start, end};
    uint64_t retired = timing_retire(c, op->ops, end, now);
    note_loads(c, p->loads, retired);
    timing_set_results(c, uop, end);
    c->load_fence = later_of(c->load_fence, end);
    return retired;
}

/* An iteration that the one before has paid for: its accesses are made, at once. */
static uint64_t free_iteration(struct timing_core *c, const struct uop *uop, const struct timing_access *a,
                               unsigned count, unsigned loads, bool queued, uint64_t now)
{
    uint64_t d = c->dispatch;
    for (unsigned i = 0; i < count; i++) {
        timing_pass_by(c, &a[i]);
        if (a[i].kind == TIMING_LOAD) {
            timing_load_value(c, uop, &a[i], 1, false, false, now, d);
        }
    }
    note_loads(c, loads, now);
    timing_set_results(c, uop, d);
    if (queued) {
        queue_stores(c, uop, a, count, d, d, TIMING_FREE, now);
    } else {
        own_stores(c, a, count, d, now);
    }
    c->stamps = (struct timing_stamps){d, d, d};
    return now;
}

/* Does this iteration go with the one before? */
static bool is_free(struct timing_core *c, const struct uop *uop, const struct timing_outcome *o,
                    const struct timing_access *a, unsigned count)
{
    if (!(uop->flags & UOP_BULK) || o->backward) {
        return false;
    }
    uint64_t chunk = 0;
    for (unsigned i = 0; i < count; i++) {
        if (a[i].kind == TIMING_STORE && chunk == 0) {
            chunk = a[i].at / timing_value(c, TIMING_string_chunk_bytes) + 1;
        }
    }
    bool same = c->repeating == o->pc + 1 && chunk != 0 && chunk == c->string_chunk;
    c->string_chunk = chunk;
    return same;
}

uint64_t timing_instruction(struct timing_core *c, const struct timing_insn *insn,
                            const struct timing_outcome *o, const struct timing_access *a, unsigned count,
                            bool queued, uint64_t now)
{
    struct access_counts p = count_accesses(c, a, count, now);
    const struct uop *uop = &insn->uop;
    struct uop keep;
    if (o->keeps) {
        keep = *uop;
        keep.class = COST_CR3_KEEP;
        uop = &keep;
    }
    unsigned kind = insn->op.kind;
    fetch_lines(c, o, now);
    bool string = o->repeats && uop->class == COST_STRING; /* INS and OUTS are not */
    bool first = string && c->repeating != o->pc + 1, paid = string && is_free(c, uop, o, a, count);
    c->repeating = o->goes_on ? o->pc + 1 : 0;
    if (first) {
        c->fetch_ready = later_of(c->fetch_ready, c->dispatch) + timing_value(c, TIMING_rep_start_cycles);
    }
    if (paid) {
        return free_iteration(c, uop, a, count, p.loads, queued, now);
    }
    uint64_t retired;
    if (kind == TIMING_SERIAL || p.device) {
        retired = serial_instruction(c, uop, a, count, &p, queued, now);
    } else if (kind == TIMING_LOCK) {
        retired = locked(c, uop, a, count, &p, now);
    } else {
        retired = pipelined(c, uop, o, a, count, &p, queued, now);
    }
    c->stamps.dispatch = c->dispatch;
    return retired;
}

/* ---- the common case ---- */

/* One load at most, one store at most, behind it. */
struct quick {
    const struct timing_access *load, *store; /* or NULL */
    bool good;
};

static inline struct quick quick_accesses(const struct timing_access *a, unsigned count)
{
    if (count == 0) {
        return (struct quick){NULL, NULL, true};
    }
    if (count == 1) {
        bool load = a->kind == TIMING_LOAD;
        return (struct quick){load ? a : NULL, load ? NULL : a, load || a->kind == TIMING_STORE};
    }
    return (struct quick){a, a + 1, count == 2 && a->kind == TIMING_LOAD && a[1].kind == TIMING_STORE};
}

/* timing_step with accesses q: once for both that need it. */
static uint64_t quick_step(struct timing_core *c, const struct timing_insn *insn, const struct quick *q,
                           bool queued, uint64_t now, uint64_t *end)
{
    return timing_step(c, insn, q->load, q->store, false, queued, now, end);
}

uint64_t timing_quick(struct timing_core *c, const struct timing_insn *insn, const struct timing_access *a,
                      unsigned count, bool queued, uint64_t now)
{
    struct quick q = quick_accesses(a, count);
    uint64_t end;
    c->repeating = 0;
    if (q.good) {
        return quick_step(c, insn, &q, queued, now, &end);
    }
    struct access_counts p = count_accesses(c, a, count, now);
    return pipelined(c, &insn->uop, NULL, a, count, &p, queued, now);
}

uint64_t timing_quick_branch(struct timing_core *c, const struct timing_insn *insn,
                             const struct predictor_site *site, const struct timing_outcome *o,
                             const struct timing_access *a, unsigned count, bool queued, uint64_t now)
{
    struct quick q = quick_accesses(a, count);
    uint64_t end;
    CHECK(q.good, "a near branch with %u accesses", count);
    c->repeating = 0;
    now = quick_step(c, insn, &q, queued, now, &end);
    timing_branch(c, &insn->uop, site, o, end);
    return now;
}

uint64_t timing_delivery(struct timing_core *c, unsigned cycles, const struct timing_access *a,
                         unsigned count, bool queued, uint64_t key, uint64_t now)
{
    static const struct uop none = {.class = COST_SYSTEM,
                                    .source = {TIMING_READY, TIMING_READY, TIMING_READY, TIMING_READY},
                                    .result = {TIMING_SINK, TIMING_SINK, TIMING_SINK, TIMING_SINK},
                                    .address = {TIMING_READY, TIMING_READY, TIMING_READY}};
    uint64_t end = serial(c, &none, cycles, a, count, now, key);
    uint64_t owned = 0;
    if (queued) {
        queue_stores(c, &none, a, count, end, end, end, key);
    } else {
        owned = own_stores(c, a, count, end, key);
    }
    fence(c, end);
    c->repeating = 0;
    return later_of(end, owned);
}

void timing_flush(struct timing_core *c, uint64_t now)
{
    for (unsigned i = 0; i < TIMING_REGISTERS; i++) {
        c->ready[i] = i < TIMING_READY ? now : 0;
    }
    fence(c, now);
}
