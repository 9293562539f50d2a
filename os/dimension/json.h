#ifndef OS_DIMENSION_JSON_H
#define OS_DIMENSION_JSON_H

/*
 * dimensions.json: names and keywords of all dimensions, and contents where there are real ones.
 *
 *     { "version": 1,
 *       "dimensions": [
 *         { "id": 3, "name": "energy",
 *           "layers": [
 *             { "layer": 0, "name": "surface", "keywords": ["heat", "light"] },
 *             { "layer": 1, "name": "pattern", "keywords": [], "contexts": ["What flows is counted."] },
 *             { "layer": 2, "name": "raw", "keywords": [], "bytes": "00ff10" } ] } ] }
 *
 * JSON as RFC 8259 has it. Members come in any order; unknown and repeated ones are errors. A layer with neither
 * "contexts" nor "bytes" is simulated. ids and layer numbers ascend.
 */

#include "dimension/types.h"

/*
 * Reads it; all strings are copied, so the text may go. STATUS_ERR_DIM_JSON with line and column,
 * STATUS_ERR_NO_MEMORY when the arena is too small: sixteen times the text is always enough.
 */
MUST_CHECK status_t dim_json_parse(const char *text, uint64_t size_bytes, struct dim_arena *arena,
                                   struct dim_catalog *catalog, struct dim_error *error);

/* Writes the one canonical form: the same catalog, the same bytes. Contents of simulated layers are left out. */
void dim_json_write(const struct dim_catalog *catalog, const struct dim_sink *sink);

#endif
