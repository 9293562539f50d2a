#ifndef OS_KERNEL_MM_POOL_H
#define OS_KERNEL_MM_POOL_H

/* Memory pools: a reserved minimum of objects on top of a slab cache. An allocation that the cache cannot
 * serve is served from the reserve; frees fill the reserve first. */

#include "lib/spinlock.h"
#include "mm/slab.h"

#define MEMORY_POOL_MAX 256u

struct memory_pool {
    struct spinlock lock;
    struct slab_cache *cache;
    uint32_t reserve; /* objects wanted in reserve */
    uint32_t count;   /* objects in reserve now */
    uint64_t served_from_reserve;
    void *objects[MEMORY_POOL_MAX];
};

/* Takes `reserve` (1..MEMORY_POOL_MAX) objects from the cache. STATUS_ERR_NO_MEMORY (nothing kept),
 * STATUS_ERR_RANGE. */
MUST_CHECK status_t memory_pool_init(struct memory_pool *pool, struct slab_cache *cache, uint32_t reserve);
/* Gives the reserve back; objects in use stay valid and go back to the cache by slab_free. */
void memory_pool_deinit(struct memory_pool *pool);

/* Null only when cache and reserve are both exhausted. */
void *memory_pool_alloc(struct memory_pool *pool);
void memory_pool_free(struct memory_pool *pool, void *object);

#endif
