/* Translation (5.1), loads (5), stores: ownership, commit and drains (6). */

#include "oracle.h"

#include <stdlib.h>

static u64 max(u64 a, u64 b)
{
    return a > b ? a : b;
}

static bool overlap(u64 a, u64 a_size, u64 b, u64 b_size)
{
    return a < b + b_size && b < a + a_size;
}

/* ---- translation ---- */

/* Whether a first-level TLB has the number; it enters otherwise, the oldest leaves. */
static bool tlb_asked(struct list *tlb, u64 entries, u64 number)
{
    for (size_t i = 0; i < tlb->count; i++) {
        if (tlb->at[i] == number) {
            return true;
        }
    }
    list_push(tlb, number);
    if (tlb->count > entries) {
        for (size_t i = 1; i < tlb->count; i++) {
            tlb->at[i - 1] = tlb->at[i];
        }
        tlb->count--;
    }
    return false;
}

/* The penalty p of an item that starts at S; the reads of its walk stand before it. */
u64 access_translate(struct machine *m, struct vcpu *c, const struct line *l, unsigned item, enum side side,
                     u64 S)
{
    const struct params *q = &m->p;
    const u64 number = l->items[item].number;
    unsigned first = item;
    bool walked = false;
    if (number == NUMBER_NONE || tlb_asked(side == SIDE_DATA ? &c->dtlb : &c->itlb,
                                           side == SIDE_DATA ? q->dtlb_entries : q->itlb_entries, number)) {
        return 0;
    }
    u64 p = q->tlb_l2_cycles;
    while (first > 0 && (l->items[first - 1].what == 'w' || l->items[first - 1].what == 'u')) {
        first--;
    }
    for (; first < item; first++) {
        const u64 line = l->items[first].physical / 64;
        if (l->items[first].what == 'w') {
            p += memory_read(m, c, line, SIDE_DATA, S + p);
            walked = true;
        } else {
            p += q->ad_update_cycles; /* of a delivery */
            if (memory_owned(c, line)) {
                (void)memory_touch_owned(m, c, line);
                memory_written(c, line);
            }
        }
    }
    return p + (walked ? q->walk_cycles : 0);
}

/* ---- loads ---- */

/* Whether the pieces of its instruction, as far as they follow each other in memory, cover the bytes (6.2). */
static bool covers(const struct vcpu *c, const struct store *s, const struct line *l, const unsigned *pieces,
                   unsigned count)
{
    u64 begin = s->physical, end = s->physical + s->size;
    for (const struct store *t = s; t > c->stores && t[-1].instruction == s->instruction; t--) {
        if (t[-1].physical + t[-1].size != begin) {
            break;
        }
        begin = t[-1].physical;
    }
    for (const struct store *t = s + 1; t < c->stores + c->store_count && t->instruction == s->instruction;
         t++) {
        if (t->physical != end) {
            break;
        }
        end = t->physical + t->size;
    }
    for (unsigned i = 0; i < count; i++) {
        const struct item *piece = &l->items[pieces[i]];
        if (piece->physical < begin || piece->physical + piece->size > end) {
            return false;
        }
    }
    return true;
}

/* The youngest of the last stores that has a byte in common and commits after S; NULL: none (6.2). */
static const struct store *forwarder(const struct machine *m, const struct vcpu *c, const struct item *piece,
                                     u64 S)
{
    for (size_t i = c->store_count; i > 0 && c->store_count - i < m->p.store_queue; i--) {
        const struct store *s = &c->stores[i - 1];
        if (s->commit > S && overlap(s->physical, s->size, piece->physical, piece->size)) {
            return s;
        }
    }
    return NULL;
}

static u64 forwarded(const struct machine *m, const struct insn *in, const struct store *s, bool whole, u64 S)
{
    const struct params *p = &m->p;
    if (!whole) {
        return max(s->commit + 1, S) - S + p->l1_load_cycles + p->forward_fail_cycles;
    }
    const bool renamed = p->forward_renamed_cycles != 0 && s->can_rename && in->can_rename &&
                         s->base == in->base && s->displacement == in->displacement && !insn_is_vector(in);
    return max(s->known, S) - S + (renamed ? p->forward_renamed_cycles : p->forward_cycles);
}

/* The latency of the caches: the largest of its lines, which all start at S. */
u64 access_lines(struct machine *m, struct vcpu *c, const struct line *l, const unsigned *pieces,
                 unsigned count, u64 S)
{
    u64 x = 0, lines = 0, last = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct item *piece = &l->items[pieces[i]];
        for (u64 line = piece->physical / 64; line <= (piece->physical + piece->size - 1) / 64; line++) {
            if (lines == 0 || line != last) {
                x = max(x, memory_read(m, c, line, SIDE_DATA, S));
                lines++;
                last = line;
            }
        }
    }
    return x + (lines > 1 ? m->p.split_cycles : 0);
}

/* V of a load that starts at S; its pieces are items of the line. */
u64 access_load(struct machine *m, struct vcpu *c, const struct line *l, const struct insn *in,
                const unsigned *pieces, unsigned count, u64 S, bool forwards)
{
    u64 p = 0;
    const struct store *from = NULL;
    for (unsigned i = 0; i < count; i++) {
        p += access_translate(m, c, l, pieces[i], SIDE_DATA, S);
    }
    for (unsigned i = 0; i < count && forwards; i++) {
        const struct item *piece = &l->items[pieces[i]];
        const struct store *s = forwarder(m, c, piece, S);
        if (s != NULL && (from == NULL || s > from)) {
            from = s;
        }
    }
    u64 x = access_lines(m, c, l, pieces, count, S);
    if (from != NULL) {
        x = forwarded(m, in, from, covers(c, from, l, pieces, count), S);
    }
    return S + p + x + (insn_is_vector(in) ? m->p.vector_load_cycles : 0);
}

/* ---- stores ---- */

/* o of one line at the key of the instruction (6.1). */
static u64 owned_at(struct machine *m, struct vcpu *c, u64 line, u64 SA)
{
    bool others = false;
    if (memory_seen_owned(c, line)) {
        return memory_touch_owned(m, c, line) ? SA : SA + m->p.l2_cycles;
    }
    if (m->p.store_prefetch == 0 || memory_reserved(m, line)) {
        return 0;
    }
    const u64 o = SA + memory_own(m, c, line, SA, &others);
    return others ? max(o, m->key + m->p.snoop_cycles) : o;
}

u64 access_store_owned(struct machine *m, struct vcpu *c, const struct item *s, u64 SA)
{
    const u64 first = s->physical / 64, last = (s->physical + s->size - 1) / 64;
    const u64 o = owned_at(m, c, first, SA);
    return first == last ? o : max(o, owned_at(m, c, last, SA));
}

u64 access_gap(const struct machine *m, const struct vcpu *c, const struct item *s)
{
    return c->store_count > 0 && c->last_store_line == s->physical / 64 ? 0 : m->p.store_gap;
}

void access_commit(struct machine *m, struct vcpu *c, const struct insn *in, const struct item *s, u64 known,
                   u64 commit)
{
    if (m->p.sc) { /* nothing is queued, there is nothing to forward from, W does not move */
        memory_written(c, s->physical / 64);
        memory_written(c, (s->physical + s->size - 1) / 64);
        return;
    }
    if (c->store_count == c->store_room) {
        c->store_room = c->store_room * 2 + 64;
        c->stores = realloc(c->stores, c->store_room * sizeof(*c->stores));
        if (c->stores == NULL) {
            abort();
        }
    }
    if (c->store_count - c->drained == m->p.store_queue) {
        c->drained++; /* more pieces than places: the oldest is memory now, and asks for nothing */
    }
    c->stores[c->store_count++] = (struct store){.physical = s->physical,
                                                 .size = s->size,
                                                 .commit = commit,
                                                 .known = known,
                                                 .instruction = c->instructions,
                                                 .can_rename = in->can_rename,
                                                 .base = in->base,
                                                 .displacement = in->displacement};
    c->last_store_line = s->physical / 64;
    c->W = commit;
}

/* ---- drains ---- */

/* The oldest store and all younger ones drain at t at the earliest. */
static void put_off(struct vcpu *c, u64 t)
{
    for (size_t i = c->drained; i < c->store_count; i++) {
        c->stores[i].commit = max(c->stores[i].commit, t);
    }
    c->W = max(c->W, t);
}

/* The oldest store of the queue at its time, which is the key. */
static void drain(struct machine *m, struct vcpu *c)
{
    const struct store *s = &c->stores[c->drained];
    const u64 first = s->physical / 64, last = (s->physical + s->size - 1) / 64;
    memory_expire(m, c);
    if (!memory_seen_owned(c, first) || !memory_seen_owned(c, last)) {
        put_off(c, memory_ask(m, c, first, last));
        return; /* then it has its turn, or the lines */
    }
    memory_written(c, first);
    memory_written(c, last);
    c->drained++;
}

/* All drains up to a time, in the order of times, then of vCPUs. */
void access_drain_until(struct machine *m, u64 time)
{
    for (;;) {
        struct vcpu *next = NULL;
        for (unsigned i = 0; i < m->cpus; i++) {
            struct vcpu *c = &m->cpu[i];
            if (c->drained == c->store_count || c->stores[c->drained].commit > time) {
                continue;
            }
            if (next == NULL || c->stores[c->drained].commit < next->stores[next->drained].commit) {
                next = c;
            }
        }
        if (next == NULL) {
            return;
        }
        m->key = next->stores[next->drained].commit;
        drain(m, next);
    }
}
