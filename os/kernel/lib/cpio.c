/* Headers of cpio archives. Deviations: only the two lengths are looked at. */
#include "lib/cpio.h"

#include <stdbool.h>

#include "lib/string.h"

#define FIELD_FILE_SIZE 6u
#define FIELD_NAME_SIZE 11u

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

status_t cpio_header(const char *header, struct cpio_member *out)
{
    bool good = memcmp(header, "070701", 6) == 0 && hex_field(header, FIELD_NAME_SIZE, &out->name_bytes) &&
                hex_field(header, FIELD_FILE_SIZE, &out->file_bytes) && out->name_bytes != 0;
    return good ? STATUS_OK : STATUS_ERR_BAD_IMAGE;
}
