#ifndef ORRERY_TIMING_CACHE_H
#define ORRERY_TIMING_CACHE_H

/*
 * A set-associative cache of lines with tree pseudo-LRU replacement (docs/timing.md, 5.2). It knows tags and a state a
 * line, no contents.
 */

#include "base/visit.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define CACHE_WAYS_MAX 16u

/* States of a line; a cache that needs no more uses CACHE_SHARED for "there". */
enum cache_state {
    CACHE_INVALID,
    CACHE_SHARED,
    CACHE_EXCLUSIVE,
    CACHE_MODIFIED,
    CACHE_LEAVING /* taken away by another vCPU, still there for own loads until the invalidation lands */
};

/* Beside a state that others have lowered: what is loaded, stored and drained here still finds the line in M or E. */
#define CACHE_SEEN_OWNED 0x10u

static inline enum cache_state cache_state(uint8_t state)
{
    return (enum cache_state)(state & ~CACHE_SEEN_OWNED);
}

static inline bool cache_state_owned(uint8_t state)
{
    return state == CACHE_MODIFIED || state == CACHE_EXCLUSIVE;
}

static inline bool cache_seen_owned(uint8_t state)
{
    return cache_state_owned(state) || (state & CACHE_SEEN_OWNED);
}

struct cache {
    uint32_t sets, ways, way_bits;                                 /* ways = 1 << way_bits */
    uint16_t away_clear[CACHE_WAYS_MAX], away_set[CACHE_WAYS_MAX]; /* of a tree, to point away from a way */
    uint32_t *lines;  /* line number + 1 by set and way; 0: invalid. RAM ends below 2^38 */
    uint8_t *states;  /* enum cache_state, maybe with CACHE_SEEN_OWNED */
    uint16_t *trees;  /* one a set: bit n - 1 is node n of the tree, set: the victim is in the upper half */
    uint32_t *recent; /* one a set: what `lines` has for the way used last */
};

void cache_init(struct cache *c, uint32_t sets, uint32_t ways);
void cache_deinit(struct cache *c);

static inline uint32_t cache_set(const struct cache *c, uint64_t line)
{
    return (uint32_t)line & (c->sets - 1);
}

typedef uint32_t cache_vector __attribute__((vector_size(16)));

/* The ways of the set that begins at `first` with this entry, as bits. */
static inline uint32_t cache_ways_with(const struct cache *c, uint32_t first, uint32_t entry)
{
    uint32_t found = 0;
    if (c->ways < 4) {
        for (uint32_t way = 0; way < c->ways; way++) {
            found |= (uint32_t)(c->lines[first + way] == entry) << way;
        }
        return found;
    }
    const cache_vector wanted = {entry, entry, entry, entry};
    cache_vector all = {0}, bits = {1, 2, 4, 8};
    for (uint32_t way = 0; way < c->ways; way += 4) {
        cache_vector four;
        memcpy(&four, &c->lines[first + way], sizeof four);
        all |= (cache_vector)(four == wanted) & bits;
        bits <<= 4;
    }
    return all[0] | all[1] | all[2] | all[3];
}

/* Where line is: an index into lines and states, or -1. Nothing changes. */
static inline int64_t cache_find(const struct cache *c, uint64_t line)
{
    uint32_t first = cache_set(c, line) * c->ways, found = cache_ways_with(c, first, (uint32_t)line + 1);
    return found != 0 ? (int64_t)first + __builtin_ctz(found) : -1;
}

/* Is line the one of its set that was used last? Then a use changes nothing. */
static inline bool cache_is_recent(const struct cache *c, uint64_t line)
{
    return c->recent[cache_set(c, line)] == (uint32_t)line + 1;
}

/* Line `index` has been used. */
void cache_use(struct cache *c, int64_t index);

/* Looks for a line and uses it; -1: it is not there. */
static inline int64_t cache_touch(struct cache *c, uint64_t line)
{
    int64_t index = cache_find(c, line);
    if (index >= 0) {
        cache_use(c, index);
    }
    return index;
}

/* What a fill pushed out. */
struct cache_victim {
    bool valid;
    uint8_t state;
    uint64_t line;
};

/* Puts a line in that is not there, and uses it; returns its index. */
int64_t cache_fill(struct cache *c, uint64_t line, enum cache_state state, struct cache_victim *victim);

void cache_remove(struct cache *c, uint64_t line);

void cache_visit(struct cache *c, struct visitor *v, const char *name);

#endif
