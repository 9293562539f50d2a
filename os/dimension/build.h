#ifndef OS_DIMENSION_BUILD_H
#define OS_DIMENSION_BUILD_H

/* Makes a file of the binary format from a dimension. */

#include "dimension/types.h"

struct dim_build_options {
    uint64_t
        simulated_bytes; /* content of a simulated layer that has none yet: at most this, in whole lines */
    uint64_t seed;       /* of such content; the entry's own seed when keep_seed */
    bool keep_seed;
    bool compress;    /* layers that become smaller by it; needs scratch */
    uint8_t *scratch; /* memory for one layer's content, may be null when nothing is compressed */
    uint64_t scratch_bytes;
};

/*
 * Writes the file to to[0..*size_bytes), at most capacity bytes. The same entry and options give the same bytes
 * everywhere. STATUS_ERR_LIMIT when capacity is too small (asked_bytes: what was needed so far), STATUS_ERR_ARGUMENT
 * for an entry that no file may hold.
 */
MUST_CHECK status_t dim_build(const struct dim_entry *entry, const struct dim_build_options *options,
                              uint8_t *to, uint64_t capacity, uint64_t *size_bytes, struct dim_error *error);

#endif
