/* Capability tables: two levels, one lock a table. */
#include "cap/cap.h"

#include "mm/kheap.h"

static uint64_t last_id;

struct cap_table *cap_table_create(void)
{
    struct cap_table *table = kzalloc(sizeof(*table));
    if (table != NULL) {
        spinlock_init(&table->lock, "cap.table", LOCK_CLASS_CAP_TABLE);
    }
    return table;
}

void cap_table_destroy(struct cap_table *table)
{
    for (unsigned i = 0; i < CAP_LEAVES; i++) {
        kfree(table->leaves[i]);
    }
    kfree(table);
}

static struct capability *slot_find(const struct cap_table *table, unsigned slot)
{
    if (slot == 0 || slot >= CAP_MAX_SLOTS || table->leaves[slot / CAP_LEAF_SLOTS] == NULL) {
        return NULL;
    }
    return &table->leaves[slot / CAP_LEAF_SLOTS][slot % CAP_LEAF_SLOTS];
}

static status_t leaf_make(struct cap_table *table, unsigned slot)
{
    if (slot == 0 || slot >= CAP_MAX_SLOTS) {
        return STATUS_ERR_CAP_QUOTA;
    }
    struct capability **leaf = &table->leaves[slot / CAP_LEAF_SLOTS];
    if (*leaf == NULL) {
        *leaf = kzalloc(CAP_LEAF_SLOTS * sizeof(struct capability));
    }
    return *leaf != NULL ? STATUS_OK : STATUS_ERR_NO_MEMORY;
}

static status_t install_locked(struct cap_table *table, unsigned slot, enum cap_type type, uint32_t rights,
                               uint64_t target)
{
    status_t status = leaf_make(table, slot);
    if (status != STATUS_OK) {
        return status;
    }
    struct capability *capability = slot_find(table, slot);
    if (capability->id != 0) {
        return STATUS_ERR_EXISTS;
    }
    if (capability->generation == CAP_LAST_GENERATION) {
        return STATUS_ERR_CAP_QUOTA;
    }
    capability->target = target;
    capability->rights = rights;
    capability->type = (uint8_t)type;
    capability->flags = CAP_KEEP_ON_EXEC;
    capability->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
    table->used++;
    return STATUS_OK;
}

status_t cap_install(struct cap_table *table, unsigned slot, enum cap_type type, uint32_t rights,
                     uint64_t target)
{
    uint64_t flags = spin_lock_irqsave(&table->lock);
    status_t status = install_locked(table, slot, type, rights, target);
    spin_unlock_irqrestore(&table->lock, flags);
    return status;
}

status_t cap_remove(struct cap_table *table, unsigned slot)
{
    uint64_t flags = spin_lock_irqsave(&table->lock);
    struct capability *capability = slot_find(table, slot);
    status_t status = STATUS_ERR_CAP_INVALID;
    if (capability != NULL && capability->id != 0) {
        *capability = (struct capability){.generation = (uint16_t)(capability->generation + 1)};
        table->used--;
        status = STATUS_OK;
    }
    spin_unlock_irqrestore(&table->lock, flags);
    return status;
}

static status_t leaf_clone(struct cap_table *child, const struct capability *leaf, unsigned first)
{
    for (unsigned i = 0; i < CAP_LEAF_SLOTS; i++) {
        if (leaf[i].id == 0) {
            continue;
        }
        status_t status = install_locked(child, first + i, leaf[i].type, leaf[i].rights, leaf[i].target);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

struct cap_table *cap_table_clone(struct cap_table *parent)
{
    struct cap_table *child = cap_table_create();
    if (child == NULL) {
        return NULL;
    }
    status_t status = STATUS_OK;
    uint64_t flags = spin_lock_irqsave(&parent->lock);
    for (unsigned i = 0; status == STATUS_OK && i < CAP_LEAVES; i++) {
        if (parent->leaves[i] != NULL) {
            status = leaf_clone(child, parent->leaves[i], i * CAP_LEAF_SLOTS);
        }
    }
    spin_unlock_irqrestore(&parent->lock, flags);
    if (status != STATUS_OK) {
        cap_table_destroy(child);
        return NULL;
    }
    return child;
}

status_t cap_install_boot_set(struct cap_table *table)
{
    status_t status = STATUS_OK;
    for (unsigned type = CAP_NONE + 1; status == STATUS_OK && type < CAP_TYPE_COUNT; type++) {
        status = cap_install(table, type, (enum cap_type)type, RIGHTS_ALL, 0);
    }
    return status;
}

status_t cap_require(struct cap_table *table, enum cap_type type, uint32_t rights)
{
    uint64_t flags = spin_lock_irqsave(&table->lock);
    const struct capability *capability = slot_find(table, type);
    status_t status = STATUS_OK;
    if (capability == NULL || capability->id == 0) {
        status = STATUS_ERR_CAP_INVALID;
    } else if (capability->type != type) {
        status = STATUS_ERR_CAP_TYPE;
    } else if ((capability->rights & rights) != rights) {
        status = STATUS_ERR_CAP_RIGHTS;
    }
    spin_unlock_irqrestore(&table->lock, flags);
    return status;
}

status_t cap_read(struct cap_table *table, unsigned slot, struct cap_info *out)
{
    uint64_t flags = spin_lock_irqsave(&table->lock);
    const struct capability *capability = slot_find(table, slot);
    status_t status = STATUS_ERR_CAP_INVALID;
    if (capability != NULL && capability->id != 0) {
        *out = (struct cap_info){.id = capability->id,
                                 .type = capability->type,
                                 .rights = capability->rights,
                                 .generation = capability->generation};
        status = STATUS_OK;
    }
    spin_unlock_irqrestore(&table->lock, flags);
    return status;
}
