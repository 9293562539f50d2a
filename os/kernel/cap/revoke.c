/*
 * Revocation. A step takes STEP_LEAST to STEP_MAX capabilities from below the one that is revoked: always its first child,
 * whose own children move up into its place. So there is no recursion and no state between steps, and the tree shrinks by
 * each: interrupts and preemption come between steps, and what others derive meanwhile from what is still there is taken
 * as well.
 *
 * Everything is taken before anybody is told. Each time that others have had the tree's lock since the step before they may
 * have derived one capability; a step takes more than that, and the lock serves in order of arrival, so the end is reached
 * however busy they are: it is a step that finds less than it could take. To wait for one that finds nothing would be to wait
 * for the others. Steps that take less than they should, since a batch is full, there is no memory for one, or this thread has
 * not run for long, leave it to cap_tree_give_way that the others are slower.
 *
 * What another removal has taken meanwhile is not below any more, but may still be in use until that one has told about it:
 * so at the end a revocation waits for those of the same object that are under way. Who removes waits for nobody before.
 */
#include "cap/cap_internal.h"

#include "mm/kheap.h"
#include "sched/wait.h"

#define BATCH       96u
#define BATCHES_MAX 256u /* then those are told before more are taken: a bound on memory */
#define SPARE       8u
#define STEP_LEAST  4u
#define STEP_MAX    64u

_Static_assert(STEP_MAX >= ARCH_MAX_CPUS && STEP_MAX <= BATCH,
               "a step can take more than all other CPUs add");

/* Taken out, to be told about without locks. */
struct taken {
    struct object *object;
    uint64_t id;
    uint64_t word;
    cap_handle_t handle;
    struct pid pid;
};

struct batch {
    struct batch *next;
    struct taken *entries;
    unsigned limit;
    unsigned count;
};

/* One call of cap_revoke. */
struct revocation {
    uint64_t id;   /* of what is revoked, 0 before the first step */
    uint16_t turn; /* of the tree's lock, at the last step */
    struct cap_removal removal;
};

/* ---- removals under way ---- */

/*
 * Of the objects that share a tree's lock: whoever deletes capabilities of other objects works on other lines. A line for the
 * list, one for those who wait, who are few.
 */
static struct removals {
    struct spinlock lock;
    struct list under_way; /* by number */
    uint64_t begun;
    struct wait_queue ended __attribute__((aligned(64)));
} __attribute__((aligned(64))) removals[CAP_TREE_LOCKS];

void removals_init(void)
{
    for (unsigned i = 0; i < CAP_TREE_LOCKS; i++) {
        spinlock_init(&removals[i].lock, "cap.removals", LOCK_CLASS_CAP_REMOVALS);
        list_init(&removals[i].under_way);
        wait_queue_init(&removals[i].ended, "cap.removed");
    }
}

static struct removals *removals_of(const struct object *object)
{
    return &removals[cap_tree_number(object)];
}

void removal_begin(struct cap_removal *removal, const struct object *object)
{
    struct removals *place = removals_of(object);
    spin_lock(&place->lock);
    removal->object = object;
    removal->number = ++place->begun;
    list_push_back(&place->under_way, &removal->node);
    spin_unlock(&place->lock);
}

void removal_end(struct cap_removal *removal)
{
    struct removals *place = removals_of(removal->object);
    uint64_t irq = spin_lock_irqsave(&place->lock);
    list_remove(&removal->node);
    spin_unlock_irqrestore(&place->lock, irq);
    wait_queue_wake_all(&place->ended);
}

/* One of the object, and of the first `last`, has not ended. Bound: O(removals under way), interrupts off. */
static bool removal_under_way(struct removals *place, const struct object *object, uint64_t last)
{
    bool found = false;
    uint64_t irq = spin_lock_irqsave(&place->lock);
    list_for_each(node, &place->under_way)
    {
        const struct cap_removal *removal = list_entry(node, struct cap_removal, node);
        if (removal->number > last) {
            break;
        }
        found |= removal->object == object;
    }
    spin_unlock_irqrestore(&place->lock, irq);
    return found;
}

/* Returns when all have ended that are under way now and take capabilities of the object. */
static void removals_wait(const struct object *object)
{
    struct removals *place = removals_of(object);
    uint64_t last = __atomic_load_n(&place->begun, __ATOMIC_SEQ_CST);
    while (removal_under_way(place, object, last)) {
        struct waiter waiter;
        wait_queue_join(&place->ended, &waiter);
        if (removal_under_way(place, object, last)) {
            wait_queue_sleep(&waiter, WAIT_FOREVER);
        }
        wait_queue_leave(&place->ended, &waiter);
    }
}

/* ---- steps ---- */

static struct batch *batch_create(void)
{
    struct batch *batch = kmalloc(sizeof(*batch) + BATCH * sizeof(struct taken));
    if (batch != NULL) {
        *batch = (struct batch){.entries = (struct taken *)(batch + 1), .limit = BATCH};
    }
    return batch;
}

static void take_child(uint32_t child, struct taken *out)
{
    const struct capability *record = record_of(child);
    const struct cap_leaf *leaf = leaf_of(child);
    *out = (struct taken){.object = cap_word_object(record->word),
                          .id = record->id,
                          .word = record->word,
                          .handle =
                              handle_make(leaf->index * LEAF_SLOTS + child % LEAF_SLOTS, record->generation),
                          .pid = leaf->space->pid};
    cap_tree_remove(child);
    slot_bury(child);
}

/*
 * How many a step takes. Others who had more than a turn each do not count: then this thread has not run, and its next steps
 * will follow one another. The tree is locked.
 */
static unsigned step_length(struct revocation *revocation, const struct object *object)
{
    uint16_t turn = cap_tree_turn(object);
    uint16_t others = (uint16_t)(turn - revocation->turn - 1);
    revocation->turn = turn;
    unsigned length = STEP_LEAST + (others < ARCH_MAX_CPUS ? 2 * others : 0);
    return length < STEP_MAX ? length : STEP_MAX;
}

/* Adds to a batch that has room. *done: fewer than it could; at that moment nothing was left below. */
static status_t step(struct cap_space *space, cap_handle_t handle, struct revocation *revocation,
                     struct batch *batch, bool *done)
{
    struct cap_locked root;
    unsigned limit = batch->limit;
    rcu_read_lock();
    status_t status = record_lock(space, handle, 0, &root);
    if (status == STATUS_OK) {
        if (revocation->id == 0) {
            revocation->id = root.id;
            removal_begin(&revocation->removal, root.object);
            cap_tree_revoker(root.object, true);
        } else if (root.id != revocation->id) {
            status = STATUS_ERR_CAP_INVALID; /* a well-known slot with another one in it */
        }
        unsigned length = step_length(revocation, root.object);
        limit = length < limit - batch->count ? batch->count + length : limit;
        uint32_t child;
        while (status == STATUS_OK && batch->count < limit &&
               (child = cap_tree_first_child(root.reference)) != 0) {
            take_child(child, &batch->entries[batch->count++]);
        }
        record_unlock(&root);
    }
    rcu_read_unlock();
    *done = batch->count < limit;
    return status;
}

static void tell(const struct cap_space *space, const struct batch *batch, uint64_t id)
{
    for (unsigned i = 0; i < batch->count; i++) {
        const struct taken *taken = &batch->entries[i];
        audit_note(CAP_EVENT_REVOKE, space->pid, taken->pid, taken->handle, taken->id, id, taken->word,
                   STATUS_OK);
        tell_removed(taken->object, taken->id, taken->word, STATUS_ERR_CAP_REVOKED);
        object_put(taken->object);
    }
    cap_count(CAP_COUNT_REVOKED, batch->count);
}

static void tell_all(const struct cap_space *space, struct batch *first, uint64_t id)
{
    while (first != NULL) {
        struct batch *next = first->next;
        tell(space, first, id);
        kfree(first);
        first = next;
    }
}

/* Takes up to BATCHES_MAX batches, then tells about them. *done: there was a moment at which nothing was left. */
static status_t take_and_tell(struct cap_space *space, cap_handle_t handle, struct revocation *revocation,
                              uint64_t *sum, bool *done)
{
    struct taken spare_entries[SPARE]; /* without memory it goes on by small steps */
    struct batch spare = {.entries = spare_entries, .limit = SPARE};
    struct batch *first = NULL;
    struct batch **last = &first;
    status_t status = STATUS_OK;
    uint64_t before = *sum;
    *done = false;
    for (unsigned i = 0; i < BATCHES_MAX && status == STATUS_OK && !*done && spare.count == 0; i++) {
        struct batch *batch = batch_create();
        struct batch *into = batch != NULL ? batch : &spare;
        while (status == STATUS_OK && !*done && into->count < into->limit) {
            status = step(space, handle, revocation, into, done);
        }
        *sum += into->count;
        if (batch != NULL) {
            *last = batch;
            last = &batch->next;
        }
    }
    if (*sum != before) {
        rcu_synchronize(); /* who has found one of them has done what it looked for, and is seen by who is told */
    }
    tell_all(space, first, revocation->id);
    tell(space, &spare, revocation->id);
    return status;
}

status_t cap_revoke(struct cap_space *space, cap_handle_t handle, uint64_t *revoked)
{
    struct revocation revocation = {0};
    uint64_t sum = 0;
    bool done = false;
    status_t status = STATUS_OK;
    while (status == STATUS_OK && !done) {
        status = take_and_tell(space, handle, &revocation, &sum, &done);
    }
    if (revocation.id != 0) {
        cap_tree_revoker(revocation.removal.object, false);
        removal_end(&revocation.removal);
        removals_wait(revocation.removal.object);
    }
    if (revoked != NULL) {
        *revoked = sum;
    }
    return status;
}
