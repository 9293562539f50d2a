/*
 * A small allocator: one list of blocks in address order inside chunks of at least 64 KiB from the kernel,
 * first fit, neighbours joined on free, all under one lock. Deviation: chunks are never given back before the program ends.
 */
#include <stdbool.h>

#include "lib/orrery.h"
#include "lib/sync.h"

#define CHUNK_BYTES 65536u

struct block {
    size_t bytes; /* of the payload */
    bool used;
    struct block *next; /* by address; neighbours of one chunk touch */
    uint64_t padding;
};

static struct block *first;
static struct mutex lock;

static bool touches(const struct block *block, const struct block *next)
{
    return (const char *)(block + 1) + block->bytes == (const char *)next;
}

static void insert(struct block *block)
{
    struct block **at = &first;
    while (*at != NULL && *at < block) {
        at = &(*at)->next;
    }
    block->next = *at;
    *at = block;
}

static bool grow(size_t bytes)
{
    size_t total = (bytes + sizeof(struct block) + CHUNK_BYTES - 1) & ~(size_t)(CHUNK_BYTES - 1);
    int64_t address = sys_map(0, total, PROTECT_READ | PROTECT_WRITE);
    if (address < 0) {
        return false;
    }
    struct block *block = (struct block *)(uintptr_t)address;
    /* cppcheck-suppress nullPointerRedundantCheck ; sys_map gives no page at 0 */
    *block = (struct block){.bytes = total - sizeof(struct block)};
    insert(block);
    return true;
}

static void split(struct block *block, size_t bytes)
{
    if (block->bytes < bytes + 2 * sizeof(struct block)) {
        return;
    }
    struct block *rest = (struct block *)(void *)((char *)(block + 1) + bytes);
    *rest = (struct block){.bytes = block->bytes - bytes - sizeof(struct block), .next = block->next};
    block->bytes = bytes;
    block->next = rest;
}

/* A free block of at least that size, null when there is none. Locked. */
static struct block *find(size_t bytes)
{
    struct block *block = first;
    while (block != NULL && (block->used || block->bytes < bytes)) {
        block = block->next;
    }
    return block;
}

void *malloc(size_t bytes)
{
    if (bytes == 0 || bytes > SIZE_MAX / 2) {
        return NULL;
    }
    bytes = (bytes + 15) & ~(size_t)15;
    mutex_lock(&lock);
    struct block *block = find(bytes);
    if (block == NULL && grow(bytes)) {
        block = find(bytes);
    }
    if (block != NULL) {
        split(block, bytes);
        block->used = true;
    }
    mutex_unlock(&lock);
    return block != NULL ? block + 1 : NULL;
}

void free(void *pointer)
{
    if (pointer == NULL) {
        return;
    }
    mutex_lock(&lock);
    ((struct block *)pointer - 1)->used = false;
    for (struct block *block = first; block != NULL; block = block->next) {
        while (!block->used && block->next != NULL && !block->next->used && touches(block, block->next)) {
            block->bytes += block->next->bytes + sizeof(struct block);
            block->next = block->next->next;
        }
    }
    mutex_unlock(&lock);
}
