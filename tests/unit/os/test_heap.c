/* Host tests of the kernel heap: buddy, slab caches, kmalloc, debugging, pools, pressure. */

#include "fake/fake_arch.h"

#include "mm/heap_buddy.h"
#include "mm/kheap.h"
#include "mm/pool.h"
#include "mm/pressure.h"

static void start_heap(enum heap_debug debug)
{
    fake_machine(64, 4);
    slab_set_report_hook(NULL);
    assert_ok(kheap_init(&(struct kheap_config){.debug = debug}));
}

#define assert_heap_sound()                 \
    do {                                    \
        assert_int_equal(kheap_check(), 0); \
        assert_frames_sound();              \
    } while (0)

/* ---- buddy ---- */

static struct heap_buddy buddy;

/* covers: HP-02, HP-04 */
static void buddy_has_nine_orders_and_splits_exactly(void **state)
{
    (void)state;
    assert_int_equal(HEAP_ORDERS, 9);
    assert_int_equal(PAGE_SIZE << (HEAP_ORDERS - 1), 1 << 20);
    unsigned page;
    heap_buddy_init(&buddy);
    assert_int_equal(heap_buddy_alloc(&buddy, 9, &page), STATUS_ERR_RANGE);
    assert_ok(heap_buddy_alloc(&buddy, 0, &page));
    assert_int_equal(page, 0);
    assert_int_equal(buddy.splits, 8);
    for (unsigned order = 0; order < 8; order++) {
        assert_int_equal(buddy.free_heads[order],
                         1u << order); /* one free block of each order, the upper halves */
    }
    assert_int_equal(buddy.available, 0xff);
    assert_ok(heap_buddy_alloc(&buddy, 3, &page));
    assert_int_equal(page, 8);
    assert_int_equal(buddy.splits, 8); /* an exact fit splits nothing */
    assert_ok(heap_buddy_alloc(&buddy, 3, &page));
    assert_int_equal(page, 16);
    assert_int_equal(buddy.splits, 9);
    assert_int_equal(heap_buddy_alloc(&buddy, 8, &page), STATUS_ERR_NO_MEMORY);
    assert_int_equal(heap_buddy_check(&buddy), 0);
}

/* covers: HP-03, HP-05 */
static void buddy_random_run_keeps_every_invariant_and_coalesces_fully(void **state)
{
    (void)state;
    struct block {
        unsigned page;
        unsigned order;
    } blocks[256];
    bool used[256] = {false};
    unsigned live = 0;
    uint64_t seed = 5;
    heap_buddy_init(&buddy);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned order = (unsigned)(fake_random(&seed) % 6);
        struct block block = {0, order};
        if (fake_random(&seed) % 2 && heap_buddy_alloc(&buddy, order, &block.page) == STATUS_OK) {
            assert_int_equal(block.page % (1u << order), 0);
            for (unsigned p = 0; p < 1u << order; p++) {
                assert_false(used[block.page + p]);
                used[block.page + p] = true;
            }
            blocks[live++] = block;
        } else if (live > 0) {
            unsigned at = (unsigned)(fake_random(&seed) % live);
            block = blocks[at];
            assert_int_equal(heap_buddy_order(&buddy, block.page), block.order);
            assert_ok(heap_buddy_free(&buddy, block.page));
            assert_int_equal(heap_buddy_free(&buddy, block.page), STATUS_ERR_DOUBLE_FREE);
            memset(used + block.page, 0, 1u << block.order);
            blocks[at] = blocks[--live];
        }
        assert_int_equal(heap_buddy_check(&buddy), 0);
    }
    while (live > 0) {
        assert_ok(heap_buddy_free(&buddy, blocks[--live].page));
    }
    assert_int_equal(buddy.available, 1u << 8);
    assert_int_equal(buddy.free_pages, 256);
    assert_int_equal(buddy.splits, buddy.merges);
}

/* covers: HP-06 */
static void buddy_splits_and_coalesces_on_demand(void **state)
{
    (void)state;
    unsigned joined;
    heap_buddy_init(&buddy);
    assert_int_equal(heap_buddy_coalesce(&buddy, 0, &joined), STATUS_ERR_STATE);
    assert_ok(heap_buddy_split(&buddy, 0));
    assert_ok(heap_buddy_split(&buddy, 128));
    assert_int_equal(heap_buddy_split(&buddy, 1), STATUS_ERR_STATE);
    assert_int_equal(heap_buddy_coalesce(&buddy, 0, &joined),
                     STATUS_ERR_STATE); /* its buddy is smaller now */
    assert_ok(heap_buddy_coalesce(&buddy, 192, &joined));
    assert_int_equal(joined, 128);
    assert_ok(heap_buddy_coalesce(&buddy, 128, &joined));
    assert_int_equal(joined, 0);
    assert_int_equal(heap_buddy_check(&buddy), 0);
}

/* ---- slabs ---- */

static struct slab_cache cache;

static uint32_t slabs_of(const struct slab_cache *which)
{
    struct slab_stats stats;
    slab_stats_read(which, &stats);
    return stats.slabs;
}

/* covers: HP-09, HP-12 */
static void slab_layout_keeps_alignment_colour_and_lines(void **state)
{
    (void)state;
    start_heap(HEAP_DEBUG_OFF);
    static const struct {
        uint32_t size;
        uint32_t align;
        uint32_t flags;
    } shapes[] = {{1, 0, 0},     {24, 0, 0},   {40, 0, SLAB_HOT_LINES},
                  {100, 256, 0}, {700, 64, 0}, {65536, 4096, 0}};
    for (unsigned i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        assert_ok(slab_cache_init(&cache, "shape", shapes[i].size, shapes[i].align, shapes[i].flags));
        uint64_t lines[200];
        void *objects[200];
        uint64_t lowest = ~0ull;
        uint64_t highest = 0;
        for (unsigned n = 0; n < 200; n++) {
            objects[n] = slab_alloc(&cache);
            assert_non_null(objects[n]);
            uint64_t at = (uint64_t)(uintptr_t)objects[n];
            lines[n] = at / 64;
            assert_int_equal(at % (shapes[i].align ? shapes[i].align : 16), 0);
            const struct slab *slab = slab_of(objects[n]);
            assert_ptr_equal(slab->cache, &cache);
            assert_ptr_equal(slab_cache_of(objects[n]), &cache);
            assert_true((const char *)objects[n] >= (const char *)slab->slots);
            assert_true((char *)objects[n] + shapes[i].size <=
                        (char *)slab + (PAGE_SIZE << cache.slab_order));
            assert_true((const char *)&slab->next_free[cache.per_slab] <= (const char *)slab->slots);
            uint64_t first = (uint64_t)(slab->slots - (const uint8_t *)slab);
            lowest = first < lowest ? first : lowest;
            highest = first > highest ? first : highest;
            memset(objects[n], (int)n, shapes[i].size);
            for (unsigned m = 0; m < n && shapes[i].flags == SLAB_HOT_LINES; m++) {
                assert_int_not_equal(lines[m], lines[n]);
            }
        }
        assert_true(slabs_of(&cache) < 3 || cache.colour_limit == 0 || highest > lowest);
        for (unsigned n = 0; n < 200; n++) {
            assert_int_equal(((unsigned char *)objects[n])[shapes[i].size - 1], n);
            slab_free(&cache, objects[n]);
        }
        assert_ok(slab_cache_deinit(&cache));
        assert_heap_sound();
    }
}

/* covers: HP-08 (names), HP-11, HP-14 (statistics) */
static void slab_count_returns_to_its_floor(void **state)
{
    (void)state;
    start_heap(HEAP_DEBUG_OFF);
    assert_ok(slab_cache_init(&cache, "floor", 128, 0, 0));
    static struct slab_cache second;
    assert_int_equal(slab_cache_init(&second, "floor", 64, 0, 0), STATUS_ERR_EXISTS);
    assert_int_equal(slab_cache_init(&second, "zero", 0, 0, 0), STATUS_ERR_ARGUMENT);
    assert_int_equal(slab_cache_init(&second, "align", 8, 24, 0), STATUS_ERR_ARGUMENT);
    static void *objects[5000];
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 5000; i++) {
            fake_cpu = i % 4;
            objects[i] = slab_alloc(&cache);
            assert_non_null(objects[i]);
        }
        struct slab_stats stats;
        slab_stats_read(&cache, &stats);
        assert_int_equal(stats.live, 5000);
        assert_true(stats.slabs >= 5000 / stats.per_slab);
        for (unsigned i = 0; i < 5000; i++) {
            fake_cpu = (i / 7) % 4;
            slab_free(&cache, objects[(i * 2477) % 5000]);
        }
        slab_stats_read(&cache, &stats);
        assert_int_equal(stats.live, 0);
        assert_int_equal(stats.allocs, stats.frees);
        assert_heap_sound();
        for (unsigned cpu = 0; cpu < 4; cpu++) {
            slab_drain_cpu(cpu);
        }
        assert_int_equal(slabs_of(&cache), SLAB_KEEP_EMPTY);
    }
    slab_trim();
    assert_int_equal(slabs_of(&cache), 0);
    assert_ok(slab_cache_deinit(&cache));
}

static void drain_requests_are_obeyed_by_each_cpu(void **state)
{
    (void)state;
    start_heap(HEAP_DEBUG_OFF);
    assert_ok(slab_cache_init(&cache, "drain", 64, 0, 0));
    fake_cpu = 2;
    slab_free(&cache, slab_alloc(&cache));
    fake_cpu = 0;
    slab_trim();
    assert_int_equal(slabs_of(&cache), 1); /* CPU 2 still holds objects */
    fake_cpu = 2;
    slab_poll();
    assert_int_equal(cache.fronts[2].count, 0);
    fake_cpu = 0;
    slab_trim();
    assert_int_equal(slabs_of(&cache), 0);
    void *object = slab_alloc(&cache);
    assert_int_equal(slab_cache_deinit(&cache), STATUS_ERR_BUSY);
    slab_free(&cache, object);
    assert_ok(slab_cache_deinit(&cache));
}

/* ---- kmalloc ---- */

/* covers: HP-01, HP-15 */
static void heap_serves_every_size_and_gives_everything_back(void **state)
{
    (void)state;
    for (unsigned debug = HEAP_DEBUG_OFF; debug <= HEAP_DEBUG_FULL; debug++) {
        start_heap((enum heap_debug)debug);
        kheap_trim();
        uint64_t initial = frame_free_count();
        struct {
            unsigned char *memory;
            size_t size;
            unsigned char mark;
        } live[300];
        unsigned count = 0;
        uint64_t seed = 17;
        for (unsigned i = 0; i < 6000; i++) {
            fake_cpu = (unsigned)(fake_random(&seed) % 4);
            if (count < 300 && fake_random(&seed) % 2) {
                size_t size = 1 + fake_random(&seed) % (i % 50 == 0 ? 3u << 20 : (i % 5 == 0 ? 40000 : 2100));
                unsigned char *memory = kmalloc(size);
                if (memory == NULL) {
                    continue;
                }
                assert_true(kheap_size(memory) >= size && (uintptr_t)memory % 16 == 0);
                live[count].memory = memory;
                live[count].size = size;
                live[count].mark = (unsigned char)i;
                memset(memory, live[count++].mark, size);
            } else if (count > 0) {
                unsigned at = (unsigned)(fake_random(&seed) % count);
                for (size_t b = 0; b < live[at].size; b += 97) {
                    assert_int_equal(live[at].memory[b], live[at].mark);
                }
                assert_int_equal(live[at].memory[live[at].size - 1], live[at].mark);
                kfree(live[at].memory);
                live[at] = live[--count];
            }
        }
        assert_heap_sound();
        while (count > 0) {
            kfree(live[--count].memory);
        }
        for (fake_cpu = 4; fake_cpu-- > 0;) {
            slab_drain_cpu(fake_cpu);
        }
        fake_cpu = 0;
        kheap_trim();
        struct kheap_stats stats;
        kheap_stats_read(&stats);
        assert_int_equal(stats.arenas, 0);
        assert_int_equal(stats.live_objects, 0);
        assert_int_equal(stats.large_count, 0);
        assert_int_equal(stats.splits, stats.merges);
        assert_int_equal(frame_free_count(), initial + 0);
        assert_heap_sound();
    }
}

/* covers: HP-02, HP-15 */
static void heap_reuses_memory_a_thousand_times_over(void **state)
{
    (void)state;
    start_heap(HEAP_DEBUG_OFF);
    for (unsigned i = 0; i < 64 * 1000; i++) { /* 64 GiB through a machine of 64 MiB */
        void *memory = kmalloc(1u << 20);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % (1u << 20), 0);
        kfree(memory);
    }
    char *large = kmalloc((1u << 20) + 1);
    assert_int_equal(frame_lookup(paddr_pfn(arch_virt_to_phys(large)))->owner, FRAME_OWNER_HEAP_LARGE);
    struct kheap_stats stats;
    kheap_stats_read(&stats);
    assert_int_equal(stats.large_count, 1);
    kfree(large);
    assert_null(kmalloc(0));
    assert_null(kmalloc(SIZE_MAX));
    assert_null(kmalloc(100ull << 20));
    kfree(NULL);
    char *zero = kzalloc(3000);
    for (unsigned i = 0; i < 3000; i++) {
        assert_int_equal(zero[i], 0);
    }
    kfree(zero);
    assert_heap_sound();
}

static void exhausted_heap_fails_cleanly_and_recovers(void **state)
{
    (void)state;
    start_heap(HEAP_DEBUG_TRACK);
    void *first = NULL;
    unsigned count = 0;
    for (;;) {
        void **memory = kmalloc(1000);
        if (memory == NULL) {
            break;
        }
        *memory = first;
        first = memory;
        count++;
    }
    assert_true(count > 40000);
    assert_heap_sound();
    while (first) {
        void *next = *(void **)first;
        kfree(first);
        first = next;
    }
    kheap_trim();
    assert_non_null(kmalloc(1u << 20));
    assert_heap_sound();
}

/* ---- debugging ---- */

static struct heap_report seen;
static unsigned reports;

static void note_report(const struct heap_report *report)
{
    seen = *report;
    reports++;
}

static void expect_report(enum heap_fault fault, const void *object, int64_t offset)
{
    assert_int_equal(reports, 1);
    assert_int_equal(seen.fault, fault);
    assert_ptr_equal(seen.object, object);
    assert_int_equal((int64_t)seen.offset, offset);
    reports = 0;
}

/* covers: HP-14, HP-16, HP-17 */
static void planted_faults_are_reported_with_object_and_sites(void **state)
{
    (void)state;
    start_heap(HEAP_DEBUG_FULL);
    slab_set_report_hook(note_report);
    reports = 0;
    for (uint32_t size = 1; size <= 2000; size += 37) {
        unsigned char *object = kmalloc(size);
        assert_int_equal(object[0], SLAB_POISON_ALLOC);
        assert_int_equal(object[size - 1], SLAB_POISON_ALLOC);
        object[size] = 1; /* overflow by one byte */
        kfree(object);
        expect_report(HEAP_FAULT_OVERFLOW, object, size);
        assert_non_null(strstr(seen.alloc_site, "test_heap.c:"));
        assert_non_null(strstr(seen.found_site, "test_heap.c:"));
        assert_int_equal(seen.size, size);
        object = kmalloc(size);
        object[-1] = 1; /* underflow by one byte */
        kfree(object);
        expect_report(HEAP_FAULT_UNDERFLOW, object, -1);
        object = kmalloc(size);
        kfree(object);
        const char *line = seen.free_site;
        kfree(object);
        expect_report(HEAP_FAULT_DOUBLE_FREE, object, 0);
        assert_non_null(strstr(seen.free_site, "test_heap.c:"));
        assert_true(line == NULL || seen.free_site != NULL);
        assert_string_not_equal(seen.free_site, seen.found_site);
        object[size / 2] = 0; /* write after free, found when the object is given out again */
        unsigned char *again = kmalloc(size);
        assert_ptr_equal(again, object);
        expect_report(HEAP_FAULT_USE_AFTER_FREE, object, size / 2);
        kfree(again);
        kfree(again + 1);
        expect_report(HEAP_FAULT_FOREIGN, again + 1, 0);
    }
    int local;
    kfree(&local);
    expect_report(HEAP_FAULT_FOREIGN, &local, 0);
    void *block = kmalloc(8192);
    kfree(block);
    kfree(block);
    expect_report(HEAP_FAULT_DOUBLE_FREE, block, 0);
    char text[400];
    slab_format_report(&seen, text, sizeof text);
    assert_non_null(strstr(text, "double free"));
    slab_set_report_hook(NULL);
    void *object = kmalloc(40);
    kfree(object);
    assert_panics("double free", kfree(object));
}

/* covers: HP-17 */
static void check_finds_damage_without_waiting_for_the_next_use(void **state)
{
    (void)state;
    start_heap(HEAP_DEBUG_FULL);
    slab_set_report_hook(note_report);
    reports = 0;
    unsigned char *object = kmalloc(100);
    assert_int_equal(slab_check_all(), 0);
    object[100] = 0;
    assert_int_equal(slab_check_all(), 1);
    expect_report(HEAP_FAULT_OVERFLOW, object, 100);
    object[100] = SLAB_RED_ZONE;
    kfree(object);
    object[7] = 0;
    assert_int_equal(slab_check_all(), 1);
    expect_report(HEAP_FAULT_USE_AFTER_FREE, object, 7);
    slab_set_report_hook(NULL);
}

static void keep_line(void *context, const char *text)
{
    strncat(context, text, 200);
}

/* covers: HP-14 */
static void leak_report_names_the_call_site(void **state)
{
    (void)state;
    start_heap(HEAP_DEBUG_TRACK);
    void *old = kmalloc(10);
    uint64_t since = slab_serial();
    char text[1000] = "";
    const struct text_sink sink = {keep_line, text};
    void *freed = kmalloc(20);
    void *leaked = kmalloc(30);
    const char *site = SLAB_SITE; /* one line below the leak */
    kfree(freed);
    assert_int_equal(slab_report_live(since, &sink), 1);
    assert_non_null(strstr(text, "30 bytes"));
    assert_non_null(strstr(text, "test_heap.c:"));
    int line = atoi(strrchr(site, ':') + 1);
    assert_int_equal(atoi(strrchr(text, ':') + 1), line - 1);
    assert_int_equal(slab_report_live(0, NULL), 2);
    kfree(leaked);
    kfree(old);
    assert_int_equal(slab_report_live(0, NULL), 0);
}

/* covers: HP-14 */
static void dump_tells_the_heap_and_its_caches(void **state)
{
    (void)state;
    start_heap(HEAP_DEBUG_OFF);
    static struct slab_cache objects;
    assert_ok(slab_cache_init(&objects, "dumped", 64, 0, 0));
    static char text[1 << 16];
    text[0] = 0;
    const struct text_sink sink = {keep_line, text};
    kheap_dump(&sink);
    assert_int_equal(strncmp(text, "heap: arenas ", 13), 0);
    assert_non_null(strstr(text, "dumped"));
}

/* ---- pools, pressure ---- */

/* covers: HP-13 */
static void pool_reserve_is_honoured_when_all_else_is_exhausted(void **state)
{
    (void)state;
    start_heap(HEAP_DEBUG_OFF);
    static struct memory_pool pool;
    static struct slab_cache objects;
    assert_ok(slab_cache_init(&objects, "pooled", 2048, 0, 0));
    assert_int_equal(memory_pool_init(&pool, &objects, 0), STATUS_ERR_RANGE);
    assert_int_equal(memory_pool_init(&pool, &objects, MEMORY_POOL_MAX + 1), STATUS_ERR_RANGE);
    assert_ok(memory_pool_init(&pool, &objects, 50));
    void *first = NULL;
    for (void **object = slab_alloc(&objects); object; object = slab_alloc(&objects)) {
        *object = first;
        first = object;
    }
    void *held[51];
    for (unsigned i = 0; i < 50; i++) {
        held[i] = memory_pool_alloc(&pool);
        assert_non_null(held[i]);
    }
    assert_null(memory_pool_alloc(&pool));
    assert_int_equal(pool.served_from_reserve, 50);
    memory_pool_free(&pool, held[49]);
    assert_int_equal(pool.count, 1); /* frees fill the reserve first */
    held[49] = memory_pool_alloc(&pool);
    assert_non_null(held[49]);
    while (first) {
        void *next = *(void **)first;
        slab_free(&objects, first);
        first = next;
    }
    held[50] = memory_pool_alloc(&pool);
    assert_int_equal(pool.served_from_reserve, 51);
    for (unsigned i = 0; i < 51; i++) {
        memory_pool_free(&pool, held[i]);
    }
    assert_int_equal(pool.count, 50);
    memory_pool_deinit(&pool);
    assert_ok(slab_cache_deinit(&objects));
    assert_heap_sound();
}

/* covers: HP-21 */
static void pressure_makes_the_heap_give_back_its_empty_slabs(void **state)
{
    (void)state;
    start_heap(HEAP_DEBUG_OFF);
    static void *blocks[40];
    for (unsigned i = 0; i < 40; i++) {
        blocks[i] = kmalloc(1u << 20);
        assert_non_null(blocks[i]);
    }
    struct kheap_stats stats;
    kheap_stats_read(&stats);
    assert_true(stats.arenas >= 40);
    for (unsigned i = 0; i < 40; i++) {
        kfree(blocks[i]);
    }
    kheap_stats_read(&stats);
    assert_true(stats.arenas <= KHEAP_KEEP_ARENAS + 1);
    assert_true(pressure_update(0) > 0);
    kheap_stats_read(&stats);
    assert_int_equal(stats.arenas, 0);
    assert_heap_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buddy_has_nine_orders_and_splits_exactly),
        cmocka_unit_test(buddy_random_run_keeps_every_invariant_and_coalesces_fully),
        cmocka_unit_test(buddy_splits_and_coalesces_on_demand),
        cmocka_unit_test(slab_layout_keeps_alignment_colour_and_lines),
        cmocka_unit_test(slab_count_returns_to_its_floor),
        cmocka_unit_test(drain_requests_are_obeyed_by_each_cpu),
        cmocka_unit_test(heap_serves_every_size_and_gives_everything_back),
        cmocka_unit_test(heap_reuses_memory_a_thousand_times_over),
        cmocka_unit_test(exhausted_heap_fails_cleanly_and_recovers),
        cmocka_unit_test(planted_faults_are_reported_with_object_and_sites),
        cmocka_unit_test(check_finds_damage_without_waiting_for_the_next_use),
        cmocka_unit_test(leak_report_names_the_call_site),
        cmocka_unit_test(dump_tells_the_heap_and_its_caches),
        cmocka_unit_test(pool_reserve_is_honoured_when_all_else_is_exhausted),
        cmocka_unit_test(pressure_makes_the_heap_give_back_its_empty_slabs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
