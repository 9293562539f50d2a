/* dimtool init and convert. Deviations: none. */

#include <stdlib.h>
#include <string.h>

#include "dimension/build.h"
#include "dimension/file.h"
#include "dimension/json.h"
#include "dimension/name.h"
#include "dimension/text.h"
#include "tools/dimtool/dimtool.h"
#include "tools/dimtool/files.h"

/* Memory for parsing a text of that size, whole. */
static struct dim_arena arena_for(uint64_t text_bytes, void **memory)
{
    uint64_t bytes = 16 * text_bytes + 4096;
    *memory = files_allocate(bytes);
    return (struct dim_arena){*memory, (uint8_t *)*memory + bytes};
}

static bool write_text(const char *path, const struct text_buffer *text)
{
    return files_write(path, text->bytes ? text->bytes : "", text->used);
}

static char *path_in(const char *folder, dim_id_t id, const char *suffix)
{
    char name[DIM_FILE_NAME_BYTES], *path = files_allocate(strlen(folder) + sizeof name + 2);
    strcpy(path, folder);
    strcat(path, "/");
    strcat(path, dim_file_name(id, suffix, name));
    return path;
}

/* So many bytes a layer that all simulated layers together fill the region, each a whole number of pages. */
static uint64_t full_share(const struct dim_entry *entry)
{
    uint64_t head = DIM_FILE_HEADER_BYTES + (uint64_t)entry->layer_count * DIM_FILE_RECORD_BYTES, real = 0,
             layers = 0;
    for (uint32_t i = 0; i < entry->layer_count; i++) {
        const struct dim_layer_entry *layer = &entry->layers[i];
        for (uint32_t n = 0; n < layer->keyword_count; n++) {
            head += layer->keywords[n].bytes + 1;
        }
        real += dim_file_align(layer->content_bytes);
        layers += !layer->content;
    }
    uint64_t taken = dim_file_align(head) + real;
    return layers && taken < DIM_REGION_BYTES ? (DIM_REGION_BYTES - taken) / layers & ~UINT64_C(4095) : 0;
}

/* Builds the file of one dimension into fresh memory; free it. */
static uint8_t *build(const struct dim_entry *entry, const struct options *options, bool keep_seed,
                      uint64_t *bytes, struct dim_error *error)
{
    uint8_t *to = files_allocate(DIM_REGION_BYTES);
    struct dim_build_options how = {
        .simulated_bytes = options->fill_bytes == UINT64_MAX ? full_share(entry) : options->fill_bytes,
        .seed = options->seed,
        .keep_seed = keep_seed,
        .compress = options->compress,
        .scratch = options->compress ? files_allocate(DIM_REGION_BYTES) : NULL,
        .scratch_bytes = DIM_REGION_BYTES,
    };
    status_t status = dim_build(entry, &how, to, DIM_REGION_BYTES, bytes, error);
    free(how.scratch);
    if (status != STATUS_OK) {
        free(to);
        return NULL;
    }
    return to;
}

static bool write_dimension_text(const uint8_t *file, uint64_t file_bytes, const char *path)
{
    void *memory;
    struct dim_arena arena = arena_for(file_bytes + DIM_REGION_BYTES, &memory);
    struct dim_entry entry;
    struct dim_error error;
    struct text_buffer text;
    struct dim_sink sink = text_buffer_sink(&text);
    bool good = dim_file_entry(file, &arena, &entry, &error) == STATUS_OK &&
                dim_text_write(&entry, &sink, &error) == STATUS_OK;
    if (!good) {
        files_complain(path, &error);
    }
    good = good && write_text(path, &text);
    free(text.bytes);
    free(memory);
    return good;
}

static bool write_dimension(const struct dim_entry *entry, const struct options *options, const char *folder)
{
    struct dim_error error;
    uint64_t bytes = 0;
    char *path = path_in(folder, entry->id, options->text ? "txt" : "odim");
    uint8_t *file = build(entry, options, false, &bytes, &error);
    bool good = file != NULL;
    if (!good) {
        files_complain(path, &error);
    } else if (options->text) {
        good = write_dimension_text(file, bytes, path);
    } else {
        good = files_write(path, file, bytes);
    }
    free(file);
    free(path);
    return good;
}

/* All dimensions of a catalog as files of a folder. */
static int write_folder(const char *json, const struct options *options, const char *folder, bool catalog_too)
{
    struct file in;
    struct dim_error error;
    struct dim_catalog catalog;
    if (!files_read(json, &in)) {
        return 2;
    }
    void *memory;
    struct dim_arena arena = arena_for(in.size_bytes, &memory);
    bool good = dim_json_parse((const char *)in.bytes, in.size_bytes, &arena, &catalog, &error) == STATUS_OK;
    if (!good) {
        files_complain(json, &error);
    }
    good = good && files_make_folder(folder);
    for (uint32_t i = 0; good && i < catalog.count; i++) {
        good = write_dimension(&catalog.dimensions[i], options, folder);
    }
    if (good && catalog_too) {
        struct text_buffer text;
        struct dim_sink sink = text_buffer_sink(&text);
        dim_json_write(&catalog, &sink);
        char *path = files_allocate(strlen(folder) + sizeof "/dimensions.json");
        strcat(strcpy(path, folder), "/dimensions.json");
        good = write_text(path, &text);
        free(path);
        free(text.bytes);
    }
    free(memory);
    files_free(&in);
    return good ? 0 : 2;
}

int command_init(const struct options *options)
{
    return write_folder(options->paths[0], options, options->paths[1], true);
}

/* ---- a folder of files to dimensions.json ---- */

struct gathered {
    struct file files[DIM_MAX_DIMENSIONS];
    void *memory[DIM_MAX_DIMENSIONS];
    struct dim_entry entries[DIM_MAX_DIMENSIONS];
    uint32_t count;
};

static bool gather_file(struct gathered *g, const char *path)
{
    struct file *file = &g->files[g->count];
    struct dim_error error;
    if (!files_read(path, file)) {
        return false;
    }
    struct dim_arena arena = arena_for(file->size_bytes + DIM_REGION_BYTES, &g->memory[g->count]);
    struct dim_entry *entry = &g->entries[g->count++];
    if (dim_file_check(file->bytes, file->size_bytes, &error) != STATUS_OK ||
        dim_file_entry(file->bytes, &arena, entry, &error) != STATUS_OK) {
        files_complain(path, &error);
        return false;
    }
    return true;
}

/* The files dim00.odim, dim01.odim, ... that are there. */
static bool gather(struct gathered *g, const char *folder)
{
    bool good = true;
    for (uint16_t id = 0; good && id < DIM_MAX_DIMENSIONS; id++) {
        char *path = path_in(folder, (dim_id_t){id}, "odim");
        FILE *there = fopen(path, "rb");
        if (there) {
            fclose(there);
            good = gather_file(g, path);
            if (good && g->entries[g->count - 1].id.number != id) {
                fprintf(stderr, "dimtool: %s: holds dimension %u\n", path,
                        g->entries[g->count - 1].id.number);
                good = false;
            }
        }
        free(path);
    }
    if (good && g->count == 0) {
        fprintf(stderr, "dimtool: %s: no file dim00.odim to dim63.odim in it\n", folder);
    }
    return good && g->count > 0;
}

static int folder_to_json(const char *folder, const char *path)
{
    struct gathered *g = files_allocate(sizeof *g);
    memset(g, 0, sizeof *g);
    bool good = gather(g, folder);
    if (good) {
        struct text_buffer text;
        struct dim_sink sink = text_buffer_sink(&text);
        dim_json_write(&(struct dim_catalog){.count = g->count, .dimensions = g->entries}, &sink);
        good = write_text(path, &text);
        free(text.bytes);
    }
    for (uint32_t i = 0; i < DIM_MAX_DIMENSIONS; i++) {
        files_free(&g->files[i]);
        free(g->memory[i]);
    }
    free(g);
    return good ? 0 : 2;
}

/* ---- one file to another ---- */

static int binary_to_text(const char *from, const char *to)
{
    struct file in;
    struct dim_error error;
    if (!files_read(from, &in)) {
        return 2;
    }
    bool good = dim_file_check(in.bytes, in.size_bytes, &error) == STATUS_OK;
    if (!good) {
        files_complain(from, &error);
    }
    good = good && write_dimension_text(in.bytes, in.size_bytes, to);
    files_free(&in);
    return good ? 0 : 2;
}

static int text_to_binary(const struct options *options, const char *from, const char *to)
{
    struct file in;
    struct dim_error error;
    struct dim_entry entry;
    uint64_t bytes = 0;
    if (!files_read(from, &in)) {
        return 2;
    }
    void *memory;
    struct dim_arena arena = arena_for(in.size_bytes, &memory);
    uint8_t *file = NULL;
    if (dim_text_parse((const char *)in.bytes, in.size_bytes, &arena, &entry, &error) == STATUS_OK) {
        file = build(&entry, options, true, &bytes, &error);
    }
    if (!file) {
        files_complain(from, &error);
    }
    bool good = file && files_write(to, file, bytes);
    free(file);
    free(memory);
    files_free(&in);
    return good ? 0 : 2;
}

int command_convert(const struct options *options)
{
    const char *from = options->paths[0], *to = options->paths[1];
    if (files_is_folder(from) && files_has_suffix(to, ".json")) {
        return folder_to_json(from, to);
    }
    if (files_has_suffix(from, ".json")) {
        return write_folder(from, options, to, false);
    }
    if (files_has_suffix(from, ".odim") && files_has_suffix(to, ".txt")) {
        return binary_to_text(from, to);
    }
    if (files_has_suffix(from, ".txt") && files_has_suffix(to, ".odim")) {
        return text_to_binary(options, from, to);
    }
    fprintf(stderr, "dimtool: %s to %s: no such conversion (dimtool --help)\n", from, to);
    return 2;
}
