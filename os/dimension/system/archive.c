/* The directory of a disk. Deviations: kinds of members are not told apart: a folder is a file without bytes. */
#include "dimension/system/archive.h"

#include <stdbool.h>

#include "lib/cpio.h"
#include "lib/string.h"

struct walk {
    const struct archive_source *source;
    uint64_t at; /* the next header */
    char head[CPIO_HEADER_BYTES + ARCHIVE_NAME];
    struct archive_file file; /* of the header that was read last */
    bool has_name;            /* one that fits */
};

static uint64_t aligned(uint64_t offset)
{
    return (offset + CPIO_ALIGNMENT - 1) / CPIO_ALIGNMENT * CPIO_ALIGNMENT;
}

/* Header and name of the next member. */
static status_t member(struct walk *walk)
{
    uint64_t left = walk->source->bytes - walk->at;
    uint64_t bytes = left < sizeof walk->head ? left : sizeof walk->head;
    struct cpio_member member;
    if (left < CPIO_HEADER_BYTES) {
        return STATUS_ERR_BAD_IMAGE;
    }
    status_t status = walk->source->read(walk->source->context, walk->at, walk->head, bytes);
    status = status == STATUS_OK ? cpio_header(walk->head, &member) : status;
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t data = aligned(walk->at + CPIO_HEADER_BYTES + member.name_bytes);
    if (data > walk->source->bytes || member.file_bytes > walk->source->bytes - data) {
        return STATUS_ERR_BAD_IMAGE;
    }
    walk->has_name = member.name_bytes <= ARCHIVE_NAME;
    walk->file = (struct archive_file){.offset = data, .bytes = member.file_bytes};
    char last;
    if (walk->has_name) {
        memcpy(walk->file.name, walk->head + CPIO_HEADER_BYTES, member.name_bytes);
        last = walk->file.name[member.name_bytes - 1];
    } else {
        uint64_t end = walk->at + CPIO_HEADER_BYTES + member.name_bytes;
        status = walk->source->read(walk->source->context, end - 1, &last, 1);
    }
    return status == STATUS_OK && last != '\0' ? STATUS_ERR_BAD_IMAGE : status;
}

static status_t collect(struct archive *archive, struct walk *walk)
{
    for (uint32_t i = 0; i < ARCHIVE_MEMBERS; i++) {
        status_t status = member(walk);
        if (status != STATUS_OK || (walk->has_name && strcmp(walk->file.name, CPIO_TRAILER) == 0)) {
            return status;
        }
        if (walk->has_name) {
            if (archive->count == ARCHIVE_FILES) {
                return STATUS_ERR_LIMIT;
            }
            archive->files[archive->count++] = walk->file;
        }
        uint64_t next = aligned(walk->file.offset + walk->file.bytes);
        if (next > walk->source->bytes) {
            return STATUS_ERR_BAD_IMAGE;
        }
        walk->at = next;
    }
    return STATUS_ERR_LIMIT;
}

status_t archive_index(struct archive *archive, const struct archive_source *source, uint64_t *at)
{
    struct walk walk = {.source = source};
    archive->count = 0;
    status_t status = collect(archive, &walk);
    *at = walk.at;
    archive->count = status == STATUS_OK ? archive->count : 0;
    return status;
}

const struct archive_file *archive_find(const struct archive *archive, const char *name)
{
    for (uint32_t i = 0; i < archive->count; i++) {
        if (strcmp(archive->files[i].name, name) == 0) {
            return &archive->files[i];
        }
    }
    return NULL;
}
