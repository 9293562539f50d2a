#ifndef ORRERY_CORE_DISK_H
#define ORRERY_CORE_DISK_H

/*
 * The contents of a disk: the bytes of a host file, read once, and over them the pages that the guest has changed. The file
 * is never written. Its digest and the changed pages are the disk's state: a page that was written and again holds what the
 * file has there equals one that was never written.
 */

#include "base/status.h"
#include "base/visit.h"

#define DISK_SECTOR_BYTES 512u
#define DISK_PAGE_BYTES   4096u
#define DISK_MAX_BYTES    (UINT64_C(1) << 30)

struct disk {
    uint8_t *base; /* the file's bytes */
    uint64_t size_bytes;
    struct digest base_digest;
    uint8_t **changed; /* by page: its contents, DISK_PAGE_BYTES, or NULL: as in base */
};

/* Reads the file: a regular one of whole sectors, at least one, at most DISK_MAX_BYTES. False with "name: reason"; d is then
 * as disk_deinit leaves it. */
bool disk_init(struct disk *d, const char *name, struct error *e);
/* The same of bytes, which it copies, whose file has this name. */
bool disk_init_from(struct disk *d, const char *name, const uint8_t *bytes, size_t size, struct error *e);
/* An all-zero disk has nothing to give back. */
void disk_deinit(struct disk *d);

/* Copies size bytes from offset on; all of them lie on the disk (a CHECK). */
void disk_read(const struct disk *d, uint64_t offset, void *bytes, uint64_t size);
void disk_write(struct disk *d, uint64_t offset, const void *bytes, uint64_t size);
void disk_write_zeroes(struct disk *d, uint64_t offset, uint64_t size);

/* The digest of the file and the changed pages; refuses those of another file. */
void disk_visit(struct disk *d, struct visitor *v);

#endif
