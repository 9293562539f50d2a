/*
 * Names and figures of the objects that are whole frames. Each CPU counts for itself, so that two that map memory do not meet
 * here; an object may be freed by another CPU than the one that took it, so only the sums mean something. Deviations: none.
 */
#include "mm/frame_cache.h"

#include "arch/arch.h"
#include "lib/format.h"

struct counts {
    uint64_t allocs;
    uint64_t frees;
    uint64_t failures;
    uint64_t more; /* frames beyond one an object, taken less given, modulo 2^64 */
} __attribute__((aligned(64)));

static const struct {
    const char *name;
    enum frame_owner owner;
} kinds[FRAME_CACHES] = {
    [FRAME_CACHE_PAGE_TABLE] = {"page-table", FRAME_OWNER_PAGE_TABLE},
    [FRAME_CACHE_CAP_RECORDS] = {"cap-records", FRAME_OWNER_CAP},
    [FRAME_CACHE_MESSAGES] = {"messages", FRAME_OWNER_IPC},
};

static struct counts counts[FRAME_CACHES][MM_MAX_CPUS];

/* The thread may go to another CPU meanwhile, hence the atomic additions. */
static struct counts *counts_here(enum frame_cache cache)
{
    return &counts[cache][arch_cpu_id()];
}

static void count(uint64_t *figure, uint64_t by)
{
    __atomic_fetch_add(figure, by, __ATOMIC_RELAXED);
}

static status_t taken(enum frame_cache cache, uint64_t frames, status_t status)
{
    struct counts *here = counts_here(cache);
    if (status != STATUS_OK) {
        count(&here->failures, 1);
        return status;
    }
    count(&here->allocs, 1);
    if (frames != 1) {
        count(&here->more, frames - 1);
    }
    return STATUS_OK;
}

status_t frame_cache_alloc(enum frame_cache cache, uint64_t n, uint32_t flags, uint32_t owner_id, pfn_t *out)
{
    enum frame_owner owner = kinds[cache].owner;
    status_t status = n == 1 ? frame_alloc(flags, owner, owner_id, out)
                             : frame_alloc_contiguous(n, flags, owner, owner_id, out);
    return taken(cache, n, status);
}

unsigned frame_cache_alloc_some(enum frame_cache cache, unsigned n, uint32_t flags, uint32_t owner_id,
                                pfn_t *out)
{
    unsigned got = frame_alloc_some(n, flags, kinds[cache].owner, owner_id, out);
    count(&counts_here(cache)->allocs, got);
    return got;
}

status_t frame_cache_free(enum frame_cache cache, uint64_t n, pfn_t pfn)
{
    status_t status = n == 1 ? frame_free(pfn) : frame_free_run(pfn, n);
    if (status == STATUS_OK) {
        count(&counts_here(cache)->frees, 1);
    }
    if (status == STATUS_OK && n != 1) {
        count(&counts_here(cache)->more, 1 - n);
    }
    return status;
}

unsigned frame_cache_free_zeroed(enum frame_cache cache, unsigned n, const paddr_t *addresses)
{
    unsigned given = 0;
    while (given < n && frame_free_zeroed(addresses[given]) == STATUS_OK) {
        given++;
    }
    count(&counts_here(cache)->frees, given);
    return given;
}

void frame_cache_stats_read(enum frame_cache cache, struct frame_cache_stats *out)
{
    *out = (struct frame_cache_stats){.name = kinds[cache].name};
    for (unsigned cpu = 0; cpu < MM_MAX_CPUS; cpu++) {
        const struct counts *of = &counts[cache][cpu];
        out->frees += __atomic_load_n(&of->frees, __ATOMIC_RELAXED);
        out->allocs += __atomic_load_n(&of->allocs, __ATOMIC_RELAXED);
        out->failures += __atomic_load_n(&of->failures, __ATOMIC_RELAXED);
        out->frames += __atomic_load_n(&of->more, __ATOMIC_RELAXED);
    }
    out->live = out->allocs - out->frees;
    out->frames += out->live;
}

void frame_cache_dump(const struct text_sink *sink)
{
    for (enum frame_cache cache = 0; cache < FRAME_CACHES; cache++) {
        struct frame_cache_stats stats;
        char line[160];
        frame_cache_stats_read(cache, &stats);
        ksnprintf(line, sizeof line, "cache %s: frames %llu live %llu alloc %llu free %llu fail %llu",
                  stats.name, (unsigned long long)stats.frames, (unsigned long long)stats.live,
                  (unsigned long long)stats.allocs, (unsigned long long)stats.frees,
                  (unsigned long long)stats.failures);
        sink->line(sink->context, line);
    }
}
