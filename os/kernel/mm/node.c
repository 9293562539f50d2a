/*
 * Choice of node and zone for a request. Nodes come in the order of their distance from the preferred one
 * (ties: lower number); on each node Normal is used down to its min mark, and DMA only when Normal is below
 * its low mark, down to DMA's low mark. Deviations: none.
 */

#include "lib/string.h"
#include "mm/frame_internal.h"

static unsigned distance(const struct frame_numa *numa, unsigned from, unsigned to)
{
    unsigned value = numa ? numa->distance[from][to] : 0;
    return value != 0 ? value : (from == to ? 10u : 20u);
}

void node_order_init(const struct frame_numa *numa)
{
    for (unsigned from = 0; from < frame_manager.node_count; from++) {
        uint8_t *order = frame_manager.nodes[from].order;
        unsigned count = 0;
        for (unsigned node = 0; node < frame_manager.node_count; node++) {
            unsigned place = count++;
            for (; place > 0; place--) {
                bool nearer =
                    node == from || distance(numa, from, node) < distance(numa, from, order[place - 1]);
                if (order[place - 1] == from || !nearer) {
                    break;
                }
                order[place] = order[place - 1];
            }
            order[place] = (uint8_t)node;
        }
    }
}

/* Frames an ordinary request must leave in a zone. */
static uint64_t zone_floor(const struct frame_node *node, const struct frame_zone *zone, uint32_t flags)
{
    if ((flags & FRAME_CRITICAL) != 0) {
        return 0;
    }
    bool plain_in_dma = zone->id == FRAME_ZONE_DMA && (flags & FRAME_DMA) == 0;
    return plain_in_dma && node->zones[FRAME_ZONE_NORMAL].managed_frames > 0 ? zone->low_mark
                                                                             : zone->min_mark;
}

static bool take_from(struct frame_node *node, enum frame_zone_id id, uint64_t n, uint32_t flags, pfn_t *pfn)
{
    struct frame_zone *zone = &node->zones[id];
    if (zone->managed_frames == 0) {
        return false;
    }
    uint64_t align = 1;
    while ((flags & FRAME_ALIGNED) != 0 && align < n && align < FRAMES_PER_BLOCK) {
        align *= 2;
    }
    return zone_take(zone, n, align, zone_floor(node, zone, flags), pfn);
}

static bool note_served(struct frame_node *node, enum frame_zone_id id, bool fallback, bool remote)
{
    struct frame_zone_counters *counters = &node->zones[id].counters;
    if (fallback) {
        __atomic_fetch_add(&counters->fallbacks, 1, __ATOMIC_RELAXED);
    }
    if (remote) {
        __atomic_fetch_add(&counters->remote, 1, __ATOMIC_RELAXED);
    }
    return true;
}

static bool node_try(struct frame_node *node, uint64_t n, uint32_t flags, bool remote, pfn_t *pfn)
{
    if ((flags & FRAME_DMA) != 0) {
        return take_from(node, FRAME_ZONE_DMA, n, flags, pfn) &&
               note_served(node, FRAME_ZONE_DMA, false, remote);
    }
    if ((flags & FRAME_HIGH) != 0 && take_from(node, FRAME_ZONE_HIGH, n, flags, pfn)) {
        return note_served(node, FRAME_ZONE_HIGH, false, remote);
    }
    if (take_from(node, FRAME_ZONE_NORMAL, n, flags, pfn)) {
        return note_served(node, FRAME_ZONE_NORMAL, false, remote);
    }
    const struct frame_zone *normal = &node->zones[FRAME_ZONE_NORMAL];
    uint64_t left = __atomic_load_n(&normal->free_frames, __ATOMIC_RELAXED);
    bool normal_low = normal->managed_frames == 0 || left < normal->low_mark || left < n + normal->min_mark;
    return normal_low && take_from(node, FRAME_ZONE_DMA, n, flags, pfn) &&
           note_served(node, FRAME_ZONE_DMA, true, remote);
}

status_t node_take(uint64_t n, uint32_t flags, unsigned preferred, pfn_t *pfn)
{
    const uint8_t *order = frame_manager.nodes[preferred].order;
    unsigned tries = (flags & FRAME_STRICT) != 0 ? 1 : frame_manager.node_count;
    for (unsigned i = 0; i < tries; i++) {
        if (node_try(&frame_manager.nodes[order[i]], n, flags, i > 0, pfn)) {
            return STATUS_OK;
        }
    }
    return (flags & FRAME_STRICT) != 0 ? STATUS_ERR_NO_LOCAL_MEMORY : STATUS_ERR_NO_MEMORY;
}
