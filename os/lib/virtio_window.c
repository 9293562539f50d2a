/* Windows of virtio devices on the command line. Source: Linux, Documentation/admin-guide, "virtio_mmio.device". */
#include "lib/virtio_window.h"

#include <stddef.h>

#define WORD "virtio_mmio.device="

static unsigned digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    if (c >= 'a' && c <= 'f') {
        return (unsigned)(c - 'a') + 10;
    }
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

/* A number, decimal or with 0x; false: none, or too large. */
static bool number(const char **at, uint64_t *out)
{
    unsigned base = 10;
    if ((*at)[0] == '0' && ((*at)[1] == 'x' || (*at)[1] == 'X')) {
        base = 16;
        *at += 2;
    }
    const char *first = *at;
    for (*out = 0; digit_of(**at) < base; ++*at) {
        if (*out > (UINT64_MAX - 15) / 16) {
            return false;
        }
        *out = *out * base + digit_of(**at);
    }
    return *at != first;
}

static bool size(const char **at, uint64_t *out)
{
    bool good = number(at, out) && *out <= UINT32_MAX;
    unsigned shift = 0;
    if (good && (**at == 'K' || **at == 'k')) {
        shift = 10;
    } else if (good && **at == 'M') {
        shift = 20;
    }
    *at += shift != 0;
    *out <<= good ? shift : 0;
    return good;
}

static bool expect(const char **at, char c)
{
    bool there = **at == c;
    *at += there;
    return there;
}

static bool ends(char c)
{
    return c == ' ' || c == '\0';
}

/* What is behind the '=' of a word. */
static bool parse(const char *at, struct virtio_window *out)
{
    uint64_t line;
    uint64_t id;
    if (!size(&at, &out->bytes) || !expect(&at, '@') || !number(&at, &out->base) || !expect(&at, ':') ||
        !number(&at, &line) || (expect(&at, ':') && !number(&at, &id)) || !ends(*at)) {
        return false;
    }
    out->line = (uint32_t)line;
    return line <= UINT32_MAX && out->bytes >= VIRTIO_WINDOW_LEAST && out->base <= UINT64_MAX - out->bytes &&
           out->base % 4 == 0;
}

static bool begins_with(const char *text, const char *start)
{
    while (*start != '\0' && *text == *start) {
        text++;
        start++;
    }
    return *start == '\0';
}

bool virtio_window_next(const char **at, struct virtio_window *out)
{
    bool found = false;
    while (!found && **at != '\0' && !begins_with(*at, "-- ")) {
        found = begins_with(*at, WORD) && parse(*at + sizeof(WORD) - 1, out);
        while (!ends(**at)) {
            ++*at;
        }
        while (**at == ' ') {
            ++*at;
        }
    }
    return found;
}
