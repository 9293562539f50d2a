#ifndef OS_DIMENSION_TEXT_H
#define OS_DIMENSION_TEXT_H

/*
 * The text form of one dimension: placeholders written by hand, and what `dump` prints.
 *
 *     orrery-dimension 1
 *     dimension 3 energy
 *     seed 7
 *     layer 0 surface simulated: heat, light, spark
 *     > heat, spark, light
 *     layer 1 pattern real: flow, storage
 *     > What flows is counted.
 *
 * One item a line, in this order; `seed` may be absent. Empty lines and lines that begin with # are nothing. A
 * simulated layer without contexts is filled from its keywords when it is loaded.
 */

#include "dimension/types.h"

/* Whether a file claims to be of this form. */
bool dim_text_is(const void *text, uint64_t size_bytes);

/* Bytes of an arena in which this text can be read. */
uint64_t dim_text_arena_bytes(const char *text, uint64_t size_bytes);

/*
 * Reads a dimension; names are copied, keywords point into the text, everything else is taken from the arena.
 * STATUS_ERR_DIM_TEXT with line and column, STATUS_ERR_NO_MEMORY when the arena is too small (never with
 * dim_text_arena_bytes).
 */
MUST_CHECK status_t dim_text_parse(const char *text, uint64_t size_bytes, struct dim_arena *arena,
                                   struct dim_entry *entry, struct dim_error *error);

/* Writes it. STATUS_ERR_UNSUPPORTED, before anything is written, when a layer is not contexts. */
MUST_CHECK status_t dim_text_write(const struct dim_entry *entry, const struct dim_sink *sink,
                                   struct dim_error *error);

#endif
