#ifndef OS_DIMENSION_TYPES_H
#define OS_DIMENSION_TYPES_H

/* What the parts of the dimension store share: numbers, limits, errors, and a dimension as a parser or builder sees it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/status.h"

#define DIM_COUNT             14u       /* dimensions of the standard configuration, numbers 0..13 */
#define DIM_LAYERS            4u        /* layers of each, numbers 0..3 */
#define DIM_REGION_BYTES      20971520u /* 20 MiB: memory of one dimension */
#define DIM_MAX_DIMENSIONS    64u       /* in one store or catalog */
#define DIM_MAX_LAYERS        1024u     /* in one dimension; their numbers may be 0..65535 */
#define DIM_MAX_KEYWORDS      256u      /* of one layer */
#define DIM_MAX_KEYWORD_BYTES 63u
#define DIM_MAX_LINE_BYTES    1023u /* of one context, without its line feed */
#define DIM_NAME_BYTES        32u   /* of a name with its terminating zero */

/* Two different types, so that a dimension given for a layer does not compile. */
typedef struct dim_id {
    uint16_t number;
} dim_id_t;

typedef struct dim_layer {
    uint16_t number;
} dim_layer_t;

#define DIM_NONE UINT32_MAX /* in an error: no dimension, no layer */

/* A failure with all that is known of it. Fields that do not apply are 0, dimension and layer DIM_NONE. */
struct dim_error {
    status_t status;
    status_t cause;   /* status of the platform behind it, STATUS_OK: none */
    const char *what; /* a sentence without a full stop, constant; never null after a failure */
    uint32_t dimension;
    uint32_t layer;
    uint32_t line; /* of a text, from 1; 0: `at` counts bytes of a binary file, where there is a place */
    bool has_place;
    uint64_t at;          /* byte in the file, or column from 1 in the line */
    uint64_t asked_bytes; /* what would have been needed */
    uint64_t used_bytes;  /* with STATUS_ERR_LIMIT: in use, of */
    uint64_t limit_bytes;
};

/* Longest text of dim_error_text, with its terminating zero. */
#define DIM_ERROR_TEXT_BYTES 256u

/*
 * One line: what, where, how much, why. Always terminated, cut to size; returns buffer. E.g. "dimension 3: the limit
 * would be exceeded: 20971520 bytes wanted, 272629760 of 293601280 in use (limit reached)".
 */
const char *dim_error_text(const struct dim_error *error, char *buffer, size_t size);

/* Sets a failure without a place and returns its status. error may be null, as everywhere below. */
status_t dim_fail(struct dim_error *error, status_t status, const char *what);

/* The same at a byte of a binary file. */
status_t dim_fail_at(struct dim_error *error, status_t status, const char *what, uint64_t at);

/* ---- a dimension before it is a file ---- */

#define DIM_LAYER_COMPRESSED 1u /* stored as an LZ4 block */
#define DIM_LAYER_SIMULATED  2u /* content made from keywords */
#define DIM_LAYER_TEXT       4u /* content is contexts: lines of UTF-8, each ended by a line feed */
#define DIM_LAYER_FLAGS      7u

struct dim_keyword {
    const char *text; /* not terminated */
    uint32_t bytes;   /* 1..DIM_MAX_KEYWORD_BYTES */
    uint32_t reserved;
};

struct dim_layer_entry {
    dim_layer_t number;
    uint16_t flags; /* DIM_LAYER_* but not COMPRESSED; content null and SIMULATED: still to be made */
    uint32_t keyword_count;
    char name[DIM_NAME_BYTES];
    const struct dim_keyword *keywords;
    const uint8_t *content;
    uint64_t content_bytes;
};

struct dim_entry {
    dim_id_t id;
    uint16_t layer_count;
    uint32_t reserved;
    uint64_t seed; /* of simulated content */
    char name[DIM_NAME_BYTES];
    struct dim_layer_entry *layers; /* numbers ascending */
};

/* What dimensions.json says. */
struct dim_catalog {
    uint32_t count;
    uint32_t reserved;
    struct dim_entry *dimensions; /* ids ascending */
};

/* The dimension of that number, or null. */
const struct dim_entry *dim_catalog_find(const struct dim_catalog *catalog, dim_id_t id);

/* ---- memory of parsers: a stretch that is used from its start ---- */

struct dim_arena {
    uint8_t *at;
    uint8_t *end;
};

/* bytes at a multiple of alignment (a power of two), or null when the arena is used up. */
static inline void *dim_arena_take(struct dim_arena *arena, uint64_t bytes, uint64_t alignment)
{
    uint64_t skip = (uint64_t)(-(uintptr_t)arena->at) & (alignment - 1);
    if (skip > (uint64_t)(arena->end - arena->at) || bytes > (uint64_t)(arena->end - arena->at) - skip) {
        return NULL;
    }
    uint8_t *at = arena->at + skip;
    arena->at = at + bytes;
    return at;
}

/* ---- where writers put their text ---- */

struct dim_sink {
    void *context;
    void (*write)(void *context, const char *text, size_t bytes);
};

#endif
