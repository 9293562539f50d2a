/*
 * The parsers of the dimension store: damaged binary files, text and JSON, and compressed blocks. Whatever comes, it is
 * a dimension or an error with a place; and what is accepted can be used whole.
 */

#include "fuzz.h"

#include <sys/mman.h>

#include "dimension/build.h"
#include "dimension/file.h"
#include "dimension/json.h"
#include "dimension/lz4.h"
#include "dimension/text.h"
#include "dimension/words.h"

#include "dimension/crc32c.h"

#define CATALOG_FILE "os/dimension/dimensions.json"

static struct fuzz_file catalog_file;
static uint8_t *memory; /* for parsers */
static struct dim_catalog catalog;

#define MEMORY_BYTES  (UINT64_C(1) << 20)
#define GUARDED_BYTES 65536u

#define BINARY_CASES 1000000u /* of damaged binary files, with and without sanitizers */

/* One of so many lies in an allocation of its own, whose end a sanitizer knows to the byte: with a sanitizer each. */
#ifdef __SANITIZE_ADDRESS__
#define OWN_ONE_IN 1u
#else
#define OWN_ONE_IN 16u
#endif

static void *parsed_memory; /* where the catalog's strings are */

/* A file of one dimension of the catalog, each fourth compressed; free it. */
static uint8_t *some_file(struct rng *r, size_t *size)
{
    static uint8_t scratch[4096];
    struct dim_build_options options = {.simulated_bytes = fuzz_below(r, 600),
                                        .seed = rng_next(r),
                                        .compress = fuzz_one_in(r, 4),
                                        .scratch = scratch,
                                        .scratch_bytes = sizeof scratch};
    uint8_t *file = malloc(32768);
    uint64_t bytes = 0;
    assert_non_null(file);
    const struct dim_entry *entry = &catalog.dimensions[fuzz_below(r, catalog.count)];
    assert_int_equal(dim_build(entry, &options, file, 32768, &bytes, NULL), STATUS_OK);
    *size = bytes;
    return file;
}

/* Makes the checksums right again, as far as the damaged file lets one find them, so that deeper checks are reached. */
static void reseal(uint8_t *bytes, size_t size)
{
    struct dim_file_header *h = (struct dim_file_header *)(void *)bytes;
    if (size < DIM_FILE_HEADER_BYTES) {
        return;
    }
    uint64_t table = (uint64_t)h->layer_count * DIM_FILE_RECORD_BYTES, words = DIM_FILE_HEADER_BYTES + table;
    if (words <= size) {
        struct dim_file_record *records = (struct dim_file_record *)(void *)(bytes + DIM_FILE_HEADER_BYTES);
        for (unsigned i = 0; i < h->layer_count; i++) {
            struct dim_file_record *one = &records[i];
            if (one->offset <= size && one->stored_bytes <= size - one->offset) {
                one->stored_crc = crc32c(0, bytes + one->offset, one->stored_bytes);
                one->content_crc = one->flags & DIM_LAYER_COMPRESSED ? one->content_crc : one->stored_crc;
            }
        }
        h->table_crc = crc32c(0, records, table);
    }
    if (words <= size && h->keyword_bytes <= size - words) {
        h->keyword_crc = crc32c(0, bytes + words, h->keyword_bytes);
    }
    h->header_crc = crc32c(0, h, DIM_FILE_HEADER_BYTES - 4);
}

/* All of an accepted entry is readable and sound. */
static void use_entry(const struct dim_entry *entry)
{
    for (unsigned i = 0; i < entry->layer_count; i++) {
        const struct dim_layer_entry *layer = &entry->layers[i];
        for (unsigned k = 0; k < layer->keyword_count; k++) {
            assert_true(dim_keyword_ok(layer->keywords[k].text, layer->keywords[k].bytes));
        }
        if (layer->flags & DIM_LAYER_TEXT && layer->content) {
            assert_true(dim_contexts_ok(layer->content, layer->content_bytes));
        }
        assert_true(dim_name_ok(layer->name, strlen(layer->name)));
    }
}

/* The bytes at the end of a page behind which nobody can read: what reads on is killed, with or without a sanitizer. Aligned as
 * a mapped file; up to 15 bytes lie between. The same place each time. */
static const uint8_t *at_the_end_of_memory(const uint8_t *bytes, size_t size)
{
    static uint8_t *end;
    size_t room = (size + 15) & ~(size_t)15;
    if (!end) {
        uint8_t *start =
            mmap(NULL, GUARDED_BYTES + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(start != MAP_FAILED);
        end = start + GUARDED_BYTES;
        assert_int_equal(mprotect(end, 4096, PROT_NONE), 0);
    }
    assert_true(room <= GUARDED_BYTES);
    memset(end - 16, 0xee, 16);
    memcpy(end - room, bytes, size);
    return end - room;
}

static void binary_case(struct rng *r, uint64_t seed, void *arg)
{
    unsigned *accepted = arg;
    size_t size;
    uint8_t *file = some_file(r, &size);
    size = fuzz_damage(r, file, size, 0, fuzz_one_in(r, 2) ? 128 : 600);
    if (!fuzz_one_in(r, 4)) {
        reseal(file, size);
    }
    uint8_t *own = seed % OWN_ONE_IN == 0 ? fuzz_copy(file, size) : NULL;
    const uint8_t *exact = own ? own : at_the_end_of_memory(file, size);
    struct dim_error error = {.what = NULL};
    char line[DIM_ERROR_TEXT_BYTES];
    status_t status = dim_file_check(exact, size, &error);
    if (status == STATUS_OK) {
        struct dim_arena arena = {memory, memory + MEMORY_BYTES};
        struct dim_entry entry;
        if (dim_file_entry(exact, &arena, &entry, &error) == STATUS_OK) {
            use_entry(&entry);
        }
        ++*accepted;
    } else {
        assert_true(error.what && error.status == status &&
                    strlen(dim_error_text(&error, line, sizeof line)) > 0);
    }
    free(own);
    free(file);
}

static void collect(void *context, const char *text, size_t bytes)
{
    struct fuzz_file *to = context;
    assert_true(to->size + bytes < MEMORY_BYTES);
    memcpy(to->bytes + to->size, text, bytes);
    to->size += bytes;
}

/* Damage that keeps it text mostly: letters of the form itself. */
static size_t damage_text(struct rng *r, uint8_t *text, size_t size)
{
    static const char letters[] = "{}[]\":,\\u0019azdl>#\n\n  e-.\x80\xc3\xf0";
    for (unsigned n = 1 + fuzz_below(r, 4); n > 0 && size > 0; n--) {
        text[fuzz_below(r, (unsigned)size)] = (uint8_t)letters[fuzz_below(r, sizeof letters - 1)];
    }
    return fuzz_one_in(r, 8) ? fuzz_damage(r, text, size, 0, size) : size;
}

static void text_case(struct rng *r, uint64_t seed, void *arg)
{
    unsigned *accepted = arg;
    size_t size;
    struct fuzz_file text = {malloc(MEMORY_BYTES), 0};
    struct dim_arena arena = {memory, memory + MEMORY_BYTES};
    struct dim_entry entry;
    struct dim_error error;
    (void)seed;
    assert_non_null(text.bytes);
    uint8_t *file = some_file(r, &size);
    assert_int_equal(dim_file_entry(file, &arena, &entry, &error), STATUS_OK);
    assert_int_equal(dim_text_write(&entry, &(struct dim_sink){&text, collect}, &error), STATUS_OK);
    text.size = damage_text(r, text.bytes, text.size);
    uint8_t *exact = fuzz_copy(text.bytes, text.size);
    uint64_t need = dim_text_arena_bytes((const char *)exact, text.size);
    uint8_t *own = malloc(need);
    assert_non_null(own);
    arena = (struct dim_arena){own, own + need};
    status_t status = dim_text_parse((const char *)exact, text.size, &arena, &entry, &error);
    if (status == STATUS_OK) {
        use_entry(&entry);
        ++*accepted;
    } else {
        assert_int_equal(status, STATUS_ERR_DIM_TEXT); /* the arena is always large enough */
        assert_true(error.line > 0 && error.at > 0);
    }
    free(own);
    free(exact);
    free(file);
    free(text.bytes);
}

/* A few dimensions of the catalog are cut out, so that a case is short. */
static void json_case(struct rng *r, uint64_t seed, void *arg)
{
    unsigned *accepted = arg;
    struct fuzz_file text = {malloc(MEMORY_BYTES), 0};
    struct dim_catalog some = {.count = 1 + fuzz_below(r, 2)}, read;
    struct dim_error error;
    (void)seed;
    assert_non_null(text.bytes);
    some.dimensions = &catalog.dimensions[fuzz_below(r, catalog.count - 1)];
    dim_json_write(&some, &(struct dim_sink){&text, collect});
    text.size = damage_text(r, text.bytes, text.size);
    uint8_t *exact = fuzz_copy(text.bytes, text.size);
    uint64_t need = 16 * text.size + 64;
    uint8_t *own = malloc(need);
    assert_non_null(own);
    struct dim_arena arena = {own, own + need};
    status_t status = dim_json_parse((const char *)exact, text.size, &arena, &read, &error);
    if (status == STATUS_OK) {
        for (unsigned i = 0; i < read.count; i++) {
            use_entry(&read.dimensions[i]);
        }
        ++*accepted;
    } else {
        assert_int_equal(status, STATUS_ERR_DIM_JSON);
        assert_true(error.line > 0 && error.at > 0);
    }
    free(own);
    free(exact);
    free(text.bytes);
}

static void block_case(struct rng *r, uint64_t seed, void *arg)
{
    unsigned *accepted = arg;
    uint8_t plain[600], block[700], out[600];
    (void)seed;
    unsigned size = fuzz_below(r, sizeof plain), letters = 1 + fuzz_below(r, 8);
    for (unsigned i = 0; i < size; i++) {
        plain[i] = (uint8_t)fuzz_below(r, letters);
    }
    size_t stored = lz4_compress(plain, size, block, sizeof block);
    assert_true(stored > 0);
    assert_int_equal(lz4_inflate(block, stored, out, size), STATUS_OK);
    assert_memory_equal(out, plain, size);
    if (stored > 80) {
        stored = fuzz_damage(r, block, stored, 0, stored);
    } else {
        block[fuzz_below(r, (unsigned)stored)] ^= (uint8_t)(1u << fuzz_below(r, 8));
        stored -= fuzz_one_in(r, 4);
    }
    uint8_t *exact = fuzz_copy(block, stored), *to = malloc(size + 1);
    assert_non_null(to);
    *accepted += lz4_inflate(exact, stored, to + 1, size) == STATUS_OK;
    free(to);
    free(exact);
}

static int start(void **state)
{
    (void)state;
    struct dim_error error;
    catalog_file = fuzz_read(CATALOG_FILE);
    memory = malloc(MEMORY_BYTES);
    if (!catalog_file.bytes || !memory) {
        return -1;
    }
    uint64_t bytes = 16 * catalog_file.size;
    parsed_memory = malloc(bytes);
    struct dim_arena arena = {parsed_memory, (uint8_t *)parsed_memory + bytes};
    return dim_json_parse((const char *)catalog_file.bytes, catalog_file.size, &arena, &catalog, &error) ==
                   STATUS_OK
               ? 0
               : -1;
}

static int stop(void **state)
{
    (void)state;
    free(memory);
    free(parsed_memory);
    free(catalog_file.bytes);
    return 0;
}

/* Runs a target; of many cases some are still accepted, so that damage is not always found at once. */
static void run(const char *target, uint64_t cases, fuzz_case_fn *fn)
{
    unsigned accepted = 0;
    fuzz_run(target, cases, fn, &accepted);
    printf("%s: %u accepted\n", target, accepted);
    assert_true(accepted > 0 || getenv("CASES") || getenv("ONLY") || getenv("FUZZ_SECONDS"));
}

/* A million cases. covers: DS-21, DS-24 (U: no crash) */
static void a_damaged_dimension_file_is_refused_or_sound(void **state)
{
    (void)state;
    run("dimension", BINARY_CASES, binary_case);
}

/* covers: DS-20 (U: malformed) */
static void a_damaged_text_is_refused_or_sound(void **state)
{
    (void)state;
    run("dimension-text", 4000, text_case);
}

/* covers: DS-22 (U: malformed) */
static void damaged_json_is_refused_or_sound(void **state)
{
    (void)state;
    run("dimension-json", 4000, json_case);
}

/* covers: DS-23 (U: damaged blocks) */
static void a_damaged_compressed_block_stays_inside_its_buffers(void **state)
{
    (void)state;
    run("dimension-block", 20000, block_case);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_dimension_file_is_refused_or_sound),
        cmocka_unit_test(a_damaged_text_is_refused_or_sound),
        cmocka_unit_test(damaged_json_is_refused_or_sound),
        cmocka_unit_test(a_damaged_compressed_block_stays_inside_its_buffers),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
