#ifndef OS_DIMENSION_FILE_H
#define OS_DIMENSION_FILE_H

/*
 * The binary format of one dimension. All numbers little-endian, every structure without padding. There is exactly one
 * layout for given parts, and every byte is checked:
 *
 *      0  header             128 bytes
 *    128  layer table        80 bytes a layer, numbers ascending
 *         keyword area       keywords in table order, each ended by a line feed
 *         zeros              to the next multiple of 4096
 *         content blocks     in table order, each at the next multiple of 4096, zeros between
 *         zeros              to a multiple of 4096: the end of the file
 *
 * CRC-32C covers the header, the table, the keyword area and each stored block; what no checksum covers must be zero.
 */

#include "dimension/types.h"

#define DIM_FILE_VERSION      1u
#define DIM_FILE_HEADER_BYTES 128u
#define DIM_FILE_RECORD_BYTES 80u
#define DIM_FILE_ALIGNMENT    4096u
#define DIM_FILE_MAGIC        "\211ODIM\r\n\032" /* eight bytes; the odd ones reveal transfers as text */

struct dim_file_header {
    uint8_t magic[8];
    uint16_t version;
    uint16_t header_bytes; /* DIM_FILE_HEADER_BYTES */
    uint16_t record_bytes; /* DIM_FILE_RECORD_BYTES */
    uint16_t layer_count;  /* 1..DIM_MAX_LAYERS */
    uint64_t file_bytes;
    uint64_t seed; /* of simulated layers */
    uint16_t dimension;
    uint16_t flags; /* none yet: 0 */
    uint32_t keyword_bytes;
    uint32_t keyword_crc;
    uint32_t table_crc;
    char name[DIM_NAME_BYTES]; /* zeros behind the name */
    uint8_t reserved[44];      /* zeros */
    uint32_t header_crc;       /* of the 124 bytes before it */
};

struct dim_file_record {
    uint16_t number;
    uint16_t flags;         /* DIM_LAYER_* */
    uint32_t stored_crc;    /* of the stored bytes */
    uint64_t offset;        /* of the block in the file */
    uint64_t stored_bytes;  /* in the file */
    uint64_t content_bytes; /* inflated; equal to stored_bytes when not compressed */
    uint32_t content_crc;   /* of the content; equal to stored_crc when not compressed */
    uint32_t keyword_count;
    uint32_t keyword_offset; /* in the keyword area */
    uint32_t keyword_bytes;  /* with their line feeds */
    char name[DIM_NAME_BYTES];
};

_Static_assert(sizeof(struct dim_file_header) == DIM_FILE_HEADER_BYTES, "header layout");
_Static_assert(sizeof(struct dim_file_record) == DIM_FILE_RECORD_BYTES, "record layout");

static inline uint64_t dim_file_align(uint64_t bytes)
{
    return (bytes + DIM_FILE_ALIGNMENT - 1) & ~(uint64_t)(DIM_FILE_ALIGNMENT - 1);
}

/*
 * The functions below take a file in memory, at a multiple of eight; the last three only one that dim_file_check
 * accepted.
 */

/* Whether a file of at least eight bytes begins with the magic number. */
bool dim_file_is_binary(const void *file, uint64_t size_bytes);

/*
 * Checks everything but the inside of compressed blocks (dim_file_inflate does that). Never reads outside of
 * file[0..size_bytes). Statuses: STATUS_ERR_DIM_MAGIC, _VERSION, _HEADER, _TABLE, _CHECKSUM, _TEXT (keywords, contexts).
 */
MUST_CHECK status_t dim_file_check(const void *file, uint64_t size_bytes, struct dim_error *error);

static inline const struct dim_file_record *dim_file_records(const void *file)
{
    return (const struct dim_file_record *)((const uint8_t *)file + DIM_FILE_HEADER_BYTES);
}

/* Whether a layer is compressed. */
bool dim_file_is_compressed(const void *file);

/* Puts a layer's content into memory of record->content_bytes, inflated and checked. */
MUST_CHECK status_t dim_file_inflate(const void *file, const struct dim_file_record *record, uint8_t *to,
                                     struct dim_error *error);

/*
 * The dimension as parsers give it. Keywords and plain contents point into the file; arrays and inflated contents are
 * taken from the arena. STATUS_ERR_NO_MEMORY when it is too small.
 */
MUST_CHECK status_t dim_file_entry(const void *file, struct dim_arena *arena, struct dim_entry *entry,
                                   struct dim_error *error);

#endif
