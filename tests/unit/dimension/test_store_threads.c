/* Readers against writers, under the thread sanitizer. covers: DS-18 DS-26 DS-27 DS-28 DS-29 (host part) */

#include "store_fixture.h"

#include <pthread.h>

#define READERS  100
#define SWITCHES 60

static bool stopping;

/* What a reading thread saw. */
struct seen {
    pthread_t thread;
    uint64_t sections, torn, failed, kinds[256];
};

/* Reads whole layers, twice in a section; a layer of two letters, or two different layers, is torn. */
static void *read_all_the_time(void *arg)
{
    struct seen *seen = arg;
    struct dim_reader *r;
    if (dim_reader_join(&store, &r) != STATUS_OK) {
        seen->failed++;
        return NULL;
    }
    while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED) || seen->sections < 20) {
        struct dim_slice first, second;
        dim_read_begin(r);
        if (dim_access_layer(r, id_of(0), layer_of(0), &first) != STATUS_OK) {
            seen->failed++;
        } else {
            uint8_t letter = first.bytes[0];
            uint64_t size = letter == 'A' ? 5000 : letter == 'B' ? 9000 : first.size_bytes;
            seen->torn += first.size_bytes != size;
            for (uint64_t i = 0; i < first.size_bytes && letter < 'a'; i += 61) {
                seen->torn += first.bytes[i] != letter;
            }
            seen->kinds[letter]++;
            seen->failed += dim_access_range(r, id_of(0), layer_of(0), 1, 1, &second) != STATUS_OK;
        }
        dim_read_end(r);
        seen->sections++;
        if (seen->sections % 8 == 0) {
            usleep(100);
        }
    }
    dim_reader_leave(r);
    return NULL;
}

static void a_hundred_readers_see_only_whole_contents_while_they_are_switched(void **state)
{
    (void)state;
    static struct seen seen[READERS];
    memset(seen, 0, sizeof seen);
    stopping = false;
    open_store(&small_config);
    write_dimension("a", 0, 'A', 5000);
    write_dimension("b", 0, 'B', 9000);
    assert_ok(dim_store_simulate(&store, id_of(0), &error));
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&seen[i].thread, NULL, read_all_the_time, &seen[i]), 0);
    }
    usleep(20000);
    for (unsigned i = 0; i < SWITCHES; i++) {
        assert_ok(dim_store_switch(&store, id_of(0), i % 2 ? "a" : "b", &error));
        struct dim_stats s = store_stats();
        assert_int_equal(s.dimensions, 1);
        assert_int_equal(s.simulated, 0);
        assert_int_equal(s.switches, i + 1);
    }
    __atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
    uint64_t kinds[256] = {0}, sections = 0;
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(seen[i].thread, NULL);
        assert_int_equal(seen[i].torn, 0);
        assert_int_equal(seen[i].failed, 0);
        sections += seen[i].sections;
        for (unsigned k = 0; k < 256; k++) {
            kinds[k] += seen[i].kinds[k];
        }
    }
    assert_true(kinds['a'] > 0 && kinds['A'] > 0 && kinds['B'] > 0); /* simulated, and both files */
    assert_int_equal(kinds['a'] + kinds['A'] + kinds['B'], sections);
    assert_int_equal(store_stats().accesses, 2 * sections);
    assert_int_equal(store_stats().access_failures, 0);
    close_store();
}

static void *hold_a_section(void *arg)
{
    struct dim_reader *r = arg;
    struct dim_slice slice;
    dim_read_begin(r);
    status_t status = dim_access_layer(r, id_of(0), layer_of(0), &slice);
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE); /* the writer may try now */
    uint64_t wrong = status != STATUS_OK;
    for (unsigned i = 0; i < 50 && !wrong; i++) {
        usleep(1000);
        wrong += slice.bytes[i] != 'A';
    }
    dim_read_end(r);
    return (void *)(uintptr_t)wrong;
}

/* The old content stays mapped until the section ends: reading it afterwards would be a fault. */
static void a_writer_waits_for_the_section_that_holds_the_old_content(void **state)
{
    (void)state;
    for (unsigned unload = 0; unload < 2; unload++) {
        pthread_t thread;
        void *wrong;
        stopping = false;
        open_store(&small_config);
        write_dimension("a", 0, 'A', 5000);
        write_dimension("b", 0, 'B', 9000);
        assert_ok(dim_store_load(&store, id_of(0), "a", &error));
        assert_int_equal(pthread_create(&thread, NULL, hold_a_section, reader), 0);
        while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
            usleep(100);
        }
        assert_ok(unload ? dim_store_unload(&store, id_of(0), &error)
                         : dim_store_switch(&store, id_of(0), "b", &error));
        assert_int_equal(__atomic_load_n(&reader->epoch, __ATOMIC_SEQ_CST), 0); /* it has ended */
        pthread_join(thread, &wrong);
        assert_null(wrong);
        close_store();
    }
}

/* Loads, switches and unloads one dimension of its own; the store serialises. */
static void *write_all_the_time(void *arg)
{
    unsigned id = (unsigned)(uintptr_t)arg;
    uint64_t wrong = 0;
    char name[16];
    snprintf(name, sizeof name, "w%u", id);
    for (unsigned i = 0; i < 40; i++) {
        struct dim_error own;
        wrong += dim_store_load(&store, id_of(id), name, &own) != STATUS_OK;
        wrong += dim_store_switch(&store, id_of(id), name, &own) != STATUS_OK;
        wrong += dim_store_load(&store, id_of(id), name, &own) != STATUS_ERR_EXISTS;
        wrong += dim_store_unload(&store, id_of(id), &own) != STATUS_OK;
    }
    return (void *)(uintptr_t)wrong;
}

static void *watch_statistics(void *arg)
{
    uint64_t *wrong = arg;
    while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
        struct dim_stats s = store_stats();
        /* each loaded dimension has one layer and 8 KiB: figures of one moment fit together */
        *wrong += s.layers != s.dimensions || s.used_bytes != s.dimensions * 8192 ||
                  s.loads - s.unloads != s.dimensions || s.peak_bytes < s.used_bytes;
    }
    return NULL;
}

static void writers_are_serialised_and_statistics_are_those_of_one_moment(void **state)
{
    (void)state;
    pthread_t writers[4], watcher;
    uint64_t wrong_figures = 0;
    stopping = false;
    open_store(&small_config);
    for (unsigned i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%u", i);
        write_dimension(name, i, 'w', 100);
    }
    assert_int_equal(pthread_create(&watcher, NULL, watch_statistics, &wrong_figures), 0);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&writers[i], NULL, write_all_the_time, (void *)(uintptr_t)i), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(writers[i], &wrong);
        assert_null(wrong);
    }
    __atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
    pthread_join(watcher, NULL);
    assert_int_equal(wrong_figures, 0);
    struct dim_stats s = store_stats();
    assert_int_equal(s.loads, 160);
    assert_int_equal(s.switches, 160);
    assert_int_equal(s.unloads, 160);
    assert_int_equal(s.failures, 160);
    assert_int_equal(s.used_bytes, 0);
    assert_true(s.peak_bytes <= 4 * 8192);
    close_store();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_hundred_readers_see_only_whole_contents_while_they_are_switched),
        STORE_TEST(a_writer_waits_for_the_section_that_holds_the_old_content),
        STORE_TEST(writers_are_serialised_and_statistics_are_those_of_one_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
