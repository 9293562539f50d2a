/* Capability spaces: two levels of slots under one lock a space. */
#include "cap/cap.h"

#include "lib/spinlock.h"
#include "mm/kheap.h"

#define LEAF_SLOTS      32u
#define LEAVES          32u
#define MAX_SLOTS       (LEAF_SLOTS * LEAVES)
#define LAST_GENERATION 0xffffu

struct capability {
    uint64_t id; /* 0: empty slot */
    struct object *object;
    uint16_t rights;
    uint16_t generation;
    uint16_t flags;
    uint8_t type;
};

struct cap_space {
    struct spinlock lock;
    uint32_t pid;
    struct capability *leaves[LEAVES];
};

static uint64_t last_id;

struct cap_space *cap_space_create(uint32_t pid)
{
    struct cap_space *space = kzalloc(sizeof(*space));
    if (space != NULL) {
        spinlock_init(&space->lock, "cap.space", LOCK_CLASS_CAP_SPACE);
        space->pid = pid;
    }
    return space;
}

static struct capability *slot_find(const struct cap_space *space, uint32_t slot)
{
    if (slot == 0 || slot >= MAX_SLOTS || space->leaves[slot / LEAF_SLOTS] == NULL) {
        return NULL;
    }
    return &space->leaves[slot / LEAF_SLOTS][slot % LEAF_SLOTS];
}

/* The record that a handle names. Space locked. */
static status_t record_find(const struct cap_space *space, cap_handle_t handle, struct capability **out)
{
    uint32_t slot = (uint32_t)handle.word;
    uint64_t generation = handle.word >> 32;
    struct capability *record = slot_find(space, slot);
    if (record == NULL || generation > LAST_GENERATION) {
        return STATUS_ERR_CAP_INVALID;
    }
    if (generation != record->generation && !(generation == 0 && slot < CAP_WELL_KNOWN_SLOTS)) {
        return STATUS_ERR_CAP_GENERATION;
    }
    *out = record;
    return record->id != 0 ? STATUS_OK : STATUS_ERR_CAP_INVALID;
}

static status_t find_checked(const struct cap_space *space, cap_handle_t handle, enum cap_type type,
                             uint32_t rights, struct capability **out)
{
    status_t status = record_find(space, handle, out);
    if (status != STATUS_OK) {
        return status;
    }
    if (type != CAP_NONE && (*out)->type != type) {
        return STATUS_ERR_CAP_TYPE;
    }
    return ((*out)->rights & rights) == rights ? STATUS_OK : STATUS_ERR_CAP_RIGHTS;
}

status_t cap_lookup(struct cap_space *space, cap_handle_t handle, enum cap_type type, uint32_t rights,
                    struct cap_view *out)
{
    struct capability *record;
    uint64_t flags = spin_lock_irqsave(&space->lock);
    status_t status = find_checked(space, handle, type, rights, &record);
    if (status == STATUS_OK) {
        *out = (struct cap_view){.object = record->object,
                                 .id = record->id,
                                 .rights = record->rights,
                                 .type = record->type,
                                 .flags = record->flags};
    }
    spin_unlock_irqrestore(&space->lock, flags);
    return status;
}

status_t cap_get(struct cap_space *space, cap_handle_t handle, enum cap_type type, uint32_t rights,
                 struct cap_view *out)
{
    rcu_read_lock();
    status_t status = cap_lookup(space, handle, type, rights, out);
    if (status == STATUS_OK && !object_try_get(out->object)) {
        status = STATUS_ERR_CAP_INVALID;
    }
    rcu_read_unlock();
    return status;
}

static status_t leaf_make(struct cap_space *space, uint32_t slot)
{
    struct capability **leaf = &space->leaves[slot / LEAF_SLOTS];
    if (*leaf == NULL) {
        *leaf = kzalloc(LEAF_SLOTS * sizeof(struct capability));
    }
    return *leaf != NULL ? STATUS_OK : STATUS_ERR_NO_MEMORY;
}

/* Fills a slot that is empty. The capability takes over a reference. Space locked. */
static void fill(struct capability *record, struct object *object, uint32_t rights, uint32_t flags)
{
    record->object = object;
    record->rights = (uint16_t)rights;
    record->flags = (uint16_t)flags;
    record->type = (uint8_t)object->type;
    record->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
}

static status_t insert_at(struct cap_space *space, uint32_t slot, struct object *object, uint32_t rights,
                          uint32_t flags)
{
    uint64_t irq = spin_lock_irqsave(&space->lock);
    status_t status = leaf_make(space, slot);
    struct capability *record = status == STATUS_OK ? slot_find(space, slot) : NULL;
    if (record != NULL && (record->id != 0 || record->generation == LAST_GENERATION)) {
        status = record->id != 0 ? STATUS_ERR_EXISTS : STATUS_ERR_CAP_QUOTA;
    }
    if (status == STATUS_OK) {
        fill(record, object, rights, flags);
    }
    spin_unlock_irqrestore(&space->lock, irq);
    return status;
}

/* Takes over a reference to the object on success. */
static status_t insert_anywhere(struct cap_space *space, struct object *object, uint32_t rights,
                                uint32_t flags, cap_handle_t *out)
{
    for (uint32_t slot = CAP_WELL_KNOWN_SLOTS; slot < MAX_SLOTS; slot++) {
        status_t status = insert_at(space, slot, object, rights, flags);
        if (status == STATUS_OK) {
            out->word = (uint64_t)slot_find(space, slot)->generation << 32 | slot;
        }
        if (status == STATUS_OK || status == STATUS_ERR_NO_MEMORY) {
            return status;
        }
    }
    return STATUS_ERR_CAP_QUOTA;
}

static void tell_added(struct object *object, uint32_t rights)
{
    if (object_ops[object->type].added != NULL) {
        object_ops[object->type].added(object, rights);
    }
}

status_t cap_insert(struct cap_space *space, struct object *object, uint32_t rights, uint32_t flags,
                    cap_handle_t *out)
{
    object_get(object);
    status_t status = insert_anywhere(space, object, rights, flags, out);
    if (status == STATUS_OK) {
        tell_added(object, rights);
    } else {
        object_put(object);
    }
    return status;
}

status_t cap_derive(struct cap_space *from, cap_handle_t source, struct cap_space *to, uint32_t rights,
                    uint32_t flags, cap_handle_t *out)
{
    struct cap_view view;
    status_t status = cap_get(from, source, CAP_NONE, rights | (from != to ? RIGHT_GRANT : 0), &view);
    if (status != STATUS_OK) {
        return status;
    }
    status = cap_insert(to, view.object, rights, flags, out);
    object_put(view.object);
    return status;
}

static void remove_record(struct cap_space *space, struct capability *record, uint64_t irq)
{
    struct capability old = *record;
    record->id = 0;
    record->object = NULL;
    record->generation++;
    spin_unlock_irqrestore(&space->lock, irq);
    if (object_ops[old.type].removed != NULL) {
        object_ops[old.type].removed(old.object, old.id, old.rights, STATUS_ERR_DEAD);
    }
    object_put(old.object);
}

status_t cap_delete(struct cap_space *space, cap_handle_t handle)
{
    struct capability *record;
    uint64_t irq = spin_lock_irqsave(&space->lock);
    status_t status = record_find(space, handle, &record);
    if (status != STATUS_OK) {
        spin_unlock_irqrestore(&space->lock, irq);
        return status;
    }
    remove_record(space, record, irq);
    return STATUS_OK;
}

void cap_space_destroy(struct cap_space *space)
{
    for (uint32_t slot = 1; slot < MAX_SLOTS; slot++) {
        struct capability *record = slot_find(space, slot);
        if (record != NULL && record->id != 0) {
            remove_record(space, record, spin_lock_irqsave(&space->lock));
        }
    }
    for (unsigned i = 0; i < LEAVES; i++) {
        kfree(space->leaves[i]);
    }
    kfree(space);
}

static status_t clone_slot(struct cap_space *parent, struct cap_space *child, uint32_t slot)
{
    struct cap_view view;
    struct capability *record = slot_find(parent, slot);
    cap_handle_t handle = cap_handle((uint64_t)record->generation << 32 | slot);
    status_t status = leaf_make(child, slot);
    if (status != STATUS_OK) {
        return status;
    }
    slot_find(child, slot)->generation = record->generation;
    if (cap_get(parent, handle, CAP_NONE, 0, &view) != STATUS_OK) {
        return STATUS_OK;
    }
    status = insert_at(child, slot, view.object, view.rights, view.flags);
    if (status == STATUS_OK) {
        tell_added(view.object, view.rights);
    } else {
        object_put(view.object);
    }
    return status;
}

struct cap_space *cap_space_clone(struct cap_space *parent, uint32_t pid)
{
    struct cap_space *child = cap_space_create(pid);
    for (uint32_t slot = 1; child != NULL && slot < MAX_SLOTS; slot++) {
        if (slot_find(parent, slot) != NULL && clone_slot(parent, child, slot) != STATUS_OK) {
            cap_space_destroy(child);
            child = NULL;
        }
    }
    return child;
}

status_t cap_insert_boot_set(struct cap_space *space)
{
    status_t status = STATUS_OK;
    for (enum cap_type type = CAP_NONE + 1; status == STATUS_OK && type < CAP_TYPE_COUNT; type++) {
        struct object *object = object_singleton(type);
        if (object != NULL) {
            status = insert_at(space, type, object, RIGHTS_ALL, CAP_FLAG_KEEP_ON_EXEC);
        }
    }
    return status;
}

status_t cap_read(struct cap_space *space, cap_handle_t handle, struct cap_info *out)
{
    struct capability *record;
    uint64_t irq = spin_lock_irqsave(&space->lock);
    status_t status = record_find(space, handle, &record);
    if (status == STATUS_OK) {
        *out = (struct cap_info){.id = record->id,
                                 .type = record->type,
                                 .rights = record->rights,
                                 .generation = record->generation,
                                 .flags = record->flags};
    }
    spin_unlock_irqrestore(&space->lock, irq);
    return status;
}
