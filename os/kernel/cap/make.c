/*
 * Making, moving and deleting capabilities. A slot is reserved and filled inside one read section. What is filled becomes
 * visible with the store of its id, under the lock of its tree.
 */
#include "cap/cap_internal.h"

#include "panic.h"

enum relation { CHILD, SIBLING };

/* Runs a step that reserves a slot of `to` and fills it, in a read section, as often as the space has to grow first. */
#define WITH_ROOM(to, status, step) \
    do {                            \
        rcu_read_lock();            \
        (status) = (step);          \
        rcu_read_unlock();          \
    } while ((status) == STATUS_ERR_AGAIN && ((status) = space_grow(to)) == STATUS_OK)

static void fill(struct capability *record, uint64_t id, uint64_t word)
{
    word_write(record, word);
    id_write(record, id);
    cap_count(CAP_COUNT_MADE, 1);
}

/* ---- roots ---- */

static status_t insert_step(struct cap_space *space, uint32_t wanted, struct object *object, uint32_t rights,
                            uint32_t flags, cap_handle_t *out)
{
    uint32_t slot;
    status_t status = slot_take(space, wanted, &slot);
    if (status != STATUS_OK) {
        return status;
    }
    struct capability *record = slot_record(space, slot);
    uint64_t id = cap_id_new();
    uint64_t word = cap_word_make(object, object->type, rights, flags);
    cap_tree_root(slot_reference(space, slot));
    *out = handle_make(slot, record->generation);
    object_get(object);
    fill(record, id, word);
    tell_added(object, rights);
    audit_note(CAP_EVENT_CREATE, space->pid, space->pid, *out, id, 0, word, STATUS_OK);
    return STATUS_OK;
}

static status_t insert(struct cap_space *space, uint32_t wanted, struct object *object, uint32_t rights,
                       uint32_t flags, cap_handle_t *out)
{
    status_t status;
    if ((uintptr_t)object % 16 != 0) {
        panic("capability for an object at %p, which is not aligned", (void *)object);
    }
    WITH_ROOM(space, status, insert_step(space, wanted, object, rights, flags, out));
    return status;
}

status_t cap_insert(struct cap_space *space, struct object *object, uint32_t rights, uint32_t flags,
                    cap_handle_t *out)
{
    return insert(space, 0, object, rights, flags, out);
}

status_t cap_insert_boot_set(struct cap_space *space)
{
    status_t status = STATUS_OK;
    for (enum cap_type type = CAP_NONE + 1; status == STATUS_OK && type < CAP_TYPE_COUNT; type++) {
        struct object *object = object_singleton(type);
        cap_handle_t handle;
        if (object != NULL) {
            status = insert(space, type, object, RIGHTS_ALL, CAP_FLAG_KEEP_ON_EXEC, &handle);
        }
    }
    return status;
}

/* ---- derived ones ---- */

/* What derive and copy have in common. */
struct plan {
    struct cap_space *from;
    cap_handle_t source;
    struct cap_space *to;
    enum relation relation;
    uint32_t needed; /* rights of the source */
    uint32_t rights;
    uint32_t flags;
    const struct object *object; /* of the source, when it is known; only its address is looked at */
};

/* Fills a reserved slot. */
static status_t link_new(struct plan *plan, uint32_t slot, cap_handle_t *out)
{
    struct cap_locked source;
    status_t status = record_lock(plan->from, plan->source, plan->needed, &source);
    if (status != STATUS_OK) {
        return status;
    }
    plan->object = source.object;
    struct capability *record = slot_record(plan->to, slot);
    uint32_t reference = slot_reference(plan->to, slot);
    uint64_t id = cap_id_new();
    uint64_t word = plan->relation == SIBLING
                        ? source.word
                        : cap_word_make(source.object, cap_word_type(source.word), plan->rights, plan->flags);
    if (plan->relation == SIBLING) {
        cap_tree_add_sibling(source.reference, reference);
    } else {
        cap_tree_add_child(source.reference, reference);
    }
    *out = handle_make(slot, record->generation);
    object_get(source.object);
    fill(record, id, word);
    record_unlock(&source);
    tell_added(source.object, cap_word_rights(word));
    audit_note(plan->from != plan->to ? CAP_EVENT_TRANSFER : CAP_EVENT_DERIVE, plan->from->pid, plan->to->pid,
               *out, id, source.id, word, STATUS_OK);
    return STATUS_OK;
}

static status_t link_step(struct plan *plan, cap_handle_t *out)
{
    uint32_t slot;
    status_t status = slot_take(plan->to, 0, &slot);
    if (status == STATUS_OK) {
        status = link_new(plan, slot, out);
        if (status != STATUS_OK) {
            slot_give(plan->to, slot);
        }
    }
    return status;
}

static status_t link_with_room(struct plan *plan, cap_handle_t *out)
{
    status_t status;
    WITH_ROOM(plan->to, status, link_step(plan, out));
    if (plan->object != NULL) {
        cap_tree_give_way(plan->object);
    }
    return status;
}

status_t cap_derive(struct cap_space *from, cap_handle_t source, struct cap_space *to, uint32_t rights,
                    uint32_t flags, cap_handle_t *out)
{
    struct plan plan = {.from = from,
                        .source = source,
                        .to = to,
                        .relation = CHILD,
                        .needed = rights | (from != to ? RIGHT_GRANT : 0),
                        .rights = rights,
                        .flags = flags};
    return link_with_room(&plan, out);
}

status_t cap_copy(struct cap_space *space, cap_handle_t source, cap_handle_t *out)
{
    struct plan plan = {
        .from = space, .source = source, .to = space, .relation = SIBLING, .needed = RIGHT_GRANT};
    return link_with_room(&plan, out);
}

/* ---- moving ---- */

/* Moves into a reserved slot. */
static status_t move_into(struct cap_space *from, cap_handle_t handle, struct cap_space *to, uint32_t slot,
                          uint32_t wanted, cap_handle_t *out)
{
    struct cap_locked source;
    status_t status = record_lock(from, handle, from != to ? RIGHT_GRANT : 0, &source);
    if (status != STATUS_OK) {
        return status;
    }
    if (wanted != 0 && wanted != cap_word_type(source.word)) {
        record_unlock(&source);
        return STATUS_ERR_CAP_TARGET;
    }
    struct capability *record = slot_record(to, slot);
    cap_tree_replace(source.reference, slot_reference(to, slot));
    *out = handle_make(slot, record->generation);
    record_empty(source.record); /* it is in one place at most, never in two */
    space_restamp(from);
    word_write(record, source.word);
    id_write(record, source.id);
    record_unlock(&source);
    slot_give(from, (uint32_t)handle.word);
    if (from != to) {
        tell_added(source.object, cap_word_rights(source.word));
    }
    audit_note(CAP_EVENT_MOVE, from->pid, to->pid, *out, source.id, 0, source.word, STATUS_OK);
    return STATUS_OK;
}

static status_t move_step(struct cap_space *from, cap_handle_t source, struct cap_space *to, uint32_t wanted,
                          cap_handle_t *out)
{
    uint32_t slot;
    status_t status = slot_take(to, wanted, &slot);
    if (status == STATUS_OK) {
        status = move_into(from, source, to, slot, wanted, out);
        if (status != STATUS_OK) {
            slot_give(to, slot);
        }
    }
    return status;
}

/* The reference is for telling the object after the move, when the capability may be gone already. */
status_t cap_move(struct cap_space *from, cap_handle_t source, struct cap_space *to, uint32_t slot,
                  cap_handle_t *out)
{
    status_t status;
    struct cap_view view;
    if (slot >= CAP_WELL_KNOWN_SLOTS) {
        return STATUS_ERR_RANGE;
    }
    status = cap_get(from, source, CAP_NONE, 0, &view);
    if (status != STATUS_OK) {
        return status;
    }
    WITH_ROOM(to, status, move_step(from, source, to, slot, out));
    if (status == STATUS_OK && from != to && object_ops[view.type].removed != NULL) {
        rcu_synchronize();
        object_ops[view.type].removed(view.object, view.id, view.rights, STATUS_ERR_DEAD);
    }
    object_put(view.object);
    return status;
}

/* ---- deleting ---- */

/*
 * Takes a live capability out of tree and slot; its reference to the object passes to the caller. *removal has begun when there
 * may be users to be told, else its object is null. In a read section.
 */
static status_t take_out(struct cap_space *space, cap_handle_t handle, struct cap_locked *taken,
                         struct cap_removal *removal)
{
    status_t status = record_lock(space, handle, 0, taken);
    if (status != STATUS_OK) {
        return status;
    }
    removal->object = NULL;
    /* A closed space has no lookups under way. */
    if (object_ops[taken->object->type].removed != NULL && !space->closed) {
        removal_begin(removal, taken->object);
    }
    cap_tree_remove(taken->reference);
    record_empty(taken->record);
    space_restamp(space);
    record_unlock(taken);
    slot_give(space, (uint32_t)handle.word);
    audit_note(CAP_EVENT_DELETE, space->pid, space->pid, handle, taken->id, 0, taken->word, STATUS_OK);
    cap_count(CAP_COUNT_DELETED, 1);
    return STATUS_OK;
}

status_t cap_delete(struct cap_space *space, cap_handle_t handle)
{
    struct cap_locked taken;
    struct cap_removal removal;
    struct cap_found found;
    rcu_read_lock();
    status_t status = record_read(space, handle, &found);
    if (status == STATUS_ERR_CAP_REVOKED) {
        status = slot_unbury(space, (uint32_t)handle.word, found.id);
        rcu_read_unlock();
        return status;
    }
    status = take_out(space, handle, &taken, &removal);
    rcu_read_unlock();
    if (status == STATUS_OK) {
        if (removal.object != NULL) {
            rcu_synchronize();
        }
        tell_removed(taken.object, taken.id, taken.word, STATUS_ERR_DEAD);
        if (removal.object != NULL) {
            removal_end(&removal);
        }
        object_put(taken.object);
    }
    return status;
}
