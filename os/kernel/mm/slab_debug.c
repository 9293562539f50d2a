/*
 * Debugging of slab objects: who allocated and freed them, poison, red zones, leak report. A slot of a debug
 * cache is [red zone][object, padding][red zone][track]; the left zone is as wide as the alignment asks.
 * Padding between the asked size and the right zone counts as red zone too, so an overflow by one byte is
 * seen for every size. Deviations: reads of freed memory are not seen, only writes.
 */

#include "lib/format.h"
#include "lib/string.h"
#include "mm/slab_internal.h"
#include "panic.h"

static heap_report_hook report_hook;
static uint64_t serial;

void slab_reset_serial(void)
{
    __atomic_store_n(&serial, 1, __ATOMIC_RELAXED);
}

uint64_t slab_serial(void)
{
    return __atomic_load_n(&serial, __ATOMIC_RELAXED);
}

void slab_set_report_hook(heap_report_hook hook)
{
    report_hook = hook;
}

static const char *fault_text(enum heap_fault fault)
{
    switch (fault) {
    case HEAP_FAULT_DOUBLE_FREE:
        return "double free";
    case HEAP_FAULT_USE_AFTER_FREE:
        return "use after free";
    case HEAP_FAULT_OVERFLOW:
        return "overflow";
    case HEAP_FAULT_UNDERFLOW:
        return "underflow";
    case HEAP_FAULT_FOREIGN:
        return "foreign pointer";
    case HEAP_FAULT_DIRTY:
        return "not full of zeros";
    }
    return "unknown fault";
}

void slab_format_report(const struct heap_report *report, char *buffer, size_t size)
{
    ksnprintf(buffer, size,
              "heap: %s: object %p of %s, %llu bytes, at offset %lld, allocated %s, freed %s, found %s",
              fault_text(report->fault), report->object, report->cache ? report->cache : "no cache",
              (unsigned long long)report->size, (long long)report->offset,
              report->alloc_site ? report->alloc_site : "-", report->free_site ? report->free_site : "-",
              report->found_site ? report->found_site : "-");
}

void slab_report(const struct heap_report *report)
{
    if (report_hook) {
        report_hook(report);
        return;
    }
    char text[400];
    slab_format_report(report, text, sizeof text);
    panic("%s", text);
}

static void report_object(enum heap_fault fault, const struct slab_cache *cache, const void *object,
                          uint64_t offset, const char *site)
{
    const struct slab_track *track = slab_track_of(cache, object);
    slab_report(&(struct heap_report){.fault = fault,
                                      .cache = cache->name,
                                      .object = object,
                                      .size = track->size,
                                      .offset = offset,
                                      .alloc_site = track->alloc_site,
                                      .free_site = track->free_site,
                                      .found_site = site});
}

void slab_debug_layout(struct slab_cache *cache)
{
    uint32_t body = (uint32_t)align_up(cache->object_size, 16);
    if (cache->debug == HEAP_DEBUG_OFF) {
        cache->slot_size = (uint32_t)align_up(body, cache->align);
        return;
    }
    uint32_t red = cache->debug == HEAP_DEBUG_FULL ? SLAB_RED_BYTES : 0;
    cache->object_offset = red != 0 ? (uint32_t)align_up(red, cache->align) : 0;
    cache->track_offset = cache->object_offset + body + red;
    cache->slot_size = (uint32_t)align_up(cache->track_offset + sizeof(struct slab_track), cache->align);
}

/* Offset of the first byte in [from, to) around an object that is not `value`, or INT64_MIN. */
static int64_t first_other(const void *object, int64_t from, int64_t to, uint8_t value)
{
    const uint8_t *bytes = object;
    for (int64_t i = from; i < to; i++) {
        if (bytes[i] != value) {
            return i;
        }
    }
    return INT64_MIN;
}

void slab_debug_fresh(const struct slab_cache *cache, void *object)
{
    *slab_track_of(cache, object) = (struct slab_track){.live = SLAB_TRACK_FREE};
    if (cache->debug == HEAP_DEBUG_FULL) {
        memset((uint8_t *)object - cache->object_offset, SLAB_RED_ZONE, cache->object_offset);
        memset(object, SLAB_POISON_FREE, cache->object_size);
    }
}

static bool check_poison(const struct slab_cache *cache, const void *object, const char *site)
{
    int64_t bad = first_other(object, 0, cache->object_size, SLAB_POISON_FREE);
    if (bad != INT64_MIN) {
        report_object(HEAP_FAULT_USE_AFTER_FREE, cache, object, (uint64_t)bad, site);
    }
    return bad == INT64_MIN;
}

static bool check_zones(const struct slab_cache *cache, const void *object, const char *site)
{
    const struct slab_track *track = slab_track_of(cache, object);
    int64_t left = first_other(object, -(int64_t)SLAB_RED_BYTES, 0, SLAB_RED_ZONE);
    if (left != INT64_MIN) {
        report_object(HEAP_FAULT_UNDERFLOW, cache, object, (uint64_t)left, site);
        return false;
    }
    int64_t end = (int64_t)cache->track_offset - (int64_t)cache->object_offset;
    int64_t right = first_other(object, track->size, end, SLAB_RED_ZONE);
    if (right != INT64_MIN) {
        report_object(HEAP_FAULT_OVERFLOW, cache, object, (uint64_t)right, site);
        return false;
    }
    return true;
}

void slab_debug_alloc(const struct slab_cache *cache, void *object, uint32_t size, const char *site)
{
    struct slab_track *track = slab_track_of(cache, object);
    if (cache->debug == HEAP_DEBUG_FULL) {
        (void)check_poison(cache, object, site);
        uint32_t end = cache->track_offset - cache->object_offset;
        memset((uint8_t *)object - cache->object_offset, SLAB_RED_ZONE, cache->object_offset);
        memset(object, SLAB_POISON_ALLOC, size);
        memset((uint8_t *)object + size, SLAB_RED_ZONE, end - size);
    }
    track->alloc_site = site;
    track->size = size;
    track->serial = __atomic_fetch_add(&serial, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&track->live, SLAB_TRACK_LIVE, __ATOMIC_RELEASE);
}

bool slab_debug_free(const struct slab_cache *cache, void *object, const char *site)
{
    struct slab_track *track = slab_track_of(cache, object);
    uint32_t expected = SLAB_TRACK_LIVE;
    if (!__atomic_compare_exchange_n(&track->live, &expected, SLAB_TRACK_FREE, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        report_object(HEAP_FAULT_DOUBLE_FREE, cache, object, 0, site);
        return false;
    }
    bool whole = cache->debug != HEAP_DEBUG_FULL || check_zones(cache, object, site);
    track->free_site = site;
    if (cache->debug == HEAP_DEBUG_FULL) {
        memset(object, SLAB_POISON_FREE, cache->object_size);
    }
    return whole;
}

/* ---- walking all objects ---- */

struct object_walk {
    void (*visit)(struct object_walk *walk, const struct slab_cache *cache, const void *object);
    const struct text_sink *sink;
    uint64_t since;
    uint64_t count;
};

static void walk_list(struct object_walk *walk, const struct slab_cache *cache, const struct list *slabs)
{
    list_for_each(it, slabs)
    {
        const struct slab *slab = list_entry(it, struct slab, link);
        for (uint32_t i = 0; i < cache->per_slab; i++) {
            walk->visit(walk, cache, slab->slots + (size_t)i * cache->slot_size + cache->object_offset);
        }
    }
}

static void walk_cache(void *context, struct slab_cache *cache)
{
    struct object_walk *walk = context;
    if (cache->debug != HEAP_DEBUG_OFF) {
        walk_list(walk, cache, &cache->partial);
        walk_list(walk, cache, &cache->full);
        walk_list(walk, cache, &cache->empty);
    }
}

static void report_live(struct object_walk *walk, const struct slab_cache *cache, const void *object)
{
    const struct slab_track *track = slab_track_of(cache, object);
    if (track->live != SLAB_TRACK_LIVE || track->serial < walk->since) {
        return;
    }
    walk->count++;
    if (walk->sink) {
        char line[200];
        ksnprintf(line, sizeof line, "live: %s, %u bytes, serial %llu, allocated %s", cache->name,
                  track->size, (unsigned long long)track->serial, track->alloc_site);
        walk->sink->line(walk->sink->context, line);
    }
}

uint64_t slab_report_live(uint64_t since, const struct text_sink *sink)
{
    struct object_walk walk = {.visit = report_live, .sink = sink, .since = since};
    slab_for_each_cache(walk_cache, &walk);
    return walk.count;
}

static void check_object(struct object_walk *walk, const struct slab_cache *cache, const void *object)
{
    if (cache->debug == HEAP_DEBUG_FULL) {
        bool live = slab_track_of(cache, object)->live == SLAB_TRACK_LIVE;
        bool good = live ? check_zones(cache, object, "check") : check_poison(cache, object, "check");
        walk->count += good ? 0 : 1;
    }
}

static void check_counts(void *context, struct slab_cache *cache)
{
    struct object_walk *walk = context;
    const struct list *lists[] = {&cache->partial, &cache->full, &cache->empty};
    uint64_t in_use = 0;
    uint32_t slabs = 0;
    for (unsigned i = 0; i < 3; i++) {
        list_for_each(it, lists[i])
        {
            const struct slab *slab = list_entry(it, struct slab, link);
            in_use += slab->in_use;
            slabs++;
            bool fits = i == 0 ? slab->in_use > 0 && slab->free_head != SLAB_SLOT_NONE
                               : (i == 1 ? slab->in_use == cache->per_slab : slab->in_use == 0);
            walk->count += fits ? 0 : 1;
        }
    }
    walk->count += in_use != cache->objects_in_slabs || slabs != cache->slabs ? 1 : 0;
}

uint64_t slab_check_all(void)
{
    struct object_walk walk = {.visit = check_object};
    slab_for_each_cache(walk_cache, &walk);
    slab_for_each_cache(check_counts, &walk);
    return walk.count;
}
