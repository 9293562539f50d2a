/* dimtool query: loads a folder into a store as the system does, and shows what is in it. Deviations: none. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dimension/store.h"
#include "tools/dimtool/dimtool.h"
#include "tools/dimtool/files.h"
#include "tools/dimtool/host_platform.h"

static bool complain(const struct dim_error *error)
{
    char text[DIM_ERROR_TEXT_BYTES];
    fprintf(stderr, "dimtool: %s\n", dim_error_text(error, text, sizeof text));
    return false;
}

/* dimensions.json of the folder, when it has one. */
static bool set_catalog(struct dim_store *store, const char *folder)
{
    char *path = files_allocate(strlen(folder) + sizeof "/dimensions.json");
    strcat(strcpy(path, folder), "/dimensions.json");
    struct file file;
    struct dim_error error;
    bool good = true;
    if (access(path, F_OK) == 0) {
        good = files_read(path, &file);
        if (good &&
            dim_store_set_catalog(store, (const char *)file.bytes, file.size_bytes, &error) != STATUS_OK) {
            files_complain(path, &error);
            good = false;
        }
        files_free(&file);
    }
    free(path);
    return good;
}

static void show(struct dim_store *store)
{
    dim_id_t ids[DIM_MAX_DIMENSIONS];
    struct dim_stats stats;
    for (uint32_t i = 0, count = dim_store_list(store, ids); i < count; i++) {
        struct dim_info info;
        if (dim_store_info(store, ids[i], &info)) {
            printf("dimension %u %s: %u layers, %llu bytes, %s\n", ids[i].number, info.name, info.layers,
                   (unsigned long long)info.used_bytes, info.simulated ? "simulated" : "real");
        }
    }
    dim_store_stats(store, &stats);
    printf("loaded: %llu of %llu dimensions, %llu simulated, %llu layers\n",
           (unsigned long long)stats.dimensions, (unsigned long long)stats.regions,
           (unsigned long long)stats.simulated, (unsigned long long)stats.layers);
    printf("memory: %llu bytes reserved, %llu used of %llu, %llu of records\n",
           (unsigned long long)stats.allocated_bytes, (unsigned long long)stats.used_bytes,
           (unsigned long long)stats.limit_bytes, (unsigned long long)stats.metadata_bytes);
}

/* Prints a layer, or its first bytes when options limit it. */
static bool print_layer(struct dim_store *store, const struct options *options)
{
    struct dim_reader *reader;
    struct dim_slice slice;
    struct dim_error error;
    dim_id_t id = {(uint16_t)strtoul(options->paths[1], NULL, 10)};
    dim_layer_t layer = {(uint16_t)strtoul(options->count > 2 ? options->paths[2] : "0", NULL, 10)};
    status_t status = dim_reader_join(store, &reader);
    if (status != STATUS_OK) {
        dim_fail(&error, status, "no place for a reader");
        return complain(&error);
    }
    dim_read_begin(reader);
    status = options->fill_given ? dim_access_range(reader, id, layer, 0, options->fill_bytes, &slice)
                                 : dim_access_layer(reader, id, layer, &slice);
    bool good = status == STATUS_OK && fwrite(slice.bytes, 1, slice.size_bytes, stdout) == slice.size_bytes;
    dim_read_end(reader);
    dim_reader_leave(reader);
    if (status != STATUS_OK) {
        dim_explain_access(status, id, layer, 0, options->fill_bytes, &error);
        return complain(&error);
    }
    return good;
}

static bool load_all(struct dim_store *store)
{
    bool good = true;
    struct dim_error error;
    for (uint32_t id = 0; id < store->config.dimensions; id++) {
        status_t status = dim_store_load(store, (dim_id_t){(uint16_t)id}, NULL, &error);
        if (status != STATUS_OK && status != STATUS_ERR_DIM_NO_SOURCE) {
            good = complain(&error);
        }
    }
    return good;
}

int command_query(const struct options *options)
{
    struct host_platform host;
    struct dim_platform platform;
    struct dim_error error;
    struct dim_config config = dim_config_standard;
    struct dim_store *store = files_allocate(sizeof *store + 64);
    struct dim_store *aligned = (void *)(((uintptr_t)store + 63) & ~(uintptr_t)63);
    config.seed = options->seed;
    host_platform_init(&host, &platform, options->paths[0], NULL);
    bool good = dim_store_init(aligned, &config, &platform, &error) == STATUS_OK || complain(&error);
    if (good) {
        good = set_catalog(aligned, options->paths[0]) && load_all(aligned);
        if (options->count > 1) {
            good = good && print_layer(aligned, options);
        } else {
            show(aligned);
        }
        good = (dim_store_close(aligned, &error) == STATUS_OK || complain(&error)) && good;
    }
    free(store);
    return good ? 0 : 1;
}
