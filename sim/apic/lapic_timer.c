/*
 * The timer of the local APIC: one-shot, periodic, TSC-deadline.
 *
 * Source: Intel SDM volume 3, "APIC Timer"; AMD64 APM volume 2, "APIC Timer Interrupt".
 *
 * The count is never ticked. From (count, moment) of the last start it follows by division, and the moment of
 * the next interrupt by the rounded-up inverse, so no period is ever rounded and added.
 *
 * Deviations: the divider starts its phase with a write to the initial count or the divide register. A
 * periodic count shows its reload value in the tick in which it would be zero.
 */

#include "apic/lapic_internal.h"
#include "base/bits.h"
#include "core/clock.h"

static unsigned timer_mode(const struct lapic *l)
{
    return (unsigned)bits_get(l->lvt[LVT_TIMER], 18, 17);
}

bool lapic_timer_in_deadline_mode(const struct lapic *l)
{
    return timer_mode(l) == TIMER_DEADLINE;
}

/* Divide configuration: bits 3, 1, 0; 000 is 2, 110 is 128, 111 is 1. */
static unsigned divisor(const struct lapic *l)
{
    unsigned code = (l->timer_divide & 3) | (l->timer_divide >> 1 & 4);
    return code == 7 ? 1 : 2u << code;
}

/* Divided ticks since the last start. */
static uint64_t ticks_since_start(const struct lapic *l, uint64_t now_cycles)
{
    return clock_ticks(now_cycles - l->timer_base_cycles, l->config.bus_hz) / divisor(l);
}

uint32_t lapic_timer_current(const struct lapic *l, uint64_t now_cycles)
{
    if (lapic_timer_in_deadline_mode(l) || l->timer_initial == 0) {
        return 0;
    }
    uint64_t ticks = ticks_since_start(l, now_cycles);
    if (ticks < l->timer_base_count) {
        return (uint32_t)(l->timer_base_count - ticks);
    }
    if (timer_mode(l) != TIMER_PERIODIC) {
        return 0;
    }
    return (uint32_t)(l->timer_initial - (ticks - l->timer_base_count) % l->timer_initial);
}

/* When the count reaches zero for the first time after now. */
static uint64_t count_due(const struct lapic *l, uint64_t now_cycles)
{
    if (l->timer_initial == 0 || (l->lvt[LVT_TIMER] & LAPIC_LVT_MASKED)) {
        return EVENT_NEVER;
    }
    uint64_t ticks = ticks_since_start(l, now_cycles);
    uint64_t target = l->timer_base_count;
    if (ticks >= target) {
        if (timer_mode(l) != TIMER_PERIODIC) {
            return EVENT_NEVER;
        }
        target += ((ticks - target) / l->timer_initial + 1) * l->timer_initial;
    }
    return l->timer_base_cycles + clock_cycles(target * divisor(l), l->config.bus_hz);
}

static uint64_t deadline_due(const struct lapic *l, uint64_t now_cycles)
{
    uint64_t tsc = now_cycles + l->tsc_offset;
    if (l->tsc_deadline == 0) {
        return EVENT_NEVER;
    }
    if (l->tsc_deadline <= tsc) {
        return now_cycles;
    }
    uint64_t wait = l->tsc_deadline - tsc;
    return wait > EVENT_NEVER - now_cycles ? EVENT_NEVER : now_cycles + wait;
}

void lapic_timer_arm(struct lapic *l, uint64_t now_cycles)
{
    bool deadline = lapic_timer_in_deadline_mode(l);
    event_arm(l->events, l->timer, deadline ? deadline_due(l, now_cycles) : count_due(l, now_cycles));
}

static void timer_fired(void *owner, unsigned argument, uint64_t due_cycles)
{
    (void)argument;
    struct lapic *l = owner;
    if (lapic_timer_in_deadline_mode(l)) {
        l->tsc_deadline = 0;
    }
    lapic_timer_arm(l, due_cycles);
    lapic_lvt_deliver(l, LVT_TIMER, due_cycles);
}

void lapic_timer_init(struct lapic *l)
{
    l->timer = event_timer_add(l->events, "lapic", timer_fired, l, 0);
}

static void restart(struct lapic *l, uint32_t count, uint64_t now_cycles)
{
    l->timer_base_count = count;
    l->timer_base_cycles = now_cycles;
}

void lapic_timer_set_initial(struct lapic *l, uint32_t value, uint64_t now_cycles)
{
    if (lapic_timer_in_deadline_mode(l)) {
        return; /* the manual: ignored in this mode */
    }
    l->timer_initial = value;
    restart(l, value, now_cycles);
    lapic_timer_arm(l, now_cycles);
}

void lapic_timer_set_divide(struct lapic *l, uint32_t value, uint64_t now_cycles)
{
    restart(l, lapic_timer_current(l, now_cycles), now_cycles);
    l->timer_divide = value & 0xb;
    lapic_timer_arm(l, now_cycles);
}

void lapic_timer_lvt_changed(struct lapic *l, uint32_t old_lvt, uint64_t now_cycles)
{
    if ((old_lvt ^ l->lvt[LVT_TIMER]) & LAPIC_LVT_TIMER_MODE) { /* a change of mode disarms */
        l->timer_initial = 0;
        restart(l, 0, now_cycles);
        l->tsc_deadline = 0;
    }
    lapic_timer_arm(l, now_cycles);
}
