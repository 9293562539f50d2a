/*
 * Names, figures and checks of the objects that are whole frames. Each CPU counts for itself, so that two that map memory do not
 * meet here; an object may be freed by another CPU than the one that took it, so only the sums mean something. Deviations: with
 * heap=full a write to a freed object is seen while it lies in a front of zeros, not once its frame serves something else, and
 * one of several frames lies in none.
 */
#include "mm/frame_cache.h"

#include "arch/arch.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/slab_internal.h"

struct counts {
    uint64_t allocs;
    uint64_t frees;
    uint64_t failures;
    uint64_t more; /* frames beyond one an object, taken less given, modulo 2^64 */
} __attribute__((aligned(64)));

static const struct {
    const char *name;
    enum frame_owner owner; /* of nothing else */
    bool has_length; /* the first frame's owner_id is the number of frames, that of the others is not */
} kinds[FRAME_CACHES] = {
    [FRAME_CACHE_PAGE_TABLE] = {"page-table", FRAME_OWNER_PAGE_TABLE, false},
    [FRAME_CACHE_CAP_RECORDS] = {"cap-records", FRAME_OWNER_CAP, false},
    [FRAME_CACHE_MESSAGES] = {"messages", FRAME_OWNER_MESSAGE, true},
};

static struct counts counts[FRAME_CACHES][MM_MAX_CPUS];
static bool checks; /* heap=full */

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

/* ---- heap=full ---- */

void frame_cache_init(enum heap_debug debug)
{
    checks = debug == HEAP_DEBUG_FULL;
}

/* Reports the first byte of n frames that is not zero; they are full of zeros then. */
static void check_zeros(enum frame_cache cache, uint64_t n, pfn_t pfn, enum heap_fault fault,
                        const char *site)
{
    uint8_t *object = arch_phys_to_virt(paddr_from_pfn(pfn));
    uint64_t at = 0;
    while (at < n * PAGE_SIZE && *(const uint64_t *)(object + at) == 0) {
        at += sizeof(uint64_t);
    }
    if (at < n * PAGE_SIZE) {
        at += (unsigned)__builtin_ctzll(*(const uint64_t *)(object + at)) / 8;
        slab_report(&(struct heap_report){.fault = fault,
                                          .cache = kinds[cache].name,
                                          .object = object,
                                          .size = n * PAGE_SIZE,
                                          .offset = at,
                                          .found_site = site});
        memset(object, 0, n * PAGE_SIZE);
    }
}

/* The first frame of an object of the cache; null: it is none. */
static const struct page_frame *object_at(enum frame_cache cache, pfn_t pfn)
{
    const struct page_frame *frame = frame_lookup(pfn);
    return frame != NULL && frame->state == FRAME_ALLOCATED && frame->owner == kinds[cache].owner ? frame
                                                                                                  : NULL;
}

/* Is it an object of the cache, of that length, with a user? */
static bool is_object(enum frame_cache cache, uint64_t n, pfn_t pfn)
{
    const struct page_frame *frame = object_at(cache, pfn);
    return frame != NULL && frame_refs(pfn) == 1 && (!kinds[cache].has_length || frame->owner_id == n);
}

/* Objects that are given back as full of zeros. */
static void check_given(enum frame_cache cache, unsigned n, const paddr_t *addresses)
{
    for (unsigned i = 0; i < n; i++) {
        if (is_object(cache, 1, paddr_pfn(addresses[i]))) {
            check_zeros(cache, 1, paddr_pfn(addresses[i]), HEAP_FAULT_DIRTY, SLAB_SITE);
        }
    }
}

/* Overwrites a freed object: a single frame with what it must still hold when it is taken again. */
static status_t free_checked(enum frame_cache cache, uint64_t n, pfn_t pfn)
{
    bool mine = is_object(cache, n, pfn);
    if (mine) {
        memset(arch_phys_to_virt(paddr_from_pfn(pfn)), n == 1 ? 0 : SLAB_POISON_FREE, n * PAGE_SIZE);
    }
    return mine && n == 1 ? frame_free_zeroed(paddr_from_pfn(pfn), kinds[cache].owner)
                          : frame_free_run_of(pfn, n, kinds[cache].owner);
}

/* ---- objects ---- */

/* What the frame table says of an object's first frame besides its owner. */
static uint32_t label(enum frame_cache cache, uint64_t n, uint32_t owner_id)
{
    return kinds[cache].has_length ? (uint32_t)n : owner_id;
}

status_t frame_cache_alloc(enum frame_cache cache, uint64_t n, uint32_t flags, uint32_t owner_id, pfn_t *out)
{
    enum frame_owner owner = kinds[cache].owner;
    status_t status;
    if (n == 1) {
        status = frame_alloc(flags, owner, label(cache, 1, owner_id), out);
    } else {
        status = frame_alloc_contiguous(n, flags, owner, 0, out);
    }
    if (status == STATUS_OK && n != 1) {
        frame_set_owner(*out, 1, owner, label(cache, n, owner_id));
    }
    if (__builtin_expect(checks && status == STATUS_OK && (flags & FRAME_ZERO) != 0, 0)) {
        check_zeros(cache, n, *out, HEAP_FAULT_USE_AFTER_FREE, SLAB_SITE);
    }
    return taken(cache, n, status);
}

unsigned frame_cache_alloc_some(enum frame_cache cache, unsigned n, uint32_t flags, uint32_t owner_id,
                                pfn_t *out)
{
    unsigned got = frame_alloc_some(n, flags, kinds[cache].owner, label(cache, 1, owner_id), out);
    if (__builtin_expect(checks && (flags & FRAME_ZERO) != 0, 0)) {
        for (unsigned i = 0; i < got; i++) {
            check_zeros(cache, 1, out[i], HEAP_FAULT_USE_AFTER_FREE, SLAB_SITE);
        }
    }
    count(&counts_here(cache)->allocs, got);
    return got;
}

status_t frame_cache_free(enum frame_cache cache, uint64_t n, pfn_t pfn)
{
    enum frame_owner owner = kinds[cache].owner;
    const struct page_frame *frame = kinds[cache].has_length ? object_at(cache, pfn) : NULL;
    status_t status;
    if (frame != NULL && frame->owner_id != n) {
        status = STATUS_ERR_FOREIGN;
    } else if (checks) {
        status = free_checked(cache, n, pfn);
    } else {
        status = n == 1 ? frame_free_of(pfn, owner) : frame_free_run_of(pfn, n, owner);
    }
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
    enum frame_owner owner = kinds[cache].owner;
    unsigned given = 0;
    if (__builtin_expect(checks, 0)) {
        check_given(cache, n, addresses);
    }
    while (given < n && frame_free_zeroed(addresses[given], owner) == STATUS_OK) {
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
