/*
 * Leaves and their numbers. A leaf's frame carries its number in the frame table, so a record's address leads to its
 * number, and the directory leads from the number to the leaf. Numbers are used again after a grace period. The directory
 * grows and shrinks by chunks: a leaf gets the lowest free chunk's number, and a chunk without a leaf goes back to the heap.
 */
#include "cap/cap_internal.h"

#include "lib/string.h"
#include "mm/frame_cache.h"
#include "mm/kheap.h"
#include "panic.h"

#define CHUNK_LEAVES 512u
#define CHUNKS       1024u /* 2 GiB of records */

struct chunk {
    /* Null: no such chunk. A free entry holds the index of the next free one << 1 | 1. */
    struct cap_leaf **entries;
    uint16_t used;
    uint16_t first_free; /* CHUNK_LEAVES: none */
};

static struct {
    struct spinlock lock;
    struct chunk chunks[CHUNKS];
    uint32_t limit;      /* chunks at and above do not exist */
    uint32_t first_room; /* chunks below have no free entry */
    uint32_t leaves;
} directory = {.lock = SPINLOCK_INIT("cap.leaves", CAP_LEAVES)};

static struct slab_cache leaf_cache;

status_t leaf_system_init(void)
{
    return slab_cache_init(&leaf_cache, "cap-leaf", sizeof(struct cap_leaf), 64,
                           0); /* each taking of a slot writes it */
}

/* Of a number in use, whose chunk stays. */
static struct cap_leaf **entry_of(uint32_t number)
{
    return &directory.chunks[number / CHUNK_LEAVES].entries[number % CHUNK_LEAVES];
}

static struct cap_leaf *free_entry(uint32_t next)
{
    return (struct cap_leaf *)((uintptr_t)next << 1 | 1);
}

/* The entries of a chunk, all free; null: no memory. */
static struct cap_leaf **entries_create(void)
{
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    struct cap_leaf **entries = kmalloc(CHUNK_LEAVES * sizeof(*entries));
    for (uint32_t i = 0; entries != NULL && i < CHUNK_LEAVES; i++) {
        entries[i] = free_entry(i + 1);
    }
    return entries;
}

/* A chunk that has a free entry, null when none has. Locked. */
static struct chunk *chunk_with_room(void)
{
    for (; directory.first_room < directory.limit; directory.first_room++) {
        struct chunk *chunk = &directory.chunks[directory.first_room];
        if (chunk->entries != NULL && chunk->first_free != CHUNK_LEAVES) {
            return chunk;
        }
    }
    return NULL;
}

/* Puts entries at the place of the first chunk that does not exist; false when all exist. Locked. */
static bool chunk_install(struct cap_leaf **entries)
{
    uint32_t place = 0;
    while (place < directory.limit && directory.chunks[place].entries != NULL) {
        place++;
    }
    if (place == CHUNKS) {
        return false;
    }
    directory.chunks[place] = (struct chunk){entries, 0, place == 0 ? 1 : 0}; /* no leaf is number 0 */
    directory.limit = place == directory.limit ? place + 1 : directory.limit;
    directory.first_room = place;
    return true;
}

/* Makes sure that there was a free entry; false: no memory, or all chunks are full. */
static bool directory_extend(void)
{
    struct cap_leaf **entries = entries_create();
    if (entries == NULL) {
        return false;
    }
    uint64_t irq = spin_lock_irqsave(&directory.lock);
    bool others = chunk_with_room() != NULL;
    bool installed = !others && chunk_install(entries);
    spin_unlock_irqrestore(&directory.lock, irq);
    if (!installed) {
        kfree(entries);
    }
    return others || installed;
}

/* False: no chunk has a free entry. */
static bool number_take(struct cap_leaf *leaf)
{
    uint64_t irq = spin_lock_irqsave(&directory.lock);
    struct chunk *chunk = chunk_with_room();
    if (chunk != NULL) {
        struct cap_leaf **entry = &chunk->entries[chunk->first_free];
        leaf->number = (uint32_t)(chunk - directory.chunks) * CHUNK_LEAVES + chunk->first_free;
        chunk->first_free = (uint16_t)((uintptr_t)*entry >> 1);
        chunk->used++;
        directory.leaves++;
        __atomic_store_n(entry, leaf, __ATOMIC_RELEASE);
    }
    spin_unlock_irqrestore(&directory.lock, irq);
    return chunk != NULL;
}

static void number_give(uint32_t number)
{
    struct cap_leaf **unused = NULL;
    uint64_t irq = spin_lock_irqsave(&directory.lock);
    uint32_t place = number / CHUNK_LEAVES;
    struct chunk *chunk = &directory.chunks[place];
    *entry_of(number) = free_entry(chunk->first_free);
    chunk->first_free = (uint16_t)(number % CHUNK_LEAVES);
    chunk->used--;
    directory.leaves--;
    directory.first_room = place < directory.first_room ? place : directory.first_room;
    if (chunk->used == 0) {
        unused = chunk->entries;
        chunk->entries = NULL;
        directory.limit -= place + 1 == directory.limit ? 1 : 0;
    }
    spin_unlock_irqrestore(&directory.lock, irq);
    kfree(unused);
}

static bool frame_take(struct cap_leaf *leaf)
{
    pfn_t pfn;
    if (frame_cache_alloc(FRAME_CACHE_CAP_RECORDS, 1, FRAME_ZERO, leaf->number, &pfn) != STATUS_OK) {
        return false;
    }
    leaf->records = arch_phys_to_virt(paddr_from_pfn(pfn));
    return true;
}

struct cap_leaf *leaf_create(struct cap_space *space, uint32_t index, uint32_t generation)
{
    struct cap_leaf *leaf = slab_alloc(&leaf_cache);
    if (leaf == NULL) {
        return NULL;
    }
    *leaf = (struct cap_leaf){.space = space, .index = (uint16_t)index, .free_first = LEAF_SLOTS};
    list_init(&leaf->node);
    while (!number_take(leaf)) {
        if (!directory_extend()) {
            slab_free(&leaf_cache, leaf);
            return NULL;
        }
    }
    if (!frame_take(leaf)) {
        number_give(leaf->number);
        slab_free(&leaf_cache, leaf);
        return NULL;
    }
    for (uint32_t i = 0; generation != 0 && i < LEAF_SLOTS; i++) {
        leaf->records[i].generation = (uint16_t)generation;
    }
    return leaf;
}

static void leaf_release(struct rcu_node *node)
{
    struct cap_leaf *leaf = list_entry(node, struct cap_leaf, rcu);
    pfn_t pfn = paddr_pfn(arch_virt_to_phys(leaf->records));
    if (frame_cache_free(FRAME_CACHE_CAP_RECORDS, 1, pfn) != STATUS_OK) {
        panic("capabilities: the records of leaf %u at frame %llx are not its own", leaf->number,
              (unsigned long long)pfn);
    }
    number_give(leaf->number);
    slab_free(&leaf_cache, leaf);
}

void leaf_free(struct cap_leaf *leaf)
{
    rcu_defer(&leaf->rcu, leaf_release);
}

struct cap_leaf *leaf_of(uint32_t reference)
{
    return __atomic_load_n(entry_of((reference & ~REF_CHILDREN) >> LEAF_SHIFT), __ATOMIC_ACQUIRE);
}

struct capability *record_of(uint32_t reference)
{
    return &leaf_of(reference)->records[reference % LEAF_SLOTS];
}

uint32_t slot_reference(const struct cap_space *space, uint32_t slot)
{
    const struct capability *first = slot_record(space, slot) - slot % LEAF_SLOTS;
    return frame_lookup(paddr_pfn(arch_virt_to_phys(first)))->owner_id << LEAF_SHIFT | slot % LEAF_SLOTS;
}

uint32_t leaf_count(void)
{
    return __atomic_load_n(&directory.leaves, __ATOMIC_RELAXED);
}
