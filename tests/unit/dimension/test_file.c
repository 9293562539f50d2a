/* The binary format: golden bytes, round trips, every flipped bit, every cut. */

#include "dimension_text.h"

#include "dimension/crc32c.h"

static struct dim_file_header *header(uint8_t *file)
{
    return (struct dim_file_header *)(void *)file;
}

static struct dim_file_record *records(uint8_t *file)
{
    return (struct dim_file_record *)(void *)(file + DIM_FILE_HEADER_BYTES);
}

/* Makes the checksums of header and table right again after a change, so that the check behind them is reached. */
static void seal(uint8_t *file)
{
    struct dim_file_header *h = header(file);
    h->table_crc = crc32c(0, records(file), (uint64_t)h->layer_count * DIM_FILE_RECORD_BYTES);
    h->header_crc = crc32c(0, h, DIM_FILE_HEADER_BYTES - 4);
}

static uint8_t *sample_file(bool compress, uint64_t *bytes)
{
    struct dim_arena arena = whole_arena();
    struct dim_catalog catalog = sample(&arena);
    return build_file(&catalog.dimensions[0], compress, bytes);
}

/* covers: DS-21 (golden bytes), DS-01 (layer 300) */
static void the_header_and_table_of_a_file_are_these_bytes(void **state)
{
    (void)state;
    static const uint8_t head[64] = {
        0x89, 'O',  'D',  'I',  'M', '\r', '\n', 0x1a,
        1,    0,    128,  0,    80,  0,    4,    0, /* magic, version, sizes, layers */
        0,    0x40, 0,    0,    0,   0,    0,    0,
        7,    0,    0,    0,    0,   0,    0,    0, /* 16384 bytes, seed 7 */
        3,    0,    0,    0,    27,  0,    0,    0,
        0x27, 0x51, 0xec, 0xe9, 0,   0,    0,    0, /* id, flags, keywords; table's crc */
        'e',  'n',  'e',  'r',  'g', 'y',  0,    0,
        0,    0,    0,    0,    0,   0,    0,    0,
    };
    uint64_t bytes;
    uint8_t *file = sample_file(false, &bytes);
    assert_int_equal(bytes, 16384);
    uint32_t table_crc = header(file)->table_crc;
    header(file)->table_crc = 0;
    assert_memory_equal(file, head, sizeof head);
    header(file)->table_crc = table_crc;
    assert_int_equal(records(file)[3].number, 300);
    assert_string_equal(records(file)[3].name, "far_away-9");
    assert_int_equal(records(file)[2].offset, 12288);
    assert_int_equal(records(file)[2].stored_bytes, 4);
    assert_memory_equal(file + 12288, "\x00\xff\x10\xab", 4);
    assert_memory_equal(file + 8192, "What \"flows\" is counted.\n\n", 26);
    assert_int_equal(crc32c(0, file, bytes), 0xae225be0);
    assert_ok(dim_file_check(file, bytes, &error));
    free(file);
}

/* covers: DS-22 DS-23 DS-01 */
static void json_to_binary_to_json_is_the_same_compressed_or_not(void **state)
{
    (void)state;
    struct dim_arena arena = whole_arena();
    struct dim_catalog catalog = sample(&arena);
    char *wanted = strdup(json_of(&catalog));
    for (unsigned compress = 0; compress < 2; compress++) {
        struct dim_entry back[2];
        uint8_t *files[2];
        uint64_t bytes;
        for (unsigned i = 0; i < 2; i++) {
            files[i] = build_file(&catalog.dimensions[i], compress, &bytes);
            assert_ok(dim_file_check(files[i], bytes, &error));
            assert_int_equal(dim_file_is_compressed(files[i]), compress);
            assert_ok(dim_file_entry(files[i], &arena, &back[i], &error));
        }
        assert_string_equal(json_of(&(struct dim_catalog){.count = 2, .dimensions = back}), wanted);
        free(files[0]);
        free(files[1]);
    }
    free(wanted);
}

static void compressed_and_plain_files_have_the_same_contents(void **state)
{
    (void)state;
    uint64_t plain_bytes, packed_bytes;
    uint8_t *plain = sample_file(false, &plain_bytes), *packed = sample_file(true, &packed_bytes);
    unsigned compressed = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t a[400], b[400];
        assert_int_equal(records(plain)[i].content_bytes, records(packed)[i].content_bytes);
        assert_int_equal(records(plain)[i].content_crc, records(packed)[i].content_crc);
        assert_ok(dim_file_inflate(plain, &records(plain)[i], a, &error));
        assert_ok(dim_file_inflate(packed, &records(packed)[i], b, &error));
        assert_memory_equal(a, b, records(plain)[i].content_bytes);
        compressed += (records(packed)[i].flags & DIM_LAYER_COMPRESSED) != 0;
    }
    assert_int_equal(compressed, 1); /* four bytes and two short lines do not become smaller */
    free(plain);
    free(packed);
}

/* covers: DS-24 DS-10 (host part) */
static void every_single_flipped_bit_is_found(void **state)
{
    (void)state;
    for (unsigned compress = 0; compress < 2; compress++) {
        uint64_t bytes;
        uint8_t *file = sample_file(compress, &bytes);
        assert_ok(dim_file_check(file, bytes, &error));
        for (uint64_t bit = 0; bit < 8 * bytes; bit++) {
            file[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (dim_file_check(file, bytes, &error) == STATUS_OK) {
                fail_msg("bit %llu", (unsigned long long)bit);
            }
            file[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_ok(dim_file_check(file, bytes, NULL));
        free(file);
    }
}

/* covers: DS-21 (no read out of bounds; AddressSanitizer watches) */
static void every_cut_file_is_refused_without_reading_behind_its_end(void **state)
{
    (void)state;
    uint64_t bytes;
    uint8_t *file = sample_file(false, &bytes);
    for (uint64_t cut = 0; cut < bytes; cut += cut < 700 ? 1 : 511) {
        uint8_t *piece = malloc(cut ? cut : 1);
        assert_non_null(piece);
        memcpy(piece, file, cut);
        assert_int_not_equal(dim_file_check(piece, cut, &error), STATUS_OK);
        free(piece);
    }
    free(file);
}

/* ---- one wrong thing at a time, with right checksums ---- */

static void wrong_magic(uint8_t *f)
{
    f[5] = '\n';
}

static void wrong_version(uint8_t *f)
{
    header(f)->version = 2;
}

static void wrong_header_checksum(uint8_t *f)
{
    header(f)->header_crc ^= 1;
}

static void wrong_header_bytes(uint8_t *f)
{
    header(f)->header_bytes = 64;
}

static void wrong_record_bytes(uint8_t *f)
{
    header(f)->record_bytes = 88;
}

static void wrong_file_bytes(uint8_t *f)
{
    header(f)->file_bytes += 4096;
}

static void no_layer(uint8_t *f)
{
    header(f)->layer_count = 0;
}

static void many_layers(uint8_t *f)
{
    header(f)->layer_count = 1025;
}

static void header_flag(uint8_t *f)
{
    header(f)->flags = 1;
}

static void header_reserved(uint8_t *f)
{
    header(f)->reserved[43] = 1;
}

static void name_behind_its_end(uint8_t *f)
{
    header(f)->name[20] = 'x';
}

static void name_without_end(uint8_t *f)
{
    memset(header(f)->name, 'x', DIM_NAME_BYTES);
}

static void keywords_beyond_the_file(uint8_t *f)
{
    header(f)->keyword_bytes = UINT32_MAX;
}

static void fewer_keyword_bytes(uint8_t *f)
{
    header(f)->keyword_bytes--;
}

static void same_number_twice(uint8_t *f)
{
    records(f)[1].number = 0;
}

static void layer_flag(uint8_t *f)
{
    records(f)[0].flags |= 8;
}

static void keywords_elsewhere(uint8_t *f)
{
    records(f)[1].keyword_offset++;
}

static void too_many_keyword_bytes(uint8_t *f)
{
    records(f)[0].keyword_bytes = UINT32_MAX;
}

static void too_many_keywords(uint8_t *f)
{
    records(f)[0].keyword_count = 257;
}

static void one_keyword_too_many(uint8_t *f)
{
    records(f)[0].keyword_count++;
}

static void one_keyword_too_few(uint8_t *f)
{
    records(f)[0].keyword_count--;
}

static void block_elsewhere(uint8_t *f)
{
    records(f)[1].offset += 4096;
}

static void block_beyond_the_file(uint8_t *f)
{
    records(f)[3].stored_bytes = records(f)[3].content_bytes = UINT64_MAX - 4095;
}

static void block_that_wraps(uint8_t *f)
{
    records(f)[0].stored_bytes = records(f)[0].content_bytes = UINT64_MAX;
}

static void two_sizes(uint8_t *f)
{
    records(f)[0].content_bytes++;
}

static void two_checksums(uint8_t *f)
{
    records(f)[0].content_crc++;
}

static void bomb(uint8_t *f)
{
    records(f)[0].flags |= DIM_LAYER_COMPRESSED;
    records(f)[0].content_bytes = DIM_REGION_BYTES + 1;
}

static void layer_without_name(uint8_t *f)
{
    memset(records(f)[0].name, 0, DIM_NAME_BYTES);
}

static void file_not_filled(uint8_t *f)
{
    records(f)[3].stored_bytes = records(f)[3].content_bytes = 5000;
}

static void padding_of_keywords(uint8_t *f)
{
    f[4095] = 1;
}

static void padding_of_a_block(uint8_t *f)
{
    f[2 * 4096 - 1] = 1;
}

static void content(uint8_t *f)
{
    f[4096] ^= 1;
}

static void keyword_byte(uint8_t *f)
{
    f[128 + 4 * 80] ^= 1;
}

static void bytes_that_claim_to_be_text(uint8_t *f)
{
    records(f)[2].flags |= DIM_LAYER_TEXT;
}

static void table_checksum(uint8_t *f)
{
    header(f)->table_crc ^= 0x80000000u;
    header(f)->header_crc = crc32c(0, header(f), DIM_FILE_HEADER_BYTES - 4);
}

static const struct wrong_row {
    void (*change)(uint8_t *file);
    status_t status;
    bool sealed; /* checksums of header and table are right */
} wrong_rows[] = {
    {wrong_magic, STATUS_ERR_DIM_MAGIC, true},
    {wrong_version, STATUS_ERR_DIM_VERSION, true},
    {wrong_header_checksum, STATUS_ERR_DIM_CHECKSUM, false},
    {table_checksum, STATUS_ERR_DIM_CHECKSUM, false},
    {wrong_header_bytes, STATUS_ERR_DIM_HEADER, true},
    {wrong_record_bytes, STATUS_ERR_DIM_HEADER, true},
    {wrong_file_bytes, STATUS_ERR_DIM_HEADER, true},
    {no_layer, STATUS_ERR_DIM_HEADER, true},
    {many_layers, STATUS_ERR_DIM_HEADER, false},
    {header_flag, STATUS_ERR_DIM_HEADER, true},
    {header_reserved, STATUS_ERR_DIM_HEADER, true},
    {name_behind_its_end, STATUS_ERR_DIM_HEADER, true},
    {name_without_end, STATUS_ERR_DIM_HEADER, true},
    {keywords_beyond_the_file, STATUS_ERR_DIM_TABLE, true},
    {fewer_keyword_bytes, STATUS_ERR_DIM_TABLE, true},
    {same_number_twice, STATUS_ERR_DIM_TABLE, true},
    {layer_flag, STATUS_ERR_DIM_TABLE, true},
    {keywords_elsewhere, STATUS_ERR_DIM_TABLE, true},
    {too_many_keyword_bytes, STATUS_ERR_DIM_TABLE, true},
    {too_many_keywords, STATUS_ERR_DIM_TABLE, true},
    {one_keyword_too_many, STATUS_ERR_DIM_TEXT, true},
    {one_keyword_too_few, STATUS_ERR_DIM_TEXT, true},
    {block_elsewhere, STATUS_ERR_DIM_TABLE, true},
    {block_beyond_the_file, STATUS_ERR_DIM_TABLE, true},
    {block_that_wraps, STATUS_ERR_DIM_TABLE, true},
    {two_sizes, STATUS_ERR_DIM_TABLE, true},
    {two_checksums, STATUS_ERR_DIM_TABLE, true},
    {bomb, STATUS_ERR_DIM_TABLE, true},
    {layer_without_name, STATUS_ERR_DIM_TABLE, true},
    {file_not_filled, STATUS_ERR_DIM_TABLE, true},
    {padding_of_keywords, STATUS_ERR_DIM_CHECKSUM, true},
    {padding_of_a_block, STATUS_ERR_DIM_CHECKSUM, true},
    {content, STATUS_ERR_DIM_CHECKSUM, true},
    {keyword_byte, STATUS_ERR_DIM_CHECKSUM, true},
    {bytes_that_claim_to_be_text, STATUS_ERR_DIM_TEXT, true},
};

static void each_wrong_thing_has_its_status(void **state)
{
    (void)state;
    uint64_t bytes;
    uint8_t *file = sample_file(false, &bytes), *copy = malloc(bytes);
    assert_non_null(copy);
    for (size_t i = 0; i < sizeof wrong_rows / sizeof wrong_rows[0]; i++) {
        memcpy(copy, file, bytes);
        wrong_rows[i].change(copy);
        if (wrong_rows[i].sealed) {
            seal(copy);
        } else if (wrong_rows[i].change == many_layers) {
            header(copy)->header_crc = crc32c(0, copy, DIM_FILE_HEADER_BYTES - 4);
        }
        status_t status = dim_file_check(copy, bytes, &error);
        if (status != wrong_rows[i].status || error.status != status || !error.what) {
            fail_msg("row %zu: %s (%s)", i, status_name(status), error.what);
        }
    }
    free(copy);
    free(file);
}

static void damage_inside_a_compressed_layer_is_found_when_it_is_inflated(void **state)
{
    (void)state;
    uint64_t bytes;
    uint8_t *file = sample_file(true, &bytes), out[400];
    struct dim_file_record *r = &records(file)[0];
    assert_true(r->flags & DIM_LAYER_COMPRESSED);
    r->content_crc ^= 1;
    seal(file);
    assert_ok(dim_file_check(file, bytes, &error));
    assert_status(dim_file_inflate(file, r, out, &error), STATUS_ERR_DIM_CHECKSUM);
    assert_error_text(
        "layer 0, byte 4096: the inflated layer's checksum differs (dimension: checksum differs)");
    r->content_crc ^= 1;
    r->content_bytes--;
    assert_status(dim_file_inflate(file, r, out, &error), STATUS_ERR_DIM_STREAM);
    free(file);
}

static void a_file_grows_with_its_region_and_is_refused_beyond_it(void **state)
{
    (void)state;
    struct dim_arena arena = whole_arena();
    struct dim_catalog catalog = sample(&arena);
    struct dim_build_options options = {.simulated_bytes = 300, .seed = 7};
    static _Alignas(16) uint8_t to[32768];
    uint64_t bytes;
    for (uint64_t capacity = 0; capacity < 16384; capacity += capacity < 700 ? 1 : 97) {
        memset(to + capacity, 0x55, 64);
        assert_status(dim_build(&catalog.dimensions[0], &options, to, capacity, &bytes, &error),
                      STATUS_ERR_LIMIT);
        assert_int_equal(error.limit_bytes, capacity);
        assert_true(error.asked_bytes > capacity);
        for (unsigned i = 0; i < 64; i++) {
            assert_int_equal(to[capacity + i], 0x55);
        }
    }
    assert_ok(dim_build(&catalog.dimensions[0], &options, to, 16384, &bytes, &error));
    assert_int_equal(bytes, 16384);
}

static void entries_that_no_file_may_hold_are_refused(void **state)
{
    (void)state;
    struct dim_arena arena = whole_arena();
    struct dim_catalog catalog = sample(&arena);
    struct dim_build_options options = {.simulated_bytes = 300};
    static _Alignas(16) uint8_t to[32768];
    uint64_t bytes;
    struct dim_entry good = catalog.dimensions[0], e = good;
    struct dim_layer_entry layer = good.layers[1];
    e.layer_count = 0;
    assert_status(dim_build(&e, &options, to, sizeof to, &bytes, &error), STATUS_ERR_ARGUMENT);
    e = good;
    e.name[0] = '\0';
    assert_status(dim_build(&e, &options, to, sizeof to, &bytes, &error), STATUS_ERR_ARGUMENT);
    good.layers[1].flags = DIM_LAYER_COMPRESSED;
    assert_status(dim_build(&good, &options, to, sizeof to, &bytes, &error), STATUS_ERR_ARGUMENT);
    good.layers[1] = layer;
    good.layers[1].number.number = 2;
    assert_status(dim_build(&good, &options, to, sizeof to, &bytes, &error), STATUS_ERR_ARGUMENT);
    good.layers[1] = layer;
    good.layers[1].content_bytes -= 2;
    assert_status(dim_build(&good, &options, to, sizeof to, &bytes, &error), STATUS_ERR_ARGUMENT);
    good.layers[1] = layer;
    struct dim_keyword comma = {"a,b", 3, 0};
    good.layers[1].keywords = &comma;
    good.layers[1].keyword_count = 1;
    assert_status(dim_build(&good, &options, to, sizeof to, &bytes, &error), STATUS_ERR_ARGUMENT);
    good.layers[1] = layer;
    assert_ok(dim_build(&good, &options, to, sizeof to, &bytes, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_and_table_of_a_file_are_these_bytes),
        cmocka_unit_test(json_to_binary_to_json_is_the_same_compressed_or_not),
        cmocka_unit_test(compressed_and_plain_files_have_the_same_contents),
        cmocka_unit_test(every_single_flipped_bit_is_found),
        cmocka_unit_test(every_cut_file_is_refused_without_reading_behind_its_end),
        cmocka_unit_test(each_wrong_thing_has_its_status),
        cmocka_unit_test(damage_inside_a_compressed_layer_is_found_when_it_is_inflated),
        cmocka_unit_test(a_file_grows_with_its_region_and_is_refused_beyond_it),
        cmocka_unit_test(entries_that_no_file_may_hold_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
