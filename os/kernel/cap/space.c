/* Spaces: making, cloning, ending, and what exec keeps. */
#include "cap/cap_internal.h"

#include "mm/kheap.h"

static struct slab_cache space_cache;

status_t space_system_init(void)
{
    return slab_cache_init(&space_cache, "cap-space", sizeof(struct cap_space), 64, 0);
}

/* Without its first leaf. */
static struct cap_space *space_bare(struct pid pid)
{
    struct cap_space *space = slab_alloc(&space_cache);
    if (space == NULL) {
        return NULL;
    }
    *space = (struct cap_space){.pid = pid, .references = 1, .limit = CAP_MAX_SLOTS, .reach = LEAF_SLOTS};
    spinlock_init(&space->lock, "cap.space", LOCK_CLASS_CAP_SPACE);
    list_init(&space->free_leaves);
    list_init(&space->collector_node);
    space->root = &space->first_leaf;
    space_restamp(space);
    return space;
}

struct cap_space *cap_space_create(struct pid pid)
{
    struct cap_space *space = space_bare(pid);
    if (space != NULL && space_add_leaf(space, 0, 0) != STATUS_OK) {
        slab_free(&space_cache, space);
        return NULL;
    }
    return space;
}

void cap_space_get(struct cap_space *space)
{
    __atomic_add_fetch(&space->references, 1, __ATOMIC_RELAXED);
}

static void space_release(struct rcu_node *node)
{
    struct cap_space *space = list_entry(node, struct cap_space, rcu);
    if (space->root != &space->first_leaf) {
        kfree(space->root);
    }
    slab_free(&space_cache, space);
}

void cap_space_put(struct cap_space *space)
{
    if (__atomic_sub_fetch(&space->references, 1, __ATOMIC_ACQ_REL) == 0) {
        rcu_defer(&space->rcu, space_release);
    }
}

status_t cap_space_limit(struct cap_space *space, uint32_t capabilities)
{
    uint64_t irq = spin_lock_irqsave(&space->lock);
    bool right = capabilities != 0 && capabilities <= space->limit && capabilities >= space->used;
    if (right) {
        space->limit = capabilities;
    }
    spin_unlock_irqrestore(&space->lock, irq);
    return right ? STATUS_OK : STATUS_ERR_RANGE;
}

/* Deletes what the filter chooses: all, or what exec drops. */
static void delete_each(struct cap_space *space, bool all)
{
    cap_handle_t handle = {0};
    while (cap_next(space, handle, &handle) == STATUS_OK) {
        struct cap_info info;
        bool doomed =
            cap_read(space, handle, &info) == STATUS_OK && (all || (info.flags & CAP_FLAG_KEEP_ON_EXEC) == 0);
        if (doomed && cap_delete(space, handle) != STATUS_OK) {
            continue; /* it was revoked and collected meanwhile */
        }
    }
}

void cap_space_exec(struct cap_space *space)
{
    delete_each(space, false);
}

static void leaves_free(struct cap_space *space)
{
    for (uint32_t index = 0; index < space->reach / LEAF_SLOTS; index++) {
        root_word_t word = space->root[index];
        if (word != 0 && (word & 1) == 0) {
            leaf_free(leaf_of(slot_reference(space, index * LEAF_SLOTS)));
        }
    }
}

void cap_space_destroy(struct cap_space *space)
{
    uint64_t irq = spin_lock_irqsave(&space->lock);
    space->closed = true;
    spin_unlock_irqrestore(&space->lock, irq);
    if (__atomic_load_n(&space->references, __ATOMIC_SEQ_CST) > 1) {
        rcu_synchronize(); /* for slots that others have reserved and not yet filled */
    }
    collector_remove(space);
    /* Again for what was revoked, and so is in another list, while it was looked at. */
    while (space->used != 0) {
        delete_each(space, true);
    }
    leaves_free(space);
    cap_space_put(space);
}

/* ---- cloning ---- */

/* The child's capability for a live one of the parent. In a read section. */
static void inherit_live(struct cap_locked *source, struct cap_space *child, struct cap_leaf *leaf,
                         uint32_t slot)
{
    struct capability *record = &leaf->records[slot % LEAF_SLOTS];
    uint32_t reference = leaf->number << LEAF_SHIFT | slot % LEAF_SLOTS;
    if ((source->word & CAP_FLAG_INHERIT_COPY) != 0) {
        cap_tree_add_sibling(source->reference, reference);
    } else {
        cap_tree_add_child(source->reference, reference);
    }
    spin_lock(&child->lock);
    child->used++;
    leaf->used++;
    spin_unlock(&child->lock);
    object_get(source->object);
    generation_write(record, source->record->generation); /* a well-known slot may hold another one by now */
    word_write(record, source->word);
    id_write(record, cap_id_new());
}

/* The child's generation for a slot of the parent that is in use; true when the child may get the capability. */
static bool copy_generation(const struct capability *from, struct capability *record)
{
    struct cap_found found;
    record_find(from, &found);
    bool take = found.id != 0 && (found.word & (FLAG_REVOKED | CAP_FLAG_INHERIT_NONE)) == 0;
    bool next =
        !take && found.generation != LAST_GENERATION; /* a handle of what is or was there must not fit */
    record->generation = (uint16_t)(found.generation + next);
    return take;
}

/* True when the child got one, else the slot is free. */
static bool inherit(struct cap_space *parent, struct cap_space *child, struct cap_leaf *leaf, uint32_t slot)
{
    struct capability *record = &leaf->records[slot % LEAF_SLOTS];
    struct cap_locked source;
    rcu_read_lock();
    /* the record's own generation is the source's; who has changed it meanwhile has the next one */
    bool inherited = record_lock(parent, handle_make(slot, record->generation), 0, &source) == STATUS_OK;
    if (inherited) {
        inherit_live(&source, child, leaf, slot);
        record_unlock(&source);
        tell_added(source.object, cap_word_rights(source.word));
    }
    rcu_read_unlock();
    if (!inherited) {
        record_empty(record);
        slot_make_free(child, slot);
    }
    return inherited;
}

/* Generations of all slots; *wanted: a bit for each slot whose capability the child may get. */
static void copy_generations(const struct cap_space *parent, struct cap_leaf *leaf, uint64_t *wanted)
{
    rcu_read_lock();
    const struct capability *from = slot_record(parent, leaf->index * LEAF_SLOTS);
    for (uint32_t i = 0; from != NULL && i < LEAF_SLOTS; i++) {
        uint64_t word = word_read(&from[i]);
        uint32_t generation = generation_read(&from[i]);
        if (word != 0) {
            wanted[i / 64] |= (uint64_t)copy_generation(&from[i], &leaf->records[i]) << i % 64;
        } else if (generation != 0) { /* empty, and no more to come: what is emptied loses its word last */
            leaf->records[i].generation = (uint16_t)generation;
        }
    }
    rcu_read_unlock();
}

static status_t clone_leaf(struct cap_space *parent, struct cap_space *child, uint32_t index,
                           uint32_t *inherited)
{
    uint64_t wanted[LEAF_SLOTS / 64] = {0};
    struct cap_leaf *leaf = leaf_create(child, index, 0);
    if (leaf == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    copy_generations(parent, leaf, wanted);
    __atomic_store_n(&child->root[index], (root_word_t)leaf->records, __ATOMIC_RELEASE);
    slots_make_free(child, leaf, wanted);
    for (uint32_t i = 0; i < LEAF_SLOTS; i++) {
        if ((wanted[i / 64] >> i % 64 & 1) != 0) {
            *inherited += inherit(parent, child, leaf, index * LEAF_SLOTS + i);
        }
    }
    return STATUS_OK;
}

static status_t clone_leaves(struct cap_space *parent, struct cap_space *child, uint32_t *inherited)
{
    status_t status = STATUS_OK;
    uint32_t leaves = __atomic_load_n(&parent->reach, __ATOMIC_ACQUIRE) / LEAF_SLOTS;
    if (leaves > 1) {
        status = space_widen(child);
    }
    for (uint32_t index = 0; status == STATUS_OK && index < leaves; index++) {
        root_word_t word = __atomic_load_n(&parent->root[index], __ATOMIC_ACQUIRE);
        if (word == 0 || (word & 1) != 0) {
            child->root[index] = word;
        } else {
            status = clone_leaf(parent, child, index, inherited);
        }
    }
    return status;
}

struct cap_space *cap_space_clone(struct cap_space *parent, struct pid pid)
{
    struct cap_space *child = space_bare(pid);
    if (child == NULL) {
        return NULL;
    }
    uint32_t inherited = 0;
    child->limit = parent->limit;
    if (clone_leaves(parent, child, &inherited) != STATUS_OK) {
        cap_space_destroy(child);
        return NULL;
    }
    cap_count(CAP_COUNT_MADE, inherited);
    audit_note(CAP_EVENT_INHERIT, parent->pid, pid, (cap_handle_t){inherited}, 0, 0, 0, STATUS_OK);
    return child;
}
