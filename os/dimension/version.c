/*
 * Loading: from a file, or from keywords, to a sealed region and a record of its layers.
 *
 *   binary, plain        mapped into the region as it is: no copy
 *   binary, compressed   mapped elsewhere for a moment; inflated into a plain file in the region
 *   text                 the same, parsed
 *   simulated            a file built in the region from the catalog
 *
 * So a region always holds a plain binary file, and every layer can be reached without a copy. Each step that took
 * something has its undo in dim_version_drop or at its end. Deviations: none.
 */

#include "dimension/build.h"
#include "dimension/file.h"
#include "dimension/store_internal.h"
#include "dimension/text.h"
#include "lib/string.h"

/* A load under way. */
struct load {
    struct dim_store *store;
    dim_id_t id;
    uint64_t other_bytes; /* used by everything else */
    struct dim_version made;
    struct dim_error *error;
};

static uint8_t *pointer(uint64_t address)
{
    return (uint8_t *)(uintptr_t)address;
}

/* A step of the platform that failed. */
static status_t failed(const struct load *l, status_t status, const char *what)
{
    return dim_fail_of(l->error, l->id, status, what);
}

/* Adds the dimension to a failure that a parser reported. */
static status_t parsed(const struct load *l, status_t status)
{
    if (status != STATUS_OK && l->error) {
        l->error->dimension = l->id.number;
    }
    return status;
}

static status_t check_limit(const struct load *l, uint64_t bytes)
{
    const struct dim_config *config = &l->store->config;
    if (bytes <= config->limit_bytes && l->other_bytes <= config->limit_bytes - bytes) {
        return STATUS_OK;
    }
    failed(l, STATUS_ERR_LIMIT, "the limit of memory would be exceeded");
    if (l->error) {
        l->error->asked_bytes = bytes;
        l->error->used_bytes = l->other_bytes;
        l->error->limit_bytes = config->limit_bytes;
    }
    return STATUS_ERR_LIMIT;
}

/* Maps or reads the file at an address; what is backed then is dim_pages(size). */
static status_t fetch(const struct load *l, uint64_t address)
{
    const struct dim_platform *p = &l->store->platform;
    const struct dim_object *object = &l->made.object;
    uint64_t bytes = dim_pages(object->size_bytes);
    status_t status = p->map(p->context, address, object->size_bytes, object->handle);
    if (status != STATUS_ERR_UNSUPPORTED) {
        return status == STATUS_OK ? STATUS_OK : failed(l, status, "the file cannot be mapped");
    }
    status = p->commit(p->context, address, bytes);
    if (status != STATUS_OK) {
        return failed(l, status, "there is no memory for the file");
    }
    status = p->read(p->context, object->handle, 0, pointer(address), object->size_bytes);
    if (status == STATUS_OK) {
        status = p->seal(p->context, address, bytes);
    }
    if (status != STATUS_OK) {
        dim_undone(l->store, l->id, "unmap", p->unmap(p->context, address, bytes), STATUS_OK);
        return failed(l, status, "the file cannot be read");
    }
    return STATUS_OK;
}

/* Takes the unneeded end of the region back and makes the rest read-only. */
static status_t finish_region(struct load *l, uint64_t bytes)
{
    const struct dim_platform *p = &l->store->platform;
    uint64_t region_bytes = l->store->config.region_bytes;
    if (bytes < region_bytes) {
        status_t status = p->unmap(p->context, l->made.region + bytes, region_bytes - bytes);
        l->made.used_bytes = bytes;
        if (status != STATUS_OK) {
            return failed(l, status, "the end of the region cannot be given back");
        }
    }
    status_t status = check_limit(l, bytes);
    if (status == STATUS_OK) {
        status = p->seal(p->context, l->made.region, bytes);
        return status == STATUS_OK ? STATUS_OK : failed(l, status, "the region cannot be made read-only");
    }
    return status;
}

/* Makes the region a plain file of the entry. */
static status_t build_region(struct load *l, const struct dim_entry *entry, bool keep_seed)
{
    const struct dim_platform *p = &l->store->platform;
    const struct dim_config *config = &l->store->config;
    struct dim_build_options options = {
        .simulated_bytes = config->simulated_bytes, .seed = config->seed, .keep_seed = keep_seed};
    uint64_t bytes = 0;
    status_t status = p->commit(p->context, l->made.region, config->region_bytes);
    if (status != STATUS_OK) {
        return failed(l, status, "there is no memory for the region");
    }
    l->made.used_bytes = config->region_bytes;
    status = dim_build(entry, &options, pointer(l->made.region), config->region_bytes, &bytes, l->error);
    return status == STATUS_OK ? finish_region(l, bytes) : parsed(l, status);
}

/* ---- files that are not what the region is to hold: read in a reservation of their own ---- */

/* Memory for the parsed form. */
static uint64_t arena_bytes(const struct load *l, const uint8_t *file, bool text)
{
    if (text) {
        return dim_text_arena_bytes((const char *)file, l->made.object.size_bytes);
    }
    const struct dim_file_header *h = (const struct dim_file_header *)(const void *)file;
    uint64_t bytes = 64 + h->layer_count * sizeof(struct dim_layer_entry);
    for (uint32_t i = 0; i < h->layer_count; i++) {
        const struct dim_file_record *r = &dim_file_records(file)[i];
        bytes += r->keyword_count * sizeof(struct dim_keyword) + 16;
        bytes += r->flags & DIM_LAYER_COMPRESSED ? r->content_bytes : 0;
    }
    return bytes;
}

static status_t check_id(const struct load *l, dim_id_t id)
{
    return id.number == l->id.number ? STATUS_OK
                                     : failed(l, STATUS_ERR_DIM_HEADER, "the file holds another dimension");
}

static status_t parse(struct load *l, const uint8_t *file, bool text, struct dim_arena *arena)
{
    struct dim_entry entry;
    status_t status =
        text ? dim_text_parse((const char *)file, l->made.object.size_bytes, arena, &entry, l->error)
             : dim_file_entry(file, arena, &entry, l->error);
    if (status != STATUS_OK) {
        return parsed(l, status);
    }
    status = check_id(l, entry.id);
    return status == STATUS_OK ? build_region(l, &entry, true) : status;
}

/* With the file at `address`: finds the memory for parsing it, parses it into the region, gives the memory back. */
static status_t parse_with_arena(struct load *l, const uint8_t *file, bool text)
{
    const struct dim_platform *p = &l->store->platform;
    uint64_t bytes = dim_pages(arena_bytes(l, file, text)), memory;
    if (bytes > 4 * l->store->config.region_bytes) {
        return failed(l, STATUS_ERR_LIMIT, "the inflated file does not fit into its region");
    }
    status_t status = p->reserve(p->context, bytes, &memory);
    if (status != STATUS_OK) {
        return failed(l, status, "there are no addresses for reading the file");
    }
    status = p->commit(p->context, memory, bytes);
    if (status == STATUS_OK) {
        struct dim_arena arena = {pointer(memory), pointer(memory + bytes)};
        status = parse(l, file, text, &arena);
        dim_undone(l->store, l->id, "unmap", p->unmap(p->context, memory, bytes), STATUS_OK);
    } else {
        failed(l, status, "there is no memory for reading the file");
    }
    dim_undone(l->store, l->id, "release", p->release(p->context, memory, bytes), STATUS_OK);
    return status;
}

static status_t load_indirect(struct load *l, bool text)
{
    const struct dim_platform *p = &l->store->platform;
    uint64_t bytes = dim_pages(l->made.object.size_bytes), memory;
    status_t status = p->reserve(p->context, bytes, &memory);
    if (status != STATUS_OK) {
        return failed(l, status, "there are no addresses for reading the file");
    }
    status = fetch(l, memory);
    if (status == STATUS_OK) {
        status = text ? STATUS_OK
                      : parsed(l, dim_file_check(pointer(memory), l->made.object.size_bytes, l->error));
        status = status == STATUS_OK ? parse_with_arena(l, pointer(memory), text) : status;
        dim_undone(l->store, l->id, "unmap", p->unmap(p->context, memory, bytes), STATUS_OK);
    }
    dim_undone(l->store, l->id, "release", p->release(p->context, memory, bytes), STATUS_OK);
    return status;
}

/* ---- the plain case ---- */

static status_t load_direct(struct load *l, bool *compressed)
{
    status_t status = check_limit(l, dim_pages(l->made.object.size_bytes));
    status = status == STATUS_OK ? fetch(l, l->made.region) : status;
    if (status != STATUS_OK) {
        return status;
    }
    const uint8_t *file = pointer(l->made.region);
    l->made.used_bytes = dim_pages(l->made.object.size_bytes);
    status = parsed(l, dim_file_check(file, l->made.object.size_bytes, l->error));
    if (status != STATUS_OK) {
        return status;
    }
    *compressed = dim_file_is_compressed(file);
    return check_id(l, (dim_id_t){((const struct dim_file_header *)(const void *)file)->dimension});
}

/* Empties the region again. */
static status_t clear_region(struct load *l)
{
    const struct dim_platform *p = &l->store->platform;
    uint64_t bytes = l->made.used_bytes;
    l->made.used_bytes = 0;
    status_t status = bytes ? p->unmap(p->context, l->made.region, bytes) : STATUS_OK;
    return dim_undone(l->store, l->id, "unmap", status, STATUS_OK);
}

static status_t load_object(struct load *l)
{
    const struct dim_platform *p = &l->store->platform;
    uint8_t head[24];
    uint64_t bytes = l->made.object.size_bytes;
    if (bytes < sizeof head) {
        return failed(l, STATUS_ERR_DIM_MAGIC, "the file is too short to be one");
    }
    if (bytes > l->store->config.region_bytes) {
        failed(l, STATUS_ERR_LIMIT, "the file does not fit into its region");
        if (l->error) {
            l->error->asked_bytes = bytes;
            l->error->limit_bytes = l->store->config.region_bytes;
        }
        return STATUS_ERR_LIMIT;
    }
    status_t status = p->read(p->context, l->made.object.handle, 0, head, sizeof head);
    if (status != STATUS_OK) {
        return failed(l, status, "the file cannot be read");
    }
    if (dim_text_is(head, sizeof head)) {
        return load_indirect(l, true);
    }
    bool compressed = false;
    status = load_direct(l, &compressed);
    if (status == STATUS_OK && compressed) {
        status = clear_region(l);
        return status == STATUS_OK ? load_indirect(l, false)
                                   : failed(l, status, "the region cannot be used again");
    }
    return status;
}

/* ---- the record ---- */

static status_t check_layers(const struct load *l, const uint8_t *file)
{
    const struct dim_file_header *h = (const struct dim_file_header *)(const void *)file;
    uint16_t last = dim_file_records(file)[h->layer_count - 1].number;
    if (last < l->store->config.layers) {
        return STATUS_OK;
    }
    failed(l, STATUS_ERR_DIM_LAYER, "the store is not configured for a layer of this number");
    if (l->error) {
        l->error->layer = last;
    }
    return STATUS_ERR_DIM_LAYER;
}

static status_t make_record(struct load *l, struct dim_version **version)
{
    const uint8_t *file = pointer(l->made.region);
    const struct dim_file_header *h = (const struct dim_file_header *)(const void *)file;
    uint64_t bytes = sizeof(struct dim_version) + h->layer_count * sizeof(struct dim_layer_view);
    void *block;
    status_t status = check_layers(l, file);
    if (status != STATUS_OK) {
        return status;
    }
    status = block_pool_alloc(&l->store->pool, bytes, &block);
    if (status != STATUS_OK) {
        return failed(l, status, "there is no memory for the record of a dimension");
    }
    struct dim_version *v = block;
    *v = l->made;
    struct dim_layer_view *layers = (struct dim_layer_view *)(void *)(v + 1);
    v->layer_count = h->layer_count;
    memcpy(v->name, h->name, DIM_NAME_BYTES);
    for (uint32_t i = 0; i < h->layer_count; i++) {
        const struct dim_file_record *r = &dim_file_records(file)[i];
        layers[i] = (struct dim_layer_view){r->number, r->flags, 0, r->offset, r->content_bytes};
        v->simulated |= (r->flags & DIM_LAYER_SIMULATED) != 0;
    }
    *version = v;
    return STATUS_OK;
}

/* Undoes a load that failed; its error stays. */
static void give_up(struct load *l)
{
    const struct dim_platform *p = &l->store->platform;
    clear_region(l);
    if (l->made.has_object) {
        dim_undone(l->store, l->id, "close", p->close(p->context, l->made.object.handle), STATUS_OK);
    }
}

static struct load load_begin(struct dim_store *store, dim_id_t id, uint64_t region, uint64_t other_bytes,
                              struct dim_error *error)
{
    return (struct load){store, id, other_bytes, {.id = id, .region = region}, error};
}

status_t dim_version_load(struct dim_store *store, dim_id_t id, const char *name, uint64_t region,
                          uint64_t other_bytes, struct dim_version **version, struct dim_error *error)
{
    struct load l = load_begin(store, id, region, other_bytes, error);
    status_t status = store->platform.open(store->platform.context, name, &l.made.object);
    if (status != STATUS_OK) {
        return failed(&l, status, "the file cannot be opened");
    }
    l.made.has_object = true;
    status = load_object(&l);
    status = status == STATUS_OK ? make_record(&l, version) : status;
    if (status != STATUS_OK) {
        give_up(&l);
    }
    return status;
}

status_t dim_version_simulate(struct dim_store *store, dim_id_t id, uint64_t region, uint64_t other_bytes,
                              struct dim_version **version, struct dim_error *error)
{
    struct load l = load_begin(store, id, region, other_bytes, error);
    const struct dim_entry *entry = dim_catalog_find(&store->catalog, id);
    if (!entry) {
        return failed(&l, STATUS_ERR_DIM_NO_SOURCE,
                      "there is no file, and the catalog has no keywords for it");
    }
    status_t status = build_region(&l, entry, false);
    status = status == STATUS_OK ? make_record(&l, version) : status;
    if (status != STATUS_OK) {
        give_up(&l);
    }
    return status;
}

status_t dim_version_drop(struct dim_store *store, struct dim_version *version)
{
    const struct dim_platform *p = &store->platform;
    dim_id_t id = version->id;
    status_t first =
        dim_undone(store, id, "unmap", p->unmap(p->context, version->region, version->used_bytes), STATUS_OK);
    if (version->has_object) {
        first = dim_undone(store, id, "close", p->close(p->context, version->object.handle), first);
    }
    return dim_undone(store, id, "free", block_pool_free(&store->pool, version), first);
}
