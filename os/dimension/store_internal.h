#ifndef OS_DIMENSION_STORE_INTERNAL_H
#define OS_DIMENSION_STORE_INTERNAL_H

/* What the files of the store share. */

#include "dimension/store.h"

struct dim_layer_view {
    uint16_t number;
    uint16_t flags;
    uint32_t reserved;
    uint64_t offset; /* from the start of the region */
    uint64_t bytes;
};

/*
 * One loaded state of a dimension; nothing in it changes once readers can see it. Lies in a block of the pool, with the
 * views of its layers behind it.
 */
struct dim_version {
    dim_id_t id;
    bool simulated;
    bool has_object;
    uint32_t layer_count;
    uint64_t region;     /* address of the reservation */
    uint64_t used_bytes; /* backed from its start, whole pages */
    uint64_t generation;
    struct dim_object object;
    char name[DIM_NAME_BYTES];
};

/* Of layer_count layers, numbers ascending. */
static inline const struct dim_layer_view *dim_version_layers(const struct dim_version *version)
{
    return (const struct dim_layer_view *)(const void *)(version + 1);
}

/*
 * Loads a file into a reservation that has nothing in it; after a failure it has nothing in it again.
 * other_bytes: what everything but this dimension uses.
 */
MUST_CHECK status_t dim_version_load(struct dim_store *store, dim_id_t id, const char *name, uint64_t region,
                                     uint64_t other_bytes, struct dim_version **version,
                                     struct dim_error *error);

/* The same with simulated contexts. */
MUST_CHECK status_t dim_version_simulate(struct dim_store *store, dim_id_t id, uint64_t region,
                                         uint64_t other_bytes, struct dim_version **version,
                                         struct dim_error *error);

/* Takes all of that back, when no reader can see it. Logs failures and goes on; the first one. */
status_t dim_version_drop(struct dim_store *store, struct dim_version *version);

/* The layer of that number, or null. */
const struct dim_layer_view *dim_version_layer(const struct dim_version *version, dim_layer_t layer);

/* A line that begins "dimension N: ". */
void dim_log(const struct dim_store *store, enum dim_log_level level, dim_id_t id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Logs a step of undoing that failed. Returns first unless that is STATUS_OK, else status. */
status_t dim_undone(const struct dim_store *store, dim_id_t id, const char *step, status_t status,
                    status_t first);

/* A failure with its dimension; what is constant text. Returns status. */
status_t dim_fail_of(struct dim_error *error, dim_id_t id, status_t status, const char *what);

/* Returns when every section that was under way at the call has ended. */
void dim_readers_wait(struct dim_store *store);

static inline uint64_t dim_pages(uint64_t bytes)
{
    return (bytes + DIM_PAGE_BYTES - 1) & ~(uint64_t)(DIM_PAGE_BYTES - 1);
}

#endif
