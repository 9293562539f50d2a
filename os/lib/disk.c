/* Clients of a disk. Deviations: one request at a time. */
#include "lib/disk.h"

#include "lib/names.h"

status_t disk_ask(const struct disk *disk, unsigned label, uint64_t first, uint64_t second,
                  struct ipc_registers *answer)
{
    *answer =
        (struct ipc_registers){.words = {first, second}, .tag = ipc_tag(label, 2, 0), .time = IPC_FOREVER};
    int64_t status = sys_ipc_call(disk->server, answer);
    if (status == STATUS_OK) {
        status = ipc_tag_words(answer->tag) != 0 ? (int64_t)answer->words[0] : STATUS_ERR_NO_ANSWER;
    }
    return (status_t)status;
}

/* Asks for the buffer and maps it. */
static status_t open_buffer(struct disk *disk)
{
    struct ipc_registers m;
    status_t status = disk_ask(disk, DISK_OPEN, 0, 0, &m);
    if (status != STATUS_OK) {
        return status;
    }
    if (ipc_tag_handles(m.tag) != 1 || ipc_tag_words(m.tag) != 3 || (int64_t)m.words[2] <= 0) {
        return STATUS_ERR_NO_ANSWER;
    }
    disk->region = (handle_t)m.words[2];
    disk->buffer_bytes = m.words[1];
    int64_t at = sys_region_map(disk->region, 0, disk->buffer_bytes, 0, PROTECT_READ | PROTECT_WRITE);
    disk->buffer = at > 0 ? (unsigned char *)(uint64_t)at : NULL;
    return at > 0 ? STATUS_OK : (status_t)at;
}

status_t disk_open(struct disk *disk, uint64_t patience_ns)
{
    struct ipc_registers m;
    int64_t found = name_wait(DISK_NAME, patience_ns);
    *disk = (struct disk){.server = found > 0 ? (handle_t)found : 0};
    status_t status = found > 0 ? disk_ask(disk, DISK_INFO, 0, 0, &m) : (status_t)found;
    if (status == STATUS_OK) {
        disk->bytes = m.words[1] <= UINT64_MAX / DISK_SECTOR_BYTES ? m.words[1] * DISK_SECTOR_BYTES : 0;
        disk->writable = (m.words[2] & 1) != 0;
        status = open_buffer(disk);
    }
    if (status != STATUS_OK) {
        disk_close(disk);
    }
    return status;
}

/* Bytes from offset on that one request can reach, counted from its first sector. */
static uint64_t piece_of(const struct disk *disk, uint64_t offset, uint64_t bytes)
{
    uint64_t room = disk->buffer_bytes - offset % DISK_SECTOR_BYTES;
    return bytes < room ? bytes : room;
}

status_t disk_read(const struct disk *disk, uint64_t offset, void *to, uint64_t bytes)
{
    if (offset > disk->bytes || bytes > disk->bytes - offset) {
        return STATUS_ERR_RANGE;
    }
    status_t status = STATUS_OK;
    for (uint64_t done = 0; done < bytes && status == STATUS_OK;) {
        struct ipc_registers m;
        uint64_t skipped = (offset + done) % DISK_SECTOR_BYTES;
        uint64_t piece = piece_of(disk, offset + done, bytes - done);
        uint64_t sectors = (skipped + piece + DISK_SECTOR_BYTES - 1) / DISK_SECTOR_BYTES;
        status = disk_ask(disk, DISK_READ, (offset + done) / DISK_SECTOR_BYTES, sectors, &m);
        if (status == STATUS_OK) {
            memcpy((char *)to + done, disk->buffer + skipped, piece);
        }
        done += piece;
    }
    return status;
}

status_t disk_write(const struct disk *disk, uint64_t offset, const void *from, uint64_t bytes)
{
    struct ipc_registers m;
    if (offset % DISK_SECTOR_BYTES != 0 || bytes % DISK_SECTOR_BYTES != 0) {
        return STATUS_ERR_UNALIGNED;
    }
    if (offset > disk->bytes || bytes > disk->bytes - offset) {
        return STATUS_ERR_RANGE;
    }
    status_t status = STATUS_OK;
    for (uint64_t done = 0; done < bytes && status == STATUS_OK;) {
        uint64_t piece = piece_of(disk, offset + done, bytes - done);
        memcpy(disk->buffer, (const char *)from + done, piece);
        status =
            disk_ask(disk, DISK_WRITE, (offset + done) / DISK_SECTOR_BYTES, piece / DISK_SECTOR_BYTES, &m);
        done += piece;
    }
    return status == STATUS_OK ? disk_ask(disk, DISK_FLUSH, 0, 0, &m) : status;
}

void disk_close(struct disk *disk)
{
    struct ipc_registers m;
    if (disk->buffer != NULL) {
        (void)sys_unmap((uint64_t)disk->buffer, disk->buffer_bytes);
    }
    if (disk->region != 0) {
        status_t given_up = disk_ask(disk, DISK_CLOSE, 0, 0, &m);
        (void)given_up; /* a server that has gone has it no more */
        (void)sys_cap_delete(disk->region);
    }
    if (disk->server != 0) {
        (void)sys_cap_delete(disk->server);
    }
    *disk = (struct disk){0};
}
