#ifndef ORRERY_OBSERVE_INDEX_H
#define ORRERY_OBSERVE_INDEX_H

/* A table from three words to a number. Nothing depends on its inner order: it cannot be walked through. All zero: empty. */

#include <stddef.h>
#include <stdint.h>

#define INDEX_NONE UINT32_MAX

struct index_key {
    uint64_t a, b, c;
};

struct index {
    struct index_key *keys;
    uint32_t *values;
    size_t capacity, count; /* capacity: a power of two */
};

/* The number of a key, or INDEX_NONE. */
uint32_t index_find(const struct index *x, struct index_key key);
/* The key is new. */
void index_add(struct index *x, struct index_key key, uint32_t value);
void index_free(struct index *x);

/* Room for one element more of an array that has count of them: a power of two, from 64. */
void *index_grow(void *elements, size_t count, size_t size_bytes);

#endif
