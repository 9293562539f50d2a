/* Machines for tests that run a few instructions. */

#include "guest_image.h"

#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEADER_BYTES 32u

struct sim *guest_create_image(const struct sim_config *c, const uint8_t *image, size_t size)
{
    struct sim_config defaults;
    struct error e = {""};
    struct sim_image i = {"guest", image, size, NULL, 0, NULL};
    sim_config_init(&defaults);
    struct sim *s = sim_create(c ? c : &defaults, &e);
    if (!s || !sim_load(s, &i, &e)) {
        fail_msg("%s", e.text);
    }
    return s;
}

uint8_t *guest_image(const uint8_t *code, const uint8_t *end, size_t *bytes)
{
    size_t size = (size_t)(end - code) + HEADER_BYTES;
    uint8_t *image = calloc(1, size);
    assert_non_null(image);
    *bytes = size;
    store_le32(image, 0x1badb002);
    store_le32(image + 4, 0x10000);
    store_le32(image + 8, 0u - 0x1badb002u - 0x10000u);
    store_le32(image + 12, GUEST_BASE - HEADER_BYTES);
    store_le32(image + 16, GUEST_BASE - HEADER_BYTES);
    store_le32(image + 28, GUEST_BASE);
    memcpy(image + HEADER_BYTES, code, size - HEADER_BYTES);
    return image;
}

struct sim *guest_create(const struct sim_config *c, const uint8_t *code, const uint8_t *end)
{
    size_t size;
    uint8_t *image = guest_image(code, end, &size);
    struct sim *s = guest_create_image(c, image, size);
    free(image);
    return s;
}
