/*
 * Derivation trees as lists. A record knows its siblings before and after it and its first child. The end of a list of
 * children is its parent, marked; the first child has the last one before it. So a record finds all that names it without
 * knowing its parent, and taking one out, with its children put in its place, is a splice: every operation here is a few
 * assignments, under the tree's lock, and leaves a tree in which exactly the descendants of a capability are below it.
 */
#include "cap/cap_internal.h"

#define GIVE_WAY_TURNS 1024u

static struct tree_lock {
    struct spinlock lock;
    uint32_t revokers; /* atomic */
} __attribute__((aligned(64))) locks[CAP_TREE_LOCKS];

void cap_tree_init(void)
{
    for (unsigned i = 0; i < CAP_TREE_LOCKS; i++) {
        spinlock_init(&locks[i].lock, "cap.tree", LOCK_CLASS_CAP_TREE);
    }
}

/* A tree's capabilities all name one object, so its address tells the lock. */
unsigned cap_tree_number(const struct object *object)
{
    uintptr_t address = (uintptr_t)object;
    return (address >> 4 ^ address >> 10 ^ address >> 16) % CAP_TREE_LOCKS;
}

static struct tree_lock *lock_of(const struct object *object)
{
    return &locks[cap_tree_number(object)];
}

uint64_t cap_tree_lock(const struct object *object)
{
    return spin_lock_irqsave(&lock_of(object)->lock);
}

void cap_tree_unlock(const struct object *object, uint64_t irq)
{
    spin_unlock_irqrestore(&lock_of(object)->lock, irq);
}

uint16_t cap_tree_turn(const struct object *object)
{
    return spin_lock_turn(&lock_of(object)->lock);
}

void cap_tree_revoker(const struct object *object, bool comes)
{
    __atomic_add_fetch(&lock_of(object)->revokers, comes ? 1u : UINT32_MAX, __ATOMIC_RELAXED);
}

void cap_tree_give_way(const struct object *object)
{
    const struct tree_lock *tree = lock_of(object);
    for (unsigned i = 0; i < GIVE_WAY_TURNS && __atomic_load_n(&tree->revokers, __ATOMIC_RELAXED) != 0; i++) {
        arch_pause();
    }
}

static bool is_parent(uint32_t reference)
{
    return (reference & REF_CHILDREN) != 0;
}

/* `first` comes behind `before`, which is the last one of all when there is none: then the parent names the first. */
static void name_first(uint32_t before, uint32_t first)
{
    struct capability *record = record_of(before);
    if (is_parent(record->siblings.next)) {
        record_of(record->siblings.next)->first_child = first;
    } else {
        record->siblings.next = first;
    }
}

/* `last` comes before `after`, which is the parent when there is none: then the first child names the last. After name_first. */
static void name_last(uint32_t after, uint32_t last)
{
    uint32_t named = is_parent(after) ? record_of(after)->first_child : after;
    record_of(named)->siblings.prev = last;
}

void cap_tree_root(uint32_t reference)
{
    struct capability *record = record_of(reference);
    record->siblings = (struct cap_link){reference, reference};
    record->first_child = 0;
}

void cap_tree_add_child(uint32_t parent, uint32_t child)
{
    struct capability *above = record_of(parent);
    struct capability *record = record_of(child);
    uint32_t first = above->first_child;
    record->first_child = 0;
    record->siblings = (struct cap_link){parent | REF_CHILDREN, child};
    if (first == 0) {
        above->first_child = child;
        return;
    }
    struct capability *eldest = record_of(first);
    uint32_t last = eldest->siblings.prev;
    record->siblings.prev = last;
    record_of(last)->siblings.next = child;
    eldest->siblings.prev = child;
}

/* Before the one that it is a sibling of. */
void cap_tree_add_sibling(uint32_t of, uint32_t sibling)
{
    struct capability *after = record_of(of);
    struct capability *record = record_of(sibling);
    record->first_child = 0;
    record->siblings = (struct cap_link){of, after->siblings.prev};
    name_first(after->siblings.prev, sibling);
    after->siblings.prev = sibling;
}

void cap_tree_replace(uint32_t old, uint32_t by)
{
    struct cap_link siblings = record_of(old)->siblings;
    uint32_t children = record_of(old)->first_child;
    struct capability *record = record_of(by);
    record->first_child = children;
    record->siblings = siblings;
    if (children != 0) {
        record_of(record_of(children)->siblings.prev)->siblings.next = by | REF_CHILDREN;
    }
    if (siblings.next == old) {
        record->siblings = (struct cap_link){by, by};
    } else {
        name_first(siblings.prev, by);
        name_last(siblings.next, by);
    }
}

void cap_tree_remove(uint32_t reference)
{
    const struct capability *record = record_of(reference);
    struct cap_link siblings = record->siblings;
    uint32_t first = record->first_child;
    if (first == 0 && siblings.prev != reference) {
        name_first(siblings.prev, siblings.next);
        name_last(siblings.next, siblings.prev);
    } else if (first == 0) { /* alone: an only child, or a root */
        if (is_parent(siblings.next)) {
            record_of(siblings.next)->first_child = 0;
        }
    } else {
        struct capability *eldest = record_of(first);
        uint32_t last = eldest->siblings.prev;
        bool root_alone = siblings.next == reference;
        record_of(last)->siblings.next = root_alone ? first : siblings.next;
        if (!root_alone) {
            eldest->siblings.prev = siblings.prev;
            name_first(siblings.prev, first);
            name_last(siblings.next, last); /* of an only child too, whose `prev` was itself */
        }
    }
}

uint32_t cap_tree_first_child(uint32_t reference)
{
    return record_of(reference)->first_child;
}
