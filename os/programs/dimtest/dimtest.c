/*
 * dimtest: the dimension store as a program of this system, from reservation to the last frame given back. TAP output.
 * Files are made by the library's own builder from the standard catalog and kept in the program's memory. A write that
 * must fault runs in a child.
 */
#include <stdbool.h>

#include "dimension/build.h"
#include "dimension/file.h"
#include "dimension/json.h"
#include "dimension/store.h"
#include "dimension/system/system_platform.h"
#include "lib/orrery.h"

#define VECTOR_PAGE_FAULT 14
#define FILE_BYTES        65536u
#define ARENA_BYTES       262144u

extern const char catalog_start[], catalog_end[];

static int failed_line;

#define EXPECT(condition)           \
    do {                            \
        if (!(condition)) {         \
            failed_line = __LINE__; \
            return false;           \
        }                           \
    } while (0)

static const char text_file[] = "orrery-dimension 1\n"
                                "dimension 7 order\n"
                                "layer 0 surface real: list, row\n"
                                "> A list is a row of rows.\n";

static struct dim_store store;
static struct system_platform system_memory;
static struct dim_platform platform;
static struct dim_error error;
static struct dim_catalog catalog;
static struct dim_reader *reader;
static uint8_t arena_memory[ARENA_BYTES];
static _Alignas(16) uint8_t plain[FILE_BYTES], packed[FILE_BYTES], scratch[FILE_BYTES];
static uint64_t plain_bytes, packed_bytes;
static struct system_object objects[] = {
    {"dim03.odim", plain, 0},
    {"packed", packed, 0},
    {"dim07.txt", text_file, sizeof text_file - 1},
};
#define OBJECTS (sizeof objects / sizeof objects[0])

static dim_id_t id_of(unsigned number)
{
    return (dim_id_t){(uint16_t)number};
}

static dim_layer_t layer_of(unsigned number)
{
    return (dim_layer_t){(uint16_t)number};
}

/* Real contexts for the plain file of dimension 3, so that it is not simulated. */
static bool make_files(void)
{
    struct dim_arena arena = {arena_memory, arena_memory + sizeof arena_memory};
    uint64_t size = (uint64_t)(catalog_end - catalog_start);
    EXPECT(dim_json_parse(catalog_start, size, &arena, &catalog, &error) == STATUS_OK);
    EXPECT(catalog.count == DIM_COUNT);
    struct dim_build_options options = {
        .simulated_bytes = 3000, .seed = 9, .scratch = scratch, .scratch_bytes = sizeof scratch};
    struct dim_entry entry = catalog.dimensions[3];
    struct dim_layer_entry layers[DIM_LAYERS];
    for (unsigned i = 0; i < DIM_LAYERS; i++) {
        layers[i] = entry.layers[i];
        layers[i].flags = DIM_LAYER_TEXT;
        layers[i].content = (const uint8_t *)"A wheel turns.\nSo does another.\n";
        layers[i].content_bytes = 15 + i % 2 * 17;
    }
    entry.layers = layers;
    EXPECT(dim_build(&entry, &options, plain, sizeof plain, &plain_bytes, &error) == STATUS_OK);
    options.compress = true;
    EXPECT(dim_build(&catalog.dimensions[5], &options, packed, sizeof packed, &packed_bytes, &error) ==
           STATUS_OK);
    EXPECT(dim_file_is_compressed(packed));
    objects[0].size_bytes = plain_bytes;
    objects[1].size_bytes = packed_bytes;
    return true;
}

static bool open_store(const struct dim_config *config)
{
    system_platform_init(&system_memory, &platform, objects, OBJECTS);
    EXPECT(dim_store_init(&store, config, &platform, &error) == STATUS_OK);
    EXPECT(dim_store_set_catalog(&store, catalog_start, (uint64_t)(catalog_end - catalog_start), &error) ==
           STATUS_OK);
    EXPECT(dim_reader_join(&store, &reader) == STATUS_OK);
    return true;
}

static bool close_store(void)
{
    dim_reader_leave(reader);
    EXPECT(dim_store_close(&store, &error) == STATUS_OK);
    EXPECT(system_memory.reserved_bytes == 0 && system_memory.backed_bytes == 0 && system_memory.open == 0);
    return true;
}

static struct dim_stats stats(void)
{
    struct dim_stats s;
    dim_store_stats(&store, &s);
    return s;
}

static uint64_t frames_free(void)
{
    static struct system_stats s;
    return sys_stats(&s, sizeof s) > 0 ? s.frames_free : 0;
}

/* covers: DS-02 */
static bool test_reserves_280_mib(void)
{
    uint64_t before = frames_free(), start = cycles();
    system_platform_init(&system_memory, &platform, objects, OBJECTS);
    EXPECT(dim_store_init(&store, &dim_config_standard, &platform, &error) == STATUS_OK);
    uint64_t spent = cycles() - start;
    print("# init: %llu cycles\n", (unsigned long long)spent);
    EXPECT(stats().regions == 14 && stats().allocated_bytes == 280ull << 20);
    EXPECT(system_memory.reserved_bytes == (280ull << 20) + DIM_MAX_METADATA);
    for (unsigned i = 0; i < DIM_COUNT; i++) {
        EXPECT(store.slots[i].region != 0 && store.slots[i].region % DIM_PAGE_BYTES == 0);
    }
    EXPECT(before - frames_free() < 256); /* addresses, not memory */
    EXPECT(dim_store_close(&store, &error) == STATUS_OK);
    return system_memory.reserved_bytes == 0;
}

/* covers: DS-06 DS-07 DS-09 */
static bool test_load_equals_its_source(void)
{
    struct dim_info info;
    dim_id_t ids[DIM_MAX_DIMENSIONS];
    EXPECT(open_store(&dim_config_standard));
    EXPECT(dim_store_load(&store, id_of(3), NULL, &error) == STATUS_OK);
    EXPECT(dim_store_info(&store, id_of(3), &info) && info.has_file && !info.simulated);
    EXPECT(info.used_bytes == plain_bytes);
    EXPECT(memcmp((const void *)info.region, plain, plain_bytes) == 0);
    EXPECT(dim_store_load(&store, id_of(3), "dim03.odim", &error) == STATUS_ERR_EXISTS);
    EXPECT(memcmp((const void *)info.region, plain, plain_bytes) == 0);
    EXPECT(dim_store_load(&store, id_of(7), NULL, &error) == STATUS_OK);
    EXPECT(dim_store_list(&store, ids) == 2 && ids[0].number == 3 && ids[1].number == 7);
    EXPECT(dim_store_unload(&store, id_of(3), &error) == STATUS_OK);
    EXPECT(dim_store_list(&store, ids) == 1 && ids[0].number == 7);
    EXPECT(!dim_store_info(&store, id_of(3), &info));
    return close_store();
}

/* covers: DS-11 (pointer inside the mapping), DS-14 (S: bounds) */
static bool test_access_gives_the_bytes_in_place(void)
{
    struct dim_info info;
    struct dim_slice slice;
    EXPECT(open_store(&dim_config_standard));
    EXPECT(dim_store_load(&store, id_of(3), NULL, &error) == STATUS_OK);
    EXPECT(dim_store_info(&store, id_of(3), &info));
    EXPECT(dim_access_layer(reader, id_of(3), layer_of(1), &slice) == STATUS_ERR_STATE);
    dim_read_begin(reader);
    EXPECT(dim_access_layer(reader, id_of(3), layer_of(1), &slice) == STATUS_OK);
    EXPECT((uint64_t)(uintptr_t)slice.bytes == info.region + dim_file_records(plain)[1].offset);
    EXPECT(slice.size_bytes == 32 && memcmp(slice.bytes, "A wheel turns.\nSo does another.\n", 32) == 0);
    EXPECT(dim_access_range(reader, id_of(3), layer_of(1), 31, 1, &slice) == STATUS_OK &&
           *slice.bytes == '\n');
    EXPECT(dim_access_range(reader, id_of(3), layer_of(1), 32, 1, &slice) == STATUS_ERR_DIM_OFFSET);
    EXPECT(dim_access_range(reader, id_of(3), layer_of(1), 1, UINT64_MAX, &slice) == STATUS_ERR_DIM_OFFSET);
    EXPECT(dim_access_layer(reader, id_of(3), layer_of(4), &slice) == STATUS_ERR_DIM_LAYER);
    EXPECT(dim_access_layer(reader, id_of(4), layer_of(0), &slice) == STATUS_ERR_DIM_NOT_LOADED);
    EXPECT(dim_access_layer(reader, id_of(14), layer_of(0), &slice) == STATUS_ERR_DIM_UNKNOWN);
    dim_read_end(reader);
    EXPECT(stats().accesses == 8 && stats().access_failures == 6);
    return close_store();
}

/* Status of a child that writes there. */
static int child_writes(uint64_t address)
{
    int status = 0;
    int64_t pid = sys_fork();
    if (pid == 0) {
        *(volatile uint8_t *)(uintptr_t)address = 1;
        sys_exit(0);
    }
    return pid > 0 && sys_wait((unsigned)pid, &status, 0) == pid ? status : -1;
}

/* covers: DS-13 */
static bool test_writing_faults(void)
{
    struct dim_info info;
    EXPECT(open_store(&dim_config_standard));
    EXPECT(dim_store_load(&store, id_of(3), NULL, &error) == STATUS_OK);     /* read into its region */
    EXPECT(dim_store_load(&store, id_of(5), "packed", &error) == STATUS_OK); /* inflated */
    EXPECT(dim_store_simulate(&store, id_of(0), &error) == STATUS_OK);
    static const unsigned loaded[] = {0, 3, 5};
    for (unsigned i = 0; i < 3; i++) {
        EXPECT(dim_store_info(&store, id_of(loaded[i]), &info));
        EXPECT(child_writes(info.region) == STATUS_KILLED_BASE + VECTOR_PAGE_FAULT);
        EXPECT(child_writes(info.region + info.used_bytes - 1) == STATUS_KILLED_BASE + VECTOR_PAGE_FAULT);
        EXPECT(child_writes(info.region + DIM_REGION_BYTES - 1) == STATUS_KILLED_BASE + VECTOR_PAGE_FAULT);
    }
    EXPECT(child_writes((uint64_t)(uintptr_t)scratch) == 0);
    return close_store();
}

/* covers: DS-10 */
static bool test_a_flipped_bit_is_rejected(void)
{
    unsigned rejected = 0, tried = 0;
    EXPECT(open_store(&dim_config_standard));
    uint64_t backed = system_memory.backed_bytes;
    system_memory.quiet = true;
    for (uint64_t bit = 3; bit < 8 * plain_bytes; bit += bit < 8 * 128 ? 13 : 1999) {
        plain[bit / 8] ^= (uint8_t)(1u << bit % 8);
        rejected += dim_store_load(&store, id_of(3), NULL, &error) != STATUS_OK;
        plain[bit / 8] ^= (uint8_t)(1u << bit % 8);
        tried++;
    }
    EXPECT(tried > 100 && rejected == tried);
    EXPECT(system_memory.backed_bytes == backed && system_memory.open == 0 && stats().used_bytes == 0);
    EXPECT(dim_store_load(&store, id_of(3), NULL, &error) == STATUS_OK);
    return close_store();
}

/* covers: DS-08 DS-39 */
static bool test_limit_and_warnings(void)
{
    struct dim_config config = dim_config_standard;
    config.limit_bytes = 100 * DIM_PAGE_BYTES;
    config.simulated_bytes = 19 * DIM_PAGE_BYTES / 4; /* 4 layers of 5 pages and a page of head: 21 pages */
    EXPECT(open_store(&config));
    for (unsigned i = 0; i < 4; i++) {
        EXPECT(dim_store_simulate(&store, id_of(i), &error) == STATUS_OK);
        EXPECT(stats().warnings == (i == 3 ? 1 : 0));
    }
    EXPECT(stats().used_bytes == 84 * DIM_PAGE_BYTES);
    EXPECT(dim_store_simulate(&store, id_of(4), &error) == STATUS_ERR_LIMIT);
    EXPECT(error.used_bytes == 84 * DIM_PAGE_BYTES && error.limit_bytes == 100 * DIM_PAGE_BYTES);
    EXPECT(error.asked_bytes == 21 * DIM_PAGE_BYTES);
    EXPECT(dim_store_load(&store, id_of(7), NULL, &error) == STATUS_OK); /* two pages more: 86 % */
    EXPECT(stats().warnings == 2 && stats().used_bytes == 86 * DIM_PAGE_BYTES);
    return close_store();
}

/* covers: DS-05 */
static bool test_backing_objects_are_validated(void)
{
    struct dim_info info;
    EXPECT(open_store(&dim_config_standard));
    EXPECT(dim_store_load(&store, id_of(3), NULL, &error) == STATUS_OK);
    EXPECT(dim_store_validate(&store, &error) == STATUS_OK);
    EXPECT(dim_store_info(&store, id_of(3), &info));
    struct dim_object forged = {info.object.handle + (1ull << 32), info.object.size_bytes};
    EXPECT(platform.check(platform.context, &forged) == STATUS_ERR_DIM_BACKING);
    EXPECT(platform.close(platform.context, info.object.handle) == STATUS_OK);
    EXPECT(dim_store_validate(&store, &error) == STATUS_ERR_DIM_BACKING && error.dimension == 3);
    dim_reader_leave(reader);
    EXPECT(dim_store_close(&store, &error) == STATUS_ERR_DIM_BACKING);
    return system_memory.reserved_bytes == 0 && system_memory.backed_bytes == 0;
}

static bool is_keyword(const struct dim_layer_entry *layer, const uint8_t *word, uint64_t bytes)
{
    for (uint32_t i = 0; i < layer->keyword_count; i++) {
        if (layer->keywords[i].bytes == bytes && memcmp(layer->keywords[i].text, word, bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* All words between ", " and line feeds are keywords of the layer. */
static bool only_keywords(const struct dim_layer_entry *layer, const struct dim_slice *slice)
{
    for (uint64_t at = 0, end; at < slice->size_bytes; at = end) {
        for (end = at; slice->bytes[end] != ',' && slice->bytes[end] != '\n'; end++) {
        }
        EXPECT(is_keyword(layer, slice->bytes + at, end - at));
        end += slice->bytes[end] == ',' ? 2 : 1;
    }
    return slice->size_bytes > 0;
}

/* covers: DS-15 DS-16 DS-17 */
static bool test_simulated_contexts(void)
{
    struct dim_slice slice;
    struct dim_info info;
    EXPECT(open_store(&dim_config_standard));
    for (unsigned i = 0; i < DIM_COUNT; i++) {
        EXPECT(dim_store_load(&store, id_of(i), NULL, &error) == STATUS_OK);
    }
    dim_read_begin(reader);
    for (unsigned i = 0; i < DIM_COUNT; i++) {
        bool real = i == 3 || i == 7;
        EXPECT(dim_store_info(&store, id_of(i), &info) && info.simulated == !real && info.has_file == real);
        for (unsigned n = 0; n < DIM_LAYERS && !real; n++) {
            EXPECT(dim_access_layer(reader, id_of(i), layer_of(n), &slice) == STATUS_OK);
            EXPECT(only_keywords(&catalog.dimensions[i].layers[n], &slice));
        }
    }
    dim_read_end(reader);
    struct dim_stats s = stats();
    EXPECT(s.dimensions == 14 && s.simulated == 12 && s.layers == 12 * 4 + 4 + 1 && s.loads == 14 &&
           s.failures == 0);
    EXPECT(s.used_bytes == system_memory.backed_bytes - s.metadata_bytes && s.peak_bytes == s.used_bytes);
    EXPECT(s.metadata_bytes <= DIM_MAX_METADATA && s.accesses == 48 && s.access_samples == 1);
    return close_store();
}

/* covers: DS-18 (S: one thread), DS-16 */
static bool test_switch_from_simulated_to_real(void)
{
    struct dim_info before, after;
    struct dim_slice slice;
    EXPECT(open_store(&dim_config_standard));
    EXPECT(dim_store_simulate(&store, id_of(3), &error) == STATUS_OK);
    EXPECT(dim_store_info(&store, id_of(3), &before) && before.simulated && stats().simulated == 1);
    EXPECT(dim_store_switch(&store, id_of(3), "none", &error) == STATUS_ERR_NOT_FOUND);
    EXPECT(stats().simulated == 1);
    EXPECT(dim_store_switch(&store, id_of(3), NULL, &error) == STATUS_OK);
    EXPECT(dim_store_info(&store, id_of(3), &after) && !after.simulated && stats().simulated == 0);
    EXPECT(after.region != before.region &&
           system_memory.reserved_bytes == (280ull << 20) + DIM_MAX_METADATA);
    dim_read_begin(reader);
    EXPECT(dim_access_layer(reader, id_of(3), layer_of(0), &slice) == STATUS_OK);
    EXPECT(slice.size_bytes == 15 && memcmp(slice.bytes, "A wheel turns.\n", 15) == 0);
    dim_read_end(reader);
    return close_store();
}

/* All that a store may take: every kind of load, a pool, and close. */
static bool whole_life(void)
{
    struct block_pool_stats s;
    void *block;
    EXPECT(open_store(&dim_config_standard));
    EXPECT(dim_store_load(&store, id_of(3), NULL, &error) == STATUS_OK);
    EXPECT(dim_store_load(&store, id_of(5), "packed", &error) == STATUS_OK);
    EXPECT(dim_store_load(&store, id_of(7), NULL, &error) == STATUS_OK);
    EXPECT(dim_store_load(&store, id_of(0), NULL, &error) == STATUS_OK);
    EXPECT(block_pool_alloc(&store.pool, BLOCK_POOL_GREATEST, &block) == STATUS_OK);
    memset(block, 1, BLOCK_POOL_GREATEST);
    block_pool_stats_read(&store.pool, &s);
    EXPECT(s.classes[3].used_blocks == 2 &&
           s.allocated_bytes == 2 * BLOCK_POOL_GREATEST + 4 * BLOCK_POOL_LEAST);
    EXPECT(block_pool_free(&store.pool, block) == STATUS_OK && block_pool_trim(&store.pool) == STATUS_OK);
    return close_store();
}

/* Tables of pages stay with the process, so the second life is compared. covers: DS-30 DS-36 (S: frames) */
static bool test_close_gives_every_frame_back(void)
{
    EXPECT(whole_life());
    uint64_t before = frames_free();
    EXPECT(whole_life() && whole_life());
    print("# frames free: %llu, then %llu\n", (unsigned long long)before, (unsigned long long)frames_free());
    return frames_free() == before;
}

/* ---- latencies ---- */

#define SAMPLES 1000u

static uint64_t samples[SAMPLES];

/* What two readings of the clock with nothing in between cost: the least of many. */
static uint64_t empty_sample(void)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t start = cycles(), spent = cycles() - start;
        least = spent < least ? spent : least;
    }
    return least;
}

/* Takes the clock's own cost off, sorts all but the first, and prints the figures; tests/e2e/kernel_dimension.sh reads them. */
static void print_latency(const char *what)
{
    uint64_t empty = empty_sample();
    for (unsigned i = 0; i < SAMPLES; i++) {
        samples[i] -= empty < samples[i] ? empty : samples[i];
    }
    uint64_t cold = samples[0];
    for (unsigned i = 1; i < SAMPLES; i++) { /* insertion */
        uint64_t value = samples[i];
        unsigned at = i;
        for (; at > 1 && samples[at - 1] > value; at--) {
            samples[at] = samples[at - 1];
        }
        samples[at] = value;
    }
    uint64_t half = samples[SAMPLES / 2], most = samples[SAMPLES - 1];
    print("# %s: n %u, cold %llu, min %llu, p50 %llu, p99 %llu, max %llu cycles\n", what, SAMPLES - 1,
          (unsigned long long)cold, (unsigned long long)samples[1], (unsigned long long)half,
          (unsigned long long)samples[SAMPLES * 99 / 100], (unsigned long long)most);
}

/* One reader, no writer. */
static bool test_access_latency(void)
{
    struct dim_slice slice;
    EXPECT(open_store(&dim_config_standard));
    EXPECT(dim_store_load(&store, id_of(3), NULL, &error) == STATUS_OK);
    dim_read_begin(reader);
    for (unsigned i = 0; i < SAMPLES; i++) {
        dim_layer_t layer = layer_of(i % DIM_LAYERS);
        uint64_t start = cycles();
        status_t status = dim_access_layer(reader, id_of(3), layer, &slice);
        samples[i] = cycles() - start;
        EXPECT(status == STATUS_OK);
    }
    dim_read_end(reader);
    print_latency("access");
    return close_store();
}

/* One thread. */
static bool test_pool_latency(void)
{
    void *blocks[2];
    EXPECT(open_store(&dim_config_standard));
    EXPECT(block_pool_alloc(&store.pool, 1, &blocks[1]) == STATUS_OK); /* holds the pool */
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t start = cycles();
        status_t status = block_pool_alloc(&store.pool, BLOCK_POOL_LEAST, &blocks[0]);
        samples[i] = cycles() - start;
        EXPECT(status == STATUS_OK && block_pool_free(&store.pool, blocks[0]) == STATUS_OK);
    }
    print_latency("pool allocation");
    EXPECT(block_pool_free(&store.pool, blocks[1]) == STATUS_OK);
    return close_store();
}

static const struct test {
    const char *name;
    bool (*function)(void);
} tests[] = {
    {"files_are_made", make_files},
    {"reserves_280_mib", test_reserves_280_mib},
    {"load_equals_its_source", test_load_equals_its_source},
    {"access_gives_the_bytes_in_place", test_access_gives_the_bytes_in_place},
    {"writing_faults", test_writing_faults},
    {"a_flipped_bit_is_rejected", test_a_flipped_bit_is_rejected},
    {"limit_and_warnings", test_limit_and_warnings},
    {"backing_objects_are_validated", test_backing_objects_are_validated},
    {"simulated_contexts", test_simulated_contexts},
    {"switch_from_simulated_to_real", test_switch_from_simulated_to_real},
    {"access_latency", test_access_latency},
    {"pool_latency", test_pool_latency},
    {"close_gives_every_frame_back", test_close_gives_every_frame_back},
};
#define TESTS (sizeof tests / sizeof tests[0])

int main(void)
{
    unsigned failures = 0;
    print("TAP version 13\n1..%u\n", (unsigned)TESTS);
    for (unsigned i = 0; i < TESTS; i++) {
        if (tests[i].function()) {
            print("ok %u - %s\n", i + 1, tests[i].name);
        } else {
            failures++;
            print("not ok %u - %s (line %d)\n", i + 1, tests[i].name, failed_line);
        }
    }
    return failures == 0 ? 0 : 1;
}
