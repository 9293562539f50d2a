/* Sets, ways and the tree. Source: docs/timing.md, 5.2. */

#include "timing/cache.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

/* The bits of a tree on the way to `way`: those that have to be clear to point away from it, and those that have to be set. */
static void make_away(struct cache *c, uint32_t way)
{
    uint32_t node = 1;
    for (uint32_t half = c->ways / 2; half > 0; half /= 2) {
        bool upper = (way & half) != 0;
        uint16_t *bits = upper ? &c->away_clear[way] : &c->away_set[way];
        *bits = (uint16_t)(*bits | 1u << (node - 1));
        node = 2 * node + upper;
    }
}

void cache_init(struct cache *c, uint32_t sets, uint32_t ways)
{
    size_t lines = (size_t)sets * ways;
    *c = (struct cache){.sets = sets, .ways = ways};
    for (uint32_t way = 0; way < ways; way++) {
        make_away(c, way);
    }
    while (UINT32_C(1) << c->way_bits < ways) {
        c->way_bits++;
    }
    c->lines = alloc_zeroed(lines, sizeof *c->lines);
    c->states = alloc_zeroed(lines, sizeof *c->states);
    c->trees = alloc_zeroed(sets, sizeof *c->trees);
    c->recent = alloc_zeroed(sets, sizeof *c->recent);
}

void cache_deinit(struct cache *c)
{
    free(c->lines);
    free(c->states);
    free(c->trees);
    free(c->recent);
}

void cache_use(struct cache *c, int64_t index)
{
    uint32_t set = (uint32_t)index >> c->way_bits, way = (uint32_t)index & (c->ways - 1);
    c->trees[set] = (uint16_t)((c->trees[set] & ~c->away_clear[way]) | c->away_set[way]);
    c->recent[set] = c->lines[index];
}

static uint32_t victim_way(const struct cache *c, uint32_t set)
{
    uint32_t empty = cache_ways_with(c, set * c->ways, 0);
    if (empty != 0) {
        return (uint32_t)__builtin_ctz(empty);
    }
    uint32_t node = 1, way = 0;
    for (uint32_t half = c->ways / 2; half > 0; half /= 2) {
        bool upper = c->trees[set] >> (node - 1) & 1;
        way |= upper ? half : 0;
        node = 2 * node + upper;
    }
    return way;
}

int64_t cache_fill(struct cache *c, uint64_t line, enum cache_state state, struct cache_victim *victim)
{
    uint32_t set = cache_set(c, line);
    int64_t index = (int64_t)set * c->ways + victim_way(c, set);
    *victim = (struct cache_victim){c->lines[index] != 0, c->states[index], (uint64_t)c->lines[index] - 1};
    c->lines[index] = (uint32_t)line + 1;
    c->states[index] = (uint8_t)state;
    cache_use(c, index);
    return index;
}

void cache_remove(struct cache *c, uint64_t line)
{
    int64_t index = cache_find(c, line);
    if (index >= 0) {
        c->lines[index] = 0;
        c->states[index] = CACHE_INVALID;
        if (cache_is_recent(c, line)) {
            c->recent[cache_set(c, line)] = 0;
        }
    }
}

/* `recent` follows from nothing else but changes nothing either: it is not visited, and forgotten by a load. */
void cache_visit(struct cache *c, struct visitor *v, const char *name)
{
    size_t lines = (size_t)c->sets * c->ways;
    visit_enter(v, name, 0);
    visit_array(v, "lines", c->lines, 4, lines);
    visit_array(v, "states", c->states, 1, lines);
    visit_array(v, "trees", c->trees, 2, c->sets);
    visit_leave(v);
    if (v->loading) {
        memset(c->recent, 0, c->sets * sizeof *c->recent);
    }
}
