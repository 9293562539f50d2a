#ifndef OS_KERNEL_CAP_CAP_H
#define OS_KERNEL_CAP_CAP_H

/*
 * Capabilities. A slot of a process's table:
 *
 *   id          64 bits, unique for ever, 0: empty slot
 *   target      which object of its type (0: the only one there is)
 *   rights      RIGHT_*
 *   generation  16 bits, of the slot: goes up when the slot is emptied; a slot at its last generation is
 * retired type        enum cap_type flags       CAP_KEEP_ON_EXEC
 *
 * The table has two levels: leaves of 32 slots, made when first needed. User code never sees addresses of
 * slots.
 */

#include <stdbool.h>
#include <stdint.h>

#include "abi/abi.h"
#include "abi/status.h"
#include "lib/spinlock.h"

#define CAP_LEAF_SLOTS      32u
#define CAP_LEAVES          32u
#define CAP_MAX_SLOTS       (CAP_LEAF_SLOTS * CAP_LEAVES)
#define CAP_KEEP_ON_EXEC    0x1u
#define CAP_LAST_GENERATION 0xffffu

struct capability {
    uint64_t id;
    uint64_t target;
    uint32_t rights;
    uint16_t generation;
    uint8_t type;
    uint8_t flags;
};

_Static_assert(sizeof(struct capability) == 24, "capability layout");

struct cap_table {
    struct spinlock lock;
    uint32_t used;
    struct capability *leaves[CAP_LEAVES];
};

/* An empty table; null when memory is out. */
struct cap_table *cap_table_create(void);
void cap_table_destroy(struct cap_table *table);

/* What a child of fork holds: every capability of the parent, as new ones with the same rights. Null: no
 * memory. */
struct cap_table *cap_table_clone(struct cap_table *parent);

/* Puts a new capability into an empty slot. STATUS_ERR_CAP_QUOTA (bad or retired slot), _EXISTS, _NO_MEMORY.
 */
MUST_CHECK status_t cap_install(struct cap_table *table, unsigned slot, enum cap_type type, uint32_t rights,
                                uint64_t target);

/* Empties a slot. STATUS_ERR_CAP_INVALID. */
MUST_CHECK status_t cap_remove(struct cap_table *table, unsigned slot);

/* The boot set of init: every type in its well-known slot with all rights. */
MUST_CHECK status_t cap_install_boot_set(struct cap_table *table);

/*
 * Checks that the well-known slot of `type` holds a capability of that type with all of `rights`.
 * STATUS_ERR_CAP_INVALID (empty), _CAP_TYPE, _CAP_RIGHTS. Bound: O(1).
 */
MUST_CHECK status_t cap_require(struct cap_table *table, enum cap_type type, uint32_t rights);

MUST_CHECK status_t cap_read(struct cap_table *table, unsigned slot, struct cap_info *out);

#endif
