/* The store: configuration, regions, changes, registry, statistics. Loading is in version.c, reading in reader.c.
 * Deviations: none. */

#include "kernel/lib/format.h"

#include "dimension/json.h"
#include "dimension/name.h"
#include "dimension/store_internal.h"
#include "lib/string.h"

#define MAX_REGION_BYTES (UINT64_C(1) << 30)
#define POOL_BYTES       262144u /* of one pool of records */
#define MAX_CATALOG_TEXT 16384u

const struct dim_config dim_config_standard = {
    .dimensions = DIM_COUNT,
    .layers = DIM_LAYERS,
    .flags = DIM_SIMULATE,
    .region_bytes = DIM_REGION_BYTES,
    .limit_bytes = (uint64_t)DIM_COUNT * DIM_REGION_BYTES,
    .metadata_bytes = DIM_MAX_METADATA,
    .simulated_bytes = 65536,
    .seed = 1,
};

/* Percent of the limit above which use is told, once for each time it comes there. */
static const uint32_t thresholds[] = {75, 85, 95};

#define THRESHOLDS (sizeof thresholds / sizeof thresholds[0])

/* ---- messages ---- */

void dim_log(const struct dim_store *store, enum dim_log_level level, dim_id_t id, const char *format, ...)
{
    char line[DIM_ERROR_TEXT_BYTES + 64];
    if (!store->platform.log) {
        return;
    }
    int used = ksnprintf(line, sizeof line, "dimension %u: ", id.number);
    va_list arguments;
    va_start(arguments, format);
    kvsnprintf(line + used, sizeof line - (size_t)used, format, arguments);
    va_end(arguments);
    store->platform.log(store->platform.context, level, line);
}

status_t dim_undone(const struct dim_store *store, dim_id_t id, const char *step, status_t status,
                    status_t first)
{
    if (status != STATUS_OK) {
        dim_log(store, DIM_LOG_ERROR, id, "%s failed: %s", step, status_text(status));
    }
    return first == STATUS_OK ? status : first;
}

status_t dim_fail_of(struct dim_error *error, dim_id_t id, status_t status, const char *what)
{
    dim_fail(error, status, what);
    if (error) {
        error->dimension = id.number;
    }
    return status;
}

/* ---- totals ---- */

/* Makes the totals visible, all of them at one moment. */
static void publish_totals(struct dim_store *store)
{
    store->totals[DIM_TOTAL_METADATA_BYTES] = store->pool.committed_bytes;
    __atomic_fetch_add(&store->sequence, 1, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < DIM_TOTALS; i++) {
        __atomic_store_n(&store->published[i], store->totals[i], __ATOMIC_SEQ_CST);
    }
    __atomic_fetch_add(&store->sequence, 1, __ATOMIC_SEQ_CST);
}

static void read_totals(const struct dim_store *store, uint64_t *totals)
{
    uint64_t before, after;
    do {
        before = __atomic_load_n(&store->sequence, __ATOMIC_SEQ_CST);
        for (uint32_t i = 0; i < DIM_TOTALS; i++) {
            totals[i] = __atomic_load_n(&store->published[i], __ATOMIC_SEQ_CST);
        }
        after = __atomic_load_n(&store->sequence, __ATOMIC_SEQ_CST);
    } while (before != after || before % 2 != 0);
}

/* One line for each threshold that use has come to since the last change. */
static void warn(struct dim_store *store)
{
    uint64_t used = store->totals[DIM_TOTAL_USED_BYTES], limit = store->config.limit_bytes;
    uint32_t now = 0;
    char line[128];
    while (now < THRESHOLDS && used >= limit / 100 * thresholds[now] + limit % 100 * thresholds[now] / 100) {
        now++;
    }
    for (; store->warned < now; store->warned++) {
        store->totals[DIM_TOTAL_WARNINGS]++;
        if (store->platform.log) {
            ksnprintf(line, sizeof line, "memory use has come to %u %% of the limit: %llu of %llu bytes",
                      thresholds[store->warned], (unsigned long long)used, (unsigned long long)limit);
            store->platform.log(store->platform.context, DIM_LOG_WARNING, line);
        }
    }
    store->warned = now;
}

/* Accounts for a version that comes (sign 1) or goes (sign -1). */
static void account(struct dim_store *store, const struct dim_version *version, int sign)
{
    uint64_t *totals = store->totals;
    uint64_t step = (uint64_t)(int64_t)sign;
    totals[DIM_TOTAL_USED_BYTES] += step * version->used_bytes;
    totals[DIM_TOTAL_DIMENSIONS] += step;
    totals[DIM_TOTAL_SIMULATED] += step * version->simulated;
    totals[DIM_TOTAL_LAYERS] += step * version->layer_count;
}

static void accounted(struct dim_store *store)
{
    uint64_t *totals = store->totals;
    if (totals[DIM_TOTAL_USED_BYTES] > totals[DIM_TOTAL_PEAK_BYTES]) {
        totals[DIM_TOTAL_PEAK_BYTES] = totals[DIM_TOTAL_USED_BYTES];
    }
    warn(store);
    publish_totals(store);
}

/* ---- init and close ---- */

static status_t check_config(const struct dim_config *config, struct dim_error *error)
{
    const char *wrong = NULL;
    if (config->dimensions == 0 || config->dimensions > DIM_MAX_DIMENSIONS) {
        wrong = "the configuration asks for none or more than 64 dimensions";
    } else if (config->layers == 0 || config->layers > 65536) {
        wrong = "the configuration asks for none or more than 65536 layers";
    } else if (config->flags & ~DIM_SIMULATE || config->reserved != 0) {
        wrong = "the configuration has unknown flags";
    } else if (config->region_bytes == 0 || config->region_bytes % DIM_PAGE_BYTES != 0 ||
               config->region_bytes > MAX_REGION_BYTES) {
        wrong = "the size of a region is not a whole number of pages up to 1 GiB";
    } else if (config->limit_bytes == 0 || config->limit_bytes % DIM_PAGE_BYTES != 0) {
        wrong = "the limit of memory is not a whole number of pages";
    }
    return wrong ? dim_fail(error, STATUS_ERR_DIM_CONFIG, wrong) : STATUS_OK;
}

static status_t reserve_regions(struct dim_store *store, struct dim_error *error)
{
    const struct dim_platform *p = &store->platform;
    for (uint32_t i = 0; i < store->config.dimensions; i++) {
        status_t status = p->reserve(p->context, store->config.region_bytes, &store->slots[i].region);
        if (status != STATUS_OK) {
            store->slots[i].region = 0;
            return dim_fail_of(error, (dim_id_t){(uint16_t)i}, status, "its region cannot be reserved");
        }
    }
    return STATUS_OK;
}

static status_t release_regions(struct dim_store *store, status_t first)
{
    const struct dim_platform *p = &store->platform;
    for (uint32_t i = 0; i < store->config.dimensions; i++) {
        if (store->slots[i].region != 0) {
            status_t status = p->release(p->context, store->slots[i].region, store->config.region_bytes);
            first = dim_undone(store, (dim_id_t){(uint16_t)i}, "release", status, first);
            store->slots[i].region = 0;
        }
    }
    return first;
}

status_t dim_store_init(struct dim_store *store, const struct dim_config *config,
                        const struct dim_platform *platform, struct dim_error *error)
{
    memset(store, 0, sizeof *store);
    store->platform = *platform;
    store->epoch = 1;
    status_t status = check_config(config, error);
    if (status != STATUS_OK) {
        return status;
    }
    store->config = *config;
    struct block_pool_config pool = {config->metadata_bytes, POOL_BYTES};
    status = block_pool_init(&store->pool, &pool, &store->platform);
    if (status != STATUS_OK) {
        return dim_fail(error, status == STATUS_ERR_ARGUMENT ? STATUS_ERR_DIM_CONFIG : status,
                        status == STATUS_ERR_ARGUMENT ? "the limit of metadata is not one of a pool"
                                                      : "the pool of metadata cannot be reserved");
    }
    status = reserve_regions(store, error);
    if (status != STATUS_OK) {
        release_regions(store, STATUS_OK);
        block_pool_deinit(&store->pool);
        return status;
    }
    store->open = true;
    store->totals[DIM_TOTAL_REGIONS] = config->dimensions;
    publish_totals(store);
    return STATUS_OK;
}

static status_t unload(struct dim_store *store, dim_id_t id)
{
    struct dim_slot *slot = &store->slots[id.number];
    struct dim_version *old = slot->current;
    __atomic_store_n(&slot->current, NULL, __ATOMIC_SEQ_CST);
    dim_readers_wait(store);
    account(store, old, -1);
    status_t status = dim_version_drop(store, old);
    store->totals[DIM_TOTAL_UNLOADS]++;
    accounted(store);
    return status;
}

status_t dim_store_close(struct dim_store *store, struct dim_error *error)
{
    status_t first = STATUS_OK;
    dim_lock_take(&store->lock, &store->platform);
    if (store->open) {
        for (uint32_t i = 0; i < store->config.dimensions; i++) {
            if (store->slots[i].current) {
                status_t status = unload(store, (dim_id_t){(uint16_t)i});
                first = first == STATUS_OK ? status : first;
            }
        }
        first = release_regions(store, first);
        status_t status = block_pool_deinit(&store->pool);
        first = dim_undone(store, (dim_id_t){0}, "release of the pool", status, first);
        store->catalog = (struct dim_catalog){.count = 0};
        store->open = false;
        store->totals[DIM_TOTAL_REGIONS] = 0;
        publish_totals(store);
    }
    dim_lock_drop(&store->lock);
    return first == STATUS_OK ? STATUS_OK : dim_fail(error, first, "not everything could be given back");
}

/* ---- changes ---- */

/* Takes the lock when the dimension may be changed; on failure the lock is free. */
static status_t begin(struct dim_store *store, dim_id_t id, struct dim_error *error)
{
    if (id.number >= store->config.dimensions) {
        return dim_fail_of(error, id, STATUS_ERR_DIM_UNKNOWN,
                           "the store is not configured for this dimension");
    }
    dim_lock_take(&store->lock, &store->platform);
    if (!store->open) {
        dim_lock_drop(&store->lock);
        return dim_fail(error, STATUS_ERR_STATE, "the store is closed");
    }
    return STATUS_OK;
}

/* Ends a change that failed: counted and logged. */
static status_t end_failed(struct dim_store *store, status_t status, const struct dim_error *error)
{
    char text[DIM_ERROR_TEXT_BYTES];
    store->totals[DIM_TOTAL_FAILURES]++;
    publish_totals(store);
    if (store->platform.log) {
        store->platform.log(store->platform.context, DIM_LOG_ERROR, dim_error_text(error, text, sizeof text));
    }
    dim_lock_drop(&store->lock);
    return status;
}

/* Lets readers see a version, in place of what was there, and drops that. */
static status_t show(struct dim_store *store, dim_id_t id, struct dim_version *version, enum dim_total what)
{
    struct dim_slot *slot = &store->slots[id.number];
    struct dim_version *old = slot->current;
    status_t status = STATUS_OK;
    account(store, version, 1);
    version->generation = ++store->generation;
    __atomic_store_n(&slot->current, version, __ATOMIC_SEQ_CST);
    if (old) {
        dim_readers_wait(store);
        account(store, old, -1);
        status = dim_version_drop(store, old);
    }
    store->totals[what]++;
    accounted(store);
    dim_log(store, DIM_LOG_INFO, id, "%s: %u layers, %llu bytes, %s", version->name, version->layer_count,
            (unsigned long long)version->used_bytes, version->simulated ? "simulated" : "real");
    return status;
}

/* From the file of that name, or from the first of the usual names that is there. */
static status_t load_file(struct dim_store *store, dim_id_t id, const char *name, uint64_t region,
                          uint64_t other_bytes, struct dim_version **version, struct dim_error *error)
{
    char usual[DIM_FILE_NAME_BYTES];
    if (name) {
        return strnlen(name, DIM_MAX_FILE_NAME) < DIM_MAX_FILE_NAME
                   ? dim_version_load(store, id, name, region, other_bytes, version, error)
                   : dim_fail_of(error, id, STATUS_ERR_ARGUMENT, "the file's name is too long");
    }
    status_t status =
        dim_version_load(store, id, dim_file_name(id, "odim", usual), region, other_bytes, version, error);
    if (status == STATUS_ERR_NOT_FOUND) {
        status =
            dim_version_load(store, id, dim_file_name(id, "txt", usual), region, other_bytes, version, error);
    }
    return status;
}

static status_t load(struct dim_store *store, dim_id_t id, const char *name, bool look,
                     struct dim_error *error)
{
    struct dim_error own = {0};
    struct dim_version *version = NULL;
    error = error ? error : &own;
    status_t status = begin(store, id, error);
    if (status != STATUS_OK) {
        return status;
    }
    const struct dim_slot *slot = &store->slots[id.number];
    uint64_t used = store->totals[DIM_TOTAL_USED_BYTES];
    if (slot->current) {
        status = dim_fail_of(error, id, STATUS_ERR_EXISTS, "the dimension is loaded already");
        return end_failed(store, status, error);
    }
    status = look ? load_file(store, id, name, slot->region, used, &version, error) : STATUS_ERR_NOT_FOUND;
    if (status == STATUS_ERR_NOT_FOUND && (!look || store->config.flags & DIM_SIMULATE)) {
        status = dim_version_simulate(store, id, slot->region, used, &version, error);
    }
    if (status != STATUS_OK) {
        return end_failed(store, status, error);
    }
    status = show(store, id, version, DIM_TOTAL_LOADS);
    dim_lock_drop(&store->lock);
    return status;
}

status_t dim_store_load(struct dim_store *store, dim_id_t id, const char *name, struct dim_error *error)
{
    return load(store, id, name, true, error);
}

status_t dim_store_simulate(struct dim_store *store, dim_id_t id, struct dim_error *error)
{
    return load(store, id, NULL, false, error);
}

/* Loads into a fresh reservation, shows it, and gives the old reservation back. */
static status_t replace(struct dim_store *store, dim_id_t id, const char *name, struct dim_error *error)
{
    const struct dim_platform *p = &store->platform;
    struct dim_slot *slot = &store->slots[id.number];
    uint64_t region, old_region = slot->region, bytes = store->config.region_bytes;
    uint64_t others = store->totals[DIM_TOTAL_USED_BYTES] - slot->current->used_bytes;
    struct dim_version *version = NULL;
    status_t status = p->reserve(p->context, bytes, &region);
    if (status != STATUS_OK) {
        return dim_fail_of(error, id, status, "there are no addresses for a second region");
    }
    status = load_file(store, id, name, region, others, &version, error);
    if (status != STATUS_OK) {
        dim_undone(store, id, "release", p->release(p->context, region, bytes), STATUS_OK);
        return status;
    }
    show(store, id, version, DIM_TOTAL_SWITCHES); /* the new content is there whatever became of the old */
    slot->region = region;
    dim_undone(store, id, "release", p->release(p->context, old_region, bytes), STATUS_OK);
    return STATUS_OK;
}

status_t dim_store_switch(struct dim_store *store, dim_id_t id, const char *name, struct dim_error *error)
{
    struct dim_error own = {0};
    error = error ? error : &own;
    status_t status = begin(store, id, error);
    if (status != STATUS_OK) {
        return status;
    }
    status = store->slots[id.number].current
                 ? replace(store, id, name, error)
                 : dim_fail_of(error, id, STATUS_ERR_DIM_NOT_LOADED, "the dimension is not loaded");
    if (status != STATUS_OK) {
        return end_failed(store, status, error);
    }
    dim_lock_drop(&store->lock);
    return STATUS_OK;
}

status_t dim_store_unload(struct dim_store *store, dim_id_t id, struct dim_error *error)
{
    status_t status = begin(store, id, error);
    if (status != STATUS_OK) {
        return status;
    }
    if (store->slots[id.number].current) {
        status = unload(store, id);
        if (status != STATUS_OK) {
            dim_fail_of(error, id, status, "not everything could be given back");
        }
    } else {
        status = dim_fail_of(error, id, STATUS_ERR_DIM_NOT_LOADED, "the dimension is not loaded");
    }
    dim_lock_drop(&store->lock);
    return status;
}

/* Parses into a block of the pool; the earlier block goes when that went well. */
static status_t replace_catalog(struct dim_store *store, const char *text, uint64_t size_bytes,
                                struct dim_error *error)
{
    struct dim_catalog catalog;
    void *block;
    status_t status = block_pool_alloc(&store->pool, BLOCK_POOL_GREATEST, &block);
    if (status != STATUS_OK) {
        return dim_fail(error, status, "there is no memory for the catalog");
    }
    struct dim_arena arena = {block, (uint8_t *)block + BLOCK_POOL_GREATEST};
    status = dim_json_parse(text, size_bytes, &arena, &catalog, error);
    void *old = store->catalog_block;
    if (status == STATUS_OK) {
        store->catalog = catalog;
        store->catalog_block = block;
    }
    void *unused = status == STATUS_OK ? old : block;
    if (unused) {
        dim_undone(store, (dim_id_t){0}, "free", block_pool_free(&store->pool, unused), STATUS_OK);
    }
    return status;
}

status_t dim_store_set_catalog(struct dim_store *store, const char *text, uint64_t size_bytes,
                               struct dim_error *error)
{
    if (size_bytes > MAX_CATALOG_TEXT) {
        return dim_fail(error, STATUS_ERR_LIMIT, "the catalog is longer than 16 KiB");
    }
    status_t status = begin(store, (dim_id_t){0}, error);
    if (status == STATUS_OK) {
        status = replace_catalog(store, text, size_bytes, error);
        publish_totals(store);
        dim_lock_drop(&store->lock);
    }
    return status;
}

/* ---- looking ---- */

status_t dim_store_validate(struct dim_store *store, struct dim_error *error)
{
    const struct dim_platform *p = &store->platform;
    status_t status = STATUS_OK;
    dim_lock_take(&store->lock, p);
    for (uint16_t i = 0; status == STATUS_OK && i < store->config.dimensions; i++) {
        const struct dim_version *version = store->slots[i].current;
        if (version && version->has_object) {
            status = p->check(p->context, &version->object);
            if (status != STATUS_OK) {
                dim_fail_of(error, (dim_id_t){i}, status,
                            "the file behind it is not the one that was opened");
            }
        }
    }
    dim_lock_drop(&store->lock);
    return status;
}

bool dim_store_info(struct dim_store *store, dim_id_t id, struct dim_info *info)
{
    if (id.number >= store->config.dimensions) {
        return false;
    }
    dim_lock_take(&store->lock, &store->platform);
    const struct dim_version *version = store->slots[id.number].current;
    if (version) {
        *info = (struct dim_info){
            .id = id,
            .simulated = version->simulated,
            .has_file = version->has_object,
            .layers = version->layer_count,
            .region = version->region,
            .region_bytes = store->config.region_bytes,
            .used_bytes = version->used_bytes,
            .generation = version->generation,
            .object = version->object,
        };
        memcpy(info->name, version->name, DIM_NAME_BYTES);
    }
    dim_lock_drop(&store->lock);
    return version != NULL;
}

status_t dim_store_place(struct dim_store *store, dim_id_t id, dim_layer_t layer, struct dim_place *place)
{
    if (id.number >= store->config.dimensions) {
        return STATUS_ERR_DIM_UNKNOWN;
    }
    dim_lock_take(&store->lock, &store->platform);
    const struct dim_version *version = store->slots[id.number].current;
    const struct dim_layer_view *view = version ? dim_version_layer(version, layer) : NULL;
    if (view) {
        *place = (struct dim_place){view->offset, view->bytes, version->generation};
    }
    dim_lock_drop(&store->lock);
    return view ? STATUS_OK : version ? STATUS_ERR_DIM_LAYER : STATUS_ERR_DIM_NOT_LOADED;
}

uint32_t dim_store_list(struct dim_store *store, dim_id_t *ids)
{
    uint32_t count = 0;
    dim_lock_take(&store->lock, &store->platform);
    for (uint32_t i = 0; i < store->config.dimensions; i++) {
        if (store->slots[i].current) {
            ids[count++].number = (uint16_t)i;
        }
    }
    dim_lock_drop(&store->lock);
    return count;
}

/* Adds up what readers did, those that left and those that are there. */
static void read_readers(const struct dim_store *store, struct dim_stats *stats)
{
    uint64_t sums[4];
    for (uint32_t i = 0; i < 4; i++) {
        sums[i] = __atomic_load_n(&store->old_reader[i], __ATOMIC_RELAXED);
    }
    stats->access_ticks_most = __atomic_load_n(&store->old_reader[4], __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < DIM_MAX_READERS; i++) {
        const struct dim_reader *r = &store->readers[i];
        uint64_t most = __atomic_load_n(&r->ticks_most, __ATOMIC_RELAXED);
        sums[0] += __atomic_load_n(&r->accesses, __ATOMIC_RELAXED);
        sums[1] += __atomic_load_n(&r->failures, __ATOMIC_RELAXED);
        sums[2] += __atomic_load_n(&r->samples, __ATOMIC_RELAXED);
        sums[3] += __atomic_load_n(&r->ticks_sum, __ATOMIC_RELAXED);
        stats->access_ticks_most = most > stats->access_ticks_most ? most : stats->access_ticks_most;
    }
    stats->accesses = sums[0];
    stats->access_failures = sums[1];
    stats->access_samples = sums[2];
    stats->access_ticks_sum = sums[3];
}

void dim_store_stats(struct dim_store *store, struct dim_stats *stats)
{
    uint64_t totals[DIM_TOTALS];
    read_totals(store, totals);
    *stats = (struct dim_stats){
        .regions = totals[DIM_TOTAL_REGIONS],
        .allocated_bytes = totals[DIM_TOTAL_REGIONS] * store->config.region_bytes,
        .used_bytes = totals[DIM_TOTAL_USED_BYTES],
        .peak_bytes = totals[DIM_TOTAL_PEAK_BYTES],
        .limit_bytes = store->config.limit_bytes,
        .metadata_bytes = totals[DIM_TOTAL_METADATA_BYTES],
        .dimensions = totals[DIM_TOTAL_DIMENSIONS],
        .simulated = totals[DIM_TOTAL_SIMULATED],
        .layers = totals[DIM_TOTAL_LAYERS],
        .loads = totals[DIM_TOTAL_LOADS],
        .switches = totals[DIM_TOTAL_SWITCHES],
        .unloads = totals[DIM_TOTAL_UNLOADS],
        .failures = totals[DIM_TOTAL_FAILURES],
        .warnings = totals[DIM_TOTAL_WARNINGS],
    };
    read_readers(store, stats);
}
