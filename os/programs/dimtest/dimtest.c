/*
 * dimtest: the dimension store as a program of this system, from reservation to the last frame given back. TAP output.
 * Files are made by the library's own builder from the standard catalog and kept in the program's memory. A write that
 * must fault runs in a child.
 */
#include "dimension/build.h"
#include "dimension/file.h"
#include "dimension/json.h"
#include "dimension/platform_cases.h"
#include "dimension/store.h"
#include "dimension/system/system_platform.h"
#include "lib/tap.h"

#define VECTOR_PAGE_FAULT 14
#define FILE_BYTES        65536u
#define ARENA_BYTES       262144u

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
static _Alignas(16) uint8_t plain[FILE_BYTES], packed[FILE_BYTES], scratch[FILE_BYTES],
    small[2 * DIM_PAGE_BYTES];
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

/* A child reads, or reads and writes, one byte. */
static bool child_faults(uint64_t address, bool write)
{
    int status = 0;
    int64_t pid = sys_fork();
    if (pid == 0) {
        volatile uint8_t *at = (volatile uint8_t *)(uintptr_t)address;
        uint8_t value = *at;
        if (write) {
            *at = value;
        }
        sys_exit(0);
    }
    return pid > 0 && sys_wait((unsigned)pid, &status, 0) == pid &&
           status == STATUS_KILLED_BASE + VECTOR_PAGE_FAULT;
}

/* The system's platform against the cases that every platform must pass. covers: DS-32 (D) */
static bool test_the_platform_passes_every_case(void)
{
    const struct system_object object = {"object", scratch, 5000};
    struct platform_under_test t = {
        .name = "object", .bytes = scratch, .size_bytes = object.size_bytes, .faults = child_faults};
    for (unsigned i = 0; i < object.size_bytes; i++) {
        scratch[i] = (uint8_t)(i * 7 + i / 256);
    }
    system_platform_init(&system_memory, &t.platform, &object, 1);
    for (unsigned i = 0; i < PLATFORM_CASES; i++) {
        const char *wrong = platform_cases[i].function(&t);
        if (wrong != NULL) {
            print("# %s: %s\n", platform_cases[i].name, wrong);
        }
        EXPECT(wrong == NULL);
        EXPECT(system_memory.reserved_bytes == 0 && system_memory.open == 0);
    }
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
    uint64_t before = frames_free();
    system_platform_init(&system_memory, &platform, objects, OBJECTS);
    EXPECT(dim_store_init(&store, &dim_config_standard, &platform, &error) == STATUS_OK);
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

static uint64_t written;

static void write_there(void)
{
    *(volatile uint8_t *)(uintptr_t)written = 1;
}

/* Status of a child that writes there. */
static int32_t child_writes(uint64_t address)
{
    written = address;
    return tap_in_child(write_there);
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

/* A file of one layer with one line, all of it given: a page of header, table and keywords, a page of content. */
static bool make_small_file(void)
{
    static const char line[] = "A wheel turns.\n";
    struct dim_entry entry = catalog.dimensions[3];
    struct dim_layer_entry layer = entry.layers[0];
    struct dim_build_options options = {.seed = 9};
    uint64_t bytes = 0;
    layer.flags = DIM_LAYER_TEXT;
    layer.content = (const uint8_t *)line;
    layer.content_bytes = sizeof line - 1;
    entry.layers = &layer;
    entry.layer_count = 1;
    EXPECT(dim_build(&entry, &options, small, sizeof small, &bytes, &error) == STATUS_OK);
    return bytes == sizeof small;
}

/* Takes a second, so only when it is asked for. covers: DS-10 */
static bool test_every_flipped_bit_is_rejected(void)
{
    unsigned magic = 0, version = 0, checksum = 0;
    struct dim_info info;
    EXPECT(make_small_file());
    objects[0].size_bytes = sizeof small;
    objects[0].bytes = small;
    EXPECT(open_store(&dim_config_standard));
    EXPECT(dim_store_load(&store, id_of(3), NULL, &error) == STATUS_OK);
    EXPECT(dim_store_info(&store, id_of(3), &info) && info.used_bytes == sizeof small);
    EXPECT(dim_store_unload(&store, id_of(3), &error) == STATUS_OK);
    EXPECT(child_faults(info.region, false)); /* so that what stays of a fork and its end is there */
    uint64_t backed = system_memory.backed_bytes, frames = tap_free_frames();
    system_memory.quiet = true;
    for (uint64_t bit = 0; bit < 8 * sizeof small; bit++) {
        small[bit / 8] ^= (uint8_t)(1u << bit % 8);
        status_t status = dim_store_load(&store, id_of(3), NULL, &error);
        small[bit / 8] ^= (uint8_t)(1u << bit % 8);
        magic += status == STATUS_ERR_DIM_MAGIC;
        version += status == STATUS_ERR_DIM_VERSION;
        checksum += status == STATUS_ERR_DIM_CHECKSUM;
        EXPECT(system_memory.backed_bytes == backed && system_memory.open == 0 && stats().used_bytes == 0);
        EXPECT(bit % 4096 != 0 || child_faults(info.region, false));
    }
    print("# %u bits: %u magic, %u version, %u checksum\n", (unsigned)(8 * sizeof small), magic, version,
          checksum);
    EXPECT(magic == 64 && version == 16 && magic + version + checksum == 8 * sizeof small);
    EXPECT(tap_free_frames() == frames);
    EXPECT(dim_store_load(&store, id_of(3), NULL, &error) == STATUS_OK);
    return close_store();
}

/* covers: DS-10 (some bits of a file of four layers) */
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

static uint8_t built[3][FILE_BYTES];

/* A dimension as it is when it has no file, over what the memory held before. */
static bool build_simulated(unsigned number, uint64_t seed, unsigned which, uint64_t *bytes)
{
    struct dim_build_options options = {.simulated_bytes = 3000, .seed = seed};
    memset(built[which], (int)which + 1, FILE_BYTES);
    return dim_build(&catalog.dimensions[number], &options, built[which], FILE_BYTES, bytes, &error) ==
           STATUS_OK;
}

static struct dim_slice layer_in(const uint8_t *file, unsigned layer)
{
    const struct dim_file_record *record = &dim_file_records(file)[layer];
    return (struct dim_slice){file + record->offset, record->stored_bytes};
}

static bool same_bytes(struct dim_slice a, struct dim_slice b)
{
    return a.size_bytes == b.size_bytes && memcmp(a.bytes, b.bytes, a.size_bytes) == 0;
}

/* A store of that seed simulates each dimension as the builder does. */
static bool store_gives_what_is_built(uint64_t seed)
{
    struct dim_config config = dim_config_standard;
    struct dim_slice slice;
    uint64_t bytes;
    config.simulated_bytes = 3000;
    config.seed = seed;
    EXPECT(open_store(&config));
    for (unsigned i = 0; i < DIM_COUNT; i++) {
        EXPECT(dim_store_simulate(&store, id_of(i), &error) == STATUS_OK &&
               build_simulated(i, seed, 0, &bytes));
        dim_read_begin(reader);
        for (unsigned n = 0; n < DIM_LAYERS; n++) {
            EXPECT(dim_access_layer(reader, id_of(i), layer_of(n), &slice) == STATUS_OK);
            EXPECT(slice.size_bytes > 2900 && same_bytes(slice, layer_in(built[0], n)));
        }
        dim_read_end(reader);
    }
    return close_store();
}

/* Two builds of one seed are the same file, and no layer of another seed's is; so in a store. covers: DS-17 (same bytes) */
static bool test_a_seed_gives_the_same_bytes(void)
{
    uint64_t first, second, other;
    for (unsigned i = 0; i < DIM_COUNT; i++) {
        EXPECT(build_simulated(i, 9, 0, &first) && build_simulated(i, 9, 1, &second) &&
               build_simulated(i, 10, 2, &other));
        EXPECT(first == second && memcmp(built[0], built[1], first) == 0);
        for (unsigned n = 0; n < DIM_LAYERS; n++) {
            EXPECT(!same_bytes(layer_in(built[0], n), layer_in(built[2], n)));
        }
    }
    return store_gives_what_is_built(9) && store_gives_what_is_built(9) && store_gives_what_is_built(10);
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

static const struct tap_test tests[] = {
    {"files_are_made", make_files},
    {"the_platform_passes_every_case", test_the_platform_passes_every_case},
    {"reserves_280_mib", test_reserves_280_mib},
    {"load_equals_its_source", test_load_equals_its_source},
    {"access_gives_the_bytes_in_place", test_access_gives_the_bytes_in_place},
    {"writing_faults", test_writing_faults},
    {"a_flipped_bit_is_rejected", test_a_flipped_bit_is_rejected},
    {"limit_and_warnings", test_limit_and_warnings},
    {"backing_objects_are_validated", test_backing_objects_are_validated},
    {"simulated_contexts", test_simulated_contexts},
    {"a_seed_gives_the_same_bytes", test_a_seed_gives_the_same_bytes},
    {"switch_from_simulated_to_real", test_switch_from_simulated_to_real},
    {"close_gives_every_frame_back", test_close_gives_every_frame_back},
};

static const struct tap_test on_request[] = {
    {"files_are_made", make_files},
    {"every_flipped_bit_is_rejected", test_every_flipped_bit_is_rejected},
};

int main(int argc, char **argv);

/* Every test needs the files of the first. */
int main(int argc, char **argv)
{
    static const struct tap_group group = {tests, sizeof tests / sizeof tests[0]};
    static const struct tap_group requested = {on_request, sizeof on_request / sizeof on_request[0]};
    bool every_bit = argc == 2 && strcmp(argv[1], "--every-bit") == 0;
    return tap_run(every_bit ? &requested : &group, 1, 1, argv);
}
