/* Lookups, and the locks of what is looked up. */
#include "cap/cap_recall.h"

#include "lib/fail.h"
#include "panic.h"

#define ID_BLOCK       (1ull << 16)
#define LAST_BLOCK     (UINT64_MAX / ID_BLOCK)
#define LEAVES_AT_ONCE 16u /* that are not there, looked for in one read section */

static uint64_t last_block; /* of ids, that a CPU has taken; block 0 is nobody's */

status_t cap_system_init(void)
{
    cap_tree_init();
    removals_init();
    status_t status = space_system_init();
    if (status == STATUS_OK) {
        status = leaf_system_init();
    }
    return status == STATUS_OK ? audit_init() : status;
}

/* Each CPU has numbers of its own, so that on one nobody sees how many were used on another (docs/design/security.md). */
static __attribute__((noinline)) void take_ids(struct cap_cpu *cpu)
{
    uint64_t block = __atomic_add_fetch(&last_block, 1, __ATOMIC_RELAXED);
    if (block > LAST_BLOCK) {
        panic("capabilities: all ids are used up");
    }
    cpu->next_id = block * ID_BLOCK;
    cpu->ids_left = ID_BLOCK;
}

uint64_t cap_id_new(void)
{
    struct cap_cpu *cpu = cap_cpu_this();
    if (__builtin_expect(cpu->ids_left == 0, 0)) {
        take_ids(cpu);
    }
    cpu->ids_left--;
    return cpu->next_id++;
}

/* Inline where it has to be fast: what it finds stays in registers. */
ALWAYS_INLINE status_t read_slot(const struct cap_space *space, cap_handle_t handle, struct cap_found *out)
{
    uint32_t slot = (uint32_t)handle.word;
    uint64_t generation = handle.word >> 32;
    const struct capability *record = slot_record(space, slot);
    if (record == NULL || generation > LAST_GENERATION) {
        return STATUS_ERR_CAP_INVALID;
    }
    record_find(record, out);
    bool current = generation == 0 && slot < CAP_WELL_KNOWN_SLOTS;
    if (generation != out->generation && !current) {
        return STATUS_ERR_CAP_GENERATION;
    }
    if (out->id == 0) {
        return STATUS_ERR_CAP_INVALID;
    }
    return (out->word & FLAG_REVOKED) != 0 ? STATUS_ERR_CAP_REVOKED : STATUS_OK;
}

status_t record_read(const struct cap_space *space, cap_handle_t handle, struct cap_found *out)
{
    return read_slot(space, handle, out);
}

static status_t check(uint64_t word, enum cap_type type, uint32_t rights)
{
    if (type != CAP_NONE && cap_word_type(word) != type) {
        return STATUS_ERR_CAP_TYPE;
    }
    return (cap_word_rights(word) & rights) == rights ? STATUS_OK : STATUS_ERR_CAP_RIGHTS;
}

static status_t deny(const struct cap_space *space, cap_handle_t handle, struct cap_found found,
                     status_t status)
{
    cap_count(CAP_COUNT_DENIED, 1);
    audit_note(CAP_EVENT_DENY, space->pid, space->pid, handle, found.id, 0, found.word, status);
    return FAIL(status, handle.word, cap_word_rights(found.word));
}

static inline void view_fill(uint64_t id, uint64_t word, struct cap_view *out)
{
    *out = (struct cap_view){.object = cap_word_object(word),
                             .id = id,
                             .rights = cap_word_rights(word),
                             .type = cap_word_type(word),
                             .flags = (uint32_t)(word & WORD_FLAGS)};
}

/* What the cache does not know, or what does not pass. Apart, so that the way of a hit saves no registers. */
static __attribute__((noinline)) status_t lookup_record(struct cap_space *space, cap_handle_t handle,
                                                        enum cap_type type, uint32_t rights,
                                                        struct cap_view *out)
{
    struct cap_cpu *cpu = cap_cpu_this();
    uint64_t stamp = cap_space_stamp(space); /* before the record is read */
    struct cap_cache_entry *entry = cap_cache_place(cpu, stamp, handle);
    struct cap_found found = {0, 0, 0};
    cpu->counters[CAP_COUNT_MISS] += entry->stamp != stamp || entry->handle != handle.word;
    status_t status = read_slot(space, handle, &found);
    if (status == STATUS_OK) {
        *entry = (struct cap_cache_entry){stamp, handle.word, found.id, found.word};
        status = check(found.word, type, rights);
    }
    if (status != STATUS_OK) {
        return deny(space, handle, found, status);
    }
    view_fill(found.id, found.word, out);
    return STATUS_OK;
}

/* Whoever empties a slot gives its space a new stamp, so nothing that a CPU remembers from before fits. */
status_t cap_lookup(struct cap_space *space, cap_handle_t handle, enum cap_type type, uint32_t rights,
                    struct cap_view *out)
{
    const struct cap_cache_entry *entry = cap_recall(cap_cpu_this(), space, handle, type, rights);
    if (__builtin_expect(entry != NULL, 1)) {
        view_fill(entry->id, entry->word, out);
        return STATUS_OK;
    }
    return lookup_record(space, handle, type, rights, out);
}

status_t cap_get(struct cap_space *space, cap_handle_t handle, enum cap_type type, uint32_t rights,
                 struct cap_view *out)
{
    uint64_t irq = arch_irq_save(); /* as good as a read section, and shorter */
    status_t status = cap_lookup(space, handle, type, rights, out);
    if (status == STATUS_OK && !object_try_get(out->object)) {
        status = FAIL(STATUS_ERR_CAP_REVOKED, handle.word, 0); /* it went while we looked */
    }
    arch_irq_restore(irq);
    return status;
}

static void info_fill(const struct cap_found *found, struct cap_info *out)
{
    *out = (struct cap_info){.id = found->id,
                             .type = cap_word_type(found->word),
                             .rights = cap_word_rights(found->word),
                             .generation = found->generation,
                             .flags = (uint32_t)(found->word & WORD_FLAGS)};
}

status_t cap_read(struct cap_space *space, cap_handle_t handle, struct cap_info *out)
{
    struct cap_found found;
    rcu_read_lock();
    status_t status = record_read(space, handle, &found);
    rcu_read_unlock();
    if (status == STATUS_OK || status == STATUS_ERR_CAP_REVOKED) {
        info_fill(&found, out);
        status = STATUS_OK;
    }
    return status;
}

/*
 * Goes on from a slot to the next one that holds something, at most to the end of the first leaf there is, or of so many
 * that there are not. *found is empty: not yet. In a read section, whose length is the reason for the bounds.
 */
static uint32_t look_on(const struct cap_space *space, uint32_t slot, uint32_t end, struct cap_found *found)
{
    uint32_t bound = slot + LEAVES_AT_ONCE * LEAF_SLOTS;
    const struct capability *record = NULL;
    while (record == NULL && slot < end && slot < bound) {
        record = slot_record(space, slot);
        uint32_t next = (slot | (LEAF_SLOTS - 1)) + 1;
        for (; record != NULL && slot < next; slot++, record++) {
            if (id_read(record) == 0) {
                continue;
            }
            record_find(record, found);
            if (found->id != 0) {
                return slot;
            }
        }
        slot = next;
    }
    return slot;
}

status_t cap_next(struct cap_space *space, cap_handle_t after, cap_handle_t *out)
{
    struct cap_found found = {0, 0, 0};
    if ((uint32_t)after.word >= CAP_MAX_SLOTS) {
        return STATUS_ERR_NOT_FOUND;
    }
    uint32_t slot = (uint32_t)after.word + 1;
    uint32_t end = __atomic_load_n(&space->reach, __ATOMIC_ACQUIRE);
    while (found.id == 0 && slot < end) {
        rcu_read_lock();
        slot = look_on(space, slot, end, &found);
        rcu_read_unlock();
    }
    if (found.id == 0) {
        return STATUS_ERR_NOT_FOUND;
    }
    *out = handle_make(slot, found.generation);
    return STATUS_OK;
}

status_t record_lock(struct cap_space *space, cap_handle_t handle, uint32_t rights, struct cap_locked *out)
{
    for (;;) {
        struct cap_found found = {0, 0, 0};
        status_t status = record_read(space, handle, &found);
        if (status == STATUS_OK) {
            status = check(found.word, CAP_NONE, rights);
        }
        if (status != STATUS_OK) {
            return deny(space, handle, found, status);
        }
        out->id = found.id;
        out->word = found.word;
        out->object = cap_word_object(out->word);
        out->irq = cap_tree_lock(out->object);
        out->record = slot_record(space, (uint32_t)handle.word);
        /* the same life of the slot; the id alone could have been away and come back */
        if (out->record != NULL && generation_read(out->record) == found.generation &&
            word_read(out->record) == found.word) {
            out->reference = slot_reference(space, (uint32_t)handle.word);
            return STATUS_OK;
        }
        cap_tree_unlock(out->object, out->irq);
    }
}

void record_unlock(const struct cap_locked *locked)
{
    cap_tree_unlock(locked->object, locked->irq);
}

void tell_added(struct object *object, uint32_t rights)
{
    if (object_ops[object->type].added != NULL) {
        object_ops[object->type].added(object, rights);
    }
}

void tell_removed(struct object *object, uint64_t id, uint64_t word, status_t why)
{
    if (object_ops[object->type].removed != NULL) {
        object_ops[object->type].removed(object, id, cap_word_rights(word), why);
    }
}
