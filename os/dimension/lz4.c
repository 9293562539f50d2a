/*
 * LZ4 blocks, from the published description of the format. A sequence is
 *
 *   token          high four bits: literals, low four bits: match length - 4; 15 means "and more follows"
 *   [255]* byte    added to the number of literals, while 255
 *   literals
 *   offset         16 bits, little-endian, 1..65535; absent in the last sequence, which is literals only
 *   [255]* byte    added to the length of the match, while 255
 *
 * The last five bytes are literals and the last match begins at least twelve bytes before the end, so that decoders
 * may copy in words. Deviations: the compressor looks one match back only (a table of 4096 positions).
 */

#include "dimension/lz4.h"

#include <stdbool.h>
#include <stddef.h>

#include "lib/string.h"

#define MIN_MATCH     4u
#define LAST_LITERALS 5u
#define MATCH_LIMIT   12u /* no match begins nearer to the end */
#define MAX_DISTANCE  65535u
#define MAX_INPUT     (UINT64_C(1) << 30)
#define HASH_BITS     12u

struct output {
    uint8_t *at;
    uint8_t *end;
    bool full;
};

static void put(struct output *out, uint64_t byte)
{
    if (out->at == out->end) {
        out->full = true;
    } else {
        *out->at++ = (uint8_t)byte;
    }
}

static void put_length(struct output *out, uint64_t length)
{
    for (; length >= 255; length -= 255) {
        put(out, 255);
    }
    put(out, length);
}

/* match 0: the last sequence, which has no match. */
static void put_sequence(struct output *out, const uint8_t *literals, uint64_t count, uint64_t distance,
                         uint64_t match)
{
    uint64_t high = count < 15 ? count : 15, more = match ? match - MIN_MATCH : 0,
             low = more < 15 ? more : 15;
    put(out, high << 4 | low);
    if (high == 15) {
        put_length(out, count - 15);
    }
    if (count > (uint64_t)(out->end - out->at)) {
        out->full = true;
        return;
    }
    memcpy(out->at, literals, count);
    out->at += count;
    if (match) {
        put(out, distance & 0xff);
        put(out, distance >> 8);
        if (low == 15) {
            put_length(out, more - 15);
        }
    }
}

static uint32_t hash_of(const uint8_t *at)
{
    uint32_t word = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    return word * 2654435761u >> (32 - HASH_BITS);
}

static uint64_t match_length(const uint8_t *from, uint64_t old, uint64_t now, uint64_t end)
{
    uint64_t length = 0;
    while (now + length < end && from[old + length] == from[now + length]) {
        length++;
    }
    return length;
}

uint64_t lz4_compress(const uint8_t *from, uint64_t size_bytes, uint8_t *to, uint64_t capacity)
{
    uint32_t seen[1u << HASH_BITS]; /* position + 1 of the last four bytes of that hash, 0: none */
    struct output out = {to, to + capacity, size_bytes > MAX_INPUT};
    uint64_t anchor = 0, at = 0;
    memset(seen, 0, sizeof seen);
    while (!out.full && at + MATCH_LIMIT <= size_bytes) {
        uint32_t *slot = &seen[hash_of(from + at)];
        uint64_t old = *slot;
        *slot = (uint32_t)at + 1;
        uint64_t length = old && at + 1 - old <= MAX_DISTANCE
                              ? match_length(from, old - 1, at, size_bytes - LAST_LITERALS)
                              : 0;
        if (length < MIN_MATCH) {
            at++;
            continue;
        }
        put_sequence(&out, from + anchor, at - anchor, at + 1 - old, length);
        at += length;
        anchor = at;
    }
    if (!out.full) {
        put_sequence(&out, from + anchor, size_bytes - anchor, 0, 0);
    }
    return out.full ? 0 : (uint64_t)(out.at - to);
}

struct input {
    const uint8_t *at;
    const uint8_t *end;
};

/* Adds the bytes that continue a length of 15; false when the input ends or the sum cannot be meant. */
static bool take_length(struct input *in, uint64_t *length)
{
    uint8_t byte = 255;
    while (*length >= 15 && byte == 255) {
        if (in->at == in->end || *length > MAX_INPUT) {
            return false;
        }
        byte = *in->at++;
        *length += byte;
    }
    return true;
}

static bool take_literals(struct input *in, uint64_t count, struct output *out)
{
    if (!take_length(in, &count) || count > (uint64_t)(in->end - in->at) ||
        count > (uint64_t)(out->end - out->at)) {
        return false;
    }
    memcpy(out->at, in->at, count);
    in->at += count;
    out->at += count;
    return true;
}

static bool take_match(struct input *in, uint64_t more, struct output *out, const uint8_t *start)
{
    if (in->end - in->at < 2) {
        return false;
    }
    uint64_t distance = (uint64_t)in->at[0] | (uint64_t)in->at[1] << 8;
    in->at += 2;
    if (!take_length(in, &more) || distance == 0 || distance > (uint64_t)(out->at - start) ||
        more + MIN_MATCH > (uint64_t)(out->end - out->at)) {
        return false;
    }
    /* Byte by byte: a match may overlap what it produces. */
    for (uint64_t count = more + MIN_MATCH; count > 0; count--, out->at++) {
        *out->at = *(out->at - distance);
    }
    return true;
}

status_t lz4_inflate(const uint8_t *from, uint64_t stored_bytes, uint8_t *to, uint64_t size_bytes)
{
    struct input in = {from, from + stored_bytes};
    struct output out = {to, to + size_bytes, false};
    while (in.at != in.end) {
        uint8_t token = *in.at++;
        if (!take_literals(&in, token >> 4, &out)) {
            return STATUS_ERR_DIM_STREAM;
        }
        if (in.at == in.end) {
            return out.at == out.end && (token & 15) == 0 ? STATUS_OK : STATUS_ERR_DIM_STREAM;
        }
        if (!take_match(&in, token & 15, &out, to)) {
            return STATUS_ERR_DIM_STREAM;
        }
    }
    return STATUS_ERR_DIM_STREAM;
}
