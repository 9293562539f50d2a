#ifndef OS_DIMENSION_SYSTEM_ARCHIVE_H
#define OS_DIMENSION_SYSTEM_ARCHIVE_H

/*
 * The files of a disk: a cpio archive from its first byte on, of the same form as the boot image (lib/cpio.h), of which only
 * names and places are kept. Hostile input. Host-buildable.
 */

#include <stdint.h>

#include "abi/status.h"

#define ARCHIVE_FILES   64u
#define ARCHIVE_MEMBERS 1024u /* before the trailer */
#define ARCHIVE_NAME    32u   /* bytes with the terminator; members with longer names are passed over */

struct archive_file {
    char name[ARCHIVE_NAME];
    uint64_t offset; /* of its data, in the archive */
    uint64_t bytes;
};

struct archive {
    uint32_t count;
    struct archive_file files[ARCHIVE_FILES];
};

/* Where the archive lies: `read` copies bytes that are inside. */
struct archive_source {
    status_t (*read)(void *context, uint64_t offset, void *to, uint64_t bytes);
    void *context;
    uint64_t bytes;
};

/*
 * Reads the directory. STATUS_ERR_BAD_IMAGE: damaged, or cut off, in the member at *at; STATUS_ERR_LIMIT: more members or files
 * than fit; as `read`. The archive is empty after a failure. Bound: O(members).
 */
MUST_CHECK status_t archive_index(struct archive *archive, const struct archive_source *source, uint64_t *at);

/* The first file of that name; null: there is none. */
const struct archive_file *archive_find(const struct archive *archive, const char *name);

#endif
