#ifndef TESTS_UNIT_DIMENSION_DIMENSION_TEXT_H
#define TESTS_UNIT_DIMENSION_DIMENSION_TEXT_H

/* A dimension of every kind of layer, and memory for parsers and builders, for the tests of formats. */

#include "fault_platform.h"

#include <stdlib.h>

#include "dimension/build.h"
#include "dimension/file.h"
#include "dimension/json.h"
#include "dimension/text.h"

#define SAMPLE_JSON                                                                                          \
    "{\"version\": 1, \"dimensions\": [\n"                                                                   \
    " {\"id\": 3, \"name\": \"energy\", \"layers\": [\n"                                                     \
    "  {\"layer\": 0, \"name\": \"surface\", \"keywords\": [\"heat\", \"light\", \"grey \\u00e4ther\"]},\n"  \
    "  {\"keywords\": [], \"name\": \"pattern\", \"contexts\": [\"What \\\"flows\\\" is counted.\", \"\"], " \
    "\"layer\": 1},\n"                                                                                       \
    "  {\"layer\": 2, \"name\": \"raw\", \"keywords\": [\"x\"], \"bytes\": \"00ff10Ab\"},\n"                 \
    "  {\"layer\": 300, \"name\": \"far_away-9\", \"keywords\": [\"x\"], \"contexts\": []}]},\n"             \
    " {\"id\": 65535, \"name\": \"last\", \"layers\": [{\"layer\": 65535, \"name\": \"z\", \"keywords\": "   \
    "[\"\\ud83d\\ude00\"]}]}]}"

static uint8_t scratch_memory[1 << 20];
static struct dim_error error;

/* All of the scratch memory, anew. */
static inline struct dim_arena whole_arena(void)
{
    return (struct dim_arena){scratch_memory, scratch_memory + sizeof scratch_memory};
}

static inline void collect(void *context, const char *text, size_t bytes)
{
    char *to = context;
    size_t used = strlen(to);
    assert_true(used + bytes < 60000);
    memcpy(to + used, text, bytes);
    to[used + bytes] = '\0';
}

/* The canonical JSON of a catalog; valid until the next call. */
static inline const char *json_of(const struct dim_catalog *catalog)
{
    static char text[60000];
    text[0] = '\0';
    dim_json_write(catalog, &(struct dim_sink){text, collect});
    return text;
}

static inline struct dim_catalog sample(struct dim_arena *arena)
{
    struct dim_catalog catalog;
    assert_ok(dim_json_parse(SAMPLE_JSON, strlen(SAMPLE_JSON), arena, &catalog, &error));
    return catalog;
}

/* The file of an entry, with its end at the end of an allocation; free it. */
static inline uint8_t *build_file(const struct dim_entry *entry, bool compress, uint64_t *bytes)
{
    static uint8_t pack[1 << 16];
    struct dim_build_options options = {.simulated_bytes = 300,
                                        .seed = 7,
                                        .compress = compress,
                                        .scratch = pack,
                                        .scratch_bytes = sizeof pack};
    uint8_t *large = malloc(1 << 18);
    assert_non_null(large);
    memset(large, 0xee, 1 << 18);
    assert_ok(dim_build(entry, &options, large, 1 << 18, bytes, &error));
    uint8_t *file = malloc(*bytes);
    assert_non_null(file);
    memcpy(file, large, *bytes);
    free(large);
    return file;
}

/* The failure names what and, as text, is this line. */
static inline void assert_error_text(const char *wanted)
{
    char text[DIM_ERROR_TEXT_BYTES];
    assert_string_equal(dim_error_text(&error, text, sizeof text), wanted);
}

#endif
