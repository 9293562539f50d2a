#ifndef OS_DIMENSION_POOL_H
#define OS_DIMENSION_POOL_H

/*
 * PoolAllocator: blocks of 4, 16, 64 and 256 KiB. A *pool* is one chunk of memory cut into blocks of one size, with a
 * bitmap of the used ones. All pools lie in one reservation of limit_bytes, the i-th at i x pool_bytes, so the pool of
 * an address needs no search.
 *
 * Growth: when no pool of the wanted size has a free block, the first unused chunk becomes one; when there is none, an
 * empty pool of another size is taken over. Pools are given back to the platform by block_pool_trim only.
 *
 * The limit holds for what is allocated and for what is taken from the platform: the reservation ends there.
 */

#include <stddef.h>
#include <stdint.h>

#include "abi/status.h"
#include "dimension/lock.h"
#include "dimension/platform.h"

#define BLOCK_POOL_CLASSES    4u
#define BLOCK_POOL_LEAST      4096u /* bytes of the smallest block; each further size is four times as large */
#define BLOCK_POOL_GREATEST   262144u /* of the largest */
#define BLOCK_POOL_MAX_POOLS  1024u
#define BLOCK_POOL_MAX_BLOCKS 256u /* in one pool */

struct block_pool_config {
    uint64_t limit_bytes; /* a multiple of BLOCK_POOL_LEAST, at least that; the last pool is what remains */
    uint64_t
        pool_bytes; /* a multiple of BLOCK_POOL_GREATEST, at most BLOCK_POOL_MAX_BLOCKS x BLOCK_POOL_LEAST */
};

struct block_pool_chunk {
    uint64_t used[BLOCK_POOL_MAX_BLOCKS / 64]; /* a bit a block */
    uint16_t blocks;                           /* 0: no pool here, nothing committed */
    uint16_t used_blocks;
    uint8_t size_class;
    uint8_t reserved[3];
};

/* Members are the allocator's own; statistics are read through block_pool_stats_read. */
struct block_pool {
    const struct dim_platform *platform;
    struct block_pool_config config;
    struct dim_lock lock; /* chunks, counts of classes, committed */
    uint64_t base;        /* address of the reservation */
    uint32_t chunk_count;
    uint32_t likely[BLOCK_POOL_CLASSES]; /* chunk that last gave or got a block of that size */
    uint32_t reserved;
    uint64_t allocated_bytes; /* atomic, as are the next three */
    uint64_t peak_bytes;
    uint64_t committed_bytes;
    uint64_t refused;
    struct block_pool_chunk chunks[BLOCK_POOL_MAX_POOLS];
};

struct block_pool_class_stats {
    uint64_t block_bytes;
    uint64_t pools;
    uint64_t blocks; /* in those pools */
    uint64_t used_blocks;
};

struct block_pool_stats {
    struct block_pool_class_stats classes[BLOCK_POOL_CLASSES];
    uint64_t allocated_bytes; /* in blocks handed out */
    uint64_t peak_bytes;      /* the most that ever was */
    uint64_t committed_bytes; /* in pools */
    uint64_t limit_bytes;
    uint64_t refused; /* requests that the limit refused */
    /*
     * Fragmentation index: bytes that lie free in pools which a used block holds, in thousandths of the committed
     * bytes. 0: every pool is full or empty. Near 1000: almost nothing holds almost everything.
     */
    uint32_t fragmentation_permille;
    uint32_t reserved;
};

/* Reserves the address space. Fails with STATUS_ERR_ARGUMENT (configuration) or what the platform said. */
MUST_CHECK status_t block_pool_init(struct block_pool *pool, const struct block_pool_config *config,
                                    const struct dim_platform *platform);

/*
 * Gives everything back, used blocks too; the pool is unusable afterwards even when this fails. Goes on after a
 * failure and returns the first one.
 */
status_t block_pool_deinit(struct block_pool *pool);

/*
 * A block of the smallest size that holds bytes; its contents are arbitrary. STATUS_ERR_ARGUMENT for 0,
 * STATUS_ERR_RANGE above BLOCK_POOL_GREATEST, STATUS_ERR_LIMIT when no pool can be had, else what the platform said.
 */
MUST_CHECK status_t block_pool_alloc(struct block_pool *pool, uint64_t bytes, void **block);

/* STATUS_ERR_FOREIGN: no address of this pool; STATUS_ERR_UNALIGNED: inside of a block; STATUS_ERR_DOUBLE_FREE. */
MUST_CHECK status_t block_pool_free(struct block_pool *pool, void *block);

/* Gives empty pools back to the platform; the first failure, after all have been tried. */
status_t block_pool_trim(struct block_pool *pool);

/* A consistent snapshot; waits for the allocator's lock. */
void block_pool_stats_read(struct block_pool *pool, struct block_pool_stats *stats);

#endif
