/* Open addressing, at most half full. */

#include "observe/index.h"

#include "base/alloc.h"

static size_t place_of(const struct index *x, struct index_key k)
{
    uint64_t h = (k.a ^ k.a >> 29) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ k.b ^ h >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ k.c ^ h >> 31) * UINT64_C(0x94d049bb133111eb);
    size_t at = (size_t)(h ^ h >> 30) & (x->capacity - 1);
    while (x->values[at] != INDEX_NONE &&
           (x->keys[at].a != k.a || x->keys[at].b != k.b || x->keys[at].c != k.c)) {
        at = (at + 1) & (x->capacity - 1);
    }
    return at;
}

uint32_t index_find(const struct index *x, struct index_key key)
{
    return x->capacity ? x->values[place_of(x, key)] : INDEX_NONE;
}

static void put(struct index *x, struct index_key key, uint32_t value)
{
    size_t at = place_of(x, key);
    x->keys[at] = key;
    x->values[at] = value;
    x->count++;
}

static void grow(struct index *x)
{
    struct index old = *x;
    *x = (struct index){.capacity = old.capacity ? old.capacity * 2 : 256};
    x->keys = alloc_zeroed(x->capacity, sizeof *x->keys);
    x->values = alloc_zeroed(x->capacity, sizeof *x->values);
    for (size_t i = 0; i < x->capacity; i++) {
        x->values[i] = INDEX_NONE;
    }
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.values[i] != INDEX_NONE) {
            put(x, old.keys[i], old.values[i]);
        }
    }
    index_free(&old);
}

void index_add(struct index *x, struct index_key key, uint32_t value)
{
    if (x->count * 2 >= x->capacity) {
        grow(x);
    }
    put(x, key, value);
}

void index_free(struct index *x)
{
    free(x->keys);
    free(x->values);
}

void *index_grow(void *elements, size_t count, size_t size_bytes)
{
    if (count != 0 && (count < 64 || (count & (count - 1)) != 0)) {
        return elements;
    }
    void *grown = realloc(elements, (count ? count * 2 : 64) * size_bytes);
    CHECK(grown, "out of memory: %zu times %zu bytes", count, size_bytes);
    return grown;
}
