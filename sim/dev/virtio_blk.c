/*
 * A virtio block device over a disk of core/disk.h.
 *
 *   request   type (4) | reserved (4) | sector (8) | data ...  readable      data ... | status (1)  writable
 *
 * Source: Virtual I/O Device (VIRTIO) Version 1.2, "Block Device", "Device configuration layout", "Device Operation".
 *
 * A request takes a constant time and a time for each sector of its buffers (timing/device_cost.def). Flush has nothing to do:
 * what has completed is on the disk. Discarded sectors read as zero.
 *
 * Deviations: one queue, no geometry, no topology, no cache mode, no secure erase, no lifetime, no zones: none of them is
 * offered, and a request for them answers "unsupported". Discard and write zeroes take one segment a request.
 */

#include "dev/virtio_blk.h"

#include "base/bits.h"

#include <stdio.h>
#include <string.h>

#define FEATURES                                                                                \
    (VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_DISCARD | \
     VIRTIO_BLK_F_WRITE_ZEROES)
#define SEGMENTS_MAX 1u /* of discard and write zeroes */
#define FLAG_UNMAP   1u

/* A request that is being served. The status is the last writable byte. */
struct request {
    struct virtio_blk *device;
    struct disk *disk;
    const struct virtqueue_chain *chain;
    struct bus *bus;
    uint32_t type;
    uint64_t sector;
    uint64_t out_bytes, in_bytes; /* of data */
};

/* Do sectors of size bytes from sector on lie on the disk? */
static bool on_disk(const struct disk *d, uint64_t sector, uint64_t size)
{
    uint64_t sectors = d->size_bytes / DISK_SECTOR_BYTES;
    return size % DISK_SECTOR_BYTES == 0 && sector <= sectors && size / DISK_SECTOR_BYTES <= sectors - sector;
}

static enum virtio_blk_status read_sectors(const struct request *r)
{
    uint8_t bytes[DISK_PAGE_BYTES];
    if (!on_disk(r->disk, r->sector, r->in_bytes)) {
        return VIRTIO_BLK_S_IOERR;
    }
    for (uint64_t done = 0; done < r->in_bytes; done += sizeof bytes) {
        uint64_t size = least_of(sizeof bytes, r->in_bytes - done);
        disk_read(r->disk, r->sector * DISK_SECTOR_BYTES + done, bytes, size);
        virtqueue_write(r->chain, r->bus, done, bytes, size);
    }
    r->device->sectors_read += r->in_bytes / DISK_SECTOR_BYTES;
    return VIRTIO_BLK_S_OK;
}

static enum virtio_blk_status write_sectors(const struct request *r)
{
    uint8_t bytes[DISK_PAGE_BYTES];
    if (!on_disk(r->disk, r->sector, r->out_bytes)) {
        return VIRTIO_BLK_S_IOERR;
    }
    for (uint64_t done = 0; done < r->out_bytes; done += sizeof bytes) {
        uint64_t size = least_of(sizeof bytes, r->out_bytes - done);
        virtqueue_read(r->chain, r->bus, VIRTIO_BLK_HEADER_BYTES + done, bytes, size);
        disk_write(r->disk, r->sector * DISK_SECTOR_BYTES + done, bytes, size);
    }
    r->device->sectors_written += r->out_bytes / DISK_SECTOR_BYTES;
    return VIRTIO_BLK_S_OK;
}

static enum virtio_blk_status erase_sectors(const struct request *r)
{
    uint8_t segment[VIRTIO_BLK_SEGMENT_BYTES];
    if (r->out_bytes != SEGMENTS_MAX * sizeof segment) {
        return VIRTIO_BLK_S_IOERR;
    }
    virtqueue_read(r->chain, r->bus, VIRTIO_BLK_HEADER_BYTES, segment, sizeof segment);
    uint64_t sector = load_le64(segment), size = load_le32(segment + 8) * (uint64_t)DISK_SECTOR_BYTES;
    uint32_t known = r->type == VIRTIO_BLK_T_WRITE_ZEROES ? FLAG_UNMAP : 0;
    if (load_le32(segment + 12) & ~known) {
        return VIRTIO_BLK_S_UNSUPP;
    }
    if (!on_disk(r->disk, sector, size)) {
        return VIRTIO_BLK_S_IOERR;
    }
    disk_write_zeroes(r->disk, sector * DISK_SECTOR_BYTES, size);
    r->device->sectors_written += size / DISK_SECTOR_BYTES;
    return VIRTIO_BLK_S_OK;
}

static enum virtio_blk_status tell_id(const struct request *r)
{
    char id[VIRTIO_BLK_ID_BYTES] = {0};
    snprintf(id, sizeof id, "orrery-disk-%u", r->device->config.number);
    virtqueue_write(r->chain, r->bus, 0, id, least_of(r->in_bytes, sizeof id));
    return VIRTIO_BLK_S_OK;
}

static enum virtio_blk_status serve_type(const struct request *r)
{
    switch (r->type) {
    case VIRTIO_BLK_T_IN:
        return read_sectors(r);
    case VIRTIO_BLK_T_OUT:
        return write_sectors(r);
    case VIRTIO_BLK_T_FLUSH:
        return VIRTIO_BLK_S_OK;
    case VIRTIO_BLK_T_GET_ID:
        return tell_id(r);
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES:
        return erase_sectors(r);
    default:
        return VIRTIO_BLK_S_UNSUPP;
    }
}

/* Bytes that are written without a gap from the first writable one on. */
static uint32_t written_bytes(const struct request *r, enum virtio_blk_status status)
{
    uint64_t data = status != VIRTIO_BLK_S_OK        ? 0
                    : r->type == VIRTIO_BLK_T_IN     ? r->in_bytes
                    : r->type == VIRTIO_BLK_T_GET_ID ? least_of(r->in_bytes, VIRTIO_BLK_ID_BYTES)
                                                     : 0;
    return (uint32_t)(data == r->in_bytes ? data + 1 : data);
}

static bool serve(void *device, const struct virtqueue_chain *c, struct bus *b, uint32_t *written)
{
    struct virtio_blk *d = device;
    uint8_t header[VIRTIO_BLK_HEADER_BYTES];
    if (c->readable_bytes < sizeof header || c->writable_bytes == 0) {
        return false; /* no header, or no place for the status */
    }
    virtqueue_read(c, b, 0, header, sizeof header);
    struct request r = {
        .device = d,
        .disk = &d->disk,
        .chain = c,
        .bus = b,
        .type = load_le32(header),
        .sector = load_le64(header + 8),
        .out_bytes = c->readable_bytes - sizeof header,
        .in_bytes = c->writable_bytes - 1,
    };
    enum virtio_blk_status status = serve_type(&r);
    d->requests++;
    uint8_t byte = (uint8_t)status;
    virtqueue_write(c, b, r.in_bytes, &byte, 1);
    *written = written_bytes(&r, status);
    return true;
}

static uint64_t cycles(void *device, const struct virtqueue_chain *c)
{
    const struct virtio_blk *d = device;
    uint64_t sectors = (c->readable_bytes + c->writable_bytes) / DISK_SECTOR_BYTES;
    return d->config.request_cycles + sectors * d->config.sector_cycles;
}

static void visit(void *device, struct visitor *v)
{
    struct virtio_blk *d = device;
    disk_visit(&d->disk, v);
    if (v->level >= VISIT_MACHINE) {
        visit_u64(v, "requests", &d->requests);
        visit_u64(v, "sectors_read", &d->sectors_read);
        visit_u64(v, "sectors_written", &d->sectors_written);
    }
}

static const struct virtio_type type = {
    .device_id = VIRTIO_ID_BLOCK,
    .features = FEATURES,
    .cycles = cycles,
    .serve = serve,
    .visit = visit,
};

static void fill_config_space(uint8_t *space, const struct disk *d)
{
    uint64_t sectors = d->size_bytes / DISK_SECTOR_BYTES; /* at most 2^21 */
    store_le64(space + VIRTIO_BLK_CAPACITY, sectors);
    store_le32(space + VIRTIO_BLK_SEG_MAX, VIRTQUEUE_SIZE_MAX - 2); /* header and status need one each */
    store_le32(space + VIRTIO_BLK_BLK_SIZE, DISK_SECTOR_BYTES);
    store_le32(space + VIRTIO_BLK_MAX_DISCARD_SECTORS, (uint32_t)sectors);
    store_le32(space + VIRTIO_BLK_MAX_DISCARD_SEG, SEGMENTS_MAX);
    store_le32(space + VIRTIO_BLK_DISCARD_SECTOR_ALIGNMENT, 1);
    store_le32(space + VIRTIO_BLK_MAX_WRITE_ZEROES_SECTORS, (uint32_t)sectors);
    store_le32(space + VIRTIO_BLK_MAX_WRITE_ZEROES_SEG, SEGMENTS_MAX);
    space[VIRTIO_BLK_WRITE_ZEROES_MAY_UNMAP] = 1;
}

void virtio_blk_init(struct virtio_blk *d, const struct virtio_blk_config *config,
                     const struct virtio_mmio_config *transport)
{
    struct virtio_mmio_config own = *transport;
    d->config = *config;
    d->requests = d->sectors_read = d->sectors_written = 0;
    own.type = &type;
    own.device = d;
    own.config_space_bytes = VIRTIO_BLK_CONFIG_BYTES;
    memset(own.config_space, 0, sizeof own.config_space);
    fill_config_space(own.config_space, &d->disk);
    virtio_mmio_init(&d->mmio, &own);
}
