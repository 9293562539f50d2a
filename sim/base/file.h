#ifndef ORRERY_BASE_FILE_H
#define ORRERY_BASE_FILE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* A whole file in memory. */
struct file_bytes {
    uint8_t *bytes;
    size_t size;
};

#define FILE_MAX_BYTES (UINT64_C(1) << 30)

/* Reads a regular file of at most max_bytes; a zero byte follows its bytes. False with "name: reason"; out is then empty. */
bool file_read(const char *name, uint64_t max_bytes, struct file_bytes *out, struct error *e);
/* Writes a whole file: under a temporary name beside it, synced, and then under its own, so that there is always all of the old
 * one or all of the new one. False with "name: reason". */
bool file_write(const char *name, const void *bytes, size_t size, struct error *e);
bool file_exists(const char *name);
void file_free(struct file_bytes *f);

#endif
