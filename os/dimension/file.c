/*
 * Checking and reading the binary format. The position of every part follows from the parts before it, so offsets are
 * compared, never trusted. Deviations: none.
 */

#include "dimension/file.h"

#include "dimension/crc32c.h"
#include "dimension/lz4.h"
#include "dimension/words.h"
#include "lib/string.h"

/* The file being checked: where the next part must begin. */
struct checker {
    const uint8_t *file;
    const struct dim_file_header *header;
    uint64_t size_bytes;
    struct dim_error *error; /* never null */
};

static status_t bad(const struct checker *c, status_t status, const char *what, const void *at)
{
    return dim_fail_at(c->error, status, what, (uint64_t)((const uint8_t *)at - c->file));
}

static bool all_zero(const void *bytes, uint64_t size_bytes)
{
    const uint8_t *at = bytes;
    for (uint64_t i = 0; i < size_bytes; i++) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

/* A name in its field: good characters, then zeros only. */
static bool field_ok(const char *name)
{
    uint64_t length = strnlen(name, DIM_NAME_BYTES);
    return dim_name_ok(name, length) && all_zero(name + length, DIM_NAME_BYTES - length);
}

bool dim_file_is_binary(const void *file, uint64_t size_bytes)
{
    return size_bytes >= 8 && memcmp(file, DIM_FILE_MAGIC, 8) == 0;
}

static status_t check_header(const struct checker *c)
{
    const struct dim_file_header *h = c->header;
    if (!dim_file_is_binary(c->file, c->size_bytes)) {
        return bad(c, STATUS_ERR_DIM_MAGIC, "this is no dimension file", c->file);
    }
    if (c->size_bytes < DIM_FILE_HEADER_BYTES) {
        return dim_fail_at(c->error, STATUS_ERR_DIM_HEADER, "the file ends inside its header", c->size_bytes);
    }
    if (h->version != DIM_FILE_VERSION) {
        return bad(c, STATUS_ERR_DIM_VERSION, "the version of the format is not 1", &h->version);
    }
    if (crc32c(0, h, DIM_FILE_HEADER_BYTES - 4) != h->header_crc) {
        return bad(c, STATUS_ERR_DIM_CHECKSUM, "the header's checksum differs", &h->header_crc);
    }
    if (h->header_bytes != DIM_FILE_HEADER_BYTES || h->record_bytes != DIM_FILE_RECORD_BYTES) {
        return bad(c, STATUS_ERR_DIM_HEADER, "the header tells wrong sizes of header and record",
                   &h->header_bytes);
    }
    if (h->file_bytes != c->size_bytes || h->file_bytes % DIM_FILE_ALIGNMENT != 0) {
        return bad(c, STATUS_ERR_DIM_HEADER, "the header tells another size than the file has",
                   &h->file_bytes);
    }
    if (h->layer_count == 0 || h->layer_count > DIM_MAX_LAYERS) {
        return bad(c, STATUS_ERR_DIM_HEADER, "the number of layers is not 1 to 1024", &h->layer_count);
    }
    if (h->flags != 0 || !all_zero(h->reserved, sizeof h->reserved)) {
        return bad(c, STATUS_ERR_DIM_HEADER, "reserved bits of the header are not zero", &h->flags);
    }
    return field_ok(h->name) ? STATUS_OK
                             : bad(c, STATUS_ERR_DIM_HEADER, "the dimension's name is not one", h->name);
}

static uint64_t table_end(const struct dim_file_header *h)
{
    return DIM_FILE_HEADER_BYTES + (uint64_t)h->layer_count * DIM_FILE_RECORD_BYTES;
}

static status_t check_record(const struct checker *c, const struct dim_file_record *r, uint64_t keyword_at,
                             uint64_t block_at)
{
    if (r->flags & ~DIM_LAYER_FLAGS) {
        return bad(c, STATUS_ERR_DIM_TABLE, "a layer has unknown flags", &r->flags);
    }
    if (r->keyword_offset != keyword_at || r->keyword_bytes > c->header->keyword_bytes - keyword_at ||
        r->keyword_count > DIM_MAX_KEYWORDS) {
        return bad(c, STATUS_ERR_DIM_TABLE, "a layer's keywords are not where they must be",
                   &r->keyword_count);
    }
    if (r->offset != block_at || r->stored_bytes > c->size_bytes - block_at) {
        return bad(c, STATUS_ERR_DIM_TABLE, "a layer's block is not where it must be", &r->offset);
    }
    if (!(r->flags & DIM_LAYER_COMPRESSED) &&
        (r->stored_bytes != r->content_bytes || r->stored_crc != r->content_crc)) {
        return bad(c, STATUS_ERR_DIM_TABLE, "a plain layer tells two sizes or checksums", &r->content_bytes);
    }
    if (r->content_bytes > DIM_REGION_BYTES) {
        return bad(c, STATUS_ERR_DIM_TABLE, "a layer's content is larger than a region", &r->content_bytes);
    }
    return field_ok(r->name) ? STATUS_OK : bad(c, STATUS_ERR_DIM_TABLE, "a layer's name is not one", r->name);
}

static status_t check_table(const struct checker *c)
{
    const struct dim_file_header *h = c->header;
    const struct dim_file_record *records = dim_file_records(c->file);
    uint64_t keyword_at = 0, block_at = dim_file_align(table_end(h) + h->keyword_bytes);
    if (block_at > c->size_bytes) {
        return bad(c, STATUS_ERR_DIM_TABLE, "the file ends inside its table or keywords", &h->layer_count);
    }
    if (crc32c(0, records, table_end(h) - DIM_FILE_HEADER_BYTES) != h->table_crc) {
        return bad(c, STATUS_ERR_DIM_CHECKSUM, "the layer table's checksum differs", records);
    }
    for (uint32_t i = 0; i < h->layer_count; i++) {
        if (i > 0 && records[i].number <= records[i - 1].number) {
            return bad(c, STATUS_ERR_DIM_TABLE, "layer numbers do not ascend", &records[i]);
        }
        status_t status = check_record(c, &records[i], keyword_at, block_at);
        if (status != STATUS_OK) {
            return status;
        }
        keyword_at += records[i].keyword_bytes;
        block_at = dim_file_align(block_at + records[i].stored_bytes);
    }
    if (keyword_at != h->keyword_bytes || block_at != c->size_bytes) {
        return bad(c, STATUS_ERR_DIM_TABLE, "keywords or blocks do not fill the file", &h->keyword_bytes);
    }
    return STATUS_OK;
}

/* The next keyword at *text, which is behind its line feed then; null when there is none that may stand there. */
static const char *take_keyword(const char **text, const char *end, uint32_t *bytes)
{
    const char *start = *text, *at = start;
    while (at < end && *at != '\n') {
        at++;
    }
    if (at == end || !dim_keyword_ok(start, (uint64_t)(at - start))) {
        return NULL;
    }
    *bytes = (uint32_t)(at - start);
    *text = at + 1;
    return start;
}

static status_t check_keywords(const struct checker *c)
{
    const struct dim_file_record *records = dim_file_records(c->file);
    const char *at = (const char *)c->file + table_end(c->header);
    if (crc32c(0, at, c->header->keyword_bytes) != c->header->keyword_crc) {
        return bad(c, STATUS_ERR_DIM_CHECKSUM, "the keywords' checksum differs", at);
    }
    for (uint32_t i = 0; i < c->header->layer_count; i++) {
        const char *end = at + records[i].keyword_bytes;
        for (uint32_t n = 0; n < records[i].keyword_count; n++) {
            uint32_t bytes;
            if (!take_keyword(&at, end, &bytes)) {
                return bad(c, STATUS_ERR_DIM_TEXT, "this is no keyword", at);
            }
        }
        if (at != end) {
            return bad(c, STATUS_ERR_DIM_TEXT, "there are more keywords than the layer tells", at);
        }
    }
    return STATUS_OK;
}

/* Zeros from byte `from` to the next multiple of the alignment. */
static status_t check_padding(const struct checker *c, uint64_t from)
{
    const uint8_t *at = c->file + from;
    return all_zero(at, dim_file_align(from) - from)
               ? STATUS_OK
               : bad(c, STATUS_ERR_DIM_CHECKSUM, "padding is not zero", at);
}

static status_t check_block(const struct checker *c, const struct dim_file_record *r)
{
    const uint8_t *block = c->file + r->offset;
    if (crc32c(0, block, r->stored_bytes) != r->stored_crc) {
        bad(c, STATUS_ERR_DIM_CHECKSUM, "the layer's checksum differs", block);
    } else if ((r->flags & (DIM_LAYER_TEXT | DIM_LAYER_COMPRESSED)) == DIM_LAYER_TEXT &&
               !dim_contexts_ok(block, r->content_bytes)) {
        bad(c, STATUS_ERR_DIM_TEXT, "the layer's contexts are not lines of text", block);
    } else {
        return check_padding(c, r->offset + r->stored_bytes);
    }
    c->error->layer = r->number;
    return c->error->status;
}

status_t dim_file_check(const void *file, uint64_t size_bytes, struct dim_error *error)
{
    struct dim_error own;
    struct checker c = {file, file, size_bytes, error ? error : &own};
    status_t status = check_header(&c);
    status = status == STATUS_OK ? check_table(&c) : status;
    status = status == STATUS_OK ? check_keywords(&c) : status;
    status = status == STATUS_OK ? check_padding(&c, table_end(c.header) + c.header->keyword_bytes) : status;
    const struct dim_file_record *records = dim_file_records(file);
    for (uint32_t i = 0; status == STATUS_OK && i < c.header->layer_count; i++) {
        status = check_block(&c, &records[i]);
    }
    return status;
}

bool dim_file_is_compressed(const void *file)
{
    const struct dim_file_header *h = file;
    for (uint32_t i = 0; i < h->layer_count; i++) {
        if (dim_file_records(file)[i].flags & DIM_LAYER_COMPRESSED) {
            return true;
        }
    }
    return false;
}

status_t dim_file_inflate(const void *file, const struct dim_file_record *record, uint8_t *to,
                          struct dim_error *error)
{
    const uint8_t *block = (const uint8_t *)file + record->offset;
    const char *wrong = NULL;
    if (!(record->flags & DIM_LAYER_COMPRESSED)) {
        memcpy(to, block, record->content_bytes);
        return STATUS_OK;
    }
    status_t status = lz4_inflate(block, record->stored_bytes, to, record->content_bytes);
    if (status != STATUS_OK) {
        wrong = "the compressed layer cannot be inflated";
    } else if (crc32c(0, to, record->content_bytes) != record->content_crc) {
        status = STATUS_ERR_DIM_CHECKSUM;
        wrong = "the inflated layer's checksum differs";
    } else if (record->flags & DIM_LAYER_TEXT && !dim_contexts_ok(to, record->content_bytes)) {
        status = STATUS_ERR_DIM_TEXT;
        wrong = "the layer's contexts are not lines of text";
    }
    if (wrong) {
        dim_fail_at(error, status, wrong, record->offset);
        if (error) {
            error->layer = record->number;
        }
    }
    return status;
}

static status_t layer_entry(const void *file, const struct dim_file_record *r, struct dim_arena *arena,
                            struct dim_layer_entry *layer, struct dim_error *error)
{
    const struct dim_file_header *h = file;
    const char *at = (const char *)file + table_end(h) + r->keyword_offset, *end = at + r->keyword_bytes;
    struct dim_keyword *words = dim_arena_take(arena, r->keyword_count * sizeof *words, 8);
    uint8_t *inflated = r->flags & DIM_LAYER_COMPRESSED ? dim_arena_take(arena, r->content_bytes, 1) : NULL;
    if (!words || (r->flags & DIM_LAYER_COMPRESSED && !inflated)) {
        return dim_fail(error, STATUS_ERR_NO_MEMORY, "the memory for reading a file is used up");
    }
    *layer = (struct dim_layer_entry){
        .number = {r->number},
        .flags = (uint16_t)(r->flags & ~DIM_LAYER_COMPRESSED),
        .keyword_count = r->keyword_count,
        .keywords = words,
        .content = inflated ? inflated : (const uint8_t *)file + r->offset,
        .content_bytes = r->content_bytes,
    };
    memcpy(layer->name, r->name, DIM_NAME_BYTES);
    for (uint32_t i = 0; i < r->keyword_count; i++) {
        words[i] = (struct dim_keyword){.text = NULL};
        words[i].text = take_keyword(&at, end, &words[i].bytes);
    }
    return inflated ? dim_file_inflate(file, r, inflated, error) : STATUS_OK;
}

status_t dim_file_entry(const void *file, struct dim_arena *arena, struct dim_entry *entry,
                        struct dim_error *error)
{
    const struct dim_file_header *h = file;
    *entry = (struct dim_entry){.id = {h->dimension}, .layer_count = h->layer_count, .seed = h->seed};
    memcpy(entry->name, h->name, DIM_NAME_BYTES);
    entry->layers = dim_arena_take(arena, h->layer_count * sizeof *entry->layers, 8);
    if (!entry->layers) {
        return dim_fail(error, STATUS_ERR_NO_MEMORY, "the memory for reading a file is used up");
    }
    status_t status = STATUS_OK;
    for (uint32_t i = 0; status == STATUS_OK && i < h->layer_count; i++) {
        status = layer_entry(file, &dim_file_records(file)[i], arena, &entry->layers[i], error);
    }
    return status;
}
