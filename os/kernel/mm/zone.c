/*
 * A zone of a node: free count, marks, counters, and the choice of engine by request size (below 512 frames
 * the bitmap engine, from 512 on the buddy). Marks: min 1/256 of the zone, low 2x, high 3x; the DMA zone
 * keeps a quarter of itself for DMA requests (its low mark). Deviations: none.
 */

#include "lib/bitmap.h"
#include "lib/string.h"
#include "mm/frame_internal.h"

const struct frame_zone_layout frame_zone_layout_x86_64 = {
#define FRAME_ZONE(id, name, bytes) .limit[FRAME_ZONE_##id] = (bytes),
#include "mm/zones.def"
#undef FRAME_ZONE
};

void zone_init(struct frame_zone *zone, unsigned node, enum frame_zone_id id)
{
    memset(zone, 0, sizeof *zone);
    spinlock_init(&zone->lock, "mm.frame.zone", LOCK_CLASS_FRAME_ZONE);
    for (unsigned order = 0; order < BUDDY_ORDERS; order++) {
        zone->buddy_heads[order] = BLOCK_NONE;
    }
    zone->partial_head = BLOCK_NONE;
    zone->id = (uint8_t)id;
    zone->node = (uint8_t)node;
}

void zone_set_marks(struct frame_zone *zone)
{
    uint64_t unit = zone->managed_frames / 256;
    zone->min_mark = unit;
    zone->low_mark = 2 * unit;
    zone->high_mark = 3 * unit;
    if (zone->id == FRAME_ZONE_DMA) {
        zone->low_mark = zone->managed_frames / 4;
        zone->high_mark = zone->low_mark + unit;
    }
}

/* Told outside the lock: true when the balancer should be woken now. */
static bool crossed_low(struct frame_zone *zone)
{
    if (zone->free_frames >= zone->low_mark || zone->balance_wanted) {
        return false;
    }
    zone->balance_wanted = true;
    return true;
}

static void wake_balancer(bool wanted)
{
    if (wanted && frame_manager.wake_balancer) {
        frame_manager.wake_balancer();
    }
}

/* n >= 512: a group from the buddy; what it holds beyond n goes back at once. Locked. */
static bool take_large(struct frame_zone *zone, uint64_t n, pfn_t *pfn)
{
    uint32_t blocks = (uint32_t)((n + FRAMES_PER_BLOCK - 1) / FRAMES_PER_BLOCK);
    unsigned order = 0;
    while (1u << order < blocks) {
        order++;
    }
    uint32_t first;
    if (order >= BUDDY_ORDERS || !buddy_take(zone, order, &first)) {
        return false;
    }
    unsigned tail = (unsigned)(blocks * FRAMES_PER_BLOCK - n);
    if (tail > 0) {
        struct frame_block *last = &block_table[first + blocks - 1];
        bitmap_set_range(last->free_map, FRAMES_PER_BLOCK - tail, tail);
        last->free_count = (uint16_t)tail;
        zone->counters.blocks_to_bitmap++;
        bitmap_engine_adopt(zone, first + blocks - 1);
    }
    for (uint32_t i = blocks; i < 1u << order; i++) {
        block_table[first + i].free_count = FRAMES_PER_BLOCK;
        buddy_insert(zone, first + i, 0);
    }
    *pfn = (pfn_t)first << FRAME_BLOCK_SHIFT;
    return true;
}

bool zone_take(struct frame_zone *zone, uint64_t n, uint64_t align, uint64_t floor, pfn_t *pfn)
{
    bool small = n < FRAMES_PER_BLOCK;
    uint64_t flags = spin_lock_irqsave(&zone->lock);
    bool done =
        zone->free_frames >= n && zone->free_frames - n >= floor &&
        (small ? bitmap_engine_take(zone, (unsigned)n, (unsigned)align, pfn) : take_large(zone, n, pfn));
    bool wake = false;
    if (done) {
        zone->free_frames -= n;
        zone->counters.allocated += n;
        zone->counters.bitmap_allocs += small ? 1 : 0;
        zone->counters.buddy_allocs += small ? 0 : 1;
        wake = crossed_low(zone);
    } else {
        zone->counters.failed++;
    }
    spin_unlock_irqrestore(&zone->lock, flags);
    wake_balancer(wake);
    return done;
}

unsigned zone_take_batch(struct frame_zone *zone, unsigned n, uint64_t floor, uint32_t *out)
{
    uint64_t flags = spin_lock_irqsave(&zone->lock);
    uint64_t room = zone->free_frames > floor ? zone->free_frames - floor : 0;
    unsigned got = bitmap_engine_take_batch(zone, n < room ? n : (unsigned)room, out);
    zone->free_frames -= got;
    bool wake = crossed_low(zone);
    spin_unlock_irqrestore(&zone->lock, flags);
    wake_balancer(wake);
    return got;
}

void zone_give(pfn_t pfn, uint64_t n, bool counted)
{
    while (n > 0) {
        uint64_t room = FRAMES_PER_BLOCK - pfn % FRAMES_PER_BLOCK;
        unsigned step = (unsigned)(n < room ? n : room);
        struct frame_zone *zone = block_zone(&block_table[pfn >> FRAME_BLOCK_SHIFT]);
        uint64_t flags = spin_lock_irqsave(&zone->lock);
        bitmap_engine_give(zone, pfn, step);
        zone->free_frames += step;
        zone->counters.freed += counted ? step : 0;
        spin_unlock_irqrestore(&zone->lock, flags);
        pfn += step;
        n -= step;
    }
}

void zone_give_batch(struct frame_zone *zone, const uint32_t *frames, unsigned n)
{
    uint64_t flags = spin_lock_irqsave(&zone->lock);
    for (unsigned i = 0; i < n; i++) {
        bitmap_engine_give(zone, frames[i], 1);
    }
    zone->free_frames += n;
    spin_unlock_irqrestore(&zone->lock, flags);
}
