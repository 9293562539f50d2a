/*
 * Derivation trees as rings. A record's `children` is the head of the ring of its children, and each child is in that ring
 * with its `siblings`. A reference says which of the two it means. So a record finds its neighbours without knowing its
 * parent, and taking one out, with its children put in its place, is a splice: every operation here is a few assignments,
 * and every state in between two of them is a tree in which exactly the descendants of a capability are below it.
 */
#include "cap/cap_internal.h"

#define TREE_LOCKS 64u

static struct {
    struct spinlock lock;
} __attribute__((aligned(64))) locks[TREE_LOCKS];

void cap_tree_init(void)
{
    for (unsigned i = 0; i < TREE_LOCKS; i++) {
        spinlock_init(&locks[i].lock, "cap.tree", LOCK_CLASS_CAP_TREE);
    }
}

/* A tree's capabilities all name one object, so its address tells the lock. */
static struct spinlock *lock_of(const struct object *object)
{
    uintptr_t address = (uintptr_t)object;
    return &locks[(address >> 4 ^ address >> 10 ^ address >> 16) % TREE_LOCKS].lock;
}

uint64_t cap_tree_lock(const struct object *object)
{
    return spin_lock_irqsave(lock_of(object));
}

void cap_tree_unlock(const struct object *object, uint64_t irq)
{
    spin_unlock_irqrestore(lock_of(object), irq);
}

static struct cap_link *link_of(uint32_t reference)
{
    struct capability *record = record_of(reference);
    return (reference & REF_CHILDREN) != 0 ? &record->children : &record->siblings;
}

static void join(uint32_t before, uint32_t after)
{
    link_of(before)->next = after;
    link_of(after)->prev = before;
}

void cap_tree_root(uint32_t reference)
{
    join(reference, reference);
    join(reference | REF_CHILDREN, reference | REF_CHILDREN);
}

static void insert_before(uint32_t where, uint32_t what)
{
    join(link_of(where)->prev, what);
    join(what, where);
}

void cap_tree_add_child(uint32_t parent, uint32_t child)
{
    insert_before(parent | REF_CHILDREN, child);
}

void cap_tree_add_sibling(uint32_t of, uint32_t sibling)
{
    insert_before(of, sibling);
}

uint32_t cap_tree_first_child(uint32_t reference)
{
    uint32_t first = record_of(reference)->children.next;
    return (first & REF_CHILDREN) != 0 ? 0 : first;
}

void cap_tree_replace(uint32_t old, uint32_t by)
{
    struct cap_link siblings = record_of(old)->siblings;
    struct cap_link children = record_of(old)->children;
    cap_tree_root(by);
    if (siblings.next != old) {
        join(siblings.prev, by);
        join(by, siblings.next);
    }
    if ((children.next & REF_CHILDREN) == 0) {
        join(by | REF_CHILDREN, children.next);
        join(children.prev, by | REF_CHILDREN);
    }
}

void cap_tree_remove(uint32_t reference)
{
    struct cap_link siblings = record_of(reference)->siblings;
    struct cap_link children = record_of(reference)->children;
    if ((children.next & REF_CHILDREN) != 0) {
        join(siblings.prev, siblings.next);
    } else if (siblings.next == reference) {
        join(children.prev, children.next);
    } else {
        join(siblings.prev, children.next);
        join(children.prev, siblings.next);
    }
}
