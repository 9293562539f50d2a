/*
 * Background balance of the zones: what a thread does when a zone fell below its low mark. Frames come from
 * the CPU caches first, then from the shrinkers of mm/pressure.c. Deviations: none.
 */

#include "mm/frame_internal.h"
#include "mm/pressure.h"

bool frame_balance_wanted(void)
{
    for (unsigned node = 0; node < frame_manager_get()->node_count; node++) {
        for (unsigned id = 0; id < FRAME_ZONE_COUNT; id++) {
            if (__atomic_load_n(&frame_manager.nodes[node].zones[id].balance_wanted, __ATOMIC_RELAXED)) {
                return true;
            }
        }
    }
    return false;
}

/* True while a zone that asked is below its high mark; the others stop asking. */
static bool still_short(void)
{
    bool any = false;
    for (unsigned node = 0; node < frame_manager.node_count; node++) {
        for (unsigned id = 0; id < FRAME_ZONE_COUNT; id++) {
            struct frame_zone *zone = &frame_manager.nodes[node].zones[id];
            uint64_t flags = spin_lock_irqsave(&zone->lock);
            zone->balance_wanted = zone->balance_wanted && zone->free_frames < zone->high_mark;
            any = any || zone->balance_wanted;
            spin_unlock_irqrestore(&zone->lock, flags);
        }
    }
    return any;
}

/* Nothing more to gain: let the next crossing ask again. */
static void give_up(void)
{
    for (unsigned node = 0; node < frame_manager.node_count; node++) {
        for (unsigned id = 0; id < FRAME_ZONE_COUNT; id++) {
            __atomic_store_n(&frame_manager.nodes[node].zones[id].balance_wanted, false, __ATOMIC_RELAXED);
        }
    }
}

uint64_t frame_balance(void)
{
    (void)frame_manager_get();
    uint64_t before = frame_free_count();
    frame_cpu_drain_all();
    (void)pressure_update(before);
    while (still_short()) {
        if (pressure_shrink(pressure_level()) == 0) {
            give_up();
            break;
        }
        frame_cpu_drain_all();
    }
    uint64_t after = frame_free_count();
    return after > before ? after - before : 0;
}
