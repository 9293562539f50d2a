/* The store: access, registry, statistics, warnings, and failures of every step. covers: DS-36 (units) */

#include "store_fixture.h"

/* ---- access ---- */

/* covers: DS-14 */
static void bounds_and_missing_things_have_errors_of_their_own(void **state)
{
    (void)state;
    static const struct {
        unsigned id, layer;
        uint64_t offset, bytes;
        status_t status;
    } rows[] = {
        {0, 0, 0, 100, STATUS_OK},
        {0, 0, 0, 0, STATUS_OK},
        {0, 0, 99, 1, STATUS_OK},
        {0, 0, 100, 0, STATUS_OK},
        {0, 0, 100, 1, STATUS_ERR_DIM_OFFSET},
        {0, 0, 101, 0, STATUS_ERR_DIM_OFFSET},
        {0, 0, 0, 101, STATUS_ERR_DIM_OFFSET},
        {0, 0, 1, 100, STATUS_ERR_DIM_OFFSET},
        {0, 0, UINT64_MAX, 1, STATUS_ERR_DIM_OFFSET},
        {0, 0, UINT64_MAX, 0, STATUS_ERR_DIM_OFFSET},
        {0, 0, 1, UINT64_MAX, STATUS_ERR_DIM_OFFSET},
        {0, 0, UINT64_MAX - 50, 100, STATUS_ERR_DIM_OFFSET},
        {0, 0, UINT64_MAX, UINT64_MAX, STATUS_ERR_DIM_OFFSET},
        {0, 0, UINT64_C(1) << 63, UINT64_C(1) << 63, STATUS_ERR_DIM_OFFSET},
        {0, 1, 0, 0, STATUS_ERR_DIM_LAYER},
        {0, 65535, 0, 0, STATUS_ERR_DIM_LAYER},
        {2, 3, 0, 1, STATUS_OK},
        {2, 0, 0, 1, STATUS_ERR_DIM_LAYER},
        {2, 2, 0, 1, STATUS_ERR_DIM_LAYER},
        {2, 4, 0, 1, STATUS_ERR_DIM_LAYER},
        {1, 0, 0, 0, STATUS_ERR_DIM_NOT_LOADED},
        {4, 0, 0, 0, STATUS_ERR_DIM_UNKNOWN},
        {65535, 0, 0, 0, STATUS_ERR_DIM_UNKNOWN},
    };
    open_store(&small_config);
    write_dimension("dim00.odim", 0, 'x', 100);
    assert_ok(dim_store_load(&store, id_of(0), NULL, &error));
    assert_ok(dim_store_load(&store, id_of(2), NULL, &error)); /* layer 3 only */
    dim_read_begin(reader);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dim_slice slice = {NULL, 77};
        status_t status = dim_access_range(reader, id_of(rows[i].id), layer_of(rows[i].layer), rows[i].offset,
                                           rows[i].bytes, &slice);
        if (status != rows[i].status || slice.size_bytes != (status == STATUS_OK ? rows[i].bytes : 77)) {
            fail_msg("row %u: %s", i, status_name(status));
        }
    }
    dim_read_end(reader);
    struct dim_slice slice;
    assert_status(dim_access_layer(reader, id_of(0), layer_of(0), &slice), STATUS_ERR_STATE);
    dim_explain_access(STATUS_ERR_DIM_OFFSET, id_of(3), layer_of(2), 100, 1, &error);
    assert_error_text("dimension 3, layer 2, byte 100: the range does not lie inside the layer "
                      "(dimension: offset outside of the layer)");
    close_store();
}

static void every_layer_number_is_found_in_a_file_of_many(void **state)
{
    (void)state;
    static struct dim_layer_entry layers[DIM_MAX_LAYERS];
    static _Alignas(16) uint8_t file[128 * 1024];
    struct dim_config config = small_config;
    struct dim_entry entry = {
        .id = id_of(0), .layer_count = DIM_MAX_LAYERS, .name = "many", .layers = layers};
    uint64_t size;
    for (unsigned i = 0; i < DIM_MAX_LAYERS; i++) {
        layers[i] = (struct dim_layer_entry){.number = layer_of(i < 3 ? i : 64 * i - 1), .name = "x"};
    }
    config.layers = 65536;
    config.region_bytes = sizeof file;
    open_store(&config);
    assert_ok(dim_build(&entry, &(struct dim_build_options){0}, file, sizeof file, &size, &error));
    write_file("dim00.odim", file, size);
    assert_ok(dim_store_load(&store, id_of(0), NULL, &error));
    dim_read_begin(reader);
    unsigned found = 0;
    for (unsigned n = 0; n < 65536; n++) {
        struct dim_slice slice;
        status_t status = dim_access_layer(reader, id_of(0), layer_of(n), &slice);
        assert_int_equal(status,
                         n < 3 || (n % 64 == 63 && n > 150 && n < 65500) ? STATUS_OK : STATUS_ERR_DIM_LAYER);
        found += status == STATUS_OK;
    }
    dim_read_end(reader);
    assert_int_equal(found, DIM_MAX_LAYERS);
    close_store();
}

/* ---- registry, statistics, warnings ---- */

/* covers: DS-09 DS-15 */
static void registry_and_statistics_equal_a_model_over_random_changes(void **state)
{
    (void)state;
    struct {
        bool loaded, simulated;
        uint64_t used, layers;
    } model[4] = {{0}};
    uint64_t peak = 0, loads = 0, switches = 0, unloads = 0, failures = 0;
    uint32_t seed = 1;
    open_store(&small_config);
    for (unsigned step = 0; step < 2000; step++) {
        seed = seed * 1664525 + 1013904223;
        unsigned id = seed >> 30, what = seed >> 28 & 3;
        uint64_t bytes = (seed >> 16 & 7) * 4096;
        write_dimension("file", id, 'x', bytes);
        bool file = what == 0 || what == 1;
        status_t status = what == 0   ? dim_store_load(&store, id_of(id), "file", &error)
                          : what == 1 ? dim_store_switch(&store, id_of(id), "file", &error)
                          : what == 2 ? dim_store_unload(&store, id_of(id), &error)
                                      : dim_store_load(&store, id_of(id), "none", &error);
        bool works = what == 1 || what == 2 ? model[id].loaded : !model[id].loaded && (file || id != 3);
        assert_int_equal(status == STATUS_OK, works);
        failures += !works && what != 2;
        loads += works && (what == 0 || what == 3);
        switches += works && what == 1;
        unloads += works && what == 2;
        if (works) {
            model[id].loaded = what != 2;
            model[id].simulated = what == 3;
            model[id].layers = what == 2 ? 0 : what == 3 && id == 0 ? 2 : 1;
            model[id].used = what == 2 ? 0 : file ? 4096 + bytes : 4096 + 4096 * model[id].layers;
        }
        dim_id_t ids[DIM_MAX_DIMENSIONS];
        uint32_t count = dim_store_list(&store, ids), at = 0;
        uint64_t used = 0, layers = 0, simulated = 0;
        for (unsigned i = 0; i < 4; i++) {
            struct dim_info info;
            assert_int_equal(dim_store_info(&store, id_of(i), &info), model[i].loaded);
            if (model[i].loaded) {
                assert_int_equal(ids[at++].number, i);
                assert_int_equal(info.used_bytes, model[i].used);
                assert_int_equal(info.simulated, model[i].simulated);
            }
            used += model[i].used;
            layers += model[i].layers;
            simulated += model[i].simulated;
        }
        peak = used > peak ? used : peak;
        struct dim_stats s = store_stats();
        assert_int_equal(count, at);
        assert_int_equal(s.dimensions, count);
        assert_int_equal(s.used_bytes, used);
        assert_int_equal(s.peak_bytes, peak);
        assert_int_equal(s.layers, layers);
        assert_int_equal(s.simulated, simulated);
        assert_true(s.loads == loads && s.switches == switches && s.unloads == unloads &&
                    s.failures == failures);
        assert_int_equal(fault.host.backed_bytes, used + s.metadata_bytes);
        assert_int_equal(s.metadata_bytes, 512 * KIB);
    }
    assert_true(loads > 100 && switches > 100 && unloads > 100 && failures > 100);
    assert_false(dim_store_info(&store, id_of(4), &(struct dim_info){.layers = 0}));
    close_store();
}

/* The platform's clock counts one a question, so an access whose time is taken lasts one tick. */
static void accesses_are_counted_and_every_64th_is_timed(void **state)
{
    (void)state;
    struct dim_reader *other;
    struct dim_slice slice;
    open_store(&small_config);
    assert_ok(dim_store_simulate(&store, id_of(0), &error));
    assert_ok(dim_reader_join(&store, &other));
    dim_read_begin(reader);
    dim_read_begin(other);
    for (unsigned i = 0; i < 129; i++) {
        assert_ok(dim_access_layer(reader, id_of(0), layer_of(0), &slice));
    }
    assert_status(dim_access_range(other, id_of(1), layer_of(0), 0, 1, &slice), STATUS_ERR_DIM_NOT_LOADED);
    dim_read_end(other);
    dim_read_end(reader);
    for (unsigned left = 0; left < 2; left++) {
        struct dim_stats s = store_stats();
        assert_int_equal(s.accesses, 130);
        assert_int_equal(s.access_failures, 1);
        assert_int_equal(s.access_samples, 4);
        assert_int_equal(s.access_ticks_sum, 4);
        assert_int_equal(s.access_ticks_most, 1);
        if (!left) {
            dim_reader_leave(other); /* what it did stays counted */
        }
    }
    close_store();
}

static void readers_are_as_many_as_there_are_places(void **state)
{
    (void)state;
    struct dim_reader *all[DIM_MAX_READERS], *more;
    open_store(&small_config);
    for (unsigned i = 1; i < DIM_MAX_READERS; i++) {
        assert_ok(dim_reader_join(&store, &all[i]));
        assert_ptr_not_equal(all[i], reader);
    }
    assert_status(dim_reader_join(&store, &more), STATUS_ERR_LIMIT);
    dim_reader_leave(all[17]);
    assert_ok(dim_reader_join(&store, &more));
    assert_ptr_equal(more, all[17]);
    close_store();
}

/* covers: DS-39 */
static void each_crossing_of_75_85_and_95_percent_logs_one_line(void **state)
{
    (void)state;
    struct dim_config config = small_config;
    config.limit_bytes = 100 * 4096;
    config.region_bytes = 80 * 4096;
    open_store(&config);
    static const struct {
        unsigned pages; /* of dimension 0, switched to this many */
        unsigned warnings;
    } steps[] = {
        {74, 0}, {75, 1}, {75, 1}, {80, 1}, {74, 1}, {75, 2}, {10, 2}, {80, 3},
    };
    write_dimension("dim00.odim", 0, 'x', 0);
    assert_ok(dim_store_load(&store, id_of(0), NULL, &error));
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        write_dimension("dim00.odim", 0, 'x', (steps[i].pages - 1) * 4096);
        assert_ok(dim_store_switch(&store, id_of(0), NULL, &error));
        assert_int_equal(fault.lines[DIM_LOG_WARNING], steps[i].warnings);
        assert_int_equal(store_stats().warnings, steps[i].warnings);
    }
    assert_string_equal(fault.warnings[0],
                        "memory use has come to 75 % of the limit: 307200 of 409600 bytes");
    write_dimension("dim01.odim", 1, 'x', 16 * 4096);
    assert_ok(dim_store_load(&store, id_of(1), NULL, &error)); /* 97 %: two lines at once */
    assert_int_equal(fault.lines[DIM_LOG_WARNING], 5);
    assert_string_equal(fault.warnings[3],
                        "memory use has come to 85 % of the limit: 397312 of 409600 bytes");
    assert_string_equal(fault.warnings[4],
                        "memory use has come to 95 % of the limit: 397312 of 409600 bytes");
    write_dimension("dim02.odim", 2, 'x', 3 * 4096);
    assert_status(dim_store_load(&store, id_of(2), NULL, &error), STATUS_ERR_LIMIT);
    assert_int_equal(fault.lines[DIM_LOG_WARNING], 5);
    close_store();
}

/* ---- failures ---- */

static status_t change(unsigned what)
{
    switch (what) {
    case 0: /* plain file */
        return dim_store_load(&store, id_of(0), "plain", &error);
    case 1: /* compressed */
        return dim_store_load(&store, id_of(0), "packed", &error);
    case 2:
        return dim_store_load(&store, id_of(0), "text", &error);
    case 3:
        return dim_store_simulate(&store, id_of(0), &error);
    default:
        return dim_store_switch(&store, id_of(1), "other", &error);
    }
}

static void write_all_kinds(void)
{
    static const char text[] = "orrery-dimension 1\ndimension 0 words\nlayer 0 said real: a, b\n> Hello.\n";
    struct dim_arena arena = whole_arena();
    struct dim_catalog catalog;
    uint64_t bytes;
    assert_ok(dim_json_parse(catalog_text, strlen(catalog_text), &arena, &catalog, &error));
    uint8_t *packed = build_file(&catalog.dimensions[0], true, &bytes);
    write_file("packed", packed, bytes);
    free(packed);
    write_file("text", text, strlen(text));
    write_dimension("plain", 0, 'x', 5000);
    write_dimension("other", 1, 'x', 5000);
}

/*
 * Each platform call of each kind of load fails in turn, with objects that can be mapped and not. Calls that make
 * something fail the load; what was there before stays, and nothing of the failed load is left.
 * covers: DS-04 DS-31 DS-36
 */
static void a_load_that_fails_at_any_step_is_taken_back_whole(void **state)
{
    (void)state;
    unsigned failed_loads = 0, survived = 0;
    write_all_kinds();
    for (unsigned run = 0; run < 10; run++) {
        for (uint64_t failing = 1;; failing++) {
            open_store(&small_config);
            fault.cannot_map = run >= 5;
            assert_ok(dim_store_simulate(&store, id_of(1), &error));
            struct dim_stats before = store_stats();
            uint64_t backed = fault.host.backed_bytes, reserved = fault.host.reserved_bytes;
            fault.fail_call = fault.all_calls + failing;
            status_t status = change(run % 5);
            char byte;
            bool happened = fault.all_calls >= fault.fail_call;
            if (status != STATUS_OK) {
                assert_int_equal(error.status, status);
                assert_int_equal(store_stats().used_bytes, before.used_bytes);
                assert_int_equal(fault.host.backed_bytes - store_stats().metadata_bytes,
                                 backed - before.metadata_bytes);
                assert_int_equal(fault.host.reserved_bytes, reserved);
                assert_int_equal(fault.host.open_files, 0);
                assert_status(first_byte(0, &byte), STATUS_ERR_DIM_NOT_LOADED);
                assert_ok(first_byte(1, &byte));
                assert_int_equal(byte, 'c');
                assert_true(fault.lines[DIM_LOG_ERROR] >= 1);
                fault.fail_call = 0;
                assert_ok(change(run % 5)); /* and it can be done again */
                failed_loads++;
            } else {
                survived += happened;
                fault.fail_call = 0;
            }
            close_store();
            if (!happened) {
                break;
            }
        }
    }
    assert_true(failed_loads > 30);
    assert_true(survived > 5); /* the undoing of what was only for reading: logged, and the load is good */
}

/* covers: DS-31 DS-30 */
static void close_goes_on_after_each_failing_step_logs_it_and_leaves_nothing(void **state)
{
    (void)state;
    unsigned failures = 0;
    write_all_kinds();
    for (uint64_t failing = 1;; failing++) {
        open_store(&small_config);
        assert_ok(dim_store_load(&store, id_of(0), "plain", &error));
        assert_ok(dim_store_load(&store, id_of(1), "other", &error));
        assert_ok(dim_store_simulate(&store, id_of(2), &error));
        unsigned lines = fault.lines[DIM_LOG_ERROR];
        fault.fail_call = fault.all_calls + failing;
        dim_reader_leave(reader);
        status_t status = dim_store_close(&store, &error);
        assert_nothing_left(&fault);
        assert_int_equal(store_stats().used_bytes, 0);
        if (fault.all_calls < fault.fail_call) {
            assert_ok(status);
            break;
        }
        assert_int_not_equal(status, STATUS_OK);
        assert_int_equal(fault.lines[DIM_LOG_ERROR], lines + 1);
        failures++;
    }
    assert_int_equal(failures,
                     3 + 2 + 4 + 2 + 1); /* unmaps, closes, regions, two chunks of the pool, the pool */
    open_store(&small_config);
    assert_ok(dim_store_load(&store, id_of(0), "plain", &error));
    fault.fail_all[FAULT_UNMAP] = fault.fail_all[FAULT_CLOSE] = fault.fail_all[FAULT_RELEASE] = true;
    dim_reader_leave(reader);
    assert_status(dim_store_close(&store, &error), STATUS_ERR_BAD_ADDRESS);
    assert_error_text("not everything could be given back (bad address)");
    assert_nothing_left(&fault);
}

/* covers: DS-30 */
static void a_closed_store_refuses_everything_and_closes_again(void **state)
{
    (void)state;
    char byte;
    struct dim_reader *kept;
    open_store(&small_config);
    assert_ok(dim_store_simulate(&store, id_of(0), &error));
    assert_ok(dim_reader_join(&store, &kept));
    close_store();
    reader = kept;
    assert_status(first_byte(0, &byte), STATUS_ERR_DIM_NOT_LOADED);
    assert_status(dim_store_load(&store, id_of(0), NULL, &error), STATUS_ERR_STATE);
    assert_status(dim_store_simulate(&store, id_of(0), &error), STATUS_ERR_STATE);
    assert_status(dim_store_switch(&store, id_of(0), NULL, &error), STATUS_ERR_STATE);
    assert_status(dim_store_unload(&store, id_of(0), &error), STATUS_ERR_STATE);
    assert_ok(dim_store_validate(&store, &error));
    assert_int_equal(dim_store_list(&store, (dim_id_t[DIM_MAX_DIMENSIONS]){{0}}), 0);
    assert_ok(dim_store_close(&store, &error));
    assert_nothing_left(&fault);
}

/* covers: DS-35 (host part) DS-33 (used) */
static void the_standard_store_holds_fourteen_full_dimensions_in_280_mib(void **state)
{
    (void)state;
    platform = fault_platform_make(&fault, folder);
    assert_ok(dim_store_init(&store, &dim_config_standard, &platform, &error));
    static uint8_t head[4096];
    uint8_t *file = malloc(DIM_REGION_BYTES), *content = malloc(DIM_REGION_BYTES - sizeof head);
    assert_true(file && content);
    memset(content, 'f', DIM_REGION_BYTES - sizeof head);
    for (unsigned i = 0; i < 14; i++) {
        struct dim_layer_entry layer = {
            .name = "full", .content = content, .content_bytes = DIM_REGION_BYTES - sizeof head};
        struct dim_entry entry = {.id = id_of(i), .layer_count = 1, .name = "full", .layers = &layer};
        uint64_t size;
        assert_ok(dim_build(&entry, &(struct dim_build_options){0}, file, DIM_REGION_BYTES, &size, &error));
        assert_int_equal(size, DIM_REGION_BYTES);
        write_file("full", file, size); /* the file before stays open, its name goes to the next */
        assert_ok(dim_store_load(&store, id_of(i), "full", &error));
        char path[128];
        snprintf(path, sizeof path, "%s/full", folder);
        assert_int_equal(unlink(path), 0);
    }
    struct dim_stats s = store_stats();
    assert_int_equal(s.used_bytes, UINT64_C(280) << 20);
    assert_true(s.metadata_bytes <= DIM_MAX_METADATA);
    assert_int_equal(fault.host.backed_bytes, s.used_bytes + s.metadata_bytes);
    assert_int_equal(s.warnings, 3);
    free(file);
    free(content);
    assert_ok(dim_store_close(&store, &error));
    assert_nothing_left(&fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(bounds_and_missing_things_have_errors_of_their_own),
        STORE_TEST(every_layer_number_is_found_in_a_file_of_many),
        STORE_TEST(registry_and_statistics_equal_a_model_over_random_changes),
        STORE_TEST(accesses_are_counted_and_every_64th_is_timed),
        STORE_TEST(readers_are_as_many_as_there_are_places),
        STORE_TEST(each_crossing_of_75_85_and_95_percent_logs_one_line),
        STORE_TEST(a_load_that_fails_at_any_step_is_taken_back_whole),
        STORE_TEST(close_goes_on_after_each_failing_step_logs_it_and_leaves_nothing),
        STORE_TEST(a_closed_store_refuses_everything_and_closes_again),
        STORE_TEST(the_standard_store_holds_fourteen_full_dimensions_in_280_mib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
