/* Caches (5.2), transactions between vCPUs (7) and DRAM (7.3). Lines are physical addresses / 64. */

#include "oracle.h"

static u64 max(u64 a, u64 b)
{
    return a > b ? a : b;
}

/* ---- one cache: sets, ways, a tree of bits ---- */

static struct way *set_of(const struct cache *k, u64 line)
{
    return &k->at[(line % k->sets) * k->ways];
}

static struct way *find(const struct cache *k, u64 line)
{
    struct way *w = set_of(k, line);
    for (u64 i = 0; i < k->ways; i++) {
        if (w[i].valid && w[i].line == line) {
            return &w[i];
        }
    }
    return NULL;
}

/* Every node on the path points away from the way: bit 0 is the lower half. */
static void touch(struct cache *k, const struct way *w)
{
    const u64 index = (u64)(w - k->at), way = index % k->ways;
    uint8_t *bits = &k->bits[index / k->ways * k->ways];
    u64 node = 1;
    for (u64 half = k->ways / 2; half > 0; half /= 2) {
        const unsigned upper = (way & half) != 0;
        bits[node] = !upper;
        node = node * 2 + upper;
    }
}

static struct way *victim(struct cache *k, u64 line)
{
    struct way *w = set_of(k, line);
    const uint8_t *bits = &k->bits[(line % k->sets) * k->ways];
    u64 node = 1, way = 0;
    for (u64 i = 0; i < k->ways; i++) {
        if (!w[i].valid) {
            return &w[i];
        }
    }
    for (u64 half = k->ways / 2; half > 0; half /= 2) {
        way += bits[node] != 0 ? half : 0;
        node = node * 2 + bits[node];
    }
    return &w[way];
}

static void drop(struct cache *k, u64 line)
{
    struct way *w = find(k, line);
    if (w != NULL) {
        w->valid = false;
    }
}

/* ---- DRAM (7.3) ---- */

static u64 dram(struct machine *m, u64 line, u64 T)
{
    const struct params *p = &m->p;
    const u64 channel = line % p->dram_channels, rest = line / p->dram_channels / p->dram_row_lines;
    const u64 row = rest / p->dram_banks, burst = p->dram_burst_cycles;
    struct bank *b = &m->banks[channel * p->dram_banks + rest % p->dram_banks];
    struct row_before *before = &b->before;
    u64 q;
    if (before->there && before->row == row && max(T, before->last + burst) + burst <= before->until) {
        q = max(T, before->last + burst);
        before->last = q;
    } else if (b->open && b->row == row) {
        q = max(T, b->ready);
        b->ready = q + burst;
    } else if (b->open) {
        const u64 closed = max(T, b->ready);
        *before = (struct row_before){true, b->row, closed, b->ready - burst};
        q = closed + p->dram_precharge_cycles + p->dram_activate_cycles;
        b->ready = q + burst;
        b->row = row;
    } else {
        q = max(T, b->ready) + p->dram_activate_cycles;
        b->ready = q + burst;
        b->open = true;
        b->row = row;
        before->there = false;
    }
    const u64 data = max(q + p->dram_cas_cycles, m->bus[channel]);
    m->bus[channel] = data + burst;
    return data + burst - T + p->dram_fabric_cycles;
}

/* ---- fills ---- */

static void fill_l3(struct machine *m, u64 line, bool dirty)
{
    struct way *w = find(&m->l3, line);
    if (w == NULL) {
        w = victim(&m->l3, line);
        if (w->valid && w->dirty) {
            (void)dram(m, w->line, m->key); /* nobody waits for it */
        }
        *w = (struct way){.valid = true, .line = line};
    }
    w->dirty |= dirty;
    touch(&m->l3, w);
}

static void fill_l1(struct cache *k, u64 line)
{
    struct way *w = find(k, line);
    if (w == NULL) {
        w = victim(k, line);
        *w = (struct way){.valid = true, .line = line};
    }
    touch(k, w);
}

static void fill_l2(struct machine *m, struct vcpu *c, u64 line, enum state state)
{
    struct way *w = find(&c->l2, line);
    if (w == NULL) {
        w = victim(&c->l2, line);
        if (w->valid) {
            const struct way old = *w;
            drop(&c->l1d, old.line);
            drop(&c->l1i, old.line);
            if (old.state != STATE_I) { /* a copy on its way out does not go to L3 (7.1) */
                fill_l3(m, old.line, old.state == STATE_M);
            }
        }
    }
    *w = (struct way){.valid = true, .line = line, .state = state};
    touch(&c->l2, w);
}

/* ---- what a vCPU sees (7.1) ---- */

/* Losses whose time has come: of the right to write, of the copy. */
void memory_expire(struct machine *m, struct vcpu *c)
{
    bool more = false;
    for (u64 i = 0; i < c->l2.sets * c->l2.ways && c->leaving; i++) {
        struct way *w = &c->l2.at[i];
        if (!w->valid) {
            continue;
        }
        if (w->state == STATE_I && w->until <= m->key) {
            w->valid = false;
            drop(&c->l1d, w->line);
            drop(&c->l1i, w->line);
            continue;
        }
        w->right = w->right && w->right_until > m->key;
        more |= w->right || w->state == STATE_I;
    }
    c->leaving = more;
}

/* Another vCPU's request, at the key, makes the line S or I here: the loss is seen later. */
static void lose(const struct machine *m, struct vcpu *c, struct way *w, enum state state)
{
    const u64 seen = m->key + m->p.snoop_cycles;
    if (w->state >= STATE_E) {
        w->right = true;
        w->right_until = seen;
    }
    if (state == STATE_I) {
        w->until = seen;
    }
    w->state = state;
    c->leaving = true;
}

static enum state state_of(const struct vcpu *c, u64 line)
{
    const struct way *w = find(&c->l2, line);
    return w == NULL ? STATE_I : w->state;
}

/* In state M or E as the others see it, and so do locked operations and updates. */
bool memory_owned(const struct vcpu *c, u64 line)
{
    return state_of(c, line) >= STATE_E;
}

/* In state M or E as this vCPU's stores and drains see it. */
bool memory_seen_owned(const struct vcpu *c, u64 line)
{
    const struct way *w = find(&c->l2, line);
    return w != NULL && (w->state >= STATE_E || w->right);
}

bool memory_in_l1d(const struct vcpu *c, u64 line)
{
    return find(&c->l1d, line) != NULL;
}

/* A store to a line that L2 has touches L1D, or L2 and fills L1D; whether it was in L1D. The state stays. */
bool memory_touch_owned(struct machine *m, struct vcpu *c, u64 line)
{
    struct way *w = find(&c->l2, line), *near = find(&c->l1d, line);
    if (w == NULL) {
        m->broken = "a line that was owned is gone";
        return true;
    }
    if (near != NULL) {
        touch(&c->l1d, near);
        return true;
    }
    touch(&c->l2, w);
    fill_l1(&c->l1d, line);
    return false;
}

/* What is written to the line is memory now: E becomes M, but not of a line that another vCPU has read or taken. */
void memory_written(struct vcpu *c, u64 line)
{
    struct way *w = find(&c->l2, line);
    if (w != NULL && w->state == STATE_E) {
        w->state = STATE_M;
    }
}

/* ---- transactions (7) ---- */

static u64 read_transaction(struct machine *m, struct vcpu *c, u64 line, u64 start)
{
    const struct params *p = &m->p;
    struct way *l3;
    if (memory_reserved(m, line)) {
        return UINT64_MAX; /* (7.2) cache_to_cache_cycles, and nothing changes */
    }
    bool shared = false;
    for (unsigned i = 0; i < m->cpus; i++) {
        struct way *w = i == c->number ? NULL : find(&m->cpu[i].l2, line);
        if (w == NULL || w->state == STATE_I) {
            continue;
        }
        if (w->state >= STATE_E) {
            if (w->state == STATE_M) {
                fill_l3(m, line, true);
            }
            lose(m, &m->cpu[i], w, STATE_S);
            fill_l2(m, c, line, STATE_S);
            return p->cache_to_cache_cycles;
        }
        shared = true;
    }
    u64 latency = p->l3_cycles;
    l3 = find(&m->l3, line);
    if (l3 != NULL) {
        touch(&m->l3, l3);
    } else {
        latency += dram(m, line, start + p->l3_cycles);
    }
    fill_l2(m, c, line, shared ? STATE_S : STATE_E);
    return latency;
}

u64 memory_read(struct machine *m, struct vcpu *c, u64 line, enum side side, u64 start)
{
    struct cache *l1 = side == SIDE_DATA ? &c->l1d : &c->l1i;
    struct way *w = find(l1, line);
    if (w != NULL) {
        touch(l1, w);
        return side == SIDE_DATA ? m->p.l1_load_cycles : 0;
    }
    w = find(&c->l2, line);
    u64 latency = m->p.l2_cycles;
    if (w != NULL) {
        touch(&c->l2, w);
    } else {
        latency = read_transaction(m, c, line, start);
        if (latency == UINT64_MAX) {
            return m->p.cache_to_cache_cycles;
        }
    }
    fill_l1(l1, line);
    return latency;
}

u64 memory_own(struct machine *m, struct vcpu *c, u64 line, u64 start, bool *others)
{
    const struct params *p = &m->p;
    const bool mine = state_of(c, line) == STATE_S;
    bool owned = false;
    u64 latency = p->l3_cycles;
    *others = false;
    for (unsigned i = 0; i < m->cpus; i++) {
        struct way *w = i == c->number ? NULL : find(&m->cpu[i].l2, line);
        if (w != NULL && w->state != STATE_I) {
            *others = true;
            owned |= w->state >= STATE_E;
            lose(m, &m->cpu[i], w, STATE_I);
        }
    }
    if (!owned && !mine) {
        const struct way *l3 = find(&m->l3, line);
        if (l3 != NULL) {
            touch(&m->l3, l3);
        } else {
            latency += dram(m, line, start + p->l3_cycles);
        }
    }
    if (*others) {
        latency = owned || mine ? p->cache_to_cache_cycles : max(p->cache_to_cache_cycles, latency);
    }
    drop(&m->l3, line);
    fill_l2(m, c, line, STATE_M);
    fill_l1(&c->l1d, line);
    return latency;
}

/* ---- reservations (7.2) ---- */

bool memory_reserved(const struct machine *m, u64 line)
{
    const u64 *time = map_find(&m->reserved, line);
    return time != NULL && *time >= m->key;
}

/* The turn at a line or at two lines at once, at the key: 0 when it has come, else when it will. It counts for the first. */
static u64 ask_turn(struct machine *m, struct vcpu *c, const u64 *lines, unsigned count)
{
    u64 G = m->key;
    if (c->has_turn && c->turn_line == lines[0] && m->key >= c->turn_time) {
        c->has_turn = false;
        return 0;
    }
    for (unsigned i = 0; i < count; i++) {
        const u64 *time = map_find(&m->reserved, lines[i]);
        G = time != NULL && *time >= m->key ? max(G, *time + 1) : G;
    }
    for (unsigned i = 0; i < count; i++) {
        bool found = false;
        *map_at(&m->reserved, lines[i], &found) = G + m->p.cache_to_cache_cycles;
    }
    if (G == m->key) { /* a request that is served at once leaves another line's turn */
        return 0;
    }
    c->has_turn = true;
    c->turn_line = lines[0];
    c->turn_time = G;
    return G;
}

/*
 * A locked operation, an update or a drain asks, at the key, for a line or two that are not both owned. Until when it has
 * to wait: for its turn, or for the lines.
 */
u64 memory_ask(struct machine *m, struct vcpu *c, u64 first, u64 last)
{
    const u64 lines[2] = {first, last};
    const unsigned count = first == last ? 1 : 2;
    const u64 turn = ask_turn(m, c, lines, count);
    u64 done = m->key;
    bool missing[2], others = false;
    if (turn != 0) {
        return turn;
    }
    for (unsigned i = 0; i < count; i++) {
        missing[i] = !memory_owned(c, lines[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        done = missing[i] ? max(done, m->key + memory_own(m, c, lines[i], m->key, &others)) : done;
    }
    for (unsigned i = 0; i < count; i++) {
        bool found = false;
        u64 *time = map_at(&m->reserved, lines[i], &found);
        *time = max(*time, done);
    }
    return done;
}
