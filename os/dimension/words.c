/* Rules of names, keywords and contexts. UTF-8 as RFC 3629 has it: shortest forms, no surrogates, at most U+10FFFF.
 * Deviations: none. */

#include "dimension/words.h"

#include "dimension/types.h"

static bool name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool dim_name_ok(const char *text, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++) {
        if (!name_character(text[i])) {
            return false;
        }
    }
    return bytes > 0 && bytes < DIM_NAME_BYTES;
}

/* Bytes of the character that begins there, 0 when none does; control characters are none. */
static unsigned character(const uint8_t *at, uint64_t left)
{
    if (at[0] < 0x80) {
        return at[0] >= 0x20 && at[0] != 0x7f;
    }
    unsigned bytes = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || bytes > left) {
        return 0;
    }
    uint32_t value = at[0] & (0x7fu >> bytes);
    for (unsigned i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (at[i] & 0x3f);
    }
    bool shortest = value >= (bytes == 4   ? 0x10000u
                              : bytes == 3 ? 0x800u
                                           : 0xa0u); /* U+0080..9f are controls */
    return shortest && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff) ? bytes : 0;
}

static bool characters_ok(const char *text, uint64_t bytes)
{
    const uint8_t *at = (const uint8_t *)text, *end = at + bytes;
    while (at < end) {
        unsigned size = character(at, (uint64_t)(end - at));
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}

bool dim_keyword_ok(const char *text, uint64_t bytes)
{
    if (bytes == 0 || bytes > DIM_MAX_KEYWORD_BYTES || text[0] == ' ' || text[bytes - 1] == ' ') {
        return false;
    }
    for (uint64_t i = 0; i < bytes; i++) {
        if (text[i] == ',') {
            return false;
        }
    }
    return characters_ok(text, bytes);
}

bool dim_line_ok(const char *text, uint64_t bytes)
{
    return bytes <= DIM_MAX_LINE_BYTES && characters_ok(text, bytes);
}

bool dim_contexts_ok(const uint8_t *text, uint64_t bytes)
{
    uint64_t start = 0;
    for (uint64_t i = 0; i < bytes; i++) {
        if (text[i] == '\n') {
            if (!dim_line_ok((const char *)text + start, i - start)) {
                return false;
            }
            start = i + 1;
        }
    }
    return start == bytes;
}
