#ifndef OS_DIMENSION_LZ4_H
#define OS_DIMENSION_LZ4_H

/*
 * The LZ4 block format ("LZ4 Block Format Description", lz4.org): sequences of a token, literals and a match of at
 * least four bytes at most 65,535 bytes back. Nothing here allocates.
 */

#include <stdint.h>

#include "abi/status.h"

/*
 * Compresses greedily; the same input gives the same output everywhere. Inputs up to 1 GiB.
 * Returns the bytes written, 0 when they do not fit into capacity (never when there is room for 1/255 more than the
 * input and 16 bytes).
 */
uint64_t lz4_compress(const uint8_t *from, uint64_t size_bytes, uint8_t *to, uint64_t capacity);

/*
 * Inflates a block that must give exactly size_bytes. Reads only from[0..stored_bytes), writes only
 * to[0..size_bytes), whatever the input; STATUS_ERR_DIM_STREAM when it is no such block.
 */
MUST_CHECK status_t lz4_inflate(const uint8_t *from, uint64_t stored_bytes, uint8_t *to, uint64_t size_bytes);

#endif
