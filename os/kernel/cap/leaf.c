/*
 * Leaves and their numbers. A leaf's frame carries its number in the frame table, so a record's address leads to its
 * number, and the directory leads from the number to the leaf. Numbers are used again after a grace period.
 */
#include "cap/cap_internal.h"

#include "lib/string.h"
#include "mm/frame.h"
#include "mm/kheap.h"

#define CHUNK_LEAVES 512u
#define CHUNKS       1024u /* 2 GiB of records */

static struct {
    struct spinlock lock;
    struct cap_leaf **chunks[CHUNKS]; /* a number that is not in use holds the next such number << 1 | 1 */
    uint32_t last;                    /* numbers given out so far */
    uint32_t first_free;              /* 0: none */
    uint32_t leaves;
} directory = {.lock = SPINLOCK_INIT("cap.leaves", CAP_LEAVES)};

static struct cap_leaf **entry_of(uint32_t number)
{
    return &directory.chunks[number / CHUNK_LEAVES][number % CHUNK_LEAVES];
}

/* Makes sure that the chunk of the next new number exists. */
static status_t directory_extend(void)
{
    uint32_t chunk = (__atomic_load_n(&directory.last, __ATOMIC_RELAXED) + 1) / CHUNK_LEAVES;
    if (chunk >= CHUNKS) {
        return STATUS_ERR_LIMIT;
    }
    if (__atomic_load_n(&directory.chunks[chunk], __ATOMIC_ACQUIRE) != NULL) {
        return STATUS_OK;
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    struct cap_leaf **entries = kzalloc(CHUNK_LEAVES * sizeof(*entries));
    if (entries == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    uint64_t irq = spin_lock_irqsave(&directory.lock);
    bool wanted = directory.chunks[chunk] == NULL;
    if (wanted) {
        __atomic_store_n(&directory.chunks[chunk], entries, __ATOMIC_RELEASE);
    }
    spin_unlock_irqrestore(&directory.lock, irq);
    if (!wanted) {
        kfree(entries);
    }
    return STATUS_OK;
}

/* False: the next number's chunk is missing. */
static bool number_take(struct cap_leaf *leaf)
{
    uint64_t irq = spin_lock_irqsave(&directory.lock);
    uint32_t number = directory.first_free;
    if (number != 0) {
        directory.first_free = (uint32_t)((uintptr_t)*entry_of(number) >> 1);
    } else if ((directory.last + 1) / CHUNK_LEAVES < CHUNKS &&
               directory.chunks[(directory.last + 1) / CHUNK_LEAVES] != NULL) {
        number = ++directory.last;
    }
    if (number != 0) {
        leaf->number = number;
        __atomic_store_n(entry_of(number), leaf, __ATOMIC_RELEASE);
        directory.leaves++;
    }
    spin_unlock_irqrestore(&directory.lock, irq);
    return number != 0;
}

static void number_give(uint32_t number)
{
    uint64_t irq = spin_lock_irqsave(&directory.lock);
    *entry_of(number) = (struct cap_leaf *)((uintptr_t)directory.first_free << 1 | 1);
    directory.first_free = number;
    directory.leaves--;
    spin_unlock_irqrestore(&directory.lock, irq);
}

static bool frame_take(struct cap_leaf *leaf)
{
    pfn_t pfn;
    if (frame_alloc(FRAME_ZERO, FRAME_OWNER_CAP, leaf->number, &pfn) != STATUS_OK) {
        return false;
    }
    leaf->records = arch_phys_to_virt(paddr_from_pfn(pfn));
    return true;
}

struct cap_leaf *leaf_create(struct cap_space *space, uint32_t index, uint32_t generation)
{
    struct cap_leaf *leaf = kzalloc(sizeof(*leaf));
    if (leaf == NULL) {
        return NULL;
    }
    while (!number_take(leaf)) {
        if (directory_extend() != STATUS_OK) {
            kfree(leaf);
            return NULL;
        }
    }
    if (!frame_take(leaf)) {
        number_give(leaf->number);
        kfree(leaf);
        return NULL;
    }
    leaf->space = space;
    leaf->index = (uint16_t)index;
    for (uint32_t i = 0; generation != 0 && i < LEAF_SLOTS; i++) {
        leaf->records[i].identity = generation;
    }
    return leaf;
}

static void leaf_release(struct rcu_node *node)
{
    struct cap_leaf *leaf = list_entry(node, struct cap_leaf, rcu);
    (void)frame_put(paddr_pfn(arch_virt_to_phys(leaf->records)));
    number_give(leaf->number);
    kfree(leaf);
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
