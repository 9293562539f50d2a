#ifndef OS_KERNEL_PROC_INITRD_H
#define OS_KERNEL_PROC_INITRD_H

/* The boot image: a cpio archive in the "newc" form, read in place. The parser is host-buildable. */

#include "abi/status.h"
#include "types.h"

struct initrd_file {
    const char *name; /* in the archive, zero terminated */
    const void *data;
    uint64_t bytes;
};

/*
 * Reads the member at *offset and moves *offset behind it. STATUS_ERR_NOT_FOUND at the trailer,
 * STATUS_ERR_BAD_IMAGE for a damaged archive.
 */
MUST_CHECK status_t cpio_next(const void *archive, uint64_t bytes, uint64_t *offset, struct initrd_file *out);

/* Sets the archive; null for none. */
void initrd_set(const void *archive, uint64_t bytes);

/* Finds a member by name; a leading '/' is ignored. STATUS_ERR_NOT_FOUND, STATUS_ERR_BAD_IMAGE. */
MUST_CHECK status_t initrd_find(const char *name, struct initrd_file *out);

#endif
