/* The caches of the running kernel, of slabs and of whole frames: their names, and that they count what they are named for. */
#include "arch/arch.h"
#include "arch/x86_64/kmap.h"
#include "cap/cap.h"
#include "ipc/channel.h"
#include "ipc/ipc.h"
#include "lib/string.h"
#include "mm/frame_cache.h"
#include "mm/kheap.h"
#include "mm/pagetable.h"
#include "sched/rcu.h"
#include "test/ktest.h"
#include "test/workers.h"

/* Threads' control blocks, tables of handles, messages, page tables, capabilities, and the other objects. */
static const char *const wanted_caches[] = {
    "kmalloc-16", "kmalloc-2048", "thread",     "process",  "cap-space", "cap-leaf",     "cap-records",
    "messages",   "reply",        "page-table", "endpoint", "channel",   "notification", "region",
    "region-map", "ports",        "irq",        "space",    "vm-area"};

#define WANTED (sizeof(wanted_caches) / sizeof(wanted_caches[0]))

/* A line "cache NAME: ... live ... alloc ... free ..." of the listing. */
static void find_line(void *found, const char *text)
{
    const char *name = text + strlen("cache ");
    if (strncmp(text, "cache ", strlen("cache ")) != 0) {
        return;
    }
    for (unsigned i = 0; i < WANTED; i++) {
        size_t length = strlen(wanted_caches[i]);
        if (strncmp(name, wanted_caches[i], length) == 0 && name[length] == ':') {
            *(uint32_t *)found ^= 1u << i; /* once */
        }
    }
}

static void check_counts(void *wrong, struct slab_cache *cache)
{
    struct slab_stats stats;
    slab_stats_read(cache, &stats);
    bool counts = stats.allocs - stats.frees == stats.live && stats.object_size > 0 && stats.per_slab > 0;
    *(uint32_t *)wrong += counts ? 0 : 1;
}

/* covers: HP-08 */
void ktest_caches_are_listed_by_name(void)
{
    uint32_t found = 0;
    uint32_t wrong = 0;
    const struct text_sink sink = {find_line, &found};
    kheap_dump(&sink);
    KEXPECT(found == (1u << WANTED) - 1);
    slab_for_each_cache(check_counts, &wrong);
    KEXPECT(wrong == 0);
}

/* Objects that a cache of either kind has given out and got back so far. */
struct traffic {
    const char *name;
    uint64_t allocs;
    uint64_t frees;
};

static void read_slab(void *context, struct slab_cache *cache)
{
    struct traffic *traffic = context;
    struct slab_stats stats;
    slab_stats_read(cache, &stats);
    if (strcmp(stats.name, traffic->name) == 0) {
        traffic->allocs += stats.allocs;
        traffic->frees += stats.frees;
    }
}

static void read_traffic(struct traffic *traffic)
{
    traffic->allocs = 0;
    traffic->frees = 0;
    slab_for_each_cache(read_slab, traffic);
    for (enum frame_cache cache = 0; cache < FRAME_CACHES; cache++) {
        struct frame_cache_stats stats;
        frame_cache_stats_read(cache, &stats);
        if (strcmp(stats.name, traffic->name) == 0) {
            traffic->allocs += stats.allocs;
            traffic->frees += stats.frees;
        }
    }
}

static void note_run(void *ran, unsigned number)
{
    (void)number;
    __atomic_add_fetch((uint32_t *)ran, 1, __ATOMIC_RELAXED);
}

/* A space with two channels and an endpoint, a tree of tables with a page, a thread: made and gone. */
static bool make_one_of_each(void)
{
    uint32_t ran = 0;
    cap_handle_t handle;
    struct page_table table;
    const page_flags_t flags = {PAGE_USER | PAGE_NO_EXECUTE | PAGE_DEVICE};
    struct cap_space *space = cap_space_create((struct pid){0});
    bool good = space != NULL && channel_create(space, 2, 0, -1, &handle) == STATUS_OK &&
                channel_create(space, 2, CHANNEL_LOCK_FREE, -1, &handle) == STATUS_OK &&
                ipc_endpoint_create(space, &handle) == STATUS_OK;
    if (space != NULL) {
        cap_space_destroy(space);
    }
    good = pt_init_user(&table, &pt_frame_allocator, kmap_table()) == STATUS_OK && good;
    good = pt_map(&table, vaddr_make(0x40000000), paddr_make(0), PAGE_4K, flags) == STATUS_OK && good;
    good = pt_unmap(&table, vaddr_make(0x40000000), NULL, NULL) == STATUS_OK && good;
    pt_deinit(&table);
    return workers_run(1, note_run, &ran, 20000000000ull) && ran == 1 && good;
}

/* covers: HP-08 */
void ktest_caches_count_the_objects_of_their_name(void)
{
    static const struct {
        const char *name;
        unsigned made;
    } rows[] = {{"thread", 1},   {"cap-space", 1}, {"cap-leaf", 1}, {"cap-records", 1},
                {"messages", 2}, {"channel", 2},   {"endpoint", 1}, {"page-table", 4}};
    struct traffic before[sizeof(rows) / sizeof(rows[0])];
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        before[i].name = rows[i].name;
        read_traffic(&before[i]);
    }
    KEXPECT(make_one_of_each());
    rcu_barrier();
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct traffic after = {.name = rows[i].name};
        read_traffic(&after);
        KEXPECT(after.allocs - before[i].allocs >= rows[i].made);
        KEXPECT(strcmp(after.name, "thread") == 0 || after.frees - before[i].frees >= rows[i].made);
    }
}

/* ---- objects of whole frames ---- */

static unsigned reports;
static struct heap_report seen;

static void note_report(const struct heap_report *report)
{
    seen = *report;
    reports++;
}

static bool was_reported(enum heap_fault fault, const char *cache, const uint8_t *object, uint64_t offset)
{
    bool good = reports == 1 && seen.fault == fault && seen.cache != NULL && strcmp(seen.cache, cache) == 0 &&
                seen.object == object && seen.offset == offset;
    reports = 0;
    return good;
}

static bool is_refused(enum frame_cache cache, uint64_t n, pfn_t pfn, status_t why)
{
    struct frame_cache_stats before;
    struct frame_cache_stats after;
    frame_cache_stats_read(cache, &before);
    status_t status = frame_cache_free(cache, n, pfn);
    frame_cache_stats_read(cache, &after);
    return status == why && before.frees == after.frees;
}

/* An object goes back once, whole, and to its own cache. */
static bool goes_back_as_it_came(enum frame_cache cache, uint64_t n)
{
    pfn_t pfn;
    if (frame_cache_alloc(cache, n, FRAME_ZERO, 0, &pfn) != STATUS_OK) {
        return false;
    }
    bool good = true;
    for (enum frame_cache other = 0; other < FRAME_CACHES; other++) {
        good = (other == cache || is_refused(other, n, pfn, STATUS_ERR_FOREIGN)) && good;
    }
    good = (n == 1 || is_refused(cache, n, pfn + 1, STATUS_ERR_FOREIGN)) && good;
    good = (n == 1 || is_refused(cache, n - 1, pfn, STATUS_ERR_FOREIGN)) && good;
    good = frame_cache_free(cache, n, pfn) == STATUS_OK && good;
    return is_refused(cache, n, pfn, STATUS_ERR_DOUBLE_FREE) && good;
}

/* With heap=full: a write to an object that is free, and one that its user says is full of zeros. */
static bool tells_of_stray_writes(enum frame_cache cache, const char *name)
{
    pfn_t pfn;
    pfn_t again;
    if (frame_cache_alloc(cache, 1, FRAME_ZERO, 0, &pfn) != STATUS_OK) {
        return false;
    }
    const paddr_t address = paddr_from_pfn(pfn);
    uint8_t *object = arch_phys_to_virt(address);
    object[9] = 1;
    bool good = frame_cache_free_zeroed(cache, 1, &address) == 1;
    good = was_reported(HEAP_FAULT_DIRTY, name, object, 9) && good;
    object[4095] = 1;
    good = frame_cache_alloc(cache, 1, FRAME_ZERO, 0, &again) == STATUS_OK && again == pfn && good;
    good = was_reported(HEAP_FAULT_USE_AFTER_FREE, name, object, 4095) && good;
    return frame_cache_free(cache, 1, pfn) == STATUS_OK && good;
}

static void note_level(void *full, struct slab_cache *cache)
{
    *(bool *)full |= strcmp(cache->name, "kmalloc-16") == 0 && cache->debug == HEAP_DEBUG_FULL;
}

/* On one CPU without interruption, for the object that is taken next is the one that was given back last. covers: HP-08 */
void ktest_caches_of_whole_frames_take_back_what_is_theirs(void)
{
    static const char *const names[FRAME_CACHES] = {"page-table", "cap-records", "messages"};
    bool full = false;
    slab_for_each_cache(note_level, &full);
    slab_set_report_hook(note_report);
    uint64_t flags = arch_irq_save();
    bool refused = true;
    bool told = true;
    for (enum frame_cache cache = 0; cache < FRAME_CACHES; cache++) {
        refused = goes_back_as_it_came(cache, 1) && refused;
        told = (!full || tells_of_stray_writes(cache, names[cache])) && told;
    }
    refused = goes_back_as_it_came(FRAME_CACHE_MESSAGES, 5) && refused;
    arch_irq_restore(flags);
    slab_set_report_hook(NULL);
    KEXPECT(refused && told && reports == 0);
}
