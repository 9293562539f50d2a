#ifndef OS_DIMENSION_STORE_H
#define OS_DIMENSION_STORE_H

/*
 * The dimension store: a region of memory for each dimension, into which its file is mapped read-only, and readers that
 * get at layers without copying and without a lock.
 *
 * - The configuration's regions are reserved at once (standard: 14 x 20 MiB = 280 MiB exactly).
 * - Calls that change the store (load, switch, unload, close) are serialised by a lock of their own; statistics and
 *   readers never take it.
 * - A reader looks at the store inside read sections. What it got there stays as it is until the section ends, even
 *   while the dimension is switched or unloaded: the writer waits for the sections begun before its change. So a thread
 *   must not change the store inside its own section, and sections must be short against the patience of writers.
 *
 * The caller owns the memory of struct dim_store (zeroed or not; about 90 KiB). Other memory comes from the platform.
 */

#include "dimension/platform.h"
#include "dimension/pool.h"
#include "dimension/types.h"

#define DIM_MAX_READERS   256u
#define DIM_MAX_METADATA  (UINT64_C(2) << 20) /* bytes of the standard configuration's records */
#define DIM_MAX_FILE_NAME 64u                 /* with its terminating zero */

#define DIM_SIMULATE \
    1u /* a dimension without a file gets simulated contexts, when the catalog has keywords */

/* What an administrator chooses. */
struct dim_config {
    uint32_t dimensions;      /* numbers 0..dimensions-1; 1..DIM_MAX_DIMENSIONS */
    uint32_t layers;          /* layers with numbers below this are taken; 1..65536 */
    uint32_t flags;           /* DIM_SIMULATE */
    uint32_t reserved;        /* 0 */
    uint64_t region_bytes;    /* of each dimension: whole pages, at most 1 GiB */
    uint64_t limit_bytes;     /* of all loaded dimensions together: whole pages */
    uint64_t metadata_bytes;  /* limit of the pool of records: as block_pool_config.limit_bytes */
    uint64_t simulated_bytes; /* of each simulated layer, at most */
    uint64_t seed;            /* of simulated contexts */
};

/* 14 dimensions of 4 layers, regions of 20 MiB, limit 280 MiB, metadata 2 MiB, 64 KiB a simulated layer, seed 1. */
extern const struct dim_config dim_config_standard;

struct dim_version; /* one loaded state of a dimension */

struct dim_slot {
    struct dim_version *current; /* atomic; null: not loaded */
    uint64_t region;             /* address of the reservation; 0: none */
};

/* Figures that change together; see dim_store_stats. */
enum dim_total {
    DIM_TOTAL_USED_BYTES,
    DIM_TOTAL_PEAK_BYTES,
    DIM_TOTAL_DIMENSIONS,
    DIM_TOTAL_SIMULATED,
    DIM_TOTAL_LAYERS,
    DIM_TOTAL_LOADS,
    DIM_TOTAL_SWITCHES,
    DIM_TOTAL_UNLOADS,
    DIM_TOTAL_FAILURES,
    DIM_TOTAL_WARNINGS,
    DIM_TOTAL_REGIONS,
    DIM_TOTAL_METADATA_BYTES,
    DIM_TOTALS
};

/* One reading thread. Its members are written by that thread only, but `taken`. */
struct dim_reader {
    _Alignas(64) uint64_t epoch; /* atomic; of the section, 0: outside of one */
    struct dim_store *store;
    uint32_t taken; /* atomic */
    uint32_t depth; /* of nested sections */
    uint64_t accesses;
    uint64_t failures;
    uint64_t samples;
    uint64_t ticks_sum;
    uint64_t ticks_most;
};

/* Members are the store's own. */
struct dim_store {
    struct dim_platform platform;
    struct dim_config config;
    struct dim_lock lock; /* of writers */
    uint64_t epoch;       /* atomic; grows with each change */
    uint64_t generation;  /* of the version shown last */
    bool open;
    uint32_t warned; /* thresholds above which use is now */
    struct dim_catalog catalog;
    void *catalog_block;
    uint64_t totals[DIM_TOTALS];    /* under the lock */
    uint64_t published[DIM_TOTALS]; /* atomic; as they were after the last change */
    uint64_t sequence;              /* atomic; odd while `published` is being written */
    uint64_t old_reader[5];         /* atomic; accesses, failures, samples, sum, most of readers that left */
    struct dim_slot slots[DIM_MAX_DIMENSIONS];
    struct block_pool pool;
    struct dim_reader readers[DIM_MAX_READERS];
};

/* ---- administration; one thread at a time for init and close, any thread for the others ---- */

/*
 * Checks the configuration and reserves everything. After a failure nothing is left, and error says which step failed:
 * STATUS_ERR_DIM_CONFIG, or the platform's status. The platform is copied, its context is not.
 */
MUST_CHECK status_t dim_store_init(struct dim_store *store, const struct dim_config *config,
                                   const struct dim_platform *platform, struct dim_error *error);

/*
 * Reads dimensions.json (at most 16 KiB of text) for simulated contexts; text may go afterwards. Replaces an earlier
 * catalog; what is loaded stays. As dim_json_parse; after a failure the earlier catalog is still there.
 */
MUST_CHECK status_t dim_store_set_catalog(struct dim_store *store, const char *text, uint64_t size_bytes,
                                          struct dim_error *error);

/*
 * Loads a dimension from a file of the binary or the text form. name null: "dimNN.odim", else "dimNN.txt". When there is
 * no such file and DIM_SIMULATE is set, contexts are simulated from the catalog. The file's checksums are verified
 * before anybody can see it; the rest of a failed load is taken back.
 * STATUS_ERR_DIM_UNKNOWN, STATUS_ERR_EXISTS (already loaded; that stays), STATUS_ERR_LIMIT (used and limit in error),
 * STATUS_ERR_DIM_NO_SOURCE, the statuses of dim_file_check and dim_text_parse, the platform's.
 */
MUST_CHECK status_t dim_store_load(struct dim_store *store, dim_id_t id, const char *name,
                                   struct dim_error *error);

/* Loads simulated contexts without looking for a file. STATUS_ERR_DIM_NO_SOURCE: the catalog does not have it. */
MUST_CHECK status_t dim_store_simulate(struct dim_store *store, dim_id_t id, struct dim_error *error);

/*
 * Replaces a loaded dimension by a file (as dim_store_load, but never simulated): readers see all of the old content or
 * all of the new, sections that began before end with the old. One more region is reserved meanwhile. After a failure
 * the old content is still there. STATUS_ERR_DIM_NOT_LOADED besides.
 */
MUST_CHECK status_t dim_store_switch(struct dim_store *store, dim_id_t id, const char *name,
                                     struct dim_error *error);

/*
 * Unloads; the region stays reserved. Returns when no reader can have it in view any more. A failure to undo something
 * is logged, the rest is still done, and the first one returned.
 */
MUST_CHECK status_t dim_store_unload(struct dim_store *store, dim_id_t id, struct dim_error *error);

/*
 * Asks the platform whether the file behind each loaded dimension is still the one that was opened.
 * STATUS_ERR_DIM_BACKING with the first dimension whose is not.
 */
MUST_CHECK status_t dim_store_validate(struct dim_store *store, struct dim_error *error);

/*
 * Unloads everything and gives everything back. Each failure is logged, the rest still done, the first one returned;
 * the store is closed in any case. A second close does nothing. Readers may stay joined; they find nothing loaded.
 */
status_t dim_store_close(struct dim_store *store, struct dim_error *error);

/* ---- registry and statistics ---- */

struct dim_info {
    dim_id_t id;
    bool simulated; /* a layer of it is */
    bool has_file;
    uint32_t layers;
    char name[DIM_NAME_BYTES];
    uint64_t region; /* address */
    uint64_t region_bytes;
    uint64_t used_bytes; /* of the region, whole pages */
    uint64_t generation; /* another one after each load and switch, never 0 */
    struct dim_object object;
};

/* What is loaded of a dimension; false when nothing is. Waits for writers. */
bool dim_store_info(struct dim_store *store, dim_id_t id, struct dim_info *info);

/* Numbers of the loaded dimensions, ascending; ids has room for DIM_MAX_DIMENSIONS. Returns how many. Waits for writers. */
uint32_t dim_store_list(struct dim_store *store, dim_id_t *ids);

/* Where a layer lies, for who maps the region elsewhere. */
struct dim_place {
    uint64_t offset; /* from the start of the region */
    uint64_t bytes;
    uint64_t generation;
};

/* STATUS_ERR_DIM_UNKNOWN, STATUS_ERR_DIM_NOT_LOADED, STATUS_ERR_DIM_LAYER. Waits for writers. */
MUST_CHECK status_t dim_store_place(struct dim_store *store, dim_id_t id, dim_layer_t layer,
                                    struct dim_place *place);

struct dim_stats {
    uint64_t regions;         /* reserved */
    uint64_t allocated_bytes; /* reserved for them */
    uint64_t used_bytes;      /* by loaded dimensions, whole pages */
    uint64_t peak_bytes;      /* the most that ever was used */
    uint64_t limit_bytes;
    uint64_t metadata_bytes; /* taken for records */
    uint64_t dimensions;     /* loaded */
    uint64_t simulated;      /* of them with simulated layers; 0 and dimensions > 0: all data is real */
    uint64_t layers;         /* of all loaded dimensions */
    uint64_t loads;          /* done so far, as are the next two */
    uint64_t switches;
    uint64_t unloads;
    uint64_t failures; /* loads and switches that failed */
    uint64_t warnings; /* thresholds crossed upwards */
    uint64_t accesses; /* by all readers, failed ones too */
    uint64_t access_failures;
    uint64_t access_samples; /* accesses whose time was taken: the first and every 64th of each reader */
    uint64_t access_ticks_sum;
    uint64_t access_ticks_most;
};

/* Never waits for a writer that loads; figures up to `warnings` are those of one moment, of a
 * reader that is just leaving some may count twice. Also for a closed store. */
void dim_store_stats(struct dim_store *store, struct dim_stats *stats);

/* ---- readers: no call below waits for anything ---- */

struct dim_slice {
    const uint8_t *bytes;
    uint64_t size_bytes;
};

/* Makes the calling thread a reader. STATUS_ERR_LIMIT when DIM_MAX_READERS have joined. */
MUST_CHECK status_t dim_reader_join(struct dim_store *store, struct dim_reader **reader);

/* Outside of any section. */
void dim_reader_leave(struct dim_reader *reader);

/* Begins a read section; sections nest. */
void dim_read_begin(struct dim_reader *reader);

/* Ends the innermost section: slices that were got in it may become invalid when it was the outermost. */
void dim_read_end(struct dim_reader *reader);

/*
 * The whole layer, where it lies in memory. STATUS_ERR_STATE outside of a section, STATUS_ERR_DIM_UNKNOWN,
 * STATUS_ERR_DIM_NOT_LOADED, STATUS_ERR_DIM_LAYER. slice is unchanged after a failure.
 */
MUST_CHECK status_t dim_access_layer(struct dim_reader *reader, dim_id_t id, dim_layer_t layer,
                                     struct dim_slice *slice);

/* A part of a layer; STATUS_ERR_DIM_OFFSET besides, when a byte of it lies outside. 0 bytes at the end are inside. */
MUST_CHECK status_t dim_access_range(struct dim_reader *reader, dim_id_t id, dim_layer_t layer,
                                     uint64_t offset, uint64_t bytes, struct dim_slice *slice);

/* Fills in an error for a failed access, for a message. */
void dim_explain_access(status_t status, dim_id_t id, dim_layer_t layer, uint64_t offset, uint64_t bytes,
                        struct dim_error *error);

#endif
