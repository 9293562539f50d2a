/* Lists and a map without bounds. */

#include "oracle.h"

#include <stdlib.h>

void *zeroed(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size);
    if (p == NULL) {
        perror("oracle");
        exit(2);
    }
    return p;
}

void list_push(struct list *l, u64 value)
{
    if (l->count == l->room) {
        l->room = l->room * 2 + 64;
        l->at = realloc(l->at, l->room * sizeof(*l->at));
        if (l->at == NULL) {
            perror("oracle");
            exit(2);
        }
    }
    l->at[l->count++] = value;
}

static size_t place(const struct map *m, u64 key)
{
    size_t at = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (m->room - 1);
    while (m->there[at] && m->keys[at] != key) {
        at = (at + 1) & (m->room - 1);
    }
    return at;
}

static void map_grow(struct map *m)
{
    const struct map old = *m;
    m->room = old.room == 0 ? 256 : old.room * 2;
    m->keys = zeroed(m->room, sizeof(*m->keys));
    m->values = zeroed(m->room, sizeof(*m->values));
    m->there = zeroed(m->room, sizeof(*m->there));
    for (size_t i = 0; i < old.room; i++) {
        if (old.there[i]) {
            const size_t at = place(m, old.keys[i]);
            m->there[at] = true;
            m->keys[at] = old.keys[i];
            m->values[at] = old.values[i];
        }
    }
    free(old.keys);
    free(old.values);
    free(old.there);
}

u64 *map_at(struct map *m, u64 key, bool *found)
{
    if (m->count * 2 >= m->room) {
        map_grow(m);
    }
    const size_t at = place(m, key);
    *found = m->there[at];
    if (!m->there[at]) {
        m->there[at] = true;
        m->keys[at] = key;
        m->count++;
    }
    return &m->values[at];
}

u64 *map_find(const struct map *m, u64 key)
{
    if (m->room == 0) {
        return NULL;
    }
    const size_t at = place(m, key);
    return m->there[at] ? &m->values[at] : NULL;
}
