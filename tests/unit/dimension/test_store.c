/* The store: regions, loading, other sources, limits, switching, on the host's back-end. covers: DS-36 (units) */

#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "dimension/simulate.h"

/* ---- init ---- */

/* covers: DS-02 DS-33 (reserved) */
static void the_standard_store_reserves_14_regions_of_exactly_280_mib(void **state)
{
    (void)state;
    platform = fault_platform_make(&fault, folder);
    assert_ok(dim_store_init(&store, &dim_config_standard, &platform, &error));
    struct dim_stats s = store_stats();
    assert_int_equal(s.regions, 14);
    assert_int_equal(s.allocated_bytes, UINT64_C(280) << 20);
    assert_int_equal(s.limit_bytes, UINT64_C(280) << 20);
    assert_int_equal(fault.host.reserved_bytes, (UINT64_C(280) << 20) + DIM_MAX_METADATA);
    assert_int_equal(fault.host.backed_bytes, 0);
    for (unsigned i = 0; i < 14; i++) {
        assert_int_equal(store.slots[i].region % DIM_PAGE_BYTES, 0);
        for (unsigned k = 0; k < i; k++) {
            uint64_t a = store.slots[i].region, b = store.slots[k].region;
            assert_true(a + DIM_REGION_BYTES <= b || b + DIM_REGION_BYTES <= a);
        }
    }
    assert_ok(dim_store_close(&store, &error));
    assert_nothing_left(&fault);
    assert_int_equal(store_stats().allocated_bytes, 0);
}

static void wrong_configurations_are_refused_before_anything_is_taken(void **state)
{
    (void)state;
    struct dim_config wrong[12];
    for (unsigned i = 0; i < 12; i++) {
        wrong[i] = small_config;
    }
    wrong[0].dimensions = 0;
    wrong[1].dimensions = 65;
    wrong[2].layers = 0;
    wrong[3].layers = 65537;
    wrong[4].flags = 2;
    wrong[5].reserved = 1;
    wrong[6].region_bytes = 0;
    wrong[7].region_bytes = 4097;
    wrong[8].region_bytes = (UINT64_C(1) << 30) + 4096;
    wrong[9].limit_bytes = 4095;
    wrong[10].limit_bytes = 0;
    wrong[11].metadata_bytes = 100;
    for (unsigned i = 0; i < 12; i++) {
        platform = fault_platform_make(&fault, folder);
        assert_status(dim_store_init(&store, &wrong[i], &platform, &error), STATUS_ERR_DIM_CONFIG);
        assert_non_null(error.what);
        assert_int_equal(fault.all_calls, 0);
        assert_ok(dim_store_close(&store, &error));
    }
}

/* covers: DS-04 */
static void init_that_fails_at_any_step_says_where_and_leaves_nothing(void **state)
{
    (void)state;
    for (uint64_t failing = 1; failing <= 15; failing++) {
        char text[DIM_ERROR_TEXT_BYTES], wanted[100] = "the pool of metadata cannot be reserved (no memory)";
        platform = fault_platform_make(&fault, folder);
        fault.fail_call = failing;
        assert_status(dim_store_init(&store, &dim_config_standard, &platform, &error), STATUS_ERR_NO_MEMORY);
        if (failing > 1) {
            snprintf(wanted, sizeof wanted, "dimension %u: its region cannot be reserved (no memory)",
                     (unsigned)failing - 2);
        }
        assert_string_equal(dim_error_text(&error, text, sizeof text), wanted);
        assert_nothing_left(&fault);
        assert_ok(dim_store_close(&store, &error));
    }
    platform = fault_platform_make(&fault, folder);
    fault.fail_call = 16;
    assert_ok(dim_store_init(&store, &dim_config_standard, &platform, &error));
    assert_int_equal(fault.all_calls, 15);
    fault.fail_call = 0;
    assert_ok(dim_store_close(&store, &error));
}

/* ---- loading ---- */

static uint64_t read_back(const char *name, uint8_t *to, uint64_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    uint64_t got = fread(to, 1, size, in);
    fclose(in);
    return got;
}

/* covers: DS-06 DS-11 (pointer) DS-25 DS-32 (mapped and read back-ends) */
static void a_loaded_file_is_its_regions_content_mapped_or_read(void **state)
{
    (void)state;
    static uint8_t file[REGION];
    for (unsigned cannot_map = 0; cannot_map < 2; cannot_map++) {
        struct dim_slice slice;
        struct dim_info info;
        open_store(&small_config);
        fault.cannot_map = cannot_map;
        write_dimension("dim01.odim", 1, 'x', 10000);
        assert_ok(dim_store_load(&store, id_of(1), NULL, &error));
        assert_true(dim_store_info(&store, id_of(1), &info));
        assert_int_equal(read_back("dim01.odim", file, sizeof file), info.used_bytes);
        assert_int_equal(info.region, store.slots[1].region);
        assert_int_equal(info.used_bytes, 4096 + 12288);
        assert_memory_equal((void *)(uintptr_t)info.region, file, info.used_bytes);
        assert_true(info.has_file && !info.simulated && info.layers == 1);
        assert_string_equal(info.name, "real");
        dim_read_begin(reader);
        assert_ok(dim_access_layer(reader, id_of(1), layer_of(0), &slice));
        assert_ptr_equal(slice.bytes, (uint8_t *)(uintptr_t)info.region + 4096);
        assert_int_equal(slice.size_bytes, 10000);
        dim_read_end(reader);
        assert_int_equal(fault.calls[cannot_map ? FAULT_SEAL : FAULT_MAP], 1);
        assert_int_equal(fault.host.backed_bytes, info.used_bytes + 256 * KIB + 256 * KIB);
        close_store();
    }
}

/* covers: DS-13 */
static void writing_to_a_layer_ends_the_process_however_it_was_loaded(void **state)
{
    (void)state;
    open_store(&small_config);
    write_dimension("dim00.odim", 0, 'x', 100);
    write_dimension("other", 2, 'x', 100);
    assert_ok(dim_store_load(&store, id_of(0), NULL, &error));
    assert_ok(dim_store_load(&store, id_of(1), NULL, &error)); /* simulated */
    fault.cannot_map = true;
    assert_ok(dim_store_load(&store, id_of(2), "other", &error));
    for (unsigned i = 0; i < 3; i++) {
        struct dim_info info;
        assert_true(dim_store_info(&store, id_of(i), &info));
        for (uint64_t at = 0; at < REGION; at += REGION - 1) { /* content, and what is only reserved */
            pid_t child = fork();
            if (child == 0) {
                signal(SIGSEGV, SIG_DFL);
                *((volatile uint8_t *)(uintptr_t)info.region + at) = 1;
                _exit(0);
            }
            int status;
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        }
    }
    close_store();
}

/* covers: DS-07 */
static void a_second_load_is_an_error_and_the_first_stays(void **state)
{
    (void)state;
    char byte;
    open_store(&small_config);
    write_dimension("dim00.odim", 0, 'x', 100);
    write_dimension("other", 0, 'y', 100);
    assert_ok(dim_store_load(&store, id_of(0), NULL, &error));
    assert_status(dim_store_load(&store, id_of(0), "other", &error), STATUS_ERR_EXISTS);
    assert_error_text("dimension 0: the dimension is loaded already (already exists)");
    assert_status(dim_store_simulate(&store, id_of(0), NULL), STATUS_ERR_EXISTS);
    assert_ok(first_byte(0, &byte));
    assert_int_equal(byte, 'x');
    assert_int_equal(fault.host.open_files, 1);
    assert_int_equal(store_stats().failures, 2);
    assert_ok(dim_store_unload(&store, id_of(0), &error));
    assert_ok(dim_store_load(&store, id_of(0), "other", &error));
    assert_ok(first_byte(0, &byte));
    assert_int_equal(byte, 'y');
    close_store();
}

/* covers: DS-08 */
static void a_load_beyond_the_limit_tells_use_and_limit_and_changes_nothing(void **state)
{
    (void)state;
    struct dim_config config = small_config;
    char byte;
    config.limit_bytes = 2 * REGION;
    open_store(&config);
    write_dimension("dim00.odim", 0, 'x', REGION - 4096);
    write_dimension("dim01.odim", 1, 'y', REGION - 8192);
    write_dimension("dim02.odim", 2, 'z', 4096);
    assert_ok(dim_store_load(&store, id_of(0), NULL, &error));
    assert_ok(dim_store_load(&store, id_of(1), NULL, &error));
    struct dim_stats before = store_stats();
    uint64_t backed = fault.host.backed_bytes;
    assert_status(dim_store_load(&store, id_of(2), NULL, &error), STATUS_ERR_LIMIT);
    assert_error_text("dimension 2: the limit of memory would be exceeded: 8192 bytes wanted, "
                      "126976 of 131072 in use (limit reached)");
    assert_int_equal(error.used_bytes, 2 * REGION - 4096);
    assert_int_equal(error.limit_bytes, 2 * REGION);
    assert_status(dim_store_simulate(&store, id_of(2), &error), STATUS_ERR_LIMIT);
    assert_int_equal(store_stats().used_bytes, before.used_bytes);
    assert_int_equal(fault.host.backed_bytes, backed);
    assert_status(first_byte(2, &byte), STATUS_ERR_DIM_NOT_LOADED);
    assert_ok(dim_store_unload(&store, id_of(1), &error));
    assert_ok(dim_store_load(&store, id_of(2), NULL, &error));
    close_store();
}

static void files_that_do_not_fit_or_are_none_are_refused(void **state)
{
    (void)state;
    open_store(&small_config);
    write_dimension("large", 0, 'x', REGION);
    write_dimension("other", 1, 'x', 100);
    write_file("short", "\211ODIM\r\n\032", 8);
    write_file("empty", "", 0);
    write_file("noise", "0123456789012345678901234567890123456789", 40);
    write_file("far", "orrery-dimension 1\ndimension 0 x\nlayer 4 x real:\n", 49);
    write_file("bad", "orrery-dimension 1\ndimension 0 x\nlayer 4 x:\n", 44);
    assert_status(dim_store_load(&store, id_of(0), "large", &error), STATUS_ERR_LIMIT);
    assert_error_text(
        "dimension 0: the file does not fit into its region: 69632 bytes wanted, 0 of 65536 in use "
        "(limit reached)");
    assert_status(dim_store_load(&store, id_of(0), "other", &error), STATUS_ERR_DIM_HEADER);
    assert_error_text("dimension 0: the file holds another dimension (dimension: bad header)");
    assert_status(dim_store_load(&store, id_of(0), "short", &error), STATUS_ERR_DIM_MAGIC);
    assert_status(dim_store_load(&store, id_of(0), "empty", &error), STATUS_ERR_DIM_MAGIC);
    assert_status(dim_store_load(&store, id_of(0), "noise", &error), STATUS_ERR_DIM_MAGIC);
    assert_error_text("dimension 0, byte 0: this is no dimension file (dimension: not a dimension file)");
    assert_status(dim_store_load(&store, id_of(0), "far", &error), STATUS_ERR_DIM_LAYER);
    assert_error_text("dimension 0, layer 4: the store is not configured for a layer of this number "
                      "(dimension: no such layer)");
    assert_status(dim_store_load(&store, id_of(0), "bad", &error), STATUS_ERR_DIM_TEXT);
    assert_error_text(
        "dimension 0, line 3, column 9: \"layer NUMBER NAME real: KEYWORDS\" must stand here, or "
        "simulated (dimension: malformed text)");
    assert_status(dim_store_load(&store, id_of(4), NULL, &error), STATUS_ERR_DIM_UNKNOWN);
    assert_status(dim_store_load(&store, id_of(65535), NULL, &error), STATUS_ERR_DIM_UNKNOWN);
    char name[DIM_MAX_FILE_NAME + 1];
    memset(name, 'n', sizeof name);
    name[DIM_MAX_FILE_NAME] = '\0';
    assert_status(dim_store_load(&store, id_of(0), name, &error), STATUS_ERR_ARGUMENT);
    assert_int_equal(fault.host.backed_bytes, 256 * KIB); /* the catalog's */
    assert_int_equal(fault.host.open_files, 0);
    close_store();
}

/* covers: DS-10 */
static void a_file_with_any_bit_turned_is_rejected_and_leaves_no_region(void **state)
{
    (void)state;
    uint8_t file[3 * 4096];
    open_store(&small_config);
    write_dimension("dim00.odim", 0, 'x', 5000);
    assert_int_equal(read_back("dim00.odim", file, sizeof file), sizeof file);
    uint64_t backed = fault.host.backed_bytes;
    for (uint64_t bit = 0; bit < 8 * sizeof file; bit += bit < 8 * 64 ? 7 : 701) {
        char byte;
        file[bit / 8] ^= (uint8_t)(1u << bit % 8);
        write_file("dim00.odim", file, sizeof file);
        assert_int_not_equal(dim_store_load(&store, id_of(0), NULL, &error), STATUS_OK);
        assert_status(first_byte(0, &byte), STATUS_ERR_DIM_NOT_LOADED);
        assert_int_equal(fault.host.backed_bytes, backed);
        assert_int_equal(fault.host.open_files, 0);
        file[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    write_file("dim00.odim", file, sizeof file);
    assert_ok(dim_store_load(&store, id_of(0), NULL, &error));
    close_store();
}

/* covers: DS-05 */
static void closed_forged_and_changed_backing_files_are_detected(void **state)
{
    (void)state;
    struct dim_info info;
    open_store(&small_config);
    write_dimension("dim00.odim", 0, 'x', 100);
    write_dimension("dim01.odim", 1, 'y', 100);
    assert_ok(dim_store_load(&store, id_of(0), NULL, &error));
    assert_ok(dim_store_load(&store, id_of(1), NULL, &error));
    assert_ok(dim_store_simulate(&store, id_of(2), &error));
    assert_ok(dim_store_validate(&store, &error));
    assert_true(dim_store_info(&store, id_of(1), &info));
    struct dim_object forged = info.object;
    forged.handle ^= UINT64_C(1) << 32;
    assert_status(platform.check(platform.context, &forged), STATUS_ERR_DIM_BACKING);
    forged.handle = UINT64_MAX;
    assert_status(platform.check(platform.context, &forged), STATUS_ERR_DIM_BACKING);
    forged = info.object;
    forged.size_bytes++;
    assert_status(platform.check(platform.context, &forged), STATUS_ERR_DIM_BACKING);
    assert_ok(platform.close(platform.context, info.object.handle)); /* behind the store's back */
    assert_status(dim_store_validate(&store, &error), STATUS_ERR_DIM_BACKING);
    assert_error_text("dimension 1: the file behind it is not the one that was opened "
                      "(dimension: backing object gone)");
    dim_reader_leave(reader);
    assert_status(dim_store_close(&store, &error), STATUS_ERR_DIM_BACKING);
    assert_nothing_left(&fault);
}

/* ---- other sources ---- */

/* covers: DS-20 */
static void a_text_file_is_loaded_as_a_placeholder(void **state)
{
    (void)state;
    static const char text[] =
        "orrery-dimension 1\ndimension 3 words\nseed 9\nlayer 0 said real: a, b\n> Hello.\n"
        "layer 2 made simulated: c\n";
    struct dim_slice slice;
    struct dim_info info;
    open_store(&small_config);
    write_file("dim03.txt", text, strlen(text));
    assert_ok(dim_store_load(&store, id_of(3), NULL, &error));
    dim_read_begin(reader);
    assert_ok(dim_access_layer(reader, id_of(3), layer_of(0), &slice));
    assert_int_equal(slice.size_bytes, 7);
    assert_memory_equal(slice.bytes, "Hello.\n", 7);
    assert_ok(dim_access_layer(reader, id_of(3), layer_of(2), &slice));
    assert_true(slice.size_bytes > 900 && slice.size_bytes <= 1000);
    assert_memory_equal(slice.bytes, "c, c, c", 7);
    dim_read_end(reader);
    assert_true(dim_store_info(&store, id_of(3), &info) && info.simulated && info.has_file);
    assert_int_equal(fault.host.reservations, 4 + 1); /* nothing of the parsing is left */
    close_store();
}

/* covers: DS-23 */
static void a_compressed_file_is_served_from_its_inflated_copy(void **state)
{
    (void)state;
    struct dim_slice slice;
    uint64_t bytes;
    open_store(&small_config);
    struct dim_arena arena = whole_arena();
    struct dim_catalog catalog;
    assert_ok(dim_json_parse(catalog_text, strlen(catalog_text), &arena, &catalog, &error));
    uint8_t *plain = build_file(&catalog.dimensions[0], false, &bytes);
    write_file("plain", plain, bytes);
    uint8_t *packed = build_file(&catalog.dimensions[0], true, &bytes);
    assert_true(dim_file_is_compressed(packed));
    write_file("packed", packed, bytes);
    assert_ok(dim_store_load(&store, id_of(0), "packed", &error));
    for (unsigned layer = 0; layer < 2; layer++) {
        const struct dim_file_record *record = &dim_file_records(plain)[layer];
        dim_read_begin(reader);
        assert_ok(dim_access_layer(reader, id_of(0), layer_of(layer), &slice));
        assert_int_equal(slice.size_bytes, record->content_bytes);
        assert_memory_equal(slice.bytes, plain + record->offset, record->content_bytes);
        dim_read_end(reader);
    }
    free(plain);
    free(packed);
    close_store();
}

/* covers: DS-17 DS-16 */
static void without_a_file_contexts_are_simulated_and_say_so(void **state)
{
    (void)state;
    struct dim_slice slice;
    struct dim_info info;
    uint8_t expected[1000];
    open_store(&small_config);
    assert_ok(dim_store_load(&store, id_of(0), NULL, &error));
    assert_true(dim_store_info(&store, id_of(0), &info) && info.simulated && !info.has_file);
    assert_string_equal(info.name, "zero");
    struct dim_arena arena = whole_arena();
    struct dim_catalog catalog;
    assert_ok(dim_json_parse(catalog_text, strlen(catalog_text), &arena, &catalog, &error));
    dim_read_begin(reader);
    for (unsigned layer = 0; layer < 2; layer++) {
        uint64_t bytes =
            dim_simulate(&catalog.dimensions[0].layers[layer], id_of(0), 5, expected, sizeof expected);
        assert_ok(dim_access_layer(reader, id_of(0), layer_of(layer), &slice));
        assert_int_equal(slice.size_bytes, bytes);
        assert_memory_equal(slice.bytes, expected, bytes);
    }
    dim_read_end(reader);
    assert_int_equal(store_stats().simulated, 1);
    write_dimension("dim01.odim", 1, 'x', 10);
    assert_ok(dim_store_load(&store, id_of(1), NULL, &error));
    assert_int_equal(store_stats().simulated, 1);
    assert_int_equal(store_stats().dimensions, 2);
    assert_status(dim_store_load(&store, id_of(3), NULL, &error), STATUS_ERR_DIM_NO_SOURCE);
    close_store();
}

static void without_the_flag_a_missing_file_is_an_error(void **state)
{
    (void)state;
    struct dim_config config = small_config;
    config.flags = 0;
    open_store(&config);
    assert_status(dim_store_load(&store, id_of(0), NULL, &error), STATUS_ERR_NOT_FOUND);
    assert_error_text("dimension 0: the file cannot be opened (not found)");
    assert_ok(dim_store_simulate(&store, id_of(0), &error));
    close_store();
}

static void a_catalog_can_be_replaced_and_a_bad_one_changes_nothing(void **state)
{
    (void)state;
    static const char other[] =
        "{\"version\": 1, \"dimensions\": [{\"id\": 3, \"name\": \"three\", \"layers\": "
        "[{\"layer\": 0, \"name\": \"a\", \"keywords\": [\"x\"]}]}]}";
    static char large[20000];
    open_store(&small_config);
    assert_status(dim_store_set_catalog(&store, "{", 1, &error), STATUS_ERR_DIM_JSON);
    assert_status(dim_store_set_catalog(&store, large, sizeof large, &error), STATUS_ERR_LIMIT);
    assert_ok(dim_store_simulate(&store, id_of(0), &error));
    for (unsigned i = 0; i < 10; i++) {
        assert_ok(dim_store_set_catalog(&store, other, strlen(other), &error));
    }
    assert_ok(dim_store_simulate(&store, id_of(3), &error));
    assert_status(dim_store_simulate(&store, id_of(1), &error), STATUS_ERR_DIM_NO_SOURCE);
    assert_int_equal(fault.lines[DIM_LOG_ERROR], 1);
    close_store();
    assert_status(dim_store_set_catalog(&store, other, strlen(other), &error), STATUS_ERR_STATE);
}

/* ---- switching ---- */

/* covers: DS-18 (one thread) DS-16 */
static void a_switch_replaces_simulated_by_real_content_and_moves_the_region(void **state)
{
    (void)state;
    struct dim_info old, now;
    struct dim_slice before, after;
    char byte;
    open_store(&small_config);
    assert_status(dim_store_switch(&store, id_of(0), NULL, &error), STATUS_ERR_DIM_NOT_LOADED);
    assert_ok(dim_store_load(&store, id_of(0), NULL, &error));
    assert_true(dim_store_info(&store, id_of(0), &old));
    assert_status(dim_store_switch(&store, id_of(0), NULL, &error), STATUS_ERR_NOT_FOUND);
    assert_ok(first_byte(0, &byte));
    assert_int_equal(byte, 'a');
    write_dimension("dim00.odim", 0, 'R', 20000);
    dim_read_begin(reader);
    assert_ok(dim_access_layer(reader, id_of(0), layer_of(0), &before));
    dim_read_end(reader);
    assert_ok(dim_store_switch(&store, id_of(0), NULL, &error));
    dim_read_begin(reader);
    assert_ok(dim_access_layer(reader, id_of(0), layer_of(0), &after));
    assert_int_equal(after.bytes[19999], 'R');
    assert_int_equal(after.size_bytes, 20000);
    dim_read_end(reader);
    assert_true(dim_store_info(&store, id_of(0), &now));
    assert_true(now.region != old.region && !now.simulated && now.has_file);
    struct dim_stats s = store_stats();
    assert_int_equal(s.simulated, 0);
    assert_int_equal(s.switches, 1);
    assert_int_equal(s.used_bytes, now.used_bytes);
    assert_int_equal(s.allocated_bytes, 4 * REGION);
    assert_int_equal(fault.host.reserved_bytes, 4 * REGION + 1024 * KIB);
    close_store();
}

static void a_switch_counts_only_the_new_content_against_the_limit(void **state)
{
    (void)state;
    struct dim_config config = small_config;
    config.limit_bytes = REGION;
    open_store(&config);
    write_dimension("a", 0, 'a', REGION - 4096);
    write_dimension("b", 0, 'b', REGION - 4096);
    write_dimension("c", 1, 'c', 0);
    assert_ok(dim_store_load(&store, id_of(0), "a", &error));
    assert_ok(dim_store_switch(&store, id_of(0), "b", &error));
    assert_status(dim_store_load(&store, id_of(1), "c", &error), STATUS_ERR_LIMIT);
    assert_int_equal(store_stats().used_bytes, REGION);
    assert_int_equal(store_stats().peak_bytes, REGION);
    close_store();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(the_standard_store_reserves_14_regions_of_exactly_280_mib),
        STORE_TEST(wrong_configurations_are_refused_before_anything_is_taken),
        STORE_TEST(init_that_fails_at_any_step_says_where_and_leaves_nothing),
        STORE_TEST(a_loaded_file_is_its_regions_content_mapped_or_read),
        STORE_TEST(writing_to_a_layer_ends_the_process_however_it_was_loaded),
        STORE_TEST(a_second_load_is_an_error_and_the_first_stays),
        STORE_TEST(a_load_beyond_the_limit_tells_use_and_limit_and_changes_nothing),
        STORE_TEST(files_that_do_not_fit_or_are_none_are_refused),
        STORE_TEST(a_file_with_any_bit_turned_is_rejected_and_leaves_no_region),
        STORE_TEST(closed_forged_and_changed_backing_files_are_detected),
        STORE_TEST(a_text_file_is_loaded_as_a_placeholder),
        STORE_TEST(a_compressed_file_is_served_from_its_inflated_copy),
        STORE_TEST(without_a_file_contexts_are_simulated_and_say_so),
        STORE_TEST(without_the_flag_a_missing_file_is_an_error),
        STORE_TEST(a_catalog_can_be_replaced_and_a_bad_one_changes_nothing),
        STORE_TEST(a_switch_replaces_simulated_by_real_content_and_moves_the_region),
        STORE_TEST(a_switch_counts_only_the_new_content_against_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
