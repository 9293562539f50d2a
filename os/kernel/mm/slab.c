/*
 * Slab caches (J. Bonwick, "The Slab Allocator", USENIX Summer 1994; "Magazines and Vmem", USENIX 2001, for
 * the per-CPU layer). The fast path is a pop or push on the CPU's own front with interrupts off and no lock;
 * SLAB_STEP objects move to or from the slabs when it runs empty or full. Debug work is in slab_debug.c.
 * Deviations: no constructors.
 */

#include "mm/slab.h"

#include "lib/string.h"
#include "mm/kheap.h"
#include "mm/slab_internal.h"

#define OBJECTS_WANTED 8u
#define LINE           64u
/* Objects that move at once when many CPUs are asked to drain a cache, and wait for each other. */
#define DRAIN_STEP 2u

static struct {
    struct spinlock lock;
    struct list caches;
    struct slab_cache *by_number[SLAB_MAX_CACHES];
    uint32_t limit; /* numbers at and above were never given */
    enum heap_debug debug;
} registry = {.caches = LIST_INIT(registry.caches)};

void slab_init(enum heap_debug debug)
{
    spinlock_init(&registry.lock, "mm.slab.registry", LOCK_CLASS_SLAB_REGISTRY);
    list_init(&registry.caches);
    memset(registry.by_number, 0, sizeof registry.by_number);
    registry.limit = 0;
    registry.debug = debug;
    slab_reset_serial();
}

/* ---- caches ---- */

static uint32_t slab_bytes(const struct slab_cache *cache)
{
    return (uint32_t)PAGE_SIZE << cache->slab_order;
}

/* Bytes before the first slot of a slab of n objects. */
static uint32_t header_bytes(const struct slab_cache *cache, uint32_t n)
{
    return (uint32_t)align_up(sizeof(struct slab) + n * sizeof(uint16_t),
                              cache->align > LINE ? cache->align : LINE);
}

/* Smallest slab that holds enough objects; the rest of it becomes colour. */
static void size_slab(struct slab_cache *cache)
{
    for (cache->slab_order = 0; cache->slab_order < HEAP_ORDERS; cache->slab_order++) {
        uint32_t n = (slab_bytes(cache) - (uint32_t)sizeof(struct slab)) / (cache->slot_size + 2);
        while (n > 0 && header_bytes(cache, n) + n * cache->slot_size > slab_bytes(cache)) {
            n--;
        }
        cache->per_slab = n;
        if (n >= OBJECTS_WANTED) {
            break;
        }
    }
    uint32_t unit = cache->align > LINE ? cache->align : LINE;
    uint32_t used = header_bytes(cache, cache->per_slab) + cache->per_slab * cache->slot_size;
    cache->colour_limit = (slab_bytes(cache) - used) / unit * unit;
    cache->colour_next = 0;
}

/* Registers under a free number. Locked. */
static status_t enlist(struct slab_cache *cache)
{
    uint32_t number = SLAB_MAX_CACHES;
    for (uint32_t i = SLAB_MAX_CACHES; i-- > 0;) {
        if (registry.by_number[i] == NULL) {
            number = i;
        } else if (strcmp(registry.by_number[i]->name, cache->name) == 0) {
            return STATUS_ERR_EXISTS;
        }
    }
    if (number == SLAB_MAX_CACHES) {
        return STATUS_ERR_LIMIT;
    }
    cache->number = number;
    registry.by_number[number] = cache;
    registry.limit = number >= registry.limit ? number + 1 : registry.limit;
    list_push_back(&registry.caches, &cache->link);
    return STATUS_OK;
}

status_t slab_cache_init(struct slab_cache *cache, const char *name, uint32_t object_size, uint32_t align,
                         uint32_t flags)
{
    align = align == 0 ? 16 : align;
    if (object_size == 0 || object_size > SLAB_MAX_OBJECT || (align & (align - 1)) != 0 ||
        align > PAGE_SIZE || strnlen(name, sizeof cache->name) == sizeof cache->name) {
        return STATUS_ERR_ARGUMENT;
    }
    memset(cache, 0, sizeof *cache);
    memcpy(cache->name, name, strlen(name));
    cache->object_size = object_size;
    cache->align = align < 16 ? 16 : align;
    cache->align = (flags & SLAB_HOT_LINES) != 0 && cache->align < LINE ? LINE : cache->align;
    cache->flags = flags;
    cache->debug = (flags & SLAB_DEBUG) != 0 ? HEAP_DEBUG_FULL : registry.debug;
    spinlock_init(&cache->lock, cache->name, LOCK_CLASS_SLAB_CACHE);
    list_init(&cache->partial);
    list_init(&cache->full);
    list_init(&cache->empty);
    slab_debug_layout(cache);
    size_slab(cache);
    uint64_t state = spin_lock_irqsave(&registry.lock);
    status_t status = enlist(cache);
    spin_unlock_irqrestore(&registry.lock, state);
    return status;
}

void slab_for_each_cache(void (*visit)(void *context, struct slab_cache *cache), void *context)
{
    list_for_each(it, &registry.caches)
    {
        visit(context, list_entry(it, struct slab_cache, link));
    }
}

/* ---- slabs ---- */

struct slab *slab_of(const void *object)
{
    const struct page_frame *frame = frame_lookup(paddr_pfn(arch_virt_to_phys(object)));
    if (frame == NULL || frame->state != FRAME_ALLOCATED || frame->owner != FRAME_OWNER_SLAB) {
        return NULL;
    }
    const struct slab_cache *cache = registry.by_number[frame->owner_id & HEAP_OWNER_ID_MASK];
    return (struct slab *)((uintptr_t)object & ~((uintptr_t)slab_bytes(cache) - 1));
}

struct slab_cache *slab_cache_of(const void *object)
{
    const struct slab *slab = slab_of(object);
    return slab ? slab->cache : NULL;
}

static void *slot_object(const struct slab_cache *cache, const struct slab *slab, uint32_t index)
{
    return slab->slots + (size_t)index * cache->slot_size + cache->object_offset;
}

/* A new slab, in no list; null when memory is out. Takes no lock of the cache. */
static struct slab *make_slab(struct slab_cache *cache)
{
    struct slab *slab = kheap_pages_alloc(cache->slab_order, FRAME_OWNER_SLAB, cache->number);
    if (slab == NULL) {
        return NULL;
    }
    uint32_t unit = cache->align > LINE ? cache->align : LINE;
    uint32_t colour = __atomic_load_n(&cache->colour_next, __ATOMIC_RELAXED);
    __atomic_store_n(&cache->colour_next, colour + unit <= cache->colour_limit ? colour + unit : 0,
                     __ATOMIC_RELAXED);
    list_init(&slab->link);
    slab->cache = cache;
    slab->slots = (uint8_t *)slab + header_bytes(cache, cache->per_slab) + colour;
    slab->free_head = 0;
    slab->in_use = 0;
    for (uint32_t i = 0; i < cache->per_slab; i++) {
        slab->next_free[i] = (uint16_t)(i + 1 < cache->per_slab ? i + 1 : SLAB_SLOT_NONE);
        if (cache->debug != HEAP_DEBUG_OFF) {
            slab_debug_fresh(cache, slot_object(cache, slab, i));
        }
    }
    return slab;
}

/* Puts a slab into the list that fits its use. Locked. */
static void relist(struct slab_cache *cache, struct slab *slab)
{
    list_remove(&slab->link);
    if (slab->in_use == 0) {
        list_push_front(&cache->empty, &slab->link);
    } else if (slab->free_head == SLAB_SLOT_NONE) {
        list_push_front(&cache->full, &slab->link);
    } else {
        list_push_front(&cache->partial, &slab->link);
    }
}

/* Up to n objects of one partial or empty slab, how many; 0 when there is neither. Locked. */
static uint32_t pop_objects(struct slab_cache *cache, uint32_t n, void **out)
{
    struct list *list = !list_empty(&cache->partial) ? &cache->partial : &cache->empty;
    if (list_empty(list)) {
        return 0;
    }
    struct slab *slab = list_entry(list->next, struct slab, link);
    bool was_empty = slab->in_use == 0;
    uint32_t index = slab->free_head;
    uint32_t got = 0;
    for (; got < n && index != SLAB_SLOT_NONE; got++) {
        out[got] = slot_object(cache, slab, index);
        index = slab->next_free[index];
    }
    slab->free_head = (uint16_t)index;
    slab->in_use = (uint16_t)(slab->in_use + got);
    cache->empty_slabs -= was_empty ? 1 : 0;
    cache->objects_in_slabs += got;
    if (was_empty || index == SLAB_SLOT_NONE) {
        relist(cache, slab);
    }
    return got;
}

/* Puts an object back into its slab. Locked. */
static void push_object(struct slab_cache *cache, void *object)
{
    struct slab *slab = (struct slab *)((uintptr_t)object & ~((uintptr_t)slab_bytes(cache) - 1));
    uint32_t index = (uint32_t)((uint8_t *)object - slab->slots) / cache->slot_size;
    bool was_full = slab->free_head == SLAB_SLOT_NONE;
    slab->next_free[index] = slab->free_head;
    slab->free_head = (uint16_t)index;
    slab->in_use--;
    cache->objects_in_slabs--;
    cache->empty_slabs += slab->in_use == 0 ? 1 : 0;
    if (was_full || slab->in_use == 0) {
        relist(cache, slab);
    }
}

/* Takes up to n empty slabs beyond `keep` out of the cache, linked at *out. Locked. */
static uint32_t detach_empty(struct slab_cache *cache, uint32_t keep, uint32_t n, struct list *out)
{
    uint32_t got = 0;
    for (; cache->empty_slabs > keep && got < n; got++) {
        struct list *link = list_pop_front(&cache->empty);
        cache->empty_slabs--;
        cache->slabs--;
        list_push_back(out, link);
    }
    return got;
}

/* Gives detached slabs to the heap buddy; bytes given. */
static uint64_t free_detached(const struct slab_cache *cache, struct list *slabs)
{
    uint64_t bytes = 0;
    for (struct list *link = list_pop_front(slabs); link; link = list_pop_front(slabs)) {
        kheap_pages_free(list_entry(link, struct slab, link), cache->slab_order);
        bytes += slab_bytes(cache);
    }
    return bytes;
}

/* Frees the empty slabs beyond `keep`, a few at a time; bytes given. */
static uint64_t shed_empty(struct slab_cache *cache, uint32_t keep)
{
    uint64_t bytes = 0;
    for (uint32_t got = SLAB_STEP; got == SLAB_STEP;) {
        struct list detached = LIST_INIT(detached);
        uint64_t flags = spin_lock_irqsave(&cache->lock);
        got = detach_empty(cache, keep, SLAB_STEP, &detached);
        spin_unlock_irqrestore(&cache->lock, flags);
        bytes += free_detached(cache, &detached);
    }
    return bytes;
}

/* ---- fronts ---- */

/*
 * Moves the oldest n objects of a front to their slabs. Empty slabs that the cache need not keep are linked at *detached when
 * that is not null, to be freed when interrupts are as they were. Interrupts off.
 */
static void flush_front(struct slab_cache *cache, struct slab_front *front, uint32_t n, struct list *detached)
{
    spin_lock(&cache->lock);
    for (uint32_t i = 0; i < n; i++) {
        push_object(cache, front->objects[i]);
    }
    if (detached) {
        detach_empty(cache, SLAB_KEEP_EMPTY, n, detached);
    }
    spin_unlock(&cache->lock);
    memmove(front->objects, front->objects + n, (front->count - n) * sizeof front->objects[0]);
    front->count -= n;
}

/* A step of what slab_trim asked the calling CPU for; adds the bytes given. False: nothing is asked for any more. */
static bool obey_drain(struct slab_cache *cache, uint64_t *bytes)
{
    struct list detached = LIST_INIT(detached);
    uint64_t flags = arch_irq_save();
    struct slab_front *front = &cache->fronts[arch_cpu_id()];
    bool asked = __atomic_load_n(&front->drain_wanted, __ATOMIC_ACQUIRE) != 0;
    if (asked && front->count > 0) {
        flush_front(cache, front, front->count < DRAIN_STEP ? front->count : DRAIN_STEP, &detached);
    }
    if (asked && front->count == 0) {
        __atomic_store_n(&front->drain_wanted, 0, __ATOMIC_RELEASE);
        asked = false;
    }
    arch_irq_restore(flags);
    *bytes += free_detached(cache, &detached);
    return asked;
}

/* Fills a front as far as the slabs have objects, of which `fresh` is one more when it is not null. */
static void refill_front(struct slab_cache *cache, struct slab_front *front, struct slab *fresh)
{
    uint32_t want = (cache->flags & SLAB_NO_FRONT) != 0 ? 1 : SLAB_STEP;
    spin_lock(&cache->lock);
    if (fresh) {
        cache->slabs++;
        cache->empty_slabs++;
        relist(cache, fresh);
    }
    for (uint32_t got = 1; got > 0 && front->count < want; front->count += got) {
        got = pop_objects(cache, want - front->count, &front->objects[front->count]);
    }
    spin_unlock(&cache->lock);
}

/* No slab has an object: with a new one, which is made with interrupts as the caller has them. Null: out of memory. */
static void *take_fresh(struct slab_cache *cache)
{
    struct slab *fresh = make_slab(cache);
    if (fresh == NULL) {
        __atomic_fetch_add(&cache->failures, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    uint64_t flags = arch_irq_save();
    struct slab_front *front = &cache->fronts[arch_cpu_id()];
    refill_front(cache, front, fresh);
    void *object = front->objects[--front->count];
    front->allocs++;
    arch_irq_restore(flags);
    return object;
}

void *slab_alloc_sized(struct slab_cache *cache, uint32_t size, const char *site)
{
    uint64_t flags = arch_irq_save();
    struct slab_front *front = &cache->fronts[arch_cpu_id()];
    if (__builtin_expect(front->drain_wanted != 0, 0)) {
        uint64_t bytes = 0;
        arch_irq_restore(flags);
        obey_drain(cache, &bytes);
        flags = arch_irq_save();
        front = &cache->fronts[arch_cpu_id()];
    }
    if (front->count == 0) {
        refill_front(cache, front, NULL);
    }
    void *object = NULL;
    if (__builtin_expect(front->count > 0, 1)) {
        object = front->objects[--front->count];
        front->allocs++;
    }
    arch_irq_restore(flags);
    if (__builtin_expect(object == NULL, 0)) {
        object = take_fresh(cache);
    }
    if (object != NULL && cache->debug != HEAP_DEBUG_OFF) {
        slab_debug_alloc(cache, object, size, site);
    }
    return object;
}

/* True when object is the first byte of a slot of this cache. */
static bool owns(const struct slab_cache *cache, const void *object)
{
    const struct slab *slab = slab_of(object);
    if (slab == NULL || slab->cache != cache) {
        return false;
    }
    uint64_t offset = (uint64_t)((const uint8_t *)object - slab->slots) - cache->object_offset;
    return offset % cache->slot_size == 0 && offset / cache->slot_size < cache->per_slab;
}

/* The rest of a free; interrupts are off at the call and as flags say afterwards. */
static void free_slow(struct slab_cache *cache, struct slab_front *front, bool full, uint64_t flags)
{
    struct list detached = LIST_INIT(detached);
    uint64_t bytes = 0;
    if (full) {
        flush_front(cache, front, front->count < SLAB_STEP ? front->count : SLAB_STEP, &detached);
    }
    arch_irq_restore(flags);
    free_detached(cache, &detached);
    obey_drain(cache, &bytes);
}

void slab_free_site(struct slab_cache *cache, void *object, const char *site)
{
    if (cache->debug != HEAP_DEBUG_OFF) {
        if (!owns(cache, object)) {
            slab_report(&(struct heap_report){
                .fault = HEAP_FAULT_FOREIGN, .cache = cache->name, .object = object, .found_site = site});
            return;
        }
        if (!slab_debug_free(cache, object, site)) {
            return;
        }
    }
    uint64_t flags = arch_irq_save();
    struct slab_front *front = &cache->fronts[arch_cpu_id()];
    front->objects[front->count++] = object;
    front->frees++;
    bool full = front->count == SLAB_FRONT_CAPACITY || (cache->flags & SLAB_NO_FRONT) != 0;
    if (__builtin_expect(full || front->drain_wanted != 0, 0)) {
        free_slow(cache, front, full, flags);
        return;
    }
    arch_irq_restore(flags);
}

bool slab_drain_step(unsigned cpu, struct slab_drain *drain)
{
    uint64_t flags = arch_irq_save();
    uint32_t room = 2 * DRAIN_STEP;
    while (drain->number < registry.limit && room > 0) {
        struct slab_cache *cache = registry.by_number[drain->number];
        struct slab_front *front = cache ? &cache->fronts[cpu] : NULL;
        uint32_t has = front ? front->count : 0;
        uint32_t left = drain->begun && drain->left < has ? drain->left : has;
        uint32_t n = left < room ? left : room;
        if (n > 0) {
            flush_front(cache, front, n, NULL);
        }
        room -= n < room ? n + (n > 0 ? 1 : 0) : n; /* a front is worth an object */
        drain->left = left - n;
        drain->begun = drain->left > 0;
        drain->number += drain->begun ? 0 : 1;
    }
    bool more = drain->number < registry.limit;
    arch_irq_restore(flags);
    return more;
}

void slab_drain_cpu(unsigned cpu)
{
    struct slab_drain drain = {0};
    while (slab_drain_step(cpu, &drain)) {
    }
    list_for_each(it, &registry.caches)
    {
        shed_empty(list_entry(it, struct slab_cache, link), SLAB_KEEP_EMPTY);
    }
}

void slab_poll(void)
{
    unsigned cpu = arch_cpu_id();
    list_for_each(it, &registry.caches)
    {
        struct slab_cache *cache = list_entry(it, struct slab_cache, link);
        uint64_t bytes = 0;
        while (cache->fronts[cpu].drain_wanted != 0 && obey_drain(cache, &bytes)) {
        }
    }
}

uint64_t slab_trim(void)
{
    uint64_t bytes = 0;
    list_for_each(it, &registry.caches)
    {
        struct slab_cache *cache = list_entry(it, struct slab_cache, link);
        for (unsigned cpu = 0; cpu < MM_MAX_CPUS; cpu++) {
            struct slab_front *front = &cache->fronts[cpu];
            uint32_t wanted = __atomic_load_n(&front->count, __ATOMIC_RELAXED) > 0 ? 1 : 0;
            if (__atomic_load_n(&front->drain_wanted, __ATOMIC_RELAXED) !=
                wanted) { /* a store takes the line away */
                __atomic_store_n(&front->drain_wanted, wanted, __ATOMIC_RELEASE);
            }
        }
        while (obey_drain(cache, &bytes)) {
        }
        bytes += shed_empty(cache, 0);
    }
    return bytes;
}

status_t slab_cache_deinit(struct slab_cache *cache)
{
    uint64_t flags = arch_irq_save();
    struct list detached = LIST_INIT(detached);
    for (unsigned cpu = 0; cpu < MM_MAX_CPUS; cpu++) {
        flush_front(cache, &cache->fronts[cpu], cache->fronts[cpu].count, NULL);
    }
    spin_lock(&cache->lock);
    bool busy = cache->objects_in_slabs > 0;
    if (!busy) {
        detach_empty(cache, 0, UINT32_MAX, &detached);
    }
    spin_unlock(&cache->lock);
    free_detached(cache, &detached);
    if (!busy) {
        spin_lock(&registry.lock);
        registry.by_number[cache->number] = NULL;
        list_remove(&cache->link);
        spin_unlock(&registry.lock);
    }
    arch_irq_restore(flags);
    return busy ? STATUS_ERR_BUSY : STATUS_OK;
}

void slab_stats_read(const struct slab_cache *cache, struct slab_stats *out)
{
    *out = (struct slab_stats){.name = cache->name,
                               .object_size = cache->object_size,
                               .slabs = cache->slabs,
                               .per_slab = cache->per_slab,
                               .failures = cache->failures,
                               .bytes = (uint64_t)cache->slabs * slab_bytes(cache)};
    for (unsigned cpu = 0; cpu < MM_MAX_CPUS; cpu++) {
        out->cached += cache->fronts[cpu].count;
        out->allocs += cache->fronts[cpu].allocs;
        out->frees += cache->fronts[cpu].frees;
    }
    out->live = cache->objects_in_slabs - out->cached;
}
