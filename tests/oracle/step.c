/* Section 3: what a step does, rule by rule; fetch (4), serial instructions, deliveries (8), strings (10). */

#include "oracle.h"

#include <stdlib.h>
#include <string.h>

#define SEARCH_CYCLES 1024u
#define FREE_PLACES   8u
#define PIECES_MAX    512u

/* What is known of the instruction so far. */
struct step {
    const struct line *l;
    struct insn in;
    u64 A, E, C, V, known;
    u64 n;                      /* ops */
    unsigned loads[PIECES_MAX]; /* items */
    unsigned load_count;
    unsigned stores[PIECES_MAX];
    unsigned store_count;
    u64 SA;            /* of the first store */
    unsigned accesses; /* that load */
    bool device, serial;
    bool at_once; /* the delivery of INT n and the like (8) */
};

static u64 max(u64 a, u64 b)
{
    return a > b ? a : b;
}

static u64 ready_of(const struct vcpu *c, u64 slots)
{
    u64 t = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        t = (slots & SLOT(i)) != 0 ? max(t, c->ready[i]) : t;
    }
    return t;
}

/* ---- start(groups, t) ---- */

static bool has_room(const struct machine *m, const struct vcpu *c, u64 groups, u64 at)
{
    for (unsigned g = 0; g < m->p.ports; g++) {
        const u64 *used = map_find(&c->used[g], at);
        if ((groups >> g & 1) != 0 && used != NULL && *used >= m->p.capacity[g]) {
            return false;
        }
    }
    return true;
}

static u64 start(struct machine *m, struct vcpu *c, u64 groups, u64 t)
{
    const u64 end = c->D + SEARCH_CYCLES;
    t = m->p.in_order != 0 ? max(t, c->last_start) : t;
    u64 at = t;
    if (groups != 0) {
        while (at < end && !has_room(m, c, groups, at)) {
            at++;
        }
        at = max(at, t);
        for (unsigned g = 0; g < m->p.ports && at < end; g++) {
            bool found;
            if ((groups >> g & 1) != 0) {
                ++*map_at(&c->used[g], at, &found);
            }
        }
    }
    if (m->p.in_order != 0) {
        c->last_start = at;
    }
    return at;
}

/* ---- rule 1: waits ---- */

static bool queue_empty(const struct vcpu *c)
{
    return c->drained == c->store_count;
}

/* The commit time of the store whose draining leaves 8 places free; 0: they are. */
static u64 room_time(const struct machine *m, const struct vcpu *c)
{
    const u64 queued = c->store_count - c->drained, places = m->p.store_queue;
    const u64 most = places > FREE_PLACES ? places - FREE_PLACES : 0;
    return queued <= most ? 0 : c->stores[c->drained + (queued - most) - 1].commit;
}

/* It asks for its line, or for its two (7.2). */
static u64 wait_for_lines(struct machine *m, struct vcpu *c, const struct line *l)
{
    const u64 first = l->wait_at[0] / 64, last = l->wait_at[l->wait_lines - 1] / 64;
    c->asked = l->wait_lines;
    c->asked_line = first;
    if (memory_owned(c, first) && memory_owned(c, last)) {
        m->broken = "it waits for a line that is owned";
        return 0;
    }
    if (l->wait_lines == 2 && first == last) {
        m->broken = "two lines that are one";
    }
    m->broken = queue_empty(c) ? m->broken : "it asks for a line before the store queue is empty";
    return memory_ask(m, c, first, last);
}

/* An accessed or dirty bit is set (5.1). */
static u64 update(struct machine *m, struct vcpu *c, u64 line)
{
    if (!memory_owned(c, line) || !queue_empty(c)) {
        m->broken = "an update has to wait for its line and until the store queue is empty";
        return 0;
    }
    (void)memory_touch_owned(m, c, line);
    memory_written(c, line);
    return c->R + m->p.ad_update_cycles;
}

/* A line T: a step that waits. */
void wait_do(struct machine *m, const struct line *l)
{
    struct vcpu *c = &m->cpu[l->cpu];
    u64 t = 0;
    m->key = c->R;
    memory_expire(m, c);
    c->asked = 0;
    c->raised = false;
    switch (l->wait) {
    case 'q':
        m->broken = queue_empty(c) ? "it waits for a store queue that is empty" : m->broken;
        t = c->W;
        break;
    case 'r':
        t = room_time(m, c);
        m->broken = t == 0 ? "it waits for places in the store queue that are free" : m->broken;
        break;
    case 'u':
        t = update(m, c, l->wait_at[0] / 64);
        break;
    default:
        t = wait_for_lines(m, c, l);
        break;
    }
    c->R = max(c->R, t);
}

static bool item_owned(const struct vcpu *c, const struct item *it)
{
    const u64 last = it->size > 0 ? it->physical + it->size - 1 : it->physical;
    return memory_owned(c, it->physical / 64) && memory_owned(c, last / 64);
}

/* Lines of the item that are not the last one before; of an operand that is stored, too, those of its load. */
static u64 lines_of(const struct item *it, bool is_first, u64 *last)
{
    u64 more = 0;
    for (u64 line = it->physical / 64; line <= (it->physical + it->size - 1) / 64; line++) {
        more += it->what == 'l' && (is_first || line != *last);
        *last = line;
        is_first = false;
    }
    return more;
}

/* What a step that happens has waited for. */
static void check_waits(struct machine *m, const struct vcpu *c, const struct step *s)
{
    const bool delivery = s->l->kind == 'e' || s->l->kind == 'n';
    const bool locked = !delivery && s->in.class == CLASS_LOCKED && !s->device;
    u64 lines = 0, last = 0;
    bool own = false; /* the wait before was for a line of this operation, and not of an update */
    for (unsigned i = 0; i < s->l->item_count && !delivery; i++) {
        const struct item *it = &s->l->items[i];
        if (it->what == 'u') {
            m->broken = "an accessed or dirty bit is set, and it is no delivery";
        }
        if (locked && (it->what == 'l' || it->what == 's')) {
            m->broken = item_owned(c, it) ? m->broken : "it has to wait for a line";
            lines += lines_of(it, lines == 0, &last);
            own |= c->asked_line == it->physical / 64 || c->asked_line == last;
        }
    }
    if (locked && (c->asked == 2 ? lines < 2 : c->asked == 1 && lines > 1 && own)) {
        m->broken = "it has waited for one line where it has two, or for two where it has one";
    }
    if (s->at_once) {
        return; /* (8) */
    }
    if ((delivery || s->device || s->in.drains) && !queue_empty(c)) {
        m->broken = "it has to wait until the store queue is empty";
    }
    if (s->store_count > 0 && room_time(m, c) != 0) {
        m->broken = "it has to wait for places in the store queue";
    }
}

/* ---- rule 2: fetch (4) ---- */

static void fetch(struct machine *m, struct vcpu *c, const struct line *l)
{
    u64 bytes = 0;
    for (unsigned i = 0; i < l->item_count; i++) {
        const struct item *it = &l->items[i];
        if (it->what == 't') {
            const u64 from = max(c->F, c->D), p = access_translate(m, c, l, i, SIDE_FETCH, from);
            c->F = p > 0 ? from + p : c->F;
        }
        if (it->what != 'f') {
            continue;
        }
        bytes += it->size;
        for (u64 line = it->physical / 64; line <= (it->physical + it->size - 1) / 64; line++) {
            if (c->has_line && c->line == line) {
                continue;
            }
            c->has_line = true;
            c->line = line;
            const u64 from = max(c->F, c->D), x = memory_read(m, c, line, SIDE_FETCH, from);
            c->F = x > 0 ? from + x : c->F;
        }
    }
    if (bytes != l->length) {
        m->broken = "the items f have another length than the instruction";
    }
}

/* ---- rule 3: dispatch ---- */

static void dispatch_op(struct machine *m, struct vcpu *c, u64 t)
{
    if (t > c->D) {
        c->D = t;
        c->d = 1;
    } else if (c->d < m->p.dispatch_width) {
        c->d++;
    } else {
        c->D++;
        c->d = 1;
    }
}

/* What the queues say of the first op. */
static u64 queues_free(const struct machine *m, const struct vcpu *c, const struct step *s)
{
    const u64 loads = c->load_retired.count, stores = c->store_count;
    u64 t = 0;
    for (u64 i = loads; i < loads + s->accesses; i++) {
        if (i >= m->p.load_queue && i - m->p.load_queue < loads) {
            t = max(t, c->load_retired.at[i - m->p.load_queue] + 1);
        }
    }
    for (u64 i = stores; i < stores + s->store_count; i++) {
        if (i >= m->p.store_queue && i - m->p.store_queue < stores) {
            t = max(t, c->stores[i - m->p.store_queue].commit);
        }
    }
    return t;
}

static void dispatch(struct machine *m, struct vcpu *c, struct step *s)
{
    const struct params *p = &m->p;
    const u64 k = c->retired.count;
    const bool both = s->load_count > 0 && s->store_count > 0 && !s->serial && s->in.class != CLASS_LOCKED &&
                      s->in.class != CLASS_STRING && s->in.class != CLASS_CALL_INDIRECT;
    s->n = p->class[s->in.class].ops + (both ? 1 : 0);
    for (u64 op = 0; op < s->n; op++) {
        u64 t = max(c->D, c->F);
        if (k + op >= p->reorder_buffer && k + op - p->reorder_buffer < k) {
            t = max(t, c->retired.at[k + op - p->reorder_buffer] + 1);
        }
        dispatch_op(m, c, op == 0 ? max(t, queues_free(m, c, s)) : t);
    }
}

/* ---- rules 5 to 7 ---- */

/* Rule 5. All items that load are one access, but for CMPS, which has two. */
static void loads(struct machine *m, struct vcpu *c, struct step *s)
{
    u64 total = 0, taken = 0;
    unsigned first = 0;
    for (unsigned i = 0; i < s->load_count; i++) {
        total += s->l->items[s->loads[i]].size;
    }
    const u64 size = s->in.compares_string ? total / 2 : total;
    for (unsigned i = 0; i < s->load_count; i++) {
        taken += s->l->items[s->loads[i]].size;
        if (taken < size) {
            continue;
        }
        const u64 S = start(m, c, m->p.load_ports, max(s->A, c->LF));
        s->V = max(s->V, access_load(m, c, s->l, &s->in, &s->loads[first], i + 1 - first, S, true));
        taken = 0;
        first = i + 1;
    }
}

static void execute(struct machine *m, struct vcpu *c, struct step *s)
{
    const struct class_params *class = &m->p.class[s->in.class];
    u64 t = max(max(c->D, ready_of(c, s->in.sources)), s->V);
    if (s->in.kind == '0' || s->in.kind == 'v') {
        s->C = s->E = t;
        return;
    }
    if (class->unit >= 0) {
        t = max(t, c->free[class->unit]);
    }
    s->E = start(m, c, class->ports, t);
    if (class->unit >= 0) {
        c->free[class->unit] = s->E + class->occupy;
    }
    s->C = s->E + class->latency;
}

static void stores(struct machine *m, struct vcpu *c, struct step *s)
{
    s->known = s->C;
    for (unsigned i = 0; i < s->store_count; i++) {
        const u64 begin = start(m, c, m->p.store_ports, s->A);
        const u64 SA = begin + access_translate(m, c, s->l, s->stores[i], SIDE_DATA, begin);
        s->known = max(s->known, SA + 1);
        s->SA = i == 0 ? SA : s->SA;
    }
}

/* Locked operations (7.2). */
static void locked(struct machine *m, struct vcpu *c, struct step *s)
{
    u64 p = 0;
    s->E = max(max(max(c->R, c->D), max(s->A, ready_of(c, s->in.sources))), c->LF);
    for (unsigned i = 0; i < s->load_count; i++) {
        p += access_translate(m, c, s->l, s->loads[i], SIDE_DATA, s->E);
    }
    s->V = s->E + p;
    for (unsigned i = 0; i < s->load_count;
         i++) { /* its store is one step with the load, and asks nothing again */
        const struct item *it = &s->l->items[s->loads[i]];
        s->V = max(s->V, access_store_owned(m, c, it, s->E + p));
        memory_written(c, it->physical / 64);
        memory_written(c, (it->physical + it->size - 1) / 64);
    }
    s->C = s->V + m->p.class[CLASS_LOCKED].latency;
    c->LF = s->C;
}

/* Serial instructions and deliveries: one access after the other. */
static void serial(struct machine *m, struct vcpu *c, struct step *s, u64 latency)
{
    u64 t = s->E;
    for (unsigned i = 0; i < s->l->item_count; i++) {
        const unsigned one[1] = {i};
        switch (s->l->items[i].what) {
        case 'L':
        case 'S':
            t += m->p.mmio_cycles;
            break;
        case 'l':
            t = access_load(m, c, s->l, &s->in, one, 1, t, false);
            break;
        case 's':
            t += access_translate(m, c, s->l, i, SIDE_DATA, t);
            break;
        default:
            break;
        }
    }
    s->known = s->SA = s->C = t + latency;
    s->V = t;
    c->F = max(c->F, s->C);
    c->LF = max(c->LF, s->C);
    c->has_line = false;
}

/* ---- rules 8 to 11 ---- */

static void retire(struct machine *m, struct vcpu *c, const struct step *s, u64 owned)
{
    const u64 K = max(max(s->C, s->V), max(s->store_count > 0 ? s->known : 0, m->p.sc ? owned : 0));
    c->R = s->n == 0 ? max(c->R, K) : c->R; /* a delivery */
    for (u64 op = 0; op < s->n; op++) {
        const u64 k = c->retired.count;
        const u64 slot = k >= m->p.retire_width ? c->retired.at[k - m->p.retire_width] + 1 : 0;
        c->R = max(max(c->R, K), slot);
        list_push(&c->retired, c->R);
    }
    for (unsigned i = 0; i < s->accesses; i++) {
        list_push(&c->load_retired, c->R);
    }
}

static void results(struct vcpu *c, const struct step *s)
{
    const u64 frame = c->ready[SLOT_RBP];
    for (unsigned i = 0; i < SLOTS; i++) {
        c->ready[i] = (s->in.targets & SLOT(i)) != 0 ? s->C : c->ready[i];
    }
    if (s->in.leave) {
        c->ready[SLOT_RSP] = max(c->D, frame);
    }
}

/* When the lines of the stores are owned (6.1); the largest. */
static u64 own_all(struct machine *m, struct vcpu *c, const struct step *s, u64 owned[])
{
    u64 last = 0;
    for (unsigned i = 0; i < s->store_count; i++) {
        const struct item *it = &s->l->items[s->stores[i]];
        owned[i] = access_store_owned(m, c, it, s->SA);
        last = max(last, owned[i]);
    }
    return last;
}

static void commit(struct machine *m, struct vcpu *c, const struct step *s, const u64 owned[])
{
    for (unsigned i = 0; i < s->store_count; i++) {
        const struct item *it = &s->l->items[s->stores[i]];
        const u64 w = max(max(c->R + 1, c->W + access_gap(m, c, it)), owned[i]);
        access_commit(m, c, &s->in, it, s->known, w);
    }
}

static void branch(struct machine *m, struct vcpu *c, const struct step *s)
{
    if (s->in.branch == BRANCH_NONE) {
        return;
    }
    switch (predict(m, c, s->l, &s->in)) {
    case PREDICTED_WRONG:
        c->F = max(c->F, s->C + m->p.mispredict_cycles);
        break;
    case PREDICTED_AT_DECODE:
        c->F = max(c->F, c->D + m->p.decode_redirect_cycles);
        break;
    case PREDICTED_TAKEN:
        c->F = max(c->F, c->D + m->p.taken_bubble_cycles);
        break;
    case PREDICTED:
    default:
        break;
    }
}

/* ---- string instructions (10) ---- */

/* Whether the iteration costs nothing. */
static bool is_free(const struct machine *m, const struct vcpu *c, const struct step *s)
{
    const u64 chunk = m->p.string_chunk_bytes;
    return s->in.repeated && (s->in.moves_string || s->in.stores_string) && !s->l->df && !s->device &&
           c->repeating && c->repeat_pc == s->l->pc && chunk > 0 && s->store_count > 0 &&
           s->l->items[s->stores[0]].physical / chunk == c->repeat_chunk;
}

static void free_iteration(struct machine *m, struct vcpu *c, struct step *s)
{
    s->known = s->C = s->E = c->D;
    if (s->load_count > 0) {
        (void)access_lines(m, c, s->l, s->loads, s->load_count, c->D);
    }
    for (unsigned i = 0; i < s->accesses; i++) {
        list_push(&c->load_retired, c->R);
    }
    for (unsigned i = 0; i < s->store_count; i++) {
        const struct item *it = &s->l->items[s->stores[i]];
        const u64 o = access_store_owned(m, c, it, c->D);
        access_commit(m, c, &s->in, it, c->D, max(c->W, o));
    }
    results(c, s);
}

static void string_begins(struct machine *m, struct vcpu *c, const struct step *s)
{
    if (s->in.class == CLASS_STRING && s->in.repeated && !(c->repeating && c->repeat_pc == s->l->pc)) {
        c->F = max(c->F, c->D) + m->p.rep_start_cycles;
    }
}

/* What the next step has to know of this one. */
static void string_remember(const struct machine *m, struct vcpu *c, const struct step *s)
{
    c->repeating = s->l->kind == 'r';
    c->repeat_pc = s->l->pc;
    c->repeat_chunk = UINT64_MAX;
    if (s->store_count > 0 && m->p.string_chunk_bytes > 0) {
        c->repeat_chunk = s->l->items[s->stores[0]].physical / m->p.string_chunk_bytes;
    }
}

/* ---- a step ---- */

static void gather(struct machine *m, struct step *s)
{
    unsigned devices = 0; /* loads of device registers */
    for (unsigned i = 0; i < s->l->item_count; i++) {
        const char what = s->l->items[i].what;
        devices += what == 'L';
        s->device |= what == 'L' || what == 'S';
        if (what == 'l' && s->load_count < PIECES_MAX) {
            s->loads[s->load_count++] = i;
        } else if (what == 's' && s->store_count < PIECES_MAX) {
            s->stores[s->store_count++] = i;
        }
    }
    s->serial = s->in.kind == 'S' || s->device;
    s->accesses = s->serial ? s->load_count + devices : s->load_count > 0;
    if (!s->serial && s->in.compares_string && s->load_count > 0) {
        s->accesses = 2;
    }
    if (s->in.class == CLASS_LOCKED) {
        s->store_count = 0; /* memory at the key, through no queue (7.2) */
    }
    if (s->load_count == PIECES_MAX || s->store_count == PIECES_MAX) {
        m->broken = "too many accesses";
    }
}

static void deliver(struct machine *m, struct vcpu *c, struct step *s)
{
    u64 owned[PIECES_MAX];
    s->E = c->R;
    serial(m, c, s, s->l->kind == 'e' ? m->p.exception_cycles : m->p.interrupt_cycles);
    s->n = 0;
    s->accesses = 0;
    const u64 last = own_all(m, c, s, owned);
    retire(m, c, s, last);
    commit(m, c, s, owned);
    c->repeating = false;
}

static void instruction(struct machine *m, struct vcpu *c, struct step *s)
{
    u64 owned[PIECES_MAX];
    dispatch(m, c, s);
    s->A = max(c->D, ready_of(c, s->in.address));
    if (s->serial) {
        s->E = max(c->R, c->D);
        serial(m, c, s, m->p.class[s->in.class].latency);
    } else if (s->in.class == CLASS_LOCKED) {
        locked(m, c, s);
    } else {
        loads(m, c, s);
        execute(m, c, s);
        stores(m, c, s);
    }
    const u64 last = own_all(m, c, s, owned);
    retire(m, c, s, last);
    results(c, s);
    branch(m, c, s);
    commit(m, c, s, owned);
}

/* Whether it is the delivery of INT n or the like, which is the step before on its vCPU. */
static bool follows_at_once(const struct vcpu *c, const struct line *l)
{
    return l->what == 'S' && l->kind == 'e' && c->raised && c->raised_pc == l->pc;
}

u64 step_key(const struct machine *m, const struct line *l)
{
    const struct vcpu *c = &m->cpu[l->cpu];
    return follows_at_once(c, l) ? c->raised_key : c->R;
}

void step_do(struct machine *m, const struct line *l, u64 stamps[STAMPS])
{
    struct vcpu *c = &m->cpu[l->cpu];
    struct step *s = zeroed(1, sizeof(*s));
    s->l = l;
    s->at_once = follows_at_once(c, l);
    m->key = step_key(m, l);
    c->instructions++;
    memory_expire(m, c);
    const bool delivery = l->kind == 'e' || l->kind == 'n';
    if (!delivery && !insn_decode(l, &s->in)) {
        m->broken = "an instruction that the oracle does not know";
        free(s);
        return;
    }
    gather(m, s);
    check_waits(m, c, s);
    if (delivery) {
        deliver(m, c, s);
    } else {
        fetch(m, c, l);
        string_begins(m, c, s);
        if (is_free(m, c, s)) {
            free_iteration(m, c, s);
        } else {
            instruction(m, c, s);
        }
        string_remember(m, c, s);
    }
    c->asked = 0;
    c->raised = l->kind == 'i' && s->in.raises;
    c->raised_pc = l->pc;
    c->raised_key = m->key;
    const u64 all[STAMPS] = {c->D, s->E, s->C, c->R, c->W, c->F};
    memcpy(stamps, all, sizeof(all));
    free(s);
}

/* Lines that are no steps: the clock is set from outside (8, 14). */
void event_do(struct machine *m, const struct line *l)
{
    struct vcpu *c = &m->cpu[l->cpu];
    c->raised = false;
    if (l->what == 'P' || l->what == 'C') {
        c->R = l->time;
        return;
    }
    if (l->what == 'K') {
        c->R = max(c->R, l->time) + m->p.wake_cycles;
    }
    c->F = max(c->F, c->R);
    c->LF = max(c->LF, c->R);
    for (unsigned i = 0; i < SLOTS; i++) {
        c->ready[i] = c->R;
    }
    c->has_line = false;
}
