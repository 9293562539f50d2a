#ifndef ORRERY_DEV_VIRTIO_BLK_H
#define ORRERY_DEV_VIRTIO_BLK_H

/* A virtio block device. Virtual I/O Device (VIRTIO) Version 1.2, "Block Device". */

#include "core/disk.h"
#include "dev/virtio_mmio.h"

#define VIRTIO_ID_BLOCK 2u

#define VIRTIO_BLK_F_SEG_MAX      (UINT64_C(1) << 2)
#define VIRTIO_BLK_F_BLK_SIZE     (UINT64_C(1) << 6)
#define VIRTIO_BLK_F_FLUSH        (UINT64_C(1) << 9)
#define VIRTIO_BLK_F_DISCARD      (UINT64_C(1) << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES (UINT64_C(1) << 14)

enum virtio_blk_request_type {
    VIRTIO_BLK_T_IN = 0,
    VIRTIO_BLK_T_OUT = 1,
    VIRTIO_BLK_T_FLUSH = 4,
    VIRTIO_BLK_T_GET_ID = 8,
    VIRTIO_BLK_T_DISCARD = 11,
    VIRTIO_BLK_T_WRITE_ZEROES = 13
};

enum virtio_blk_status { VIRTIO_BLK_S_OK = 0, VIRTIO_BLK_S_IOERR = 1, VIRTIO_BLK_S_UNSUPP = 2 };

#define VIRTIO_BLK_HEADER_BYTES  16u /* type (4), reserved (4), sector (8) */
#define VIRTIO_BLK_SEGMENT_BYTES 16u /* of discard and write zeroes: sector (8), sectors (4), flags (4) */
#define VIRTIO_BLK_ID_BYTES      20u

/* Offsets in the configuration space. */
enum virtio_blk_config_field {
    VIRTIO_BLK_CAPACITY = 0, /* 8 bytes, in sectors */
    VIRTIO_BLK_SEG_MAX = 12,
    VIRTIO_BLK_BLK_SIZE = 20,
    VIRTIO_BLK_MAX_DISCARD_SECTORS = 36,
    VIRTIO_BLK_MAX_DISCARD_SEG = 40,
    VIRTIO_BLK_DISCARD_SECTOR_ALIGNMENT = 44,
    VIRTIO_BLK_MAX_WRITE_ZEROES_SECTORS = 48,
    VIRTIO_BLK_MAX_WRITE_ZEROES_SEG = 52,
    VIRTIO_BLK_WRITE_ZEROES_MAY_UNMAP = 56,
    VIRTIO_BLK_CONFIG_BYTES = 60
};

struct virtio_blk_config {
    unsigned number; /* for GET_ID: "orrery-disk-NUMBER" */
    uint64_t request_cycles, sector_cycles;
};

struct virtio_blk {
    struct virtio_blk_config config;
    struct virtio_mmio mmio;
    struct disk disk;
    uint64_t requests, sectors_read,
        sectors_written; /* counted so far; state of the machine, not of the hardware */
};

/* d->disk is there already; of transport only bus, events, irq and fetch_cycles are taken. */
void virtio_blk_init(struct virtio_blk *d, const struct virtio_blk_config *config,
                     const struct virtio_mmio_config *transport);

#endif
