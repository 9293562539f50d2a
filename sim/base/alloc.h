#ifndef ORRERY_BASE_ALLOC_H
#define ORRERY_BASE_ALLOC_H

/* Memory of the simulator that must be there: none left is an internal error, told by CHECK. */

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

/* count elements of size_bytes, zeroed; free() ends them. */
static inline void *alloc_zeroed(size_t count, size_t size_bytes)
{
    void *p = calloc(count, size_bytes);
    CHECK(p, "out of memory: %zu times %zu bytes", count, size_bytes);
    return p;
}

/* A copy of a text, or NULL of NULL. */
static inline char *alloc_text(const char *text)
{
    size_t bytes = text ? strlen(text) + 1 : 0;
    return text ? memcpy(alloc_zeroed(bytes, 1), text, bytes) : NULL;
}

#endif
