/* The boot image, an archive as lib/cpio.h describes it. Hostile input: every length is checked against what is left. */
#include "proc/initrd.h"

#include "lib/cpio.h"
#include "lib/string.h"

#define INDEX_FILES 64u

/* The first files are known by where they lie: every spawn and exec looks for one. */
static struct {
    const void *archive; /* null: none */
    uint64_t bytes;
    struct initrd_file files[INDEX_FILES];
    unsigned count;
    uint64_t rest; /* offset of what is in no index: another member, damage or the end */
} initrd;

status_t cpio_next(const void *archive, uint64_t bytes, uint64_t *offset, struct initrd_file *out)
{
    if (*offset > bytes || bytes - *offset < CPIO_HEADER_BYTES) {
        return STATUS_ERR_BAD_IMAGE;
    }
    const char *header = (const char *)archive + *offset;
    struct cpio_member member;
    if (cpio_header(header, &member) != STATUS_OK) {
        return STATUS_ERR_BAD_IMAGE;
    }
    uint64_t data_at = align_up(*offset + CPIO_HEADER_BYTES + member.name_bytes, CPIO_ALIGNMENT);
    if (data_at > bytes || member.file_bytes > bytes - data_at) {
        return STATUS_ERR_BAD_IMAGE;
    }
    out->name = header + CPIO_HEADER_BYTES;
    if (out->name[member.name_bytes - 1] != '\0') {
        return STATUS_ERR_BAD_IMAGE;
    }
    if (strcmp(out->name, CPIO_TRAILER) == 0) {
        return STATUS_ERR_NOT_FOUND;
    }
    out->data = (const char *)archive + data_at;
    out->bytes = member.file_bytes;
    *offset = align_up(data_at + member.file_bytes, CPIO_ALIGNMENT);
    return STATUS_OK;
}

void initrd_set(const void *archive, uint64_t bytes)
{
    initrd.archive = archive;
    initrd.bytes = bytes;
    initrd.count = 0;
    initrd.rest = 0;
    while (archive != NULL && initrd.count < INDEX_FILES &&
           cpio_next(archive, bytes, &initrd.rest, &initrd.files[initrd.count]) == STATUS_OK) {
        initrd.count++;
    }
}

status_t initrd_find(const char *name, struct initrd_file *out)
{
    if (initrd.archive == NULL) {
        return STATUS_ERR_NOT_FOUND;
    }
    if (name[0] == '/') {
        name++;
    }
    for (unsigned i = 0; i < initrd.count; i++) {
        if (strcmp(initrd.files[i].name, name) == 0) {
            *out = initrd.files[i];
            return STATUS_OK;
        }
    }
    for (uint64_t offset = initrd.rest;;) {
        status_t status = cpio_next(initrd.archive, initrd.bytes, &offset, out);
        if (status != STATUS_OK || strcmp(out->name, name) == 0) {
            return status;
        }
    }
}
