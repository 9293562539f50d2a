#ifndef OS_KERNEL_CAP_CAP_CPU_H
#define OS_KERNEL_CAP_CAP_CPU_H

/* What the capability system keeps of one CPU, in its per-CPU area: recent lookups, counters, ids. */

#include <stdint.h>

#define CAP_CACHE_ENTRIES 64u

/* A lookup and its result. It is valid while the space has the stamp; no two states of any two spaces share one. */
struct cap_cache_entry {
    uint64_t stamp; /* 0: never filled */
    uint64_t handle;
    uint64_t id;
    uint64_t word;
};

enum cap_counter {
    CAP_COUNT_HIT,
    CAP_COUNT_MISS,
    CAP_COUNT_DENIED,
    CAP_COUNT_MADE, /* inserted, derived, copied, inherited */
    CAP_COUNT_DELETED,
    CAP_COUNT_REVOKED,
    CAP_COUNT_COLLECTED,
    CAP_COUNTERS
};

struct cap_cpu {
    /* HIT and MISS: written by this CPU only, in read sections or with interrupts off. The others: added to by cap_count, from
     * anywhere, atomically. */
    uint64_t counters[CAP_COUNTERS];
    struct cap_cache_entry cache[CAP_CACHE_ENTRIES];
    uint64_t next_id; /* of the next capability that is made here; in read sections, too */
    uint64_t ids_left;
};

#endif
