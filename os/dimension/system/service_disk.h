#ifndef OS_DIMENSION_SYSTEM_SERVICE_DISK_H
#define OS_DIMENSION_SYSTEM_SERVICE_DISK_H

/*
 * Files of a disk for the dimension server: the disk of the name server (lib/disk.h) with an archive on it. Its directory is read
 * when it is first wanted, and again when something has failed: a driver that was started anew is found. Any thread.
 */

#include <stdbool.h>

#include "dimension/system/archive.h"
#include "lib/disk.h"
#include "lib/sync.h"

#define SERVICE_DISK_TEXT 96u

struct service_disk {
    struct mutex lock; /* of all below */
    struct disk disk;
    struct archive archive;
    bool attached;   /* disk and directory are there */
    uint32_t serial; /* of the directory: one that was read anew is another */
    uint64_t bad_at; /* where the archive is damaged */
};

/* A file, as found in one directory. */
struct service_disk_file {
    uint64_t offset;
    uint64_t bytes;
    uint32_t serial;
};

/*
 * Finds a file, or with name null nothing but the directory. STATUS_ERR_NOT_FOUND: there is no such file. Everything else is a
 * disk that cannot be used: STATUS_ERR_PEER (nobody serves one), STATUS_ERR_BAD_IMAGE, as archive_index and disk_open.
 */
MUST_CHECK status_t service_disk_find(struct service_disk *service, const char *name,
                                      struct service_disk_file *file);

/* Copies bytes inside the file. STATUS_ERR_DIM_BACKING: the directory has been read anew; as disk_read. */
MUST_CHECK status_t service_disk_read(struct service_disk *service, const struct service_disk_file *file,
                                      uint64_t offset, void *to, uint64_t bytes);

/* A line, without line feed, of what service_disk_find has failed with. */
const char *service_disk_text(const struct service_disk *service, status_t status,
                              char text[SERVICE_DISK_TEXT]);

#endif
