/*
 * cpio "newc": a header of 110 ASCII characters (magic 070701 and thirteen 8-digit hexadecimal fields), the
 * name with its terminator padded to 4 bytes, the data padded to 4 bytes; a member called TRAILER!!! ends the
 * archive. Source: cpio(5), "New ASCII Format". Hostile input: every length is checked against what is left.
 */
#include "proc/initrd.h"

#include "lib/string.h"

#define HEADER_BYTES    110u
#define FIELD_FILE_SIZE 6u
#define FIELD_NAME_SIZE 11u

static const void *initrd_archive;
static uint64_t initrd_bytes;

static bool hex_field(const char *header, unsigned field, uint32_t *out)
{
    const char *digits = header + 6 + 8 * field;
    *out = 0;
    for (unsigned i = 0; i < 8; i++) {
        char c = digits[i];
        uint32_t digit;
        if (c >= '0' && c <= '9') {
            digit = (uint32_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (uint32_t)(c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            digit = (uint32_t)(c - 'A' + 10);
        } else {
            return false;
        }
        *out = *out << 4 | digit;
    }
    return true;
}

status_t cpio_next(const void *archive, uint64_t bytes, uint64_t *offset, struct initrd_file *out)
{
    if (*offset > bytes || bytes - *offset < HEADER_BYTES) {
        return STATUS_ERR_BAD_IMAGE;
    }
    const char *header = (const char *)archive + *offset;
    uint32_t name_bytes;
    uint32_t file_bytes;
    if (memcmp(header, "070701", 6) != 0 || !hex_field(header, FIELD_NAME_SIZE, &name_bytes) ||
        !hex_field(header, FIELD_FILE_SIZE, &file_bytes) || name_bytes == 0) {
        return STATUS_ERR_BAD_IMAGE;
    }
    uint64_t name_at = *offset + HEADER_BYTES;
    uint64_t data_at = align_up(name_at + name_bytes, 4);
    if (data_at > bytes || file_bytes > bytes - data_at) {
        return STATUS_ERR_BAD_IMAGE;
    }
    out->name = header + HEADER_BYTES;
    if (out->name[name_bytes - 1] != '\0') {
        return STATUS_ERR_BAD_IMAGE;
    }
    if (strcmp(out->name, "TRAILER!!!") == 0) {
        return STATUS_ERR_NOT_FOUND;
    }
    out->data = (const char *)archive + data_at;
    out->bytes = file_bytes;
    *offset = align_up(data_at + file_bytes, 4);
    return STATUS_OK;
}

void initrd_set(const void *archive, uint64_t bytes)
{
    initrd_archive = archive;
    initrd_bytes = bytes;
}

status_t initrd_find(const char *name, struct initrd_file *out)
{
    uint64_t offset = 0;
    if (initrd_archive == NULL) {
        return STATUS_ERR_NOT_FOUND;
    }
    if (name[0] == '/') {
        name++;
    }
    for (;;) {
        status_t status = cpio_next(initrd_archive, initrd_bytes, &offset, out);
        if (status != STATUS_OK || strcmp(out->name, name) == 0) {
            return status;
        }
    }
}
