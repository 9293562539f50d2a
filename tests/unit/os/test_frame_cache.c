/* Host tests of the caches whose objects fill whole frames (mm/frame_cache.h). */

#include "fake/fake_arch.h"

#include "mm/frame_cache.h"
#include "mm/kheap.h"

static struct heap_report seen;
static unsigned reports;

static void note_report(const struct heap_report *report)
{
    seen = *report;
    reports++;
}

static void start(enum heap_debug debug)
{
    fake_machine(64, 2);
    assert_ok(kheap_init(&(struct kheap_config){.debug = debug}));
    slab_set_report_hook(note_report);
    reports = 0;
}

static uint8_t *bytes_of(pfn_t pfn)
{
    return arch_phys_to_virt(paddr_from_pfn(pfn));
}

static pfn_t take(enum frame_cache cache, uint64_t n)
{
    pfn_t pfn;
    assert_ok(frame_cache_alloc(cache, n, FRAME_ZERO, 7, &pfn));
    for (uint64_t i = 0; i < n * PAGE_SIZE; i++) {
        assert_int_equal(bytes_of(pfn)[i], 0);
    }
    return pfn;
}

static struct frame_cache_stats stats_of(enum frame_cache cache)
{
    struct frame_cache_stats stats;
    frame_cache_stats_read(cache, &stats);
    return stats;
}

static bool is_refused(enum frame_cache cache, uint64_t n, pfn_t pfn, status_t why)
{
    uint64_t before = frame_free_count();
    struct frame_cache_stats stats = stats_of(cache);
    return frame_cache_free(cache, n, pfn) == why && frame_free_count() == before &&
           stats_of(cache).frees == stats.frees && stats_of(cache).frames == stats.frames;
}

/* covers: HP-08 (U: names and figures) */
static void each_cache_has_a_name_and_counts_its_objects(void **state)
{
    (void)state;
    start(HEAP_DEBUG_OFF);
    pfn_t taken[FRAME_CACHES][3];
    for (enum frame_cache cache = 0; cache < FRAME_CACHES; cache++) {
        for (enum frame_cache other = 0; other < cache; other++) {
            assert_string_not_equal(stats_of(cache).name, stats_of(other).name);
        }
        struct frame_cache_stats before = stats_of(cache);
        for (unsigned i = 0; i < 3; i++) {
            taken[cache][i] = take(cache, 1);
        }
        assert_int_equal(stats_of(cache).live, before.live + 3);
        assert_int_equal(stats_of(cache).allocs, before.allocs + 3);
        assert_int_equal(stats_of(cache).frames, before.frames + 3);
    }
    fake_cpu = 1; /* another CPU gives them back */
    for (enum frame_cache cache = 0; cache < FRAME_CACHES; cache++) {
        struct frame_cache_stats before = stats_of(cache);
        for (unsigned i = 0; i < 3; i++) {
            assert_ok(frame_cache_free(cache, 1, taken[cache][i]));
        }
        assert_int_equal(stats_of(cache).live, before.live - 3);
        assert_int_equal(stats_of(cache).frees, before.frees + 3);
    }
    fake_cpu = 0;
    pfn_t pfn;
    uint64_t failures = stats_of(FRAME_CACHE_MESSAGES).failures;
    assert_int_equal(frame_cache_alloc(FRAME_CACHE_MESSAGES, 1u << 17, FRAME_ZERO, 0, &pfn),
                     STATUS_ERR_NO_MEMORY);
    assert_int_equal(stats_of(FRAME_CACHE_MESSAGES).failures, failures + 1);
}

/* covers: HP-08 (U: faults) */
static void an_object_goes_back_once_to_its_own_cache_and_whole(void **state)
{
    (void)state;
    for (enum heap_debug debug = HEAP_DEBUG_OFF; debug <= HEAP_DEBUG_FULL; debug++) {
        start(debug);
        pfn_t region;
        assert_ok(frame_alloc(FRAME_ZERO, FRAME_OWNER_IPC, 0, &region));
        for (enum frame_cache cache = 0; cache < FRAME_CACHES; cache++) {
            pfn_t pfn = take(cache, 1);
            const paddr_t address = paddr_from_pfn(pfn);
            bytes_of(pfn)[77] = 1;
            for (enum frame_cache other = 0; other < FRAME_CACHES; other++) {
                assert_true(other == cache || is_refused(other, 1, pfn, STATUS_ERR_FOREIGN));
                assert_true(other == cache || frame_cache_free_zeroed(other, 1, &address) == 0);
            }
            assert_true(is_refused(cache, 1, region, STATUS_ERR_FOREIGN));
            assert_true(is_refused(cache, 1, pfn + (1u << 20), STATUS_ERR_FOREIGN));
            assert_int_equal(bytes_of(pfn)[77], 1); /* nothing was overwritten */
            assert_ok(frame_cache_free(cache, 1, pfn));
            assert_true(is_refused(cache, 1, pfn, STATUS_ERR_DOUBLE_FREE));
            assert_int_equal(frame_cache_free_zeroed(cache, 1, &address), 0);
        }
        pfn_t run = take(FRAME_CACHE_MESSAGES, 5);
        pfn_t next = take(FRAME_CACHE_MESSAGES, 5);
        assert_true(is_refused(FRAME_CACHE_MESSAGES, 4, run, STATUS_ERR_FOREIGN));
        assert_true(is_refused(FRAME_CACHE_MESSAGES, 10, run < next ? run : next, STATUS_ERR_FOREIGN));
        assert_true(is_refused(FRAME_CACHE_MESSAGES, 5, run + 1, STATUS_ERR_FOREIGN));
        assert_true(is_refused(FRAME_CACHE_MESSAGES, 1, run + 4, STATUS_ERR_FOREIGN));
        assert_ok(frame_cache_free(FRAME_CACHE_MESSAGES, 5, run));
        assert_true(is_refused(FRAME_CACHE_MESSAGES, 5, run, STATUS_ERR_DOUBLE_FREE));
        assert_ok(frame_cache_free(FRAME_CACHE_MESSAGES, 5, next));
        assert_int_equal(reports, 0);
    }
}

/* covers: HP-08 (U: constructed between uses) */
static void a_cpu_takes_the_object_it_gave_back_last_as_it_was_left(void **state)
{
    (void)state;
    start(HEAP_DEBUG_OFF);
    pfn_t pfn = take(FRAME_CACHE_PAGE_TABLE, 1);
    const paddr_t address = paddr_from_pfn(pfn);
    pfn_t again;
    assert_int_equal(frame_cache_free_zeroed(FRAME_CACHE_PAGE_TABLE, 1, &address), 1);
    bytes_of(pfn)[8] = 1; /* shows that nobody fills it again */
    assert_int_equal(frame_cache_alloc_some(FRAME_CACHE_PAGE_TABLE, 1, FRAME_ZERO, 0, &again), 1);
    assert_int_equal(again, pfn);
    assert_int_equal(bytes_of(pfn)[8], 1);
    assert_ok(frame_cache_free(FRAME_CACHE_PAGE_TABLE, 1, pfn));
    assert_int_equal(take(FRAME_CACHE_PAGE_TABLE, 1), pfn); /* not left full of zeros: filled */
}

/* A fault of an object of one frame, that was reported with its cache and place. */
static bool was_reported(enum heap_fault fault, enum frame_cache cache, pfn_t pfn, uint64_t offset)
{
    bool good = reports == 1 && seen.fault == fault && strcmp(seen.cache, stats_of(cache).name) == 0 &&
                seen.object == bytes_of(pfn) && seen.offset == offset && seen.size == PAGE_SIZE;
    reports = 0;
    return good;
}

/* covers: HP-08 (U: poison) */
static void a_use_after_free_is_reported_with_the_name_of_the_cache(void **state)
{
    (void)state;
    start(HEAP_DEBUG_FULL);
    for (enum frame_cache cache = 0; cache < FRAME_CACHES; cache++) {
        pfn_t pfn = take(cache, 1);
        memset(bytes_of(pfn), 0x55, PAGE_SIZE);
        assert_ok(frame_cache_free(cache, 1, pfn));
        assert_int_equal(bytes_of(pfn)[99], 0); /* who still reads it finds nothing */
        bytes_of(pfn)[4000] = 3;
        assert_int_equal(take(cache, 1), pfn);
        assert_true(was_reported(HEAP_FAULT_USE_AFTER_FREE, cache, pfn, 4000));
        const paddr_t address = paddr_from_pfn(pfn);
        bytes_of(pfn)[12] = 1;
        assert_int_equal(frame_cache_free_zeroed(cache, 1, &address), 1);
        assert_true(was_reported(HEAP_FAULT_DIRTY, cache, pfn, 12));
        bytes_of(pfn)[1] = 1;
        assert_int_equal(frame_cache_alloc_some(cache, 1, FRAME_ZERO, 0, &pfn), 1);
        assert_true(was_reported(HEAP_FAULT_USE_AFTER_FREE, cache, pfn, 1));
        assert_ok(frame_cache_free(cache, 1, pfn));
    }
    pfn_t run = take(FRAME_CACHE_MESSAGES, 3);
    assert_ok(frame_cache_free(FRAME_CACHE_MESSAGES, 3, run));
    assert_int_equal(bytes_of(run)[PAGE_SIZE], SLAB_POISON_FREE);
    assert_int_equal(reports, 0);
    char text[300];
    slab_format_report(&seen, text, sizeof text);
    assert_non_null(strstr(text, "use after free"));
    assert_non_null(strstr(text, "of messages"));
}

/* What lies in fronts is free memory: it serves who needs the last frame, whatever it was, on another CPU too.
 * covers: HP-08 (U: pressure) */
static void objects_in_fronts_are_reaped_when_memory_is_wanted(void **state)
{
    (void)state;
    start(HEAP_DEBUG_OFF);
    static pfn_t taken[1 << 14];
    uint64_t initial = frame_free_count();
    paddr_t tables[20];
    for (unsigned i = 0; i < 20; i++) {
        tables[i] = paddr_from_pfn(take(FRAME_CACHE_PAGE_TABLE, 1));
    }
    assert_int_equal(frame_cache_free_zeroed(FRAME_CACHE_PAGE_TABLE, 20, tables), 20);
    assert_true(frame_manager.cpus[0].zeroed_count >= 20);
    assert_int_equal(frame_free_count(), initial);
    fake_cpu = 1;
    uint64_t count = 0;
    while (frame_alloc(FRAME_CRITICAL, FRAME_OWNER_TEST, 0, &taken[count]) == STATUS_OK) {
        count++;
    }
    assert_int_equal(count, initial);
    assert_int_equal(frame_manager.cpus[0].zeroed_count, 0);
    fake_cpu = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cache_has_a_name_and_counts_its_objects),
        cmocka_unit_test(an_object_goes_back_once_to_its_own_cache_and_whole),
        cmocka_unit_test(a_cpu_takes_the_object_it_gave_back_last_as_it_was_left),
        cmocka_unit_test(a_use_after_free_is_reported_with_the_name_of_the_cache),
        cmocka_unit_test(objects_in_fronts_are_reaped_when_memory_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
