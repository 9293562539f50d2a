/*
 * Readers. A section publishes the epoch in which it began; a writer that has replaced a version raises the epoch and
 * waits until every reader is outside or in a later one.
 *
 *   reader:  epoch := store's epoch        writer:  current := new version
 *            version := current                     store's epoch += 1
 *                                                   each reader's epoch: 0, or new enough?
 *
 * All five are sequentially consistent: either the writer sees the reader's epoch, or the reader sees the new version.
 * Deviations: none.
 */

#include "dimension/store_internal.h"

#define SAMPLE_EVERY 64u

status_t dim_reader_join(struct dim_store *store, struct dim_reader **reader)
{
    for (uint32_t i = 0; i < DIM_MAX_READERS; i++) {
        struct dim_reader *r = &store->readers[i];
        if (!__atomic_load_n(&r->taken, __ATOMIC_RELAXED) &&
            !__atomic_exchange_n(&r->taken, 1, __ATOMIC_ACQUIRE)) {
            r->store = store;
            *reader = r;
            return STATUS_OK;
        }
    }
    return STATUS_ERR_LIMIT;
}

/* Moves a figure of a reader to those of the readers that left. */
static void hand_over(uint64_t *figure, uint64_t *sum)
{
    __atomic_fetch_add(sum, *figure, __ATOMIC_RELAXED);
    __atomic_store_n(figure, 0, __ATOMIC_RELAXED);
}

void dim_reader_leave(struct dim_reader *reader)
{
    uint64_t *old = reader->store->old_reader;
    uint64_t most = __atomic_load_n(&old[4], __ATOMIC_RELAXED);
    while (most < reader->ticks_most &&
           !__atomic_compare_exchange_n(&old[4], &most, reader->ticks_most, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
    }
    __atomic_store_n(&reader->ticks_most, 0, __ATOMIC_RELAXED);
    hand_over(&reader->accesses, &old[0]);
    hand_over(&reader->failures, &old[1]);
    hand_over(&reader->samples, &old[2]);
    hand_over(&reader->ticks_sum, &old[3]);
    __atomic_store_n(&reader->taken, 0, __ATOMIC_RELEASE);
}

void dim_read_begin(struct dim_reader *reader)
{
    if (reader->depth++ == 0) {
        uint64_t epoch = __atomic_load_n(&reader->store->epoch, __ATOMIC_SEQ_CST);
        __atomic_store_n(&reader->epoch, epoch, __ATOMIC_SEQ_CST);
    }
}

void dim_read_end(struct dim_reader *reader)
{
    if (--reader->depth == 0) {
        __atomic_store_n(&reader->epoch, 0, __ATOMIC_RELEASE);
    }
}

void dim_readers_wait(struct dim_store *store)
{
    uint64_t epoch = __atomic_add_fetch(&store->epoch, 1, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < DIM_MAX_READERS; i++) {
        uint64_t seen = __atomic_load_n(&store->readers[i].epoch, __ATOMIC_SEQ_CST);
        while (seen != 0 && seen < epoch) {
            dim_platform_relax(&store->platform);
            seen = __atomic_load_n(&store->readers[i].epoch, __ATOMIC_SEQ_CST);
        }
    }
}

/* A figure of the calling reader's own: nobody else writes it, statistics read it. */
static inline void count(uint64_t *figure, uint64_t more)
{
    __atomic_store_n(figure, *figure + more, __ATOMIC_RELAXED);
}

/* Not in the way of accesses that succeed. */
static __attribute__((noinline)) status_t refuse(struct dim_reader *reader, status_t status)
{
    count(&reader->failures, 1);
    return status;
}

/* The layer of that number by halving, or null. */
static __attribute__((noinline)) const struct dim_layer_view *search(const struct dim_version *version,
                                                                     dim_layer_t layer)
{
    const struct dim_layer_view *layers = dim_version_layers(version);
    uint32_t low = 0, high = version->layer_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (layers[middle].number == layer.number) {
            return &layers[middle];
        }
        if (layers[middle].number < layer.number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* Layers are mostly numbered 0, 1, 2, ...: the number is the place. */
static inline const struct dim_layer_view *find(const struct dim_version *version, dim_layer_t layer)
{
    const struct dim_layer_view *guess = dim_version_layers(version) + layer.number;
    return layer.number < version->layer_count && guess->number == layer.number ? guess
                                                                                : search(version, layer);
}

const struct dim_layer_view *dim_version_layer(const struct dim_version *version, dim_layer_t layer)
{
    return find(version, layer);
}

/* The part of a layer from offset on: bytes of it, or all when whole. */
static inline status_t access(struct dim_reader *reader, dim_id_t id, dim_layer_t layer, bool whole,
                              uint64_t offset, uint64_t bytes, struct dim_slice *slice)
{
    struct dim_store *store = reader->store;
    count(&reader->accesses, 1);
    if (reader->depth == 0) {
        return refuse(reader, STATUS_ERR_STATE);
    }
    if (id.number >= DIM_MAX_DIMENSIONS) {
        return refuse(reader, STATUS_ERR_DIM_UNKNOWN);
    }
    const struct dim_version *version = __atomic_load_n(&store->slots[id.number].current, __ATOMIC_SEQ_CST);
    if (!version) {
        return refuse(reader, id.number < store->config.dimensions ? STATUS_ERR_DIM_NOT_LOADED
                                                                   : STATUS_ERR_DIM_UNKNOWN);
    }
    const struct dim_layer_view *view = find(version, layer);
    if (!view) {
        return refuse(reader, STATUS_ERR_DIM_LAYER);
    }
    if (!whole && (offset > view->bytes || bytes > view->bytes - offset)) {
        return refuse(reader, STATUS_ERR_DIM_OFFSET);
    }
    slice->bytes = (const uint8_t *)(uintptr_t)(version->region + view->offset + offset);
    slice->size_bytes = whole ? view->bytes : bytes;
    return STATUS_OK;
}

/* An access whose time is taken. */
static __attribute__((noinline)) status_t access_timed(struct dim_reader *reader, dim_id_t id,
                                                       dim_layer_t layer, bool whole, uint64_t offset,
                                                       uint64_t bytes, struct dim_slice *slice)
{
    const struct dim_platform *platform = &reader->store->platform;
    uint64_t start = platform->ticks(platform->context);
    status_t status = access(reader, id, layer, whole, offset, bytes, slice);
    uint64_t ticks = platform->ticks(platform->context) - start;
    count(&reader->samples, 1);
    count(&reader->ticks_sum, ticks);
    if (ticks > reader->ticks_most) {
        __atomic_store_n(&reader->ticks_most, ticks, __ATOMIC_RELAXED);
    }
    return status;
}

static inline bool is_timed(const struct dim_reader *reader)
{
    return reader->accesses % SAMPLE_EVERY == 0 && reader->store->platform.ticks;
}

status_t dim_access_layer(struct dim_reader *reader, dim_id_t id, dim_layer_t layer, struct dim_slice *slice)
{
    return is_timed(reader) ? access_timed(reader, id, layer, true, 0, 0, slice)
                            : access(reader, id, layer, true, 0, 0, slice);
}

status_t dim_access_range(struct dim_reader *reader, dim_id_t id, dim_layer_t layer, uint64_t offset,
                          uint64_t bytes, struct dim_slice *slice)
{
    return is_timed(reader) ? access_timed(reader, id, layer, false, offset, bytes, slice)
                            : access(reader, id, layer, false, offset, bytes, slice);
}

static const char *access_text(status_t status)
{
    if (status == STATUS_ERR_DIM_UNKNOWN) {
        return "the store is not configured for this dimension";
    }
    if (status == STATUS_ERR_DIM_NOT_LOADED) {
        return "the dimension is not loaded";
    }
    if (status == STATUS_ERR_DIM_LAYER) {
        return "the dimension has no layer of this number";
    }
    return status == STATUS_ERR_DIM_OFFSET ? "the range does not lie inside the layer"
                                           : "accesses are possible inside a read section only";
}

void dim_explain_access(status_t status, dim_id_t id, dim_layer_t layer, uint64_t offset, uint64_t bytes,
                        struct dim_error *error)
{
    *error = (struct dim_error){
        .status = status,
        .what = access_text(status),
        .dimension = id.number,
        .layer = layer.number,
        .has_place = status == STATUS_ERR_DIM_OFFSET,
        .at = offset,
        .asked_bytes = bytes,
    };
}
