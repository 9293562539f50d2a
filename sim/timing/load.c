/*
 * Translation, forwarding and own caches: what an access costs its vCPU. Source: docs/timing.md, sections 5 and 6.
 */

#include "timing/internal.h"

/* ---- translation ---- */

static bool tlb_has(const struct timing_tlb *tlb, const struct timing_access *access)
{
    const struct timing_overlay *o = &tlb->overlay[access->slot];
    return o->number == access->number && tlb->sequence - o->sequence <= tlb->entries;
}

void timing_pass_by(struct timing_core *c, const struct timing_access *access)
{
    if (access->number != 0 && !tlb_has(&c->dtlb, access)) {
        c->fallen[c->fallen_count++] = (struct timing_fallen){access->number, access->slot};
    }
}

/* Is the entry in the first-level TLB? Enters it if not. */
static bool tlb_knows(struct timing_core *c, struct timing_tlb *tlb, const struct timing_access *access)
{
    struct timing_overlay *o = &tlb->overlay[access->slot];
    if (tlb_has(tlb, access)) {
        return true;
    }
    uint32_t place = tlb->sequence % tlb->entries;
    if (tlb == &c->dtlb && tlb->numbers[place] != 0) {
        c->fallen[c->fallen_count++] = (struct timing_fallen){tlb->numbers[place], tlb->slots[place]};
    }
    tlb->slots[place] = access->slot;
    tlb->numbers[place] = access->number;
    *o = (struct timing_overlay){access->number, tlb->sequence++};
    return false;
}

static uint64_t line_owned(struct timing_core *c, uint64_t line, uint64_t address, uint64_t key);

/* A walk has changed an entry: a store to a line that is this vCPU's alone, but in a delivery, which does not ask for it. */
static void note_update(struct timing_core *c, uint64_t line, uint64_t key)
{
    if (timing_owns(c, line)) {
        line_owned(c, line, 0, key);
        timing_write_line(c, line);
    }
}

uint64_t timing_translate(struct timing_core *c, struct timing_tlb *tlb, const struct timing_access *walk,
                          unsigned walk_count, const struct timing_access *access, uint64_t key,
                          uint64_t start)
{
    if (access->number == 0 || (tlb_knows(c, tlb, access) && walk_count == 0)) {
        return 0;
    }
    timing_count(c, tlb == &c->dtlb ? TIMING_COUNT_DTLB_MISSES : TIMING_COUNT_ITLB_MISSES);
    uint64_t now = start + timing_value(c, TIMING_tlb_l2_cycles), began = now;
    for (unsigned i = 0; i < walk_count; i++) {
        if (walk[i].kind == TIMING_UPDATE) {
            note_update(c, timing_line(walk[i].at), key);
            now += timing_value(c, TIMING_ad_update_cycles);
        } else {
            timing_count(c, TIMING_COUNT_LOADS);
            now += timing_line_latency(c, timing_line(walk[i].at), false, key, now);
        }
    }
    if (walk_count != 0) {
        now += timing_value(c, TIMING_walk_cycles);
        timing_count(c, TIMING_COUNT_WALKS);
        c->counters[TIMING_COUNT_WALK_CYCLES] += now - began;
    }
    return now - start;
}

/* ---- caches ---- */

bool timing_fetch_hits(struct timing_core *c, uint64_t line)
{
    return cache_touch(&c->l1i, line) >= 0;
}

bool timing_fetch_hits_two(struct timing_core *c, uint64_t line)
{
    for (uint64_t n = line; n <= line + 1; n++) {
        if (c->fetched_line != n + 1 && !timing_fetch_hits(c, n)) {
            return false;
        }
        c->fetched_line = n + 1;
    }
    return true;
}

uint64_t timing_line_latency(struct timing_core *c, uint64_t line, bool instruction, uint64_t key,
                             uint64_t start)
{
    struct cache *l1 = instruction ? &c->l1i : &c->l1d;
    uint64_t hit = instruction ? 0 : c->l1_load;
    if (cache_is_recent(l1, line) || cache_touch(l1, line) >= 0) {
        return hit;
    }
    timing_count(c, instruction ? TIMING_COUNT_L1I_MISSES : TIMING_COUNT_L1D_MISSES);
    if (cache_touch(&c->l2, line) >= 0) {
        timing_count(c, TIMING_COUNT_L2_HITS);
        timing_fill_l1(c, line, instruction);
        return timing_value(c, TIMING_l2_cycles);
    }
    return timing_read_line(c, line, instruction, key, start);
}

/* The slowest of the lines of an access of one piece or two. */
static uint64_t lines_latency(struct timing_core *c, const struct timing_access *pieces, unsigned count,
                              uint64_t key, uint64_t start)
{
    uint64_t latency = 0, before = UINT64_MAX;
    unsigned lines = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t last = timing_line(pieces[i].at + pieces[i].size_bytes - 1);
        for (uint64_t line = timing_line(pieces[i].at); line <= last; line++) {
            if (line != before) {
                latency = later_of(latency, timing_line_latency(c, line, false, key, start));
                lines++;
            }
            before = line;
        }
    }
    if (lines > 1) {
        timing_count(c, TIMING_COUNT_SPLITS);
        latency += timing_value(c, TIMING_split_cycles);
    }
    return latency;
}

/* ---- forwarding ---- */

/* The youngest store with a byte of the access that has not committed at start, or NULL. youngest: where to begin. */
static const struct timing_store *find_store(const struct timing_core *c, const struct timing_access *a,
                                             uint64_t youngest, uint64_t start)
{
    uint64_t oldest = c->stores > c->store_queue ? c->stores - c->store_queue : 0;
    for (uint64_t n = youngest; n-- > oldest;) {
        const struct timing_store *s = &c->store[n % TIMING_STORE_RING];
        if (s->commit <= start) {
            return NULL;
        }
        if (s->at < a->at + a->size_bytes && a->at < s->at + s->size_bytes) {
            return s;
        }
    }
    return NULL;
}

static uint64_t forwarded(struct timing_core *c, const struct uop *uop, const struct timing_store *s,
                          const struct timing_access *a, unsigned count, bool vector, uint64_t start)
{
    if (count > 1 || s->whole_at > a->at || a->at + a->size_bytes > s->whole_end) {
        timing_count(c, TIMING_COUNT_FORWARD_FAILS);
        return later_of(s->commit + 1, start) + c->l1_load + timing_value(c, TIMING_forward_fail_cycles);
    }
    timing_count(c, TIMING_COUNT_FORWARDS);
    uint64_t renamed = timing_value(c, TIMING_forward_renamed_cycles);
    bool same = renamed != 0 && !vector && uop->renaming != 0 && uop->renaming == s->renaming;
    return later_of(s->known, start) + (same ? renamed : timing_value(c, TIMING_forward_cycles));
}

uint64_t timing_load_value(struct timing_core *c, const struct uop *uop, const struct timing_access *pieces,
                           unsigned count, bool vector, bool forward, uint64_t key, uint64_t start)
{
    const struct timing_store *from = NULL;
    timing_count(c, TIMING_COUNT_LOADS);
    uint64_t latency = lines_latency(c, pieces, count, key, start), youngest = 0;
    for (unsigned i = 0; i < count && forward; i++) {
        uint64_t n = timing_may_forward(c, &pieces[i], start);
        const struct timing_store *s = n ? find_store(c, &pieces[i], n, start) : NULL;
        from = s != NULL && n >= youngest ? s : from;
        youngest = later_of(n, youngest);
    }
    uint64_t value = from ? forwarded(c, uop, from, pieces, count, vector, start) : start + latency;
    return value + (vector ? c->vector_load : 0);
}

/* ---- stores ---- */

/* timing_store_owned of one line; address: when its address is known. */
static uint64_t line_owned(struct timing_core *c, uint64_t line, uint64_t address, uint64_t key)
{
    if (timing_is_owned(c, line) && cache_is_recent(&c->l1d, line)) {
        return address;
    }
    int64_t index = cache_find(&c->l2, line);
    uint8_t state = index < 0 ? CACHE_INVALID : c->l2.states[index];
    if (cache_seen_owned(state)) {
        if (state == CACHE_MODIFIED) {
            timing_note_owned(c, line);
        }
        if (cache_is_recent(&c->l1d, line) || cache_touch(&c->l1d, line) >= 0) {
            return address;
        }
        timing_count(c, TIMING_COUNT_L2_HITS);
        cache_use(&c->l2, index);
        timing_fill_l1(c, line, false);
        return address + timing_value(c, TIMING_l2_cycles);
    }
    if (timing_is_reserved(c->shared, line, key) || !timing_value(c, TIMING_store_prefetch)) {
        return 0;
    }
    bool taken;
    uint64_t there = address + timing_own_line(c, line, key, address, &taken);
    return taken ? later_of(there, key + timing_value(c, TIMING_snoop_cycles)) : there;
}

uint64_t timing_store_owned(struct timing_core *c, const struct timing_access *a, uint64_t address,
                            uint64_t key)
{
    uint64_t first = timing_line(a->at), last = timing_line(a->at + a->size_bytes - 1);
    uint64_t owned = line_owned(c, first, address, key);
    if (last != first) {
        timing_count(c, TIMING_COUNT_SPLITS);
        owned = later_of(owned, line_owned(c, last, address, key));
    }
    return owned;
}

uint64_t timing_store_at_once(struct timing_core *c, const struct timing_access *a, uint64_t address,
                              uint64_t key)
{
    uint64_t owned = timing_store_owned(c, a, address, key);
    timing_write_line(c, timing_line(a->at));
    timing_write_line(c, timing_line(a->at + a->size_bytes - 1));
    return owned;
}

void timing_store_enter(struct timing_core *c, const struct uop *uop, const struct timing_access *a,
                        const struct timing_store *whole, uint64_t address, uint64_t retired, uint64_t key)
{
    uint64_t owned = timing_store_owned(c, a, address, key);
    struct timing_store store = *whole;
    store.at = a->at;
    store.size_bytes = a->size_bytes;
    store.renaming = uop->renaming;
    timing_store_put(c, &store, owned, retired);
}

bool timing_drain(struct timing_core *c, unsigned queued, uint64_t now)
{
    struct timing_store *s = &c->store[(c->stores - queued) % TIMING_STORE_RING];
    uint64_t lines[2] = {timing_line(s->at), timing_line(s->at + s->size_bytes - 1)}, there = 0;
    bool two = lines[0] != lines[1];
    if (!timing_sees_owned(c, lines[0]) || (two && !timing_sees_owned(c, lines[1]))) {
        there = timing_reserve_lines(c, lines, now);
    }
    if (there <= now) {
        timing_write_line(c, lines[0]);
        if (two) {
            timing_write_line(c, lines[1]);
        }
        return true;
    }
    timing_count(c, TIMING_COUNT_PUT_OFF);
    for (unsigned n = queued; n-- > 0;) {
        struct timing_store *younger = &c->store[(c->stores - 1 - n) % TIMING_STORE_RING];
        younger->commit = later_of(younger->commit, there);
    }
    c->store_commit = later_of(c->store_commit, there);
    return false;
}

uint64_t timing_lock(struct timing_core *c, uint64_t first_byte, uint64_t last_byte, uint64_t now)
{
    uint64_t lines[2] = {timing_line(first_byte), timing_line(last_byte)};
    return timing_owns(c, lines[0]) && timing_owns(c, lines[1]) ? 0 : timing_reserve_lines(c, lines, now);
}

uint64_t timing_update(struct timing_core *c, uint64_t at, uint64_t now)
{
    note_update(c, timing_line(at), now);
    return now + timing_value(c, TIMING_ad_update_cycles);
}
