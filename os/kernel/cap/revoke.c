/*
 * Revocation. A step takes up to CAP_REVOKE_STEP capabilities from below the one that is revoked: always its first child,
 * whose own children move up into its place. So there is no recursion and no state between steps, and the tree shrinks by
 * each: interrupts and preemption come between steps, and what others derive meanwhile from what is still there is taken
 * as well.
 */
#include "cap/cap_internal.h"

/* Taken out, to be told about without locks. */
struct taken {
    struct object *object;
    uint64_t identity;
    uint64_t word;
    cap_handle_t handle;
    uint32_t pid;
};

static void take_first_child(uint32_t child, struct taken *out)
{
    const struct capability *record = record_of(child);
    const struct cap_leaf *leaf = leaf_of(child);
    *out =
        (struct taken){.object = word_object(record->word),
                       .identity = record->identity,
                       .word = record->word,
                       .handle = handle_make(leaf->index * LEAF_SLOTS + child % LEAF_SLOTS, record->identity),
                       .pid = leaf->space->pid};
    cap_tree_remove(child);
    slot_bury(child);
}

/* One step; *count 0: nothing is left below. */
static status_t step(struct cap_space *space, cap_handle_t handle, uint64_t identity, struct taken *taken,
                     unsigned *count)
{
    struct cap_locked root;
    *count = 0;
    rcu_read_lock();
    status_t status = record_lock(space, handle, 0, &root);
    if (status == STATUS_OK) {
        if (identity_serial(root.identity) != identity_serial(identity)) {
            status = STATUS_ERR_CAP_INVALID; /* a well-known slot with another one in it */
        }
        uint32_t child;
        while (status == STATUS_OK && *count < CAP_REVOKE_STEP &&
               (child = cap_tree_first_child(root.reference)) != 0) {
            take_first_child(child, &taken[(*count)++]);
        }
        record_unlock(&root);
    }
    rcu_read_unlock();
    return status;
}

static void tell(const struct cap_space *space, const struct taken *taken, unsigned count, uint64_t parent)
{
    for (unsigned i = 0; i < count; i++) {
        audit_note(CAP_EVENT_REVOKE, space->pid, taken[i].pid, taken[i].handle, taken[i].identity, parent,
                   taken[i].word, STATUS_OK);
        tell_removed(taken[i].object, taken[i].identity, taken[i].word, STATUS_ERR_CAP_REVOKED);
        object_put(taken[i].object);
    }
    cap_count(CAP_COUNT_REVOKED, count);
}

status_t cap_revoke(struct cap_space *space, cap_handle_t handle, uint64_t *revoked)
{
    struct taken taken[CAP_REVOKE_STEP];
    struct cap_locked root;
    uint64_t sum = 0;
    unsigned count = 0;
    rcu_read_lock();
    status_t status = record_lock(space, handle, 0, &root);
    if (status == STATUS_OK) {
        record_unlock(&root);
    }
    rcu_read_unlock();
    do {
        if (status == STATUS_OK) {
            status = step(space, handle, root.identity, taken, &count);
            tell(space, taken, count, root.identity);
            sum += count;
        }
    } while (status == STATUS_OK && count != 0);
    if (sum != 0) {
        rcu_synchronize();
    }
    if (revoked != NULL) {
        *revoked = sum;
    }
    return status;
}
