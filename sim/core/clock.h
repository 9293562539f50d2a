#ifndef ORRERY_CORE_CLOCK_H
#define ORRERY_CORE_CLOCK_H

/*
 * Time. The machine's unit is the cycle of the time-stamp counter: CLOCK_TSC_HZ cycles are one second of
 * guest time. Devices with their own frequency convert with these, rounding so that no drift builds up:
 * they keep (start cycle, ticks counted) and never add rounded periods.
 */

#include "base/u128.h"

#include <stdint.h>

#define CLOCK_TSC_HZ UINT64_C(3000000000)

/* Ticks of a clock of hz that have completed after elapsed_cycles. */
static inline uint64_t clock_ticks(uint64_t elapsed_cycles, uint64_t hz)
{
    return u64_muldiv(elapsed_cycles, hz, CLOCK_TSC_HZ);
}

/* The first cycle count at which clock_ticks reaches ticks. */
static inline uint64_t clock_cycles(uint64_t ticks, uint64_t hz)
{
    return u64_muldiv_up(ticks, CLOCK_TSC_HZ, hz);
}

#endif
