/*
 * PoolAllocator. Searches are linear over at most 1024 chunk headers and four bitmap words; what a program allocates
 * here is pages, not objects. Deviations: none.
 */

#include "dimension/pool.h"

#include <stdbool.h>

#include "lib/string.h"

#define NO_CHUNK UINT32_MAX

/* Changes a figure that only the lock's holder writes; others may read it. */
static inline void add(uint64_t *figure, uint64_t more)
{
    __atomic_store_n(figure, *figure + more, __ATOMIC_RELAXED);
}

static uint64_t class_bytes(uint32_t size_class)
{
    return (uint64_t)BLOCK_POOL_LEAST << (2 * size_class);
}

/* bytes is at least 1 and at most BLOCK_POOL_GREATEST: two bits a size above the twelve of the least. */
static uint32_t class_of(uint64_t bytes)
{
    uint32_t bits = 64 - (uint32_t)__builtin_clzll((bytes - 1) | (BLOCK_POOL_LEAST - 1));
    return (bits - 11) / 2;
}

static uint64_t chunk_bytes(const struct block_pool *pool, uint32_t index)
{
    uint64_t rest = pool->config.limit_bytes - index * pool->config.pool_bytes;
    return rest < pool->config.pool_bytes ? rest : pool->config.pool_bytes;
}

static uint64_t chunk_address(const struct block_pool *pool, uint32_t index)
{
    return pool->base + index * pool->config.pool_bytes;
}

static bool config_ok(const struct block_pool_config *config)
{
    uint64_t most = (uint64_t)BLOCK_POOL_MAX_BLOCKS * BLOCK_POOL_LEAST;
    return config->pool_bytes > 0 && config->pool_bytes % BLOCK_POOL_GREATEST == 0 &&
           config->pool_bytes <= most && config->limit_bytes > 0 &&
           config->limit_bytes % BLOCK_POOL_LEAST == 0 &&
           config->limit_bytes <= BLOCK_POOL_MAX_POOLS * config->pool_bytes;
}

status_t block_pool_init(struct block_pool *pool, const struct block_pool_config *config,
                         const struct dim_platform *platform)
{
    memset(pool, 0, sizeof *pool);
    if (!config_ok(config)) {
        return STATUS_ERR_ARGUMENT;
    }
    pool->platform = platform;
    pool->config = *config;
    status_t status = platform->reserve(platform->context, config->limit_bytes, &pool->base);
    if (status == STATUS_OK) {
        pool->chunk_count = (uint32_t)((config->limit_bytes + config->pool_bytes - 1) / config->pool_bytes);
    }
    return status;
}

/* Makes a chunk a pool of no size again. */
static status_t drop_chunk(struct block_pool *pool, uint32_t index)
{
    uint64_t bytes = chunk_bytes(pool, index);
    memset(&pool->chunks[index], 0, sizeof pool->chunks[index]);
    add(&pool->committed_bytes, 0 - bytes);
    return pool->platform->unmap(pool->platform->context, chunk_address(pool, index), bytes);
}

static status_t drop_chunks(struct block_pool *pool, bool used_too)
{
    status_t first = STATUS_OK;
    for (uint32_t i = 0; i < pool->chunk_count; i++) {
        const struct block_pool_chunk *chunk = &pool->chunks[i];
        if (chunk->blocks > 0 && (used_too || chunk->used_blocks == 0)) {
            status_t status = drop_chunk(pool, i);
            first = first == STATUS_OK ? status : first;
        }
    }
    return first;
}

status_t block_pool_deinit(struct block_pool *pool)
{
    if (pool->chunk_count == 0) {
        return STATUS_OK;
    }
    const struct dim_platform *platform = pool->platform;
    status_t first = drop_chunks(pool, true);
    status_t status = platform->release(platform->context, pool->base, pool->config.limit_bytes);
    memset(pool, 0, sizeof *pool);
    return first == STATUS_OK ? status : first;
}

static bool has_free(const struct block_pool_chunk *chunk, uint32_t size_class)
{
    return chunk->size_class == size_class && chunk->used_blocks < chunk->blocks;
}

static uint32_t find_free(const struct block_pool *pool, uint32_t size_class)
{
    if (has_free(&pool->chunks[pool->likely[size_class]], size_class)) {
        return pool->likely[size_class];
    }
    for (uint32_t i = 0; i < pool->chunk_count; i++) {
        if (has_free(&pool->chunks[i], size_class)) {
            return i;
        }
    }
    return NO_CHUNK;
}

/* The first chunk that could become a pool of that size: an uncommitted one, or one whose blocks are all free. */
static uint32_t find_spare(const struct block_pool *pool, uint32_t size_class, bool committed)
{
    for (uint32_t i = 0; i < pool->chunk_count; i++) {
        const struct block_pool_chunk *chunk = &pool->chunks[i];
        if (chunk->used_blocks == 0 && (chunk->blocks > 0) == committed &&
            chunk_bytes(pool, i) >= class_bytes(size_class)) {
            return i;
        }
    }
    return NO_CHUNK;
}

static status_t grow(struct block_pool *pool, uint32_t size_class, uint32_t *index)
{
    *index = find_spare(pool, size_class, false);
    if (*index != NO_CHUNK) {
        uint64_t bytes = chunk_bytes(pool, *index);
        status_t status = pool->platform->commit(pool->platform->context, chunk_address(pool, *index), bytes);
        if (status != STATUS_OK) {
            return status;
        }
        add(&pool->committed_bytes, bytes);
    } else {
        *index = find_spare(pool, size_class, true);
    }
    if (*index == NO_CHUNK) {
        add(&pool->refused, 1);
        return STATUS_ERR_LIMIT;
    }
    struct block_pool_chunk *chunk = &pool->chunks[*index];
    chunk->size_class = (uint8_t)size_class;
    chunk->blocks = (uint16_t)(chunk_bytes(pool, *index) / class_bytes(size_class));
    return STATUS_OK;
}

/* The chunk has a free block. */
static inline void *take_block(struct block_pool *pool, uint32_t index)
{
    struct block_pool_chunk *chunk = &pool->chunks[index];
    uint32_t word = 0;
    while (chunk->used[word] == UINT64_MAX) {
        word++;
    }
    uint32_t bit = (uint32_t)__builtin_ctzll(~chunk->used[word]);
    uint64_t bytes = class_bytes(chunk->size_class);
    chunk->used[word] |= UINT64_C(1) << bit;
    chunk->used_blocks++;
    uint64_t allocated = pool->allocated_bytes + bytes;
    __atomic_store_n(&pool->allocated_bytes, allocated, __ATOMIC_RELAXED);
    if (allocated > pool->peak_bytes) {
        __atomic_store_n(&pool->peak_bytes, allocated, __ATOMIC_RELAXED);
    }
    return (void *)(uintptr_t)(chunk_address(pool, index) + (word * 64 + bit) * bytes);
}

/* When the ticket must wait for its turn, or the likely chunk has no free block. */
static __attribute__((noinline)) status_t alloc_slowly(struct block_pool *pool, uint32_t size_class,
                                                       uint32_t ticket, void **block)
{
    status_t status = STATUS_OK;
    dim_lock_wait(&pool->lock, ticket, pool->platform);
    uint32_t index = find_free(pool, size_class);
    if (index == NO_CHUNK) {
        status = grow(pool, size_class, &index);
    }
    if (status == STATUS_OK) {
        pool->likely[size_class] = index;
        *block = take_block(pool, index);
    }
    dim_lock_drop(&pool->lock);
    return status;
}

/* The usual way calls nothing, so that no register has to be saved. */
status_t block_pool_alloc(struct block_pool *pool, uint64_t bytes, void **block)
{
    if (bytes == 0 || pool->chunk_count == 0) {
        return STATUS_ERR_ARGUMENT;
    }
    if (bytes > BLOCK_POOL_GREATEST) {
        return STATUS_ERR_RANGE;
    }
    uint32_t size_class = class_of(bytes), ticket = dim_lock_draw(&pool->lock);
    if (dim_lock_is_served(&pool->lock, ticket)) {
        uint32_t index = pool->likely[size_class];
        if (has_free(&pool->chunks[index], size_class)) {
            *block = take_block(pool, index);
            dim_lock_drop(&pool->lock);
            return STATUS_OK;
        }
    }
    return alloc_slowly(pool, size_class, ticket, block);
}

static status_t free_locked(struct block_pool *pool, uint64_t offset)
{
    struct block_pool_chunk *chunk = &pool->chunks[offset / pool->config.pool_bytes];
    uint64_t bytes = class_bytes(chunk->size_class), inside = offset % pool->config.pool_bytes;
    if (inside % bytes != 0) {
        return STATUS_ERR_UNALIGNED;
    }
    uint64_t bit = UINT64_C(1) << (inside / bytes % 64), *word = &chunk->used[inside / bytes / 64];
    if (inside / bytes >= chunk->blocks || !(*word & bit)) {
        return STATUS_ERR_DOUBLE_FREE;
    }
    *word &= ~bit;
    chunk->used_blocks--;
    pool->likely[chunk->size_class] = (uint32_t)(offset / pool->config.pool_bytes);
    add(&pool->allocated_bytes, 0 - bytes);
    return STATUS_OK;
}

status_t block_pool_free(struct block_pool *pool, void *block)
{
    uint64_t address = (uint64_t)(uintptr_t)block;
    if (pool->chunk_count == 0 || address < pool->base || address - pool->base >= pool->config.limit_bytes) {
        return STATUS_ERR_FOREIGN;
    }
    dim_lock_take(&pool->lock, pool->platform);
    status_t status = free_locked(pool, address - pool->base);
    dim_lock_drop(&pool->lock);
    return status;
}

status_t block_pool_trim(struct block_pool *pool)
{
    dim_lock_take(&pool->lock, pool->platform);
    status_t status = drop_chunks(pool, false);
    dim_lock_drop(&pool->lock);
    return status;
}

/* Adds a pool's figures to its size's; returns the bytes in it that are free but held. */
static uint64_t count_chunk(const struct block_pool_chunk *chunk, struct block_pool_stats *stats)
{
    struct block_pool_class_stats *of = &stats->classes[chunk->size_class];
    of->pools++;
    of->blocks += chunk->blocks;
    of->used_blocks += chunk->used_blocks;
    return chunk->used_blocks ? (uint64_t)(chunk->blocks - chunk->used_blocks) * of->block_bytes : 0;
}

void block_pool_stats_read(struct block_pool *pool, struct block_pool_stats *stats)
{
    uint64_t held = 0;
    memset(stats, 0, sizeof *stats);
    for (uint32_t i = 0; i < BLOCK_POOL_CLASSES; i++) {
        stats->classes[i].block_bytes = class_bytes(i);
    }
    if (pool->chunk_count == 0) {
        return;
    }
    dim_lock_take(&pool->lock, pool->platform);
    for (uint32_t i = 0; i < pool->chunk_count; i++) {
        held += pool->chunks[i].blocks ? count_chunk(&pool->chunks[i], stats) : 0;
    }
    stats->allocated_bytes = __atomic_load_n(&pool->allocated_bytes, __ATOMIC_RELAXED);
    stats->peak_bytes = __atomic_load_n(&pool->peak_bytes, __ATOMIC_RELAXED);
    stats->committed_bytes = __atomic_load_n(&pool->committed_bytes, __ATOMIC_RELAXED);
    stats->refused = __atomic_load_n(&pool->refused, __ATOMIC_RELAXED);
    dim_lock_drop(&pool->lock);
    stats->limit_bytes = pool->config.limit_bytes;
    stats->fragmentation_permille =
        stats->committed_bytes ? (uint32_t)(held * 1000 / stats->committed_bytes) : 0;
}
