#ifndef OS_DIMENSION_SIMULATE_H
#define OS_DIMENSION_SIMULATE_H

/* Simulated contexts: lines of a layer's own keywords, in the form that real contexts have. */

#include <stdint.h>

#include "dimension/types.h"

/*
 * Fills memory with whole lines of three to eight keywords, "KEYWORD, KEYWORD\n", chosen by (seed, id, layer number)
 * alone: the same bytes on every machine, and a larger size only goes on. Returns the bytes used, at most size_bytes;
 * 0 for a layer without keywords.
 */
uint64_t dim_simulate(const struct dim_layer_entry *layer, dim_id_t id, uint64_t seed, uint8_t *to,
                      uint64_t size_bytes);

#endif
