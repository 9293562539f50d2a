/* dimtool validate and dump. Deviations: none. */

#include <stdlib.h>

#include "dimension/file.h"
#include "dimension/json.h"
#include "dimension/text.h"
#include "tools/dimtool/dimtool.h"
#include "tools/dimtool/files.h"

/* Checksums, structure, and the inside of compressed layers. */
static status_t check_binary(const struct file *file, struct dim_error *error)
{
    status_t status = dim_file_check(file->bytes, file->size_bytes, error);
    const struct dim_file_header *h = (const struct dim_file_header *)(const void *)file->bytes;
    for (uint32_t i = 0; status == STATUS_OK && i < h->layer_count; i++) {
        const struct dim_file_record *record = &dim_file_records(file->bytes)[i];
        uint8_t *content = files_allocate(record->content_bytes);
        status = dim_file_inflate(file->bytes, record, content, error);
        free(content);
    }
    return status;
}

static status_t check_file(const char *path, const struct file *file, struct dim_error *error)
{
    const char *text = (const char *)file->bytes;
    bool is_text = dim_text_is(text, file->size_bytes);
    if (!is_text && !files_has_suffix(path, ".json")) {
        return check_binary(file, error);
    }
    uint64_t bytes = 16 * file->size_bytes + 4096;
    uint8_t *memory = files_allocate(bytes);
    struct dim_arena arena = {memory, memory + bytes};
    struct dim_entry entry;
    struct dim_catalog catalog;
    status_t status = is_text ? dim_text_parse(text, file->size_bytes, &arena, &entry, error)
                              : dim_json_parse(text, file->size_bytes, &arena, &catalog, error);
    free(memory);
    return status;
}

int command_validate(const struct options *options)
{
    int status = 0;
    for (uint32_t i = 0; i < options->count; i++) {
        struct file file;
        struct dim_error error;
        char text[DIM_ERROR_TEXT_BYTES];
        if (!files_read(options->paths[i], &file)) {
            return 2;
        }
        if (check_file(options->paths[i], &file, &error) == STATUS_OK) {
            printf("%s: ok\n", options->paths[i]);
        } else {
            printf("%s: %s\n", options->paths[i], dim_error_text(&error, text, sizeof text));
            status = 1;
        }
        files_free(&file);
    }
    return status;
}

static void dump_layer(const uint8_t *file, const struct dim_file_record *r)
{
    const struct dim_file_header *h = (const struct dim_file_header *)(const void *)file;
    const char *words =
        (const char *)file + DIM_FILE_HEADER_BYTES + (size_t)h->layer_count * DIM_FILE_RECORD_BYTES;
    printf("layer %u %s: %s, %s, %llu bytes", r->number, r->name,
           r->flags & DIM_LAYER_SIMULATED ? "simulated" : "real",
           r->flags & DIM_LAYER_TEXT ? "contexts" : "bytes", (unsigned long long)r->content_bytes);
    if (r->flags & DIM_LAYER_COMPRESSED) {
        printf(" in %llu", (unsigned long long)r->stored_bytes);
    }
    printf(" at %llu, crc %08x\n  keywords:", (unsigned long long)r->offset, r->content_crc);
    for (uint32_t i = 0; i < r->keyword_bytes; i++) {
        char c = words[r->keyword_offset + i];
        if (i == 0) {
            putchar(' ');
        }
        if (c != '\n') {
            putchar(c);
        } else if (i + 1 < r->keyword_bytes) {
            fputs(", ", stdout);
        }
    }
    putchar('\n');
}

int command_dump(const struct options *options)
{
    struct file file;
    struct dim_error error;
    if (!files_read(options->paths[0], &file)) {
        return 2;
    }
    bool good = check_binary(&file, &error) == STATUS_OK;
    if (good) {
        const struct dim_file_header *h = (const struct dim_file_header *)(const void *)file.bytes;
        printf("dimension %u %s: version %u, %u layers, %llu bytes, seed %llu\n", h->dimension, h->name,
               h->version, h->layer_count, (unsigned long long)h->file_bytes, (unsigned long long)h->seed);
        for (uint32_t i = 0; i < h->layer_count; i++) {
            dump_layer(file.bytes, &dim_file_records(file.bytes)[i]);
        }
    } else {
        files_complain(options->paths[0], &error);
    }
    files_free(&file);
    return good ? 0 : 1;
}
