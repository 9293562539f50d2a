/* Memory pools: a guaranteed minimum on top of a slab cache. Deviations: none. */

#include "mm/pool.h"

status_t memory_pool_init(struct memory_pool *pool, struct slab_cache *cache, uint32_t reserve)
{
    if (reserve == 0 || reserve > MEMORY_POOL_MAX) {
        return STATUS_ERR_RANGE;
    }
    spinlock_init(&pool->lock, cache->name, LOCK_CLASS_MEMORY_POOL);
    pool->cache = cache;
    pool->reserve = reserve;
    pool->count = 0;
    pool->served_from_reserve = 0;
    while (pool->count < reserve) {
        void *object = slab_alloc(cache);
        if (object == NULL) {
            memory_pool_deinit(pool);
            return STATUS_ERR_NO_MEMORY;
        }
        pool->objects[pool->count++] = object;
    }
    return STATUS_OK;
}

void memory_pool_deinit(struct memory_pool *pool)
{
    while (pool->count > 0) {
        slab_free(pool->cache, pool->objects[--pool->count]);
    }
    pool->reserve = 0;
}

void *memory_pool_alloc(struct memory_pool *pool)
{
    void *object = slab_alloc(pool->cache);
    if (object != NULL) {
        return object;
    }
    uint64_t flags = spin_lock_irqsave(&pool->lock);
    if (pool->count > 0) {
        object = pool->objects[--pool->count];
        pool->served_from_reserve++;
    }
    spin_unlock_irqrestore(&pool->lock, flags);
    return object;
}

void memory_pool_free(struct memory_pool *pool, void *object)
{
    uint64_t flags = spin_lock_irqsave(&pool->lock);
    bool kept = pool->count < pool->reserve;
    if (kept) {
        pool->objects[pool->count++] = object;
    }
    spin_unlock_irqrestore(&pool->lock, flags);
    if (!kept) {
        slab_free(pool->cache, object);
    }
}
