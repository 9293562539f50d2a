/*
 * The kernel heap: kmalloc classes over slab caches, buddy arenas of 1 MiB, and the frame manager for more.
 * Which of the three a pointer belongs to is read from the frame table: owner SLAB, HEAP or HEAP_LARGE. The
 * owner id of arena frames holds the arena number above the 20 bits that the user of a block sets. Arenas are
 * searched in order of their number, so that the later ones run empty and go back. Deviations: buddy blocks
 * and large runs carry no call site.
 */

#include "mm/kheap.h"

#include "lib/format.h"
#include "lib/string.h"
#include "mm/frame_cache.h"
#include "mm/pressure.h"
#include "mm/slab_internal.h"

#define LARGEST_CLASS 2048u
#define ID_KMALLOC    1u /* owner id of blocks that kmalloc took itself */

static const uint16_t class_sizes[] = {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048};
#define CLASS_COUNT (sizeof class_sizes / sizeof class_sizes[0])

struct heap_arena {
    uint8_t *base;            /* null: unused */
    struct heap_buddy *buddy; /* null: nothing can be taken of it yet */
};

static struct {
    struct spinlock lock;
    struct heap_arena arenas[KHEAP_MAX_ARENAS];
    uint32_t limit; /* arenas at and above are unused */
    uint32_t count;
    uint32_t free_count; /* arenas without a used page */
    uint64_t allocs;
    uint64_t frees;
    uint64_t failures;
    uint64_t large_count;
    uint64_t large_frames;
    uint64_t splits; /* of arenas that are gone */
    uint64_t merges;
    struct slab_cache classes[CLASS_COUNT];
    uint8_t class_of[LARGEST_CLASS / 16 + 1]; /* by size in 16 bytes, rounded up */
    struct shrinker shrinker;
} heap;

/* ---- arenas ---- */

static pfn_t pointer_pfn(const void *pointer)
{
    return paddr_pfn(arch_virt_to_phys(pointer));
}

static void must(status_t status, const char *what)
{
    if (status != STATUS_OK) {
        panic("heap: %s: %s", what, status_text(status));
    }
}

/* A number for an arena, of which nothing is used before it has its record; KHEAP_MAX_ARENAS: none is left. */
static uint32_t claim_arena(uint8_t *base)
{
    uint64_t flags = spin_lock_irqsave_patient(&heap.lock);
    uint32_t number = 0;
    while (number < KHEAP_MAX_ARENAS && heap.arenas[number].base != NULL) {
        number++;
    }
    if (number < KHEAP_MAX_ARENAS) {
        heap.arenas[number].base = base;
        heap.limit = number >= heap.limit ? number + 1 : heap.limit;
    }
    spin_unlock_irqrestore(&heap.lock, flags);
    return number;
}

/* Adds an arena; false when memory or the table is out. Takes and leaves the lock. */
static bool add_arena(void)
{
    pfn_t memory;
    pfn_t record;
    if (frame_alloc_contiguous(HEAP_ARENA_PAGES, FRAME_ALIGNED, FRAME_OWNER_HEAP, 0, &memory) != STATUS_OK) {
        return false;
    }
    if (frame_alloc(0, FRAME_OWNER_HEAP, 0, &record) != STATUS_OK) {
        must(frame_free_run(memory, HEAP_ARENA_PAGES), "arena frames");
        return false;
    }
    struct heap_buddy *buddy = arch_phys_to_virt(paddr_from_pfn(record));
    heap_buddy_init(buddy);
    uint32_t number = claim_arena(arch_phys_to_virt(paddr_from_pfn(memory)));
    if (number == KHEAP_MAX_ARENAS) {
        must(frame_free_run(memory, HEAP_ARENA_PAGES), "arena frames");
        must(frame_free(record), "arena record");
        return false;
    }
    frame_set_owner(memory, HEAP_ARENA_PAGES, FRAME_OWNER_HEAP, number << HEAP_OWNER_ID_BITS);
    uint64_t flags = spin_lock_irqsave_patient(&heap.lock);
    heap.arenas[number].buddy = buddy;
    heap.count++;
    heap.free_count++;
    spin_unlock_irqrestore(&heap.lock, flags);
    return true;
}

/* Takes a free arena out of the table when more than keep are free. Locked. */
static bool detach_arena(uint32_t keep, struct heap_arena *out)
{
    for (uint32_t i = heap.limit; i-- > 0 && heap.free_count > keep;) {
        struct heap_arena *arena = &heap.arenas[i];
        if (arena->buddy == NULL || arena->buddy->free_pages != HEAP_ARENA_PAGES) {
            continue;
        }
        *out = *arena;
        heap.splits += arena->buddy->splits;
        heap.merges += arena->buddy->merges;
        *arena = (struct heap_arena){NULL, NULL};
        heap.count--;
        heap.free_count--;
        heap.limit -= i + 1 == heap.limit ? 1 : 0;
        return true;
    }
    return false;
}

/* Gives free arenas beyond keep to the frame manager; frames given. */
static uint64_t free_arenas(uint32_t keep)
{
    uint64_t frames = 0;
    for (;;) {
        struct heap_arena arena;
        uint64_t flags = spin_lock_irqsave_patient(&heap.lock);
        bool found = detach_arena(keep, &arena);
        spin_unlock_irqrestore(&heap.lock, flags);
        if (!found) {
            return frames;
        }
        must(frame_free_run(pointer_pfn(arena.base), HEAP_ARENA_PAGES), "arena frames");
        must(frame_free(pointer_pfn(arena.buddy)), "arena record");
        frames += HEAP_ARENA_PAGES + 1;
    }
}

/* A block of the first arena that has one. Locked. */
static void *take_block(unsigned order, uint32_t *number)
{
    for (uint32_t i = 0; i < heap.limit; i++) {
        struct heap_arena *arena = &heap.arenas[i];
        if (arena->buddy == NULL || (arena->buddy->available >> order) == 0) {
            continue;
        }
        heap.free_count -= arena->buddy->free_pages == HEAP_ARENA_PAGES ? 1 : 0;
        unsigned page = 0;
        must(heap_buddy_alloc(arena->buddy, order, &page), "arena");
        heap.allocs++;
        *number = i;
        return arena->base + page * PAGE_SIZE;
    }
    return NULL;
}

void *kheap_pages_alloc(unsigned order, enum frame_owner owner, uint32_t owner_id)
{
    if (order >= HEAP_ORDERS) {
        return NULL;
    }
    do {
        uint32_t number = 0;
        uint64_t flags = spin_lock_irqsave_patient(&heap.lock);
        void *block = take_block(order, &number);
        spin_unlock_irqrestore(&heap.lock, flags);
        if (block != NULL) {
            frame_set_owner(pointer_pfn(block), 1ull << order, owner,
                            number << HEAP_OWNER_ID_BITS | owner_id);
            return block;
        }
    } while (add_arena());
    __atomic_fetch_add(&heap.failures, 1, __ATOMIC_RELAXED);
    return NULL;
}

void kheap_pages_free(void *block, unsigned order)
{
    pfn_t pfn = pointer_pfn(block);
    uint32_t number = frame_table[pfn].owner_id >> HEAP_OWNER_ID_BITS;
    struct heap_arena *arena = &heap.arenas[number]; /* stays while the block is in use */
    frame_set_owner(pfn, 1ull << order, FRAME_OWNER_HEAP, number << HEAP_OWNER_ID_BITS);
    uint64_t flags = spin_lock_irqsave_patient(&heap.lock);
    must(heap_buddy_free(arena->buddy, (unsigned)((uint64_t)((uint8_t *)block - arena->base) / PAGE_SIZE)),
         "block");
    heap.frees++;
    heap.free_count += arena->buddy->free_pages == HEAP_ARENA_PAGES ? 1 : 0;
    bool spare = heap.free_count > KHEAP_KEEP_ARENAS;
    spin_unlock_irqrestore(&heap.lock, flags);
    if (spare) {
        free_arenas(KHEAP_KEEP_ARENAS);
    }
}

/* ---- kmalloc ---- */

uint64_t kheap_trim(void)
{
    uint64_t before = frame_free_count();
    slab_trim();
    free_arenas(0);
    uint64_t after = frame_free_count();
    return after > before ? after - before : 0;
}

static uint64_t shrink(void *context, enum pressure_level level)
{
    (void)context;
    (void)level;
    return kheap_trim();
}

static status_t make_classes(void)
{
    unsigned index = 0;
    status_t status = STATUS_OK;
    for (unsigned i = 0; i < CLASS_COUNT && status == STATUS_OK; i++) {
        char name[24];
        ksnprintf(name, sizeof name, "kmalloc-%u", class_sizes[i]);
        status = slab_cache_init(&heap.classes[i], name, class_sizes[i], 16, 0);
        for (; index <= class_sizes[i] / 16u; index++) {
            heap.class_of[index] = (uint8_t)i;
        }
    }
    return status;
}

status_t kheap_init(const struct kheap_config *config)
{
    memset(&heap, 0, sizeof heap);
    spinlock_init(&heap.lock, "mm.heap", LOCK_CLASS_HEAP_BUDDY);
    slab_init(config->debug);
    frame_cache_init(config->debug);
    if (!add_arena()) {
        return STATUS_ERR_NO_MEMORY;
    }
    status_t status = make_classes();
    heap.shrinker = (struct shrinker){.name = "kernel heap", .shrink = shrink};
    return status == STATUS_OK ? pressure_register(&heap.shrinker) : status;
}

static void *alloc_large(size_t size)
{
    uint64_t frames = (size + PAGE_MASK) >> PAGE_SHIFT;
    pfn_t pfn;
    if (frame_alloc_contiguous(frames, 0, FRAME_OWNER_HEAP_LARGE, (uint32_t)frames, &pfn) != STATUS_OK) {
        return NULL;
    }
    __atomic_fetch_add(&heap.large_count, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&heap.large_frames, frames, __ATOMIC_RELAXED);
    return arch_phys_to_virt(paddr_from_pfn(pfn));
}

void *kheap_alloc(size_t size, const char *site)
{
    if (size == 0 || size > FRAME_RUN_MAX * PAGE_SIZE) {
        return NULL;
    }
    if (size <= LARGEST_CLASS) {
        return slab_alloc_sized(&heap.classes[heap.class_of[(size + 15) / 16]], (uint32_t)size, site);
    }
    unsigned order = 0;
    while (order < HEAP_ORDERS && PAGE_SIZE << order < size) {
        order++;
    }
    return order < HEAP_ORDERS ? kheap_pages_alloc(order, FRAME_OWNER_HEAP, ID_KMALLOC) : alloc_large(size);
}

void *kheap_alloc_zero(size_t size, const char *site)
{
    void *memory = kheap_alloc(size, site);
    if (memory) {
        memset(memory, 0, size);
    }
    return memory;
}

/* Arena block that starts at pointer: its order, HEAP_ORDERS when there is none. */
static unsigned block_order(const void *pointer, const struct page_frame *frame)
{
    uint32_t number = frame->owner_id >> HEAP_OWNER_ID_BITS;
    const struct heap_arena *arena = &heap.arenas[number < KHEAP_MAX_ARENAS ? number : 0];
    uint64_t offset = (uint64_t)((const uint8_t *)pointer - arena->base);
    bool inside = number < KHEAP_MAX_ARENAS && arena->base != NULL && offset % PAGE_SIZE == 0 &&
                  offset / PAGE_SIZE < HEAP_ARENA_PAGES;
    return inside ? heap_buddy_order(arena->buddy, (unsigned)(offset / PAGE_SIZE)) : HEAP_ORDERS;
}

static void report_pointer(enum heap_fault fault, const void *pointer, const char *site)
{
    slab_report(&(struct heap_report){.fault = fault, .object = pointer, .found_site = site});
}

static void free_block(void *pointer, const struct page_frame *frame, const char *site)
{
    unsigned order = block_order(pointer, frame);
    if (order == HEAP_ORDERS || (frame->owner_id & HEAP_OWNER_ID_MASK) != ID_KMALLOC) {
        report_pointer(HEAP_FAULT_DOUBLE_FREE, pointer, site);
        return;
    }
    kheap_pages_free(pointer, order);
}

static void free_large(void *pointer, const struct page_frame *frame, const char *site)
{
    uint64_t frames = frame->owner_id;
    if ((uintptr_t)pointer % PAGE_SIZE != 0 || frame_free_run(pointer_pfn(pointer), frames) != STATUS_OK) {
        report_pointer(HEAP_FAULT_FOREIGN, pointer, site);
        return;
    }
    __atomic_fetch_sub(&heap.large_count, 1, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&heap.large_frames, frames, __ATOMIC_RELAXED);
}

void kheap_free(void *pointer, const char *site)
{
    if (pointer == NULL) {
        return;
    }
    const struct page_frame *frame = frame_lookup(pointer_pfn(pointer));
    unsigned owner = frame && frame->state == FRAME_ALLOCATED ? frame->owner : FRAME_OWNER_NONE;
    if (owner == FRAME_OWNER_SLAB) {
        slab_free_site(slab_cache_of(pointer), pointer, site);
    } else if (owner == FRAME_OWNER_HEAP) {
        free_block(pointer, frame, site);
    } else if (owner == FRAME_OWNER_HEAP_LARGE) {
        free_large(pointer, frame, site);
    } else {
        report_pointer(HEAP_FAULT_FOREIGN, pointer, site);
    }
}

size_t kheap_size(const void *pointer)
{
    const struct page_frame *frame = frame_lookup(pointer_pfn(pointer));
    if (frame == NULL || frame->state != FRAME_ALLOCATED) {
        return 0;
    }
    if (frame->owner == FRAME_OWNER_SLAB) {
        const struct slab_cache *cache = slab_cache_of(pointer);
        return cache->debug == HEAP_DEBUG_FULL ? slab_track_of(cache, pointer)->size : cache->object_size;
    }
    if (frame->owner == FRAME_OWNER_HEAP_LARGE) {
        return (size_t)frame->owner_id * PAGE_SIZE;
    }
    unsigned order = frame->owner == FRAME_OWNER_HEAP ? block_order(pointer, frame) : HEAP_ORDERS;
    return order < HEAP_ORDERS ? PAGE_SIZE << order : 0;
}

/* ---- figures ---- */

static void add_cache(void *context, struct slab_cache *cache)
{
    struct kheap_stats *out = context;
    struct slab_stats stats;
    slab_stats_read(cache, &stats);
    out->slab_bytes += stats.bytes;
    out->live_objects += stats.live;
}

void kheap_stats_read(struct kheap_stats *out)
{
    *out = (struct kheap_stats){.arenas = heap.count,
                                .arena_bytes = heap.count * HEAP_ARENA_PAGES * PAGE_SIZE,
                                .large_bytes = heap.large_frames * PAGE_SIZE,
                                .large_count = heap.large_count,
                                .splits = heap.splits,
                                .merges = heap.merges,
                                .allocs = heap.allocs,
                                .frees = heap.frees,
                                .failures = heap.failures};
    for (uint32_t i = 0; i < heap.limit; i++) {
        const struct heap_buddy *buddy = heap.arenas[i].buddy;
        if (buddy) {
            out->arena_free_bytes += buddy->free_pages * PAGE_SIZE;
            out->splits += buddy->splits;
            out->merges += buddy->merges;
        }
    }
    slab_for_each_cache(add_cache, out);
}

static void dump_cache(void *context, struct slab_cache *cache)
{
    const struct text_sink *sink = context;
    struct slab_stats stats;
    char line[160];
    slab_stats_read(cache, &stats);
    ksnprintf(line, sizeof line,
              "cache %s: size %u slabs %u live %llu cached %llu alloc %llu free %llu fail %llu", stats.name,
              stats.object_size, stats.slabs, (unsigned long long)stats.live,
              (unsigned long long)stats.cached, (unsigned long long)stats.allocs,
              (unsigned long long)stats.frees, (unsigned long long)stats.failures);
    sink->line(sink->context, line);
}

void kheap_dump(const struct text_sink *sink)
{
    struct kheap_stats stats;
    char line[160];
    kheap_stats_read(&stats);
    ksnprintf(line, sizeof line,
              "heap: arenas %u free %llu bytes, large %llu bytes, slabs %llu bytes, live %llu", stats.arenas,
              (unsigned long long)stats.arena_free_bytes, (unsigned long long)stats.large_bytes,
              (unsigned long long)stats.slab_bytes, (unsigned long long)stats.live_objects);
    sink->line(sink->context, line);
    slab_for_each_cache(dump_cache, (void *)(uintptr_t)sink);
    frame_cache_dump(sink);
}

uint64_t kheap_check(void)
{
    uint64_t wrong = slab_check_all();
    uint32_t count = 0;
    for (uint32_t i = 0; i < heap.limit; i++) {
        if (heap.arenas[i].buddy) {
            wrong += heap_buddy_check(heap.arenas[i].buddy);
            count++;
        }
    }
    return wrong + (count != heap.count ? 1 : 0);
}
