#ifndef OS_LIB_DISK_H
#define OS_LIB_DISK_H

/*
 * A disk as a service, at the name DISK_NAME (programs/virtblk), and its client's side. Data goes through a buffer of the
 * client's own, a region that the server makes for who opens it and that the device reads and writes itself; requests begin at
 * the buffer's first byte. Who is who the server knows by the badge of the capability that name_find gave.
 *
 *     DISK_INFO   answered with m1 sectors of 512 bytes, m2 1: it can be written
 *     DISK_OPEN   answered with m1 bytes of the buffer, m2 its capability; a buffer opened before is given up
 *     DISK_READ   m0 first sector, m1 how many
 *     DISK_WRITE  the same
 *     DISK_FLUSH  what was written is on the disk
 *     DISK_CLOSE  the buffer is given up
 *
 * The answer's m0 is a status: STATUS_ERR_STATE (no buffer was opened), STATUS_ERR_RANGE (not on the disk, not in the buffer),
 * STATUS_ERR_PERMISSION (not writable), STATUS_ERR_BUSY (DISK_OPEN: all buffers are mapped), STATUS_ERR_DEVICE,
 * STATUS_ERR_TIMEOUT (the device failed), STATUS_ERR_ARGUMENT (anything else). A buffer that nobody has mapped may be given to
 * another: its client opens again. One that the device may still write to, because a request failed and the device could not be
 * reset, is given to nobody, and neither up nor anew: STATUS_ERR_DEVICE.
 */

#include <stdbool.h>

#include "lib/orrery.h"

#define DISK_NAME         "disk"
#define DISK_SECTOR_BYTES 512u
#define DISK_INFO         1u
#define DISK_OPEN         2u
#define DISK_READ         3u
#define DISK_WRITE        4u
#define DISK_FLUSH        5u
#define DISK_CLOSE        6u

/* Not for two threads at a time. All zero: closed. */
struct disk {
    handle_t server;
    handle_t region;
    unsigned char *buffer;
    uint64_t buffer_bytes;
    uint64_t bytes; /* of the disk */
    bool writable;
};

/* Finds the service, waiting at most so long for it. Fails as name_wait and DISK_OPEN; *disk is closed then. */
MUST_CHECK status_t disk_open(struct disk *disk, uint64_t patience_ns);

/* Copies any bytes of the disk. STATUS_ERR_RANGE; as DISK_READ; STATUS_ERR_PEER: the server has gone. */
MUST_CHECK status_t disk_read(const struct disk *disk, uint64_t offset, void *to, uint64_t bytes);

/* Writes whole sectors and flushes them. STATUS_ERR_UNALIGNED, STATUS_ERR_RANGE; as DISK_WRITE and DISK_FLUSH. */
MUST_CHECK status_t disk_write(const struct disk *disk, uint64_t offset, const void *from, uint64_t bytes);

/* A request as it stands, and the status of its answer. */
MUST_CHECK status_t disk_ask(const struct disk *disk, unsigned label, uint64_t first, uint64_t second,
                             struct ipc_registers *answer);

void disk_close(struct disk *disk);

#endif
