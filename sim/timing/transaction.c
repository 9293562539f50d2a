/*
 * Requests that leave a vCPU's caches: the others' caches, L3, memory. Source: docs/timing.md, section 7.
 * Deviations: section 13 there.
 */

#include "timing/internal.h"

#include "base/alloc.h"

#include <string.h>

/* ---- memory ---- */

/* The command time of a request that reaches bank b for a row at time t. */
static uint64_t bank_command(struct timing_bank *b, const uint32_t *v, uint64_t row, uint64_t t)
{
    uint64_t burst = v[TIMING_dram_burst_cycles], q;
    if (b->before == row && later_of(t, b->before_last + burst) + burst <= b->before_until) {
        b->before_last = later_of(t, b->before_last + burst);
        return b->before_last;
    }
    if (b->row == row) {
        q = later_of(t, b->ready);
    } else if (b->row != 0) {
        uint64_t closed = later_of(t, b->ready);
        b->before = b->row;
        b->before_until = closed;
        b->before_last = b->ready - burst;
        q = closed + v[TIMING_dram_precharge_cycles] + v[TIMING_dram_activate_cycles];
    } else {
        q = later_of(t, b->ready) + v[TIMING_dram_activate_cycles];
    }
    b->row = row;
    b->ready = q + burst;
    return q;
}

/* Latency of a request that reaches the controller at t. */
static uint64_t memory_access(struct timing *s, uint64_t line, uint64_t t)
{
    const uint32_t *v = s->params.value;
    uint64_t channel = line & (v[TIMING_dram_channels] - 1);
    uint64_t rest = line / v[TIMING_dram_channels] / v[TIMING_dram_row_lines];
    uint64_t bank = rest & (v[TIMING_dram_banks] - 1);
    uint64_t row = rest / v[TIMING_dram_banks] + 1;
    uint64_t q = bank_command(&s->banks[channel * v[TIMING_dram_banks] + bank], v, row, t);
    uint64_t data = later_of(q + v[TIMING_dram_cas_cycles], s->bus_free[channel]);
    s->bus_free[channel] = data + v[TIMING_dram_burst_cycles];
    return s->bus_free[channel] - t + v[TIMING_dram_fabric_cycles];
}

/* ---- L3 ---- */

static void write_back(struct timing_core *c, uint64_t line, uint64_t key)
{
    timing_count(c, TIMING_COUNT_MEMORY_WRITES);
    memory_access(c->shared, line, key);
}

/* A line comes to L3 from an L2. */
static void l3_take(struct timing_core *c, uint64_t line, bool dirty, uint64_t key)
{
    struct cache *l3 = &c->shared->l3;
    struct cache_victim victim;
    int64_t index = cache_touch(l3, line);
    if (index >= 0) {
        l3->states[index] = dirty ? CACHE_MODIFIED : l3->states[index];
        return;
    }
    cache_fill(l3, line, dirty ? CACHE_MODIFIED : CACHE_SHARED, &victim);
    if (victim.valid && victim.state == CACHE_MODIFIED) {
        write_back(c, victim.line, key);
    }
}

/* Latency of a line that no other vCPU has to give. */
static uint64_t from_below(struct timing_core *c, uint64_t line, uint64_t start)
{
    uint64_t l3_cycles = timing_value(c, TIMING_l3_cycles);
    if (cache_touch(&c->shared->l3, line) >= 0) {
        timing_count(c, TIMING_COUNT_L3_HITS);
        return l3_cycles;
    }
    timing_count(c, TIMING_COUNT_MEMORY_READS);
    return l3_cycles + memory_access(c->shared, line, start + l3_cycles);
}

/* ---- own caches ---- */

void timing_fill_l1(struct timing_core *c, uint64_t line, bool instruction)
{
    struct cache_victim victim;
    cache_fill(instruction ? &c->l1i : &c->l1d, line, CACHE_SHARED, &victim);
}

/* Puts a line into L2 and one L1. */
static void take_line(struct timing_core *c, uint64_t line, bool instruction, enum cache_state state,
                      uint64_t key)
{
    struct cache_victim victim;
    cache_fill(&c->l2, line, state, &victim);
    if (victim.valid) {
        cache_remove(&c->l1d, victim.line);
        cache_remove(&c->l1i, victim.line);
        timing_forget_owned(c, victim.line);
        if (cache_state(victim.state) != CACHE_LEAVING) {
            l3_take(c, victim.line, victim.state == CACHE_MODIFIED, key);
        }
    }
    timing_fill_l1(c, line, instruction);
}

/* ---- others' caches ---- */

/* The copy of line that vCPU n may write or share, or -1. */
static int64_t held_by(const struct timing *s, unsigned n, uint64_t line)
{
    const struct cache *l2 = &s->cores[n].l2;
    int64_t index = cache_find(l2, line);
    return index >= 0 && cache_state(l2->states[index]) != CACHE_LEAVING ? index : -1;
}

static void add_landing(struct timing_core *c, uint64_t line, uint64_t at_cycles)
{
    if (c->landing_count == c->landing_capacity) {
        uint32_t wider = c->landing_capacity * 2;
        struct timing_landing *ring = alloc_zeroed(wider, sizeof *ring);
        for (uint32_t i = 0; i < c->landing_count; i++) {
            ring[i] = c->landings[(c->landing_head + i) % c->landing_capacity];
        }
        free(c->landings);
        c->landings = ring;
        c->landing_head = 0;
        c->landing_capacity = wider;
    }
    c->landings[(c->landing_head + c->landing_count++) % c->landing_capacity] =
        (struct timing_landing){at_cycles, line};
}

/* vCPU n loses something of its copy at index, which becomes `state`: at once for whoever asks, later for itself. */
static void lower(struct timing *s, unsigned n, int64_t index, uint64_t line, enum cache_state state,
                  uint64_t key)
{
    struct timing_core *other = &s->cores[n];
    uint64_t at_cycles = key + s->params.value[TIMING_snoop_cycles];
    uint8_t before = other->l2.states[index], seen = before & CACHE_SEEN_OWNED;
    if (cache_state_owned(before)) {
        seen = CACHE_SEEN_OWNED;
        other->l2_lowering[index] = at_cycles;
    }
    if (state == CACHE_LEAVING) {
        other->l2_landing[index] = at_cycles;
    }
    other->l2.states[index] = (uint8_t)(state | seen);
    timing_forget_owned(other, line);
    add_landing(other, line, at_cycles);
}

static void take_from(struct timing *s, unsigned n, int64_t index, uint64_t line, uint64_t key)
{
    lower(s, n, index, line, CACHE_LEAVING, key);
    timing_count(&s->cores[n], TIMING_COUNT_INVALIDATIONS);
}

/* A time has come at which something of the copy at index may be lost. */
static void land(struct timing_core *c, int64_t index, const struct timing_landing *l)
{
    uint8_t *state = &c->l2.states[index];
    if ((*state & CACHE_SEEN_OWNED) && c->l2_lowering[index] == l->at_cycles) {
        *state = (uint8_t)cache_state(*state);
    }
    if (cache_state(*state) == CACHE_LEAVING && c->l2_landing[index] == l->at_cycles) {
        cache_remove(&c->l2, l->line);
        cache_remove(&c->l1d, l->line);
        cache_remove(&c->l1i, l->line);
    }
}

uint64_t timing_land(struct timing_core *c, uint64_t now)
{
    while (c->landing_count != 0) {
        struct timing_landing *l = &c->landings[c->landing_head];
        if (l->at_cycles > now) {
            return l->at_cycles;
        }
        int64_t index = cache_find(&c->l2, l->line);
        if (index >= 0) {
            land(c, index, l);
        }
        c->landing_head = (c->landing_head + 1) % c->landing_capacity;
        c->landing_count--;
    }
    return UINT64_MAX;
}

/* ---- reservations ---- */

static unsigned reservation_slot(uint64_t line)
{
    return (unsigned)((line * UINT64_C(0x9e3779b97f4a7c15)) >> 40) % TIMING_RESERVATIONS;
}

/* 0: never. */
static uint64_t reserved_until(const struct timing *t, uint64_t line)
{
    unsigned at = reservation_slot(line);
    for (unsigned i = 0; i < TIMING_RESERVATIONS; i++) {
        const struct timing_reservation *r = &t->reservations[(at + i) % TIMING_RESERVATIONS];
        if (r->line == line + 1) {
            return r->until;
        }
        if (r->line == 0) {
            break;
        }
    }
    return 0;
}

bool timing_is_reserved(const struct timing *t, uint64_t line, uint64_t key)
{
    if (t->reserved_until < key) {
        return false; /* mostly; those that are over are still in the table, which may be full of them */
    }
    uint64_t until = reserved_until(t, line);
    return until != 0 && until >= key;
}

/* Sets a reservation; one that is over gives its place. */
static void set_reserved(struct timing *t, uint64_t line, uint64_t until, uint64_t key)
{
    struct timing_reservation *place = NULL;
    unsigned at = reservation_slot(line);
    for (unsigned i = 0; i < TIMING_RESERVATIONS; i++) {
        struct timing_reservation *r = &t->reservations[(at + i) % TIMING_RESERVATIONS];
        if (r->line == line + 1) {
            place = r;
            break;
        }
        if (place == NULL && (r->line == 0 || r->until < key)) { /* nobody looks at one that is over */
            place = r;
        }
        if (r->line == 0) {
            break;
        }
    }
    CHECK(place != NULL, "more than %u lines are waited for", TIMING_RESERVATIONS);
    *place = (struct timing_reservation){line + 1, until};
    t->reserved_until = until > t->reserved_until ? until : t->reserved_until;
}

/* ---- requests ---- */

uint64_t timing_read_line(struct timing_core *c, uint64_t line, bool instruction, uint64_t key,
                          uint64_t start)
{
    struct timing *s = c->shared;
    if (timing_is_reserved(s, line, key)) {
        timing_count(c, TIMING_COUNT_TRANSFERS);
        return timing_value(c, TIMING_cache_to_cache_cycles);
    }
    bool shared = false, given = false;
    for (unsigned n = 0; n < s->cpus; n++) {
        int64_t index = n == c->number ? -1 : held_by(s, n, line);
        if (index < 0) {
            continue;
        }
        uint8_t state = s->cores[n].l2.states[index];
        shared = true;
        if (state == CACHE_MODIFIED) {
            l3_take(c, line, true, key);
        }
        if (cache_state_owned(state)) {
            given = true;
            lower(s, n, index, line, CACHE_SHARED, key);
        }
    }
    uint64_t latency;
    if (given) {
        timing_count(c, TIMING_COUNT_TRANSFERS);
        latency = timing_value(c, TIMING_cache_to_cache_cycles);
    } else {
        latency = from_below(c, line, start);
    }
    take_line(c, line, instruction, shared ? CACHE_SHARED : CACHE_EXCLUSIVE, key);
    timing_note_transaction(c, line, key, !shared);
    return latency;
}

uint64_t timing_own_line(struct timing_core *c, uint64_t line, uint64_t key, uint64_t start, bool *taken)
{
    struct timing *s = c->shared;
    bool given = false;
    *taken = false;
    for (unsigned n = 0; n < s->cpus; n++) {
        int64_t index = n == c->number ? -1 : held_by(s, n, line);
        if (index >= 0) {
            given |= cache_state_owned(s->cores[n].l2.states[index]);
            take_from(s, n, index, line, key);
            *taken = true;
        }
    }
    int64_t own = cache_find(&c->l2, line);
    bool copy = own >= 0 && cache_state(c->l2.states[own]) == CACHE_SHARED;
    uint64_t away = *taken ? timing_value(c, TIMING_cache_to_cache_cycles) : 0, latency;
    if (copy) {
        timing_count(c, TIMING_COUNT_UPGRADES);
        latency = *taken ? away : timing_value(c, TIMING_l3_cycles);
    } else if (given) {
        timing_count(c, TIMING_COUNT_TRANSFERS);
        latency = away;
    } else {
        latency = later_of(away, from_below(c, line, start));
    }
    cache_remove(&s->l3, line);
    if (own >= 0) {
        c->l2.states[own] = CACHE_MODIFIED;
        cache_use(&c->l2, own);
        if (cache_touch(&c->l1d, line) < 0) {
            timing_fill_l1(c, line, false);
        }
    } else {
        take_line(c, line, false, CACHE_MODIFIED, key);
    }
    timing_note_transaction(c, line, key, !*taken);
    return latency;
}

/* The vCPU has the right to ask for the lines now, of which the second may be the first: nobody waits for them, or this
 * request's turn has come. Otherwise it gets a turn, whose time is returned. */
static uint64_t turn_of(struct timing_core *c, const uint64_t lines[2], uint64_t key)
{
    struct timing *s = c->shared;
    if (c->turn_line == lines[0] + 1 && key >= c->turn_at) {
        c->turn_line = 0;
        return key;
    }
    bool waits = timing_is_reserved(s, lines[0], key) || timing_is_reserved(s, lines[1], key);
    uint64_t last = later_of(reserved_until(s, lines[0]), reserved_until(s, lines[1]));
    uint64_t granted = waits ? last + 1 : key;
    set_reserved(s, lines[0], granted + timing_value(c, TIMING_cache_to_cache_cycles), key);
    set_reserved(s, lines[1], granted + timing_value(c, TIMING_cache_to_cache_cycles), key);
    if (granted > key) {
        c->turn_line = lines[0] + 1;
        c->turn_at = granted;
    }
    return granted;
}

bool timing_owns(const struct timing_core *c, uint64_t line)
{
    if (timing_is_owned(c, line)) {
        return true;
    }
    int64_t index = cache_find(&c->l2, line);
    return index >= 0 && cache_state_owned(c->l2.states[index]);
}

uint64_t timing_reserve_lines(struct timing_core *c, const uint64_t lines[2], uint64_t key)
{
    uint64_t granted = turn_of(c, lines, key), there = key;
    if (granted > key) {
        return granted;
    }
    bool taken, asks[2] = {!timing_owns(c, lines[0]), !timing_owns(c, lines[1]) && lines[0] != lines[1]};
    for (unsigned i = 0; i < 2; i++) {
        if (asks[i]) {
            there = later_of(there, key + timing_own_line(c, lines[i], key, key, &taken));
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        if (reserved_until(c->shared, lines[i]) < there) {
            set_reserved(c->shared, lines[i], there, key);
        }
    }
    return there;
}
