/* State visitors: digest, save, load, compare over one list of fields. */

#include "base/visit.h"

#include "base/bits.h"
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct digest_visitor {
    struct visitor base;
    XXH3_state_t *hash;
};

struct digest digest_bytes(const void *p, size_t size)
{
    XXH128_hash_t h = XXH3_128bits(p, size);
    return (struct digest){h.high64, h.low64};
}

/* Elements in host order -> little-endian bytes. */
static void elements_to_le(uint8_t *out, const void *elements, unsigned size_bytes, size_t count)
{
    if (is_little_endian()) {
        memcpy(out, elements, size_bytes * count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *in = (const uint8_t *)elements + i * size_bytes;
        uint64_t value;
        uint16_t v16;
        uint32_t v32;
        switch (size_bytes) {
        case 1:
            value = *in;
            break;
        case 2:
            memcpy(&v16, in, 2);
            value = v16;
            break;
        case 4:
            memcpy(&v32, in, 4);
            value = v32;
            break;
        default:
            memcpy(&value, in, 8);
            break;
        }
        store_le(out + i * size_bytes, value, size_bytes);
    }
}

static void elements_from_le(void *elements, const uint8_t *bytes, unsigned size_bytes, size_t count)
{
    if (is_little_endian()) {
        memcpy(elements, bytes, size_bytes * count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t *out = (uint8_t *)elements + i * size_bytes;
        uint64_t value = load_le(bytes + i * size_bytes, size_bytes);
        uint8_t v8 = (uint8_t)value;
        uint16_t v16 = (uint16_t)value;
        uint32_t v32 = (uint32_t)value;
        switch (size_bytes) {
        case 1:
            *out = v8;
            break;
        case 2:
            memcpy(out, &v16, 2);
            break;
        case 4:
            memcpy(out, &v32, 4);
            break;
        default:
            memcpy(out, &value, 8);
            break;
        }
    }
}

#define CHUNK_ELEMENTS 512u

static void digest_array(struct visitor *v, const char *name, void *elements, unsigned size_bytes,
                         size_t count)
{
    (void)name;
    struct digest_visitor *d = (struct digest_visitor *)v;
    if (is_little_endian()) {
        XXH3_128bits_update(d->hash, elements, size_bytes * count);
        return;
    }
    uint8_t bytes[CHUNK_ELEMENTS * 8];
    for (size_t done = 0; done < count;) {
        size_t n = count - done < CHUNK_ELEMENTS ? count - done : CHUNK_ELEMENTS;
        elements_to_le(bytes, (const uint8_t *)elements + done * size_bytes, size_bytes, n);
        XXH3_128bits_update(d->hash, bytes, n * size_bytes);
        done += n;
    }
}

struct digest_visitor *digest_visitor_create(enum visit_level level)
{
    struct digest_visitor *d = calloc(1, sizeof *d);
    CHECK(d, "out of memory");
    d->base = (struct visitor){.level = level, .array = digest_array};
    d->hash = XXH3_createState();
    CHECK(d->hash, "out of memory");
    XXH3_128bits_reset(d->hash);
    return d;
}

struct visitor *digest_visitor_base(struct digest_visitor *d)
{
    return &d->base;
}

struct digest digest_visitor_finish(struct digest_visitor *d)
{
    XXH128_hash_t h = XXH3_128bits_digest(d->hash);
    XXH3_freeState(d->hash);
    free(d);
    return (struct digest){h.high64, h.low64};
}

void state_buffer_deinit(struct state_buffer *b)
{
    free(b->bytes);
    *b = (struct state_buffer){0};
}

uint8_t *state_buffer_extend(struct state_buffer *b, size_t size)
{
    if (b->size + size > b->capacity) {
        size_t capacity = b->capacity ? b->capacity * 2 : 4096;
        while (capacity < b->size + size) {
            capacity *= 2;
        }
        b->bytes = realloc(b->bytes, capacity);
        CHECK(b->bytes, "out of memory: %zu bytes of state", capacity);
        b->capacity = capacity;
    }
    uint8_t *at = b->bytes + b->size;
    b->size += size;
    return at;
}

const uint8_t *state_buffer_take(struct state_buffer *b, size_t size)
{
    if (b->size - b->position < size) {
        return NULL;
    }
    const uint8_t *at = b->bytes + b->position;
    b->position += size;
    return at;
}

static void tell_where(struct visitor *v, const char *name)
{
    struct buffer_visitor *s = (struct buffer_visitor *)v;
    snprintf(s->where, sizeof s->where, "%.100s%.40s", s->path, name);
}

static void save_array(struct visitor *v, const char *name, void *elements, unsigned size_bytes, size_t count)
{
    (void)name;
    struct buffer_visitor *s = (struct buffer_visitor *)v;
    elements_to_le(state_buffer_extend(s->buffer, size_bytes * count), elements, size_bytes, count);
}

static void load_array(struct visitor *v, const char *name, void *elements, unsigned size_bytes, size_t count)
{
    struct buffer_visitor *s = (struct buffer_visitor *)v;
    const uint8_t *bytes = v->failed ? NULL : state_buffer_take(s->buffer, size_bytes * count);
    visit_require(v, name, bytes != NULL);
    if (bytes) {
        elements_from_le(elements, bytes, size_bytes, count);
    }
}

static void compare_array(struct visitor *v, const char *name, void *elements, unsigned size_bytes,
                          size_t count)
{
    struct buffer_visitor *s = (struct buffer_visitor *)v;
    if (s->differs) {
        return; /* behind a difference in a count the two no longer run in step */
    }
    const uint8_t *expected = state_buffer_take(s->buffer, size_bytes * count);
    uint8_t actual[8];
    if (!expected) {
        s->differs = true;
        tell_where(v, name);
    }
    for (size_t i = 0; i < count && !s->differs; i++) {
        elements_to_le(actual, (const uint8_t *)elements + i * size_bytes, size_bytes, 1);
        if (memcmp(actual, expected + i * size_bytes, size_bytes) != 0) {
            s->differs = true;
            snprintf(s->where, sizeof s->where, "%.100s%.40s[%zu]", s->path, name, i);
        }
    }
}

static void path_enter(struct visitor *v, const char *name, unsigned index)
{
    struct buffer_visitor *s = (struct buffer_visitor *)v;
    CHECK(s->depth < sizeof s->path_ends / sizeof s->path_ends[0], "state nested too deeply at %s", name);
    size_t end = strlen(s->path);
    s->path_ends[s->depth++] = (unsigned)end;
    snprintf(s->path + end, sizeof s->path - end, "%s%u.", name, index);
}

static void path_leave(struct visitor *v)
{
    struct buffer_visitor *s = (struct buffer_visitor *)v;
    CHECK(s->depth > 0, "visit_leave without visit_enter");
    s->path[s->path_ends[--s->depth]] = 0;
}

void save_visitor_init(struct buffer_visitor *s, enum visit_level level, struct state_buffer *buffer)
{
    *s = (struct buffer_visitor){.base = {.level = level, .array = save_array}, .buffer = buffer};
    buffer->size = 0;
}

void load_visitor_init(struct buffer_visitor *s, enum visit_level level, struct state_buffer *buffer)
{
    *s = (struct buffer_visitor){
        .base = {.level = level,
                 .loading = true,
                 .array = load_array,
                 .enter = path_enter,
                 .leave = path_leave,
                 .refused = tell_where},
        .buffer = buffer,
    };
    buffer->position = 0;
}

void compare_visitor_init(struct buffer_visitor *s, enum visit_level level, struct state_buffer *buffer)
{
    *s = (struct buffer_visitor){
        .base = {.level = level, .array = compare_array, .enter = path_enter, .leave = path_leave},
        .buffer = buffer,
    };
    buffer->position = 0;
}
