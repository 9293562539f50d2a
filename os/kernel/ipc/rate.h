#ifndef OS_KERNEL_IPC_RATE_H
#define OS_KERNEL_IPC_RATE_H

/*
 * A token bucket: so many messages a second, so many at once. Exact: credit is counted in tokens times the clock's
 * frequency, so no fraction is ever lost and any pattern of calls gives what one long wait would.
 */

#include <stdbool.h>
#include <stdint.h>

#define RATE_MAX_PER_SECOND 1000000000u
#define RATE_MAX_BURST      1000000u

struct rate_limit {
    uint64_t credit;     /* tokens x hz, at most burst x hz */
    uint64_t since;      /* clock reading that credit belongs to, cycles */
    uint64_t hz;         /* cycles a second, at most 2^36 */
    uint32_t per_second; /* 0: no limit */
    uint32_t burst;
};

/* A full bucket. per_second 0: everything passes. */
void rate_limit_init(struct rate_limit *limit, uint32_t per_second, uint32_t burst, uint64_t hz,
                     uint64_t now);

/* Takes one token if there is one. now: cycles, never less than before. The caller serialises. Bound: O(1). */
bool rate_limit_take(struct rate_limit *limit, uint64_t now);

#endif
