/*
 * The slots of a space. Each leaf has a list of its free ones, and the space one of the leaves that have any; the well-known
 * slots are in no list: those are taken by name. A reserved slot is empty with FLAG_RESERVED in its word. Leaves come when no
 * slot is free and go when they are empty and there are enough free slots without them; their slots' highest generation
 * stays in the root.
 */
#include "cap/cap_internal.h"

#include "mm/kheap.h"

#define FREE_ENOUGH (2 * LEAF_SLOTS) /* a leaf may go if so many are free, its own too */
/* A leaf with a slot of that generation stays, or all would be retired. */
#define TIRED (LAST_GENERATION - 256)

static uint64_t last_stamp;

void space_restamp(struct cap_space *space)
{
    uint64_t stamp = __atomic_add_fetch(&last_stamp, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&space->stamp, stamp, __ATOMIC_SEQ_CST);
}

void record_empty(struct capability *record)
{
    id_write(record, 0);
    generation_write(record, record->generation + 1u);
}

static bool record_retired(const struct capability *record)
{
    return record->generation == LAST_GENERATION;
}

/* ---- lists of free and of revoked slots; space locked ---- */

static void free_push(struct cap_space *space, struct cap_leaf *leaf, uint32_t slot)
{
    if (leaf->free_first == LEAF_SLOTS) {
        list_push_front(&space->free_leaves, &leaf->node);
    }
    leaf->records[slot % LEAF_SLOTS].siblings.next = leaf->free_first;
    leaf->free_first = (uint8_t)(slot % LEAF_SLOTS);
    space->free_count++;
}

/* There is one. Its leaf and the slot in it. */
static struct cap_leaf *free_pop(struct cap_space *space, uint32_t *slot)
{
    struct cap_leaf *leaf = list_entry(space->free_leaves.next, struct cap_leaf, node);
    *slot = leaf->free_first;
    leaf->free_first = (uint8_t)leaf->records[*slot].siblings.next;
    if (leaf->free_first == LEAF_SLOTS) {
        list_remove(&leaf->node);
    }
    space->free_count--;
    return leaf;
}

static void revoked_push(struct cap_space *space, uint32_t slot)
{
    slot_record(space, slot)->siblings = (struct cap_link){.next = 0, .prev = space->revoked_last};
    if (space->revoked_last != 0) {
        slot_record(space, space->revoked_last)->siblings.next = slot;
    } else {
        space->revoked_first = slot;
    }
    space->revoked_last = slot;
    space->revoked_count++;
}

static void revoked_unlink(struct cap_space *space, uint32_t slot)
{
    struct cap_link link = slot_record(space, slot)->siblings;
    if (link.prev != 0) {
        slot_record(space, link.prev)->siblings.next = link.next;
    } else {
        space->revoked_first = link.next;
    }
    if (link.next != 0) {
        slot_record(space, link.next)->siblings.prev = link.prev;
    } else {
        space->revoked_last = link.prev;
    }
    space->revoked_count--;
    if (space->revoked_old > space->revoked_count) {
        space->revoked_old = space->revoked_count;
    }
}

/* ---- leaves of a space ---- */

static uint32_t highest_generation(const struct cap_leaf *leaf)
{
    uint32_t highest = 0;
    for (uint32_t i = 0; i < LEAF_SLOTS; i++) {
        uint32_t generation = leaf->records[i].generation;
        highest = generation > highest ? generation : highest;
    }
    return highest;
}

/* Lets an empty leaf go when so many slots are free. Space locked. */
static void leaf_detach(struct cap_space *space, struct cap_leaf *leaf, uint32_t enough)
{
    uint32_t generation = highest_generation(leaf);
    if (leaf->used != 0 || leaf->index == 0 || space->free_count < enough || generation >= TIRED) {
        return;
    }
    list_remove(&leaf->node);
    space->free_count -= LEAF_SLOTS;
    __atomic_store_n(&space->root[leaf->index], (root_word_t)generation << 1 | 1, __ATOMIC_RELEASE);
    leaf_free(leaf);
}

void cap_space_trim(struct cap_space *space)
{
    uint64_t irq = spin_lock_irqsave(&space->lock);
    for (uint32_t index = 1; index < space->reach / LEAF_SLOTS; index++) {
        root_word_t word = space->root[index];
        if (word != 0 && (word & 1) == 0) {
            leaf_detach(space, leaf_of(slot_reference(space, index * LEAF_SLOTS)), 0);
        }
    }
    spin_unlock_irqrestore(&space->lock, irq);
}

status_t space_widen(struct cap_space *space)
{
    root_word_t *root = kzalloc(SPACE_LEAVES * sizeof(*root));
    if (root == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    uint64_t irq = spin_lock_irqsave(&space->lock);
    bool small = space->reach == LEAF_SLOTS;
    if (small) {
        root[0] = space->first_leaf;
        __atomic_store_n(&space->root, root, __ATOMIC_RELEASE);
        __atomic_store_n(&space->reach, CAP_MAX_SLOTS, __ATOMIC_RELEASE);
    }
    spin_unlock_irqrestore(&space->lock, irq);
    if (!small) {
        kfree(root);
    }
    return STATUS_OK;
}

/* Links the slots that are free in a leaf that nobody knows yet, all but those whose bit is set; retired ones count as used. */
static uint32_t chain_free(struct cap_leaf *leaf, const uint64_t *except)
{
    uint32_t first = leaf->index == 0 ? CAP_WELL_KNOWN_SLOTS : 0;
    uint32_t count = 0;
    for (uint32_t i = LEAF_SLOTS; i-- > 0;) {
        struct capability *record = &leaf->records[i];
        if ((except[i / 64] >> i % 64 & 1) != 0) {
            continue;
        }
        if (record_retired(record)) {
            leaf->used++;
        } else if (i >= first) {
            record->siblings.next = leaf->free_first;
            leaf->free_first = (uint8_t)i;
            count++;
        }
    }
    return count;
}

/* Its free slots, so many, can be taken. Space locked. */
static void leaf_attach(struct cap_space *space, struct cap_leaf *leaf, uint32_t free_slots)
{
    if (free_slots != 0) {
        list_push_front(&space->free_leaves, &leaf->node);
        space->free_count += free_slots;
    }
}

status_t space_add_leaf(struct cap_space *space, uint32_t index, uint32_t generation)
{
    struct cap_leaf *leaf = leaf_create(space, index, generation);
    if (leaf == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    uint32_t free_slots = chain_free(leaf, (const uint64_t[LEAF_SLOTS / 64]){0});
    uint64_t irq = spin_lock_irqsave(&space->lock);
    root_word_t *word = &space->root[index];
    bool wanted = *word == 0 || *word == ((root_word_t)generation << 1 | 1);
    if (wanted) {
        __atomic_store_n(word, (root_word_t)leaf->records, __ATOMIC_RELEASE);
        leaf_attach(space, leaf, free_slots);
    }
    spin_unlock_irqrestore(&space->lock, irq);
    if (!wanted) {
        leaf_free(leaf);
    }
    return STATUS_OK;
}

status_t space_grow(struct cap_space *space)
{
    if (__atomic_load_n(&space->reach, __ATOMIC_ACQUIRE) == LEAF_SLOTS) {
        status_t status = space_widen(space);
        if (status != STATUS_OK) {
            return status;
        }
    }
    for (uint32_t index = 1; index < SPACE_LEAVES; index++) {
        root_word_t word = __atomic_load_n(&space->root[index], __ATOMIC_ACQUIRE);
        if (word == 0 || (word & 1) != 0) {
            return space_add_leaf(space, index, (uint32_t)(word >> 1));
        }
    }
    return STATUS_ERR_CAP_QUOTA;
}

/* ---- taking and giving ---- */

/* Space locked. */
static void give_locked(struct cap_space *space, uint32_t slot)
{
    struct cap_leaf *leaf = leaf_of(slot_reference(space, slot));
    struct capability *record = &leaf->records[slot % LEAF_SLOTS];
    word_write(record, 0); /* who finds it finds the generation of now */
    space->used--;
    if (record_retired(record)) {
        return; /* its leaf counts it as used for ever */
    }
    leaf->used--;
    if (slot >= CAP_WELL_KNOWN_SLOTS) {
        free_push(space, leaf, slot);
    }
    if (leaf->used == 0) {
        leaf_detach(space, leaf, FREE_ENOUGH);
    }
}

static uint32_t collect_locked(struct cap_space *space, uint32_t limit)
{
    uint32_t count = 0;
    while (count < limit && space->revoked_first != 0) {
        uint32_t slot = space->revoked_first;
        revoked_unlink(space, slot);
        record_empty(slot_record(space, slot));
        give_locked(space, slot);
        count++;
    }
    return count;
}

/* Whether `wanted`, or any slot when that is 0, can be taken. Space locked. */
static status_t may_take(struct cap_space *space, uint32_t wanted)
{
    if (space->closed) {
        return STATUS_ERR_DEAD;
    }
    if (space->used >= space->limit || (wanted == 0 && space->free_count == 0)) {
        cap_count(CAP_COUNT_COLLECTED, collect_locked(space, COLLECT_STEP));
    }
    if (space->used >= space->limit) {
        return STATUS_ERR_CAP_QUOTA;
    }
    if (wanted == 0) {
        return space->free_count != 0 ? STATUS_OK : STATUS_ERR_AGAIN;
    }
    const struct capability *record = slot_record(space, wanted);
    if (record->id != 0 || record->word != 0) {
        return STATUS_ERR_EXISTS;
    }
    return record_retired(record) ? STATUS_ERR_CAP_QUOTA : STATUS_OK;
}

status_t slot_take(struct cap_space *space, uint32_t wanted, uint32_t *slot)
{
    uint64_t irq = spin_lock_irqsave(&space->lock);
    status_t status = may_take(space, wanted);
    if (status == STATUS_OK) {
        uint32_t in_leaf = wanted;
        struct cap_leaf *leaf =
            wanted == 0 ? free_pop(space, &in_leaf) : leaf_of(slot_reference(space, wanted));
        word_write(&leaf->records[in_leaf], FLAG_RESERVED);
        leaf->used++;
        space->used++;
        *slot = leaf->index * LEAF_SLOTS + in_leaf;
    }
    spin_unlock_irqrestore(&space->lock, irq);
    return status;
}

static void make_free_locked(struct cap_space *space, struct cap_leaf *leaf, uint32_t slot)
{
    if (record_retired(&leaf->records[slot % LEAF_SLOTS])) {
        leaf->used++;
    } else if (slot >= CAP_WELL_KNOWN_SLOTS) {
        free_push(space, leaf, slot);
    }
}

void slot_make_free(struct cap_space *space, uint32_t slot)
{
    uint64_t irq = spin_lock_irqsave(&space->lock);
    make_free_locked(space, leaf_of(slot_reference(space, slot)), slot);
    spin_unlock_irqrestore(&space->lock, irq);
}

void slots_make_free(struct cap_space *space, struct cap_leaf *leaf, const uint64_t *except)
{
    uint32_t free_slots = chain_free(leaf, except);
    uint64_t irq = spin_lock_irqsave(&space->lock);
    leaf_attach(space, leaf, free_slots);
    spin_unlock_irqrestore(&space->lock, irq);
}

void slot_give(struct cap_space *space, uint32_t slot)
{
    uint64_t irq = spin_lock_irqsave(&space->lock);
    give_locked(space, slot);
    spin_unlock_irqrestore(&space->lock, irq);
}

/* ---- revoked ones ---- */

void slot_bury(uint32_t reference)
{
    const struct cap_leaf *leaf = leaf_of(reference);
    struct cap_space *space = leaf->space;
    struct capability *record = record_of(reference);
    spin_lock(&space->lock);
    word_write(record, (record->word & (WORD_TYPE | WORD_RIGHTS)) | FLAG_REVOKED);
    space_restamp(space);
    revoked_push(space, leaf->index * LEAF_SLOTS + reference % LEAF_SLOTS);
    if (space->revoked_count == 1) {
        collector_add(space);
    }
    spin_unlock(&space->lock);
}

status_t slot_unbury(struct cap_space *space, uint32_t slot, uint64_t id)
{
    uint64_t irq = spin_lock_irqsave(&space->lock);
    struct capability *record = slot_record(space, slot);
    status_t status = STATUS_ERR_CAP_GENERATION;
    if (record != NULL && record->id == id && (record->word & FLAG_REVOKED) != 0) {
        revoked_unlink(space, slot);
        record_empty(record);
        give_locked(space, slot);
        status = STATUS_OK;
    }
    spin_unlock_irqrestore(&space->lock, irq);
    return status;
}

uint32_t space_collect(struct cap_space *space, uint32_t limit)
{
    uint64_t irq = spin_lock_irqsave(&space->lock);
    uint32_t count = collect_locked(space, limit);
    spin_unlock_irqrestore(&space->lock, irq);
    return count;
}
