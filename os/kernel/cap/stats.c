/* Figures of the capability system: counters of the CPUs added up. */
#include "cap/cap_internal.h"

void cap_count(enum cap_counter counter, uint64_t by)
{
    __atomic_fetch_add(&cap_cpu_this()->counters[counter], by, __ATOMIC_RELAXED);
}

static uint64_t sum(enum cap_counter counter)
{
    uint64_t total = 0;
    for (unsigned cpu = 0; cpu < ARCH_MAX_CPUS; cpu++) {
        const struct cap_cpu *of = cap_cpu_of(cpu);
        total += of != NULL ? __atomic_load_n(&of->counters[counter], __ATOMIC_RELAXED) : 0;
    }
    return total;
}

void cap_stats_read(struct cap_stats *out)
{
    *out = (struct cap_stats){.cache_hits = sum(CAP_COUNT_HIT),
                              .cache_misses = sum(CAP_COUNT_MISS),
                              .denied = sum(CAP_COUNT_DENIED),
                              .made = sum(CAP_COUNT_MADE),
                              .deleted = sum(CAP_COUNT_DELETED),
                              .revoked = sum(CAP_COUNT_REVOKED),
                              .collected = sum(CAP_COUNT_COLLECTED),
                              .audit_lost = audit_lost(),
                              .bytes = (uint64_t)leaf_count() * PAGE_SIZE};
}
