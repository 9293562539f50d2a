#ifndef ORRERY_MAIN_FILES_H
#define ORRERY_MAIN_FILES_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* A whole file in memory. */
struct file_bytes {
    uint8_t *bytes;
    size_t size;
};

/* Reads at most 1 GiB. False with "name: reason". */
bool file_read(const char *name, struct file_bytes *out, struct error *e);
void file_free(struct file_bytes *f);

#endif
