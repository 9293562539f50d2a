#ifndef OS_KERNEL_LIB_CPIO_H
#define OS_KERNEL_LIB_CPIO_H

/*
 * Headers of cpio "newc" archives, for the boot image and, in programs, for disks: a header of 110 ASCII characters (magic 070701
 * and thirteen 8-digit hexadecimal fields), the name with its terminator padded to 4 bytes, the data padded to 4 bytes; a member
 * called CPIO_TRAILER ends the archive. Source: cpio(5), "New ASCII Format".
 */

#include <stdint.h>

#include "abi/status.h"

#define CPIO_HEADER_BYTES 110u
#define CPIO_ALIGNMENT    4u /* of the archive's offsets at which data and headers begin */
#define CPIO_TRAILER      "TRAILER!!!"

struct cpio_member {
    uint32_t name_bytes; /* with the terminator; not 0 */
    uint32_t file_bytes;
};

/* Reads CPIO_HEADER_BYTES. STATUS_ERR_BAD_IMAGE. */
MUST_CHECK status_t cpio_header(const char *header, struct cpio_member *out);

#endif
