/* The kernel heap in the running kernel: planted faults and leaks, pools, reuse, many threads. */
#include "arch/arch.h"
#include "arch/x86_64/percpu.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/kheap.h"
#include "mm/pool.h"
#include "sched/sched.h"
#include "sys/quiesce.h"
#include "test/ktest.h"
#include "test/random.h"
#include "test/workers.h"

/* ---- faults ---- */

static struct heap_report seen;
static unsigned reports;

static void note_report(const struct heap_report *report)
{
    seen = *report;
    reports++;
}

static bool in_this_file(const char *site)
{
    return site != NULL && strncmp(site, "os/kernel/test/test_heap.c:", 27) == 0;
}

/* The last call made one report, of this fault, object and offset, with the sites that are known. */
static bool reported(enum heap_fault fault, const void *object, int64_t offset)
{
    bool good = reports == 1 && seen.fault == fault && seen.object == object &&
                (int64_t)seen.offset == offset && in_this_file(seen.alloc_site) &&
                in_this_file(seen.found_site);
    reports = 0;
    return good;
}

#define FAULT_SIZE 40u

static struct slab_cache debug_cache;

static bool plant_faults(void)
{
    unsigned char *object = slab_alloc(&debug_cache);
    bool good =
        object != NULL && object[0] == SLAB_POISON_ALLOC && object[FAULT_SIZE - 1] == SLAB_POISON_ALLOC;
    if (!good) {
        return false;
    }
    object[FAULT_SIZE] = 1; /* overflow by one byte */
    slab_free(&debug_cache, object);
    good = reported(HEAP_FAULT_OVERFLOW, object, FAULT_SIZE);
    object = slab_alloc(&debug_cache);
    object[-1] = 1; /* underflow */
    slab_free(&debug_cache, object);
    good = reported(HEAP_FAULT_UNDERFLOW, object, -1) && good;
    object = slab_alloc(&debug_cache);
    slab_free(&debug_cache, object);
    slab_free(&debug_cache, object);
    good = in_this_file(seen.free_site) && strcmp(seen.free_site, seen.found_site) != 0 && good;
    good = reported(HEAP_FAULT_DOUBLE_FREE, object, 0) && good;
    object[FAULT_SIZE / 2] = 0; /* write after free, found when the object is given out again */
    unsigned char *again = slab_alloc(&debug_cache);
    good = again == object && reported(HEAP_FAULT_USE_AFTER_FREE, object, FAULT_SIZE / 2) && good;
    slab_free(&debug_cache, again);
    return good && reports == 0;
}

/* covers: HP-16 (reported; tests/e2e/kernel_panic.sh sees the panic), HP-17 */
void ktest_planted_heap_faults_are_reported_with_object_and_sites(void)
{
    KEXPECT(slab_cache_init(&debug_cache, "test-faults", FAULT_SIZE, 0, SLAB_DEBUG) == STATUS_OK);
    reports = 0;
    slab_set_report_hook(note_report);
    preempt_disable(); /* one front cache: the same object comes again */
    bool good = plant_faults();
    preempt_enable();
    slab_set_report_hook(NULL);
    KEXPECT(good);
    KEXPECT(slab_check_all() == 0);
    KEXPECT(slab_cache_deinit(&debug_cache) ==
            STATUS_ERR_BUSY); /* damaged objects are never given out again */
}

static char leak_line[200];

static void keep_line(void *context, const char *text)
{
    (void)context;
    ksnprintf(leak_line, sizeof(leak_line), "%s", text);
}

/* covers: HP-14 */
void ktest_a_planted_leak_is_reported_with_its_call_site(void)
{
    static struct slab_cache cache;
    KEXPECT(slab_cache_init(&cache, "test-leak", 72, 0, SLAB_DEBUG) == STATUS_OK);
    const struct text_sink sink = {keep_line, NULL};
    void *old = slab_alloc(&cache);
    uint64_t since = slab_serial();
    void *freed = slab_alloc(&cache);
    void *leaked = slab_alloc(&cache);
    const char *next_line = SLAB_SITE;
    slab_free(&cache, freed);
    leak_line[0] = '\0';
    KEXPECT(slab_report_live(since, &sink) == 1);
    char expected[64];
    unsigned line = 0;
    for (const char *digit = next_line + 27; *digit != '\0'; digit++) {
        line = 10 * line + (unsigned)(*digit - '0');
    }
    int length = ksnprintf(expected, sizeof(expected), "os/kernel/test/test_heap.c:%u", line - 1);
    size_t end = strlen(leak_line);
    KEXPECT(end > (size_t)length && strcmp(leak_line + end - (size_t)length, expected) == 0);
    slab_free(&cache, leaked);
    slab_free(&cache, old);
    KEXPECT(slab_report_live(since, NULL) == 0);
    KEXPECT(slab_cache_deinit(&cache) == STATUS_OK);
}

/* ---- pools ---- */

#define RESERVE 20u

/* Every frame there is, as runs linked through their first words. */
static uint64_t *take_all_frames(void)
{
    uint64_t *chain = NULL;
    for (uint64_t n = FRAME_RUN_MAX; n > 0; n /= 2) {
        pfn_t pfn;
        while (frame_alloc_contiguous(n, FRAME_CRITICAL, FRAME_OWNER_TEST, 1, &pfn) == STATUS_OK) {
            uint64_t *run = arch_phys_to_virt(paddr_from_pfn(pfn));
            run[0] = (uint64_t)(uintptr_t)chain;
            run[1] = n;
            chain = run;
        }
    }
    return chain;
}

static bool give_all_frames(uint64_t *chain)
{
    bool good = true;
    while (chain != NULL) {
        uint64_t *next = (uint64_t *)(uintptr_t)chain[0];
        good = frame_free_run(paddr_pfn(arch_virt_to_phys(chain)), chain[1]) == STATUS_OK && good;
        chain = next;
    }
    return good;
}

static unsigned drain_cache(struct slab_cache *cache, void **first)
{
    unsigned count = 0;
    for (void **object = slab_alloc(cache); object != NULL; object = slab_alloc(cache)) {
        *object = *first;
        *first = object;
        count++;
    }
    return count;
}

/* covers: HP-13 */
void ktest_a_pool_serves_its_reserve_when_all_else_is_exhausted(void)
{
    static struct memory_pool pool;
    static struct slab_cache cache;
    void *first = NULL;
    void *held[RESERVE];
    unsigned served = 0;
    KEXPECT(slab_cache_init(&cache, "test-pool", 2048, 0, 0) == STATUS_OK);
    KEXPECT(memory_pool_init(&pool, &cache, RESERVE) == STATUS_OK);
    uint64_t *frames = take_all_frames();
    (void)drain_cache(&cache, &first);
    bool empty = slab_alloc(&cache) == NULL;
    while (served < RESERVE && (held[served] = memory_pool_alloc(&pool)) != NULL) {
        served++;
    }
    bool over = memory_pool_alloc(&pool) == NULL;
    for (unsigned i = 0; i < served; i++) {
        memory_pool_free(&pool, held[i]);
    }
    uint32_t refilled = pool.count;
    while (first != NULL) {
        void *next = *(void **)first;
        slab_free(&cache, first);
        first = next;
    }
    KEXPECT(give_all_frames(frames));
    memory_pool_deinit(&pool);
    KEXPECT(empty && served == RESERVE && over && refilled == RESERVE);
    KEXPECT(slab_cache_deinit(&cache) == STATUS_OK);
}

/* ---- reuse ---- */

/* covers: HP-15 */
void ktest_freed_heap_memory_is_used_again(void)
{
    struct kheap_stats before;
    struct kheap_stats after;
    KEXPECT(workers_reaper());
    quiesce(); /* the dead of tests before are not to be freed meanwhile */
    kheap_stats_read(&before);
    uint64_t bytes = (before.arena_bytes + (1u << 20)) * 1000;
    for (uint64_t done = 0; done < bytes; done += 1u << 20) {
        volatile uint64_t *block = kmalloc(1u << 20);
        KEXPECT(block != NULL);
        block[0] = done;
        KEXPECT(block[0] == done);
        kfree((void *)(uintptr_t)block);
    }
    kheap_stats_read(&after);
    KEXPECT(after.live_objects == before.live_objects && after.arenas <= before.arenas + 1);
    KEXPECT(after.allocs - before.allocs == after.frees - before.frees && kheap_check() == 0);
}

/* ---- many threads ---- */

#define THREADS      64u
#define OBJECTS_EACH 16u
#define ROUNDS_EACH  200u

struct object {
    uint32_t size;
    uint32_t mark;
};

static void paint(struct object *object, uint32_t size, uint32_t mark)
{
    object->size = size;
    object->mark = mark;
    memset(object + 1, (int)(mark & 0xff), size - sizeof(*object));
}

static bool still_painted(const struct object *object)
{
    const unsigned char *bytes = (const unsigned char *)(object + 1);
    for (uint32_t i = 0; i < object->size - sizeof(*object); i++) {
        if (bytes[i] != (object->mark & 0xff)) {
            return false;
        }
    }
    return true;
}

static void use_heap(void *wrong, unsigned number)
{
    struct object *held[OBJECTS_EACH] = {NULL};
    uint64_t seed = 0x9e3779b97f4a7c15ull + number;
    for (unsigned i = 0; i < ROUNDS_EACH; i++) {
        unsigned at = (unsigned)(random_next(&seed) % OBJECTS_EACH);
        uint32_t mark = number << 16 | i;
        if (held[at] != NULL && !still_painted(held[at])) {
            __atomic_add_fetch((uint32_t *)wrong, 1, __ATOMIC_RELAXED);
        }
        kfree(held[at]);
        uint32_t size = (uint32_t)(sizeof(struct object) + random_next(&seed) % (i % 16 == 0 ? 6000 : 500));
        held[at] = kmalloc(size);
        if (held[at] != NULL) {
            paint(held[at], size, mark);
        }
        if (i % 32 == 31) {
            sched_yield();
        }
    }
    for (unsigned at = 0; at < OBJECTS_EACH; at++) {
        if (held[at] != NULL && !still_painted(held[at])) {
            __atomic_add_fetch((uint32_t *)wrong, 1, __ATOMIC_RELAXED);
        }
        kfree(held[at]);
    }
}

struct kmalloc_live {
    uint64_t objects;
};

static void add_kmalloc(void *context, struct slab_cache *cache)
{
    struct slab_stats stats;
    slab_stats_read(cache, &stats);
    if (strncmp(stats.name, "kmalloc-", 8) == 0) {
        ((struct kmalloc_live *)context)->objects += stats.live;
    }
}

static uint64_t kmalloc_objects(void)
{
    struct kmalloc_live live = {0};
    slab_for_each_cache(add_kmalloc, &live);
    return live.objects;
}

/* covers: HP-25 */
void ktest_heap_objects_keep_their_bytes_under_many_threads(void)
{
    uint32_t wrong = 0;
    uint64_t before = kmalloc_objects();
    KEXPECT(workers_run(THREADS, use_heap, &wrong, 20000000000ull));
    KEXPECT(wrong == 0 && kmalloc_objects() == before);
    KEXPECT(kheap_check() == 0);
}
