/* From a dimension to a file of the binary format: header and table last, when all places and checksums are known.
 * Deviations: none. */

#include "dimension/build.h"

#include "dimension/crc32c.h"
#include "dimension/file.h"
#include "dimension/lz4.h"
#include "dimension/simulate.h"
#include "dimension/words.h"
#include "lib/string.h"

struct builder {
    const struct dim_entry *entry;
    const struct dim_build_options *options;
    uint64_t seed;
    uint8_t *to;
    uint64_t capacity;
    uint64_t used;
    struct dim_error *error;
};

static status_t bad_entry(const struct builder *b, const char *what)
{
    dim_fail(b->error, STATUS_ERR_ARGUMENT, what);
    if (b->error) {
        b->error->dimension = b->entry->id.number;
    }
    return STATUS_ERR_ARGUMENT;
}

/* Makes sure that bytes fit from byte `at` on. */
static status_t room(const struct builder *b, uint64_t at, uint64_t bytes)
{
    if (at <= b->capacity && bytes <= b->capacity - at) {
        return STATUS_OK;
    }
    dim_fail(b->error, STATUS_ERR_LIMIT, "the dimension does not fit into its region");
    if (b->error) {
        b->error->dimension = b->entry->id.number;
        b->error->asked_bytes = at + bytes;
        b->error->used_bytes = b->used;
        b->error->limit_bytes = b->capacity;
    }
    return STATUS_ERR_LIMIT;
}

static status_t zero_to_alignment(struct builder *b)
{
    uint64_t end = dim_file_align(b->used);
    status_t status = room(b, b->used, end - b->used);
    if (status == STATUS_OK) {
        memset(b->to + b->used, 0, end - b->used);
        b->used = end;
    }
    return status;
}

static struct dim_file_record *record_of(const struct builder *b, uint32_t i)
{
    return (struct dim_file_record *)(void *)(b->to + DIM_FILE_HEADER_BYTES) + i;
}

static bool layer_ok(const struct dim_entry *entry, uint32_t i)
{
    const struct dim_layer_entry *layer = &entry->layers[i];
    bool ascends = i == 0 || layer->number.number > layer[-1].number.number;
    bool made = layer->content || layer->content_bytes == 0;
    bool text = !(layer->flags & DIM_LAYER_TEXT) || !layer->content ||
                dim_contexts_ok(layer->content, layer->content_bytes);
    return ascends && made && text && layer->keyword_count <= DIM_MAX_KEYWORDS &&
           !(layer->flags & ~(DIM_LAYER_SIMULATED | DIM_LAYER_TEXT)) &&
           dim_name_ok(layer->name, strnlen(layer->name, DIM_NAME_BYTES));
}

/* The layer's keywords, behind those before them. */
static status_t put_keywords(struct builder *b, uint32_t i, uint64_t area)
{
    const struct dim_layer_entry *layer = &b->entry->layers[i];
    uint64_t start = b->used;
    for (uint32_t n = 0; n < layer->keyword_count; n++) {
        const struct dim_keyword *word = &layer->keywords[n];
        if (!dim_keyword_ok(word->text, word->bytes)) {
            return bad_entry(b, "a keyword is not one");
        }
        status_t status = room(b, b->used, word->bytes + 1);
        if (status != STATUS_OK) {
            return status;
        }
        memcpy(b->to + b->used, word->text, word->bytes);
        b->used += word->bytes;
        b->to[b->used++] = '\n';
    }
    struct dim_file_record *record = record_of(b, i);
    record->keyword_count = layer->keyword_count;
    record->keyword_offset = (uint32_t)(start - area);
    record->keyword_bytes = (uint32_t)(b->used - start);
    return STATUS_OK;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Compresses content into the file where that makes it smaller; returns the stored bytes, 0: it does not. */
static uint64_t compress(const struct builder *b, const uint8_t *content, uint64_t bytes)
{
    return bytes ? lz4_compress(content, bytes, b->to + b->used, smaller(bytes - 1, b->capacity - b->used))
                 : 0;
}

static status_t put_block(struct builder *b, uint32_t i)
{
    const struct dim_layer_entry *layer = &b->entry->layers[i];
    const struct dim_build_options *o = b->options;
    struct dim_file_record *record = record_of(b, i);
    bool make = !layer->content && layer->flags & DIM_LAYER_SIMULATED, packed = o->compress && o->scratch;
    uint8_t *made = packed ? o->scratch : b->to + b->used;
    const uint8_t *content = make ? made : layer->content;
    uint64_t bytes = layer->content_bytes;
    if (make) {
        uint64_t most = smaller(o->simulated_bytes, packed ? o->scratch_bytes : b->capacity - b->used);
        bytes = dim_simulate(layer, b->entry->id, b->seed, made, most);
    }
    uint64_t stored = packed ? compress(b, content, bytes) : 0;
    if (stored == 0) {
        status_t status = room(b, b->used, bytes);
        if (status != STATUS_OK) {
            return status;
        }
        if (content != b->to + b->used && bytes > 0) {
            memcpy(b->to + b->used, content, bytes);
        }
    }
    record->flags =
        (uint16_t)(layer->flags | (make ? DIM_LAYER_TEXT : 0) | (stored ? DIM_LAYER_COMPRESSED : 0));
    record->offset = b->used;
    record->content_bytes = bytes;
    record->content_crc = crc32c(0, bytes ? content : NULL, bytes);
    record->stored_bytes = stored ? stored : bytes;
    record->stored_crc = crc32c(0, b->to + b->used, record->stored_bytes);
    b->used += record->stored_bytes;
    return zero_to_alignment(b);
}

static void put_header(const struct builder *b, uint64_t area, uint32_t keyword_bytes)
{
    struct dim_file_header *h = (struct dim_file_header *)(void *)b->to;
    memset(h, 0, sizeof *h);
    memcpy(h->magic, DIM_FILE_MAGIC, sizeof h->magic);
    h->version = DIM_FILE_VERSION;
    h->header_bytes = DIM_FILE_HEADER_BYTES;
    h->record_bytes = DIM_FILE_RECORD_BYTES;
    h->layer_count = b->entry->layer_count;
    h->file_bytes = b->used;
    h->seed = b->seed;
    h->dimension = b->entry->id.number;
    h->keyword_bytes = keyword_bytes;
    h->keyword_crc = crc32c(0, b->to + area, keyword_bytes);
    h->table_crc = crc32c(0, record_of(b, 0), (uint64_t)h->layer_count * DIM_FILE_RECORD_BYTES);
    memcpy(h->name, b->entry->name, strnlen(b->entry->name, DIM_NAME_BYTES));
    h->header_crc = crc32c(0, h, DIM_FILE_HEADER_BYTES - 4);
}

static status_t put_table(struct builder *b)
{
    const struct dim_entry *entry = b->entry;
    b->used = DIM_FILE_HEADER_BYTES + (uint64_t)entry->layer_count * DIM_FILE_RECORD_BYTES;
    status_t status = room(b, 0, b->used);
    if (status != STATUS_OK) {
        return status;
    }
    memset(b->to, 0, b->used);
    for (uint32_t i = 0; i < entry->layer_count; i++) {
        const struct dim_layer_entry *layer = &entry->layers[i];
        if (!layer_ok(entry, i)) {
            return bad_entry(b,
                             "a layer's number, name, flags or contexts are not ones that a file may hold");
        }
        record_of(b, i)->number = layer->number.number;
        memcpy(record_of(b, i)->name, layer->name, strnlen(layer->name, DIM_NAME_BYTES));
    }
    return STATUS_OK;
}

status_t dim_build(const struct dim_entry *entry, const struct dim_build_options *options, uint8_t *to,
                   uint64_t capacity, uint64_t *size_bytes, struct dim_error *error)
{
    uint64_t seed = options->keep_seed ? entry->seed : options->seed;
    struct builder b = {entry, options, seed, to, capacity, 0, error};
    if (entry->layer_count == 0 || entry->layer_count > DIM_MAX_LAYERS ||
        !dim_name_ok(entry->name, strnlen(entry->name, DIM_NAME_BYTES))) {
        return bad_entry(&b, "the dimension's name or number of layers is not one that a file may hold");
    }
    status_t status = put_table(&b);
    uint64_t area = b.used;
    for (uint32_t i = 0; status == STATUS_OK && i < entry->layer_count; i++) {
        status = put_keywords(&b, i, area);
    }
    uint32_t keyword_bytes = (uint32_t)(b.used - area);
    status = status == STATUS_OK ? zero_to_alignment(&b) : status;
    for (uint32_t i = 0; status == STATUS_OK && i < entry->layer_count; i++) {
        status = put_block(&b, i);
    }
    if (status == STATUS_OK) {
        put_header(&b, area, keyword_bytes);
        *size_bytes = b.used;
    }
    return status;
}
