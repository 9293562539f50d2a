#ifndef TESTS_UNIT_DIMENSION_STORE_FIXTURE_H
#define TESTS_UNIT_DIMENSION_STORE_FIXTURE_H

/* A small store over a folder of its own: four dimensions of 64 KiB, whose files tests write. */

#include "dimension_text.h"

#include <stdio.h>
#include <unistd.h>

#include "dimension/store.h"

#define KIB    UINT64_C(1024)
#define REGION (64 * KIB)

static struct fault_platform fault;
static struct dim_platform platform;
static struct dim_store store;
static struct dim_reader *reader;
static char folder[64];

static const struct dim_config small_config = {
    .dimensions = 4,
    .layers = 4,
    .flags = DIM_SIMULATE,
    .region_bytes = REGION,
    .limit_bytes = 4 * REGION,
    .metadata_bytes = 1024 * KIB,
    .simulated_bytes = 1000,
    .seed = 5,
};

/* Keywords of dimensions 0, 1 and 2; 3 is missing. */
static const char catalog_text[] =
    "{\"version\": 1, \"dimensions\": ["
    "{\"id\": 0, \"name\": \"zero\", \"layers\": [{\"layer\": 0, \"name\": \"a\", \"keywords\": [\"aa\", "
    "\"ab\"]},"
    " {\"layer\": 1, \"name\": \"b\", \"keywords\": [\"ba\"]}]},"
    "{\"id\": 1, \"name\": \"one\", \"layers\": [{\"layer\": 0, \"name\": \"a\", \"keywords\": [\"ca\"]}]},"
    "{\"id\": 2, \"name\": \"two\", \"layers\": [{\"layer\": 3, \"name\": \"a\", \"keywords\": [\"da\"]}]}]}";

static inline dim_id_t id_of(unsigned number)
{
    return (dim_id_t){(uint16_t)number};
}

static inline dim_layer_t layer_of(unsigned number)
{
    return (dim_layer_t){(uint16_t)number};
}

static inline void write_file(const char *name, const void *bytes, uint64_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    fclose(out);
}

/* A real dimension of one layer, number 0, filled with one letter: 4096 bytes of head and `bytes` of content. */
static inline void write_dimension(const char *name, unsigned id, char letter, uint64_t bytes)
{
    static _Alignas(16) uint8_t file[8 * REGION];
    uint8_t *content = malloc(bytes ? bytes : 1);
    assert_non_null(content);
    memset(content, letter, bytes);
    struct dim_layer_entry layer = {.name = "letters", .content = content, .content_bytes = bytes};
    struct dim_entry entry = {.id = id_of(id), .layer_count = 1, .name = "real", .layers = &layer};
    uint64_t size;
    assert_ok(dim_build(&entry, &(struct dim_build_options){0}, file, sizeof file, &size, &error));
    write_file(name, file, size);
    free(content);
}

static inline void open_store(const struct dim_config *config)
{
    platform = fault_platform_make(&fault, folder);
    assert_ok(dim_store_init(&store, config, &platform, &error));
    assert_ok(dim_store_set_catalog(&store, catalog_text, strlen(catalog_text), &error));
    assert_ok(dim_reader_join(&store, &reader));
}

static inline void close_store(void)
{
    dim_reader_leave(reader);
    assert_ok(dim_store_close(&store, &error));
    assert_nothing_left(&fault);
}

static inline struct dim_stats store_stats(void)
{
    struct dim_stats stats;
    dim_store_stats(&store, &stats);
    return stats;
}

/* The first byte of layer 0, or 0 with the status when there is none. */
static inline status_t first_byte(unsigned id, char *byte)
{
    struct dim_slice slice;
    dim_read_begin(reader);
    status_t status = dim_access_layer(reader, id_of(id), layer_of(0), &slice);
    *byte = status == STATUS_OK ? (char)slice.bytes[0] : '\0';
    dim_read_end(reader);
    return status;
}

static inline int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/dimension_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* Every test has a folder of its own. */
#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#endif
