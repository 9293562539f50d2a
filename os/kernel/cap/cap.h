#ifndef OS_KERNEL_CAP_CAP_H
#define OS_KERNEL_CAP_CAP_H

/*
 * Capabilities: what a process may do, and to which objects. A capability lies in a slot of a process's capability space
 * and is named by a handle: the slot and the slot's generation, which goes up when the slot is emptied. User code never
 * sees addresses; a handle that was not given out does not fit. Every function takes the space it works on.
 */

#include <stdbool.h>
#include <stdint.h>

#include "abi/abi.h"
#include "abi/status.h"
#include "object/object.h"

/* A handle as user code passes it: the slot in bits 0..31, its generation in bits 32..47, the rest 0. */
typedef struct cap_handle {
    uint64_t word;
} cap_handle_t;

static inline cap_handle_t cap_handle(uint64_t word)
{
    return (cap_handle_t){word};
}

/* The handle of a well-known slot (capabilities.def). */
static inline cap_handle_t cap_well_known(enum cap_type type)
{
    return (cap_handle_t){(uint64_t)type};
}

/* What a lookup tells. */
struct cap_view {
    struct object *object;
    uint64_t id; /* of the capability: unique for ever; what a receiver knows a sender by (badge) */
    uint32_t rights;
    enum cap_type type;
    uint32_t flags; /* CAP_FLAG_* */
};

struct cap_space;

/* An empty space of a process; null when memory is out. */
struct cap_space *cap_space_create(uint32_t pid);

/* Deletes every capability, then the space. No lookup may be under way. Thread context, no lock held. */
void cap_space_destroy(struct cap_space *space);

/*
 * What a child of fork holds: the parent's capabilities with the same handles and rights, as new ones. Null: no memory.
 */
struct cap_space *cap_space_clone(struct cap_space *parent, uint32_t pid);

/*
 * Finds a capability and checks it, in this order: STATUS_ERR_CAP_INVALID (no such slot, empty, bits that no handle has),
 * _CAP_GENERATION (the slot holds another one now), _CAP_REVOKED, _CAP_TYPE (type is not CAP_NONE and another), _CAP_RIGHTS
 * (not all of `rights`). Only inside a read section (lib/rcu.h), until whose end the object stays; takes no lock, no
 * reference. Bound: O(1).
 */
MUST_CHECK status_t cap_lookup(struct cap_space *space, cap_handle_t handle, enum cap_type type,
                               uint32_t rights, struct cap_view *out);

/* The same with a reference to the object, which the caller puts. Needs no read section. */
MUST_CHECK status_t cap_get(struct cap_space *space, cap_handle_t handle, enum cap_type type, uint32_t rights,
                            struct cap_view *out);

/*
 * A new capability for an object, root of a derivation tree of its own, in a free slot. It takes a reference of its own.
 * STATUS_ERR_CAP_QUOTA, STATUS_ERR_NO_MEMORY.
 */
MUST_CHECK status_t cap_insert(struct cap_space *space, struct object *object, uint32_t rights,
                               uint32_t flags, cap_handle_t *out);

/*
 * A capability with fewer or the same rights (`rights` must be a subset of the source's), as a child of the source, in a
 * free slot of `to`, which may be the same space. Fails as cap_lookup, STATUS_ERR_CAP_RIGHTS (more rights than the source
 * has; another space without RIGHT_GRANT), STATUS_ERR_CAP_QUOTA, STATUS_ERR_NO_MEMORY.
 */
MUST_CHECK status_t cap_derive(struct cap_space *from, cap_handle_t source, struct cap_space *to,
                               uint32_t rights, uint32_t flags, cap_handle_t *out);

/* Empties a slot. Fails as cap_lookup. Thread context, no lock held. */
MUST_CHECK status_t cap_delete(struct cap_space *space, cap_handle_t handle);

/* The boot set of init: every type that has a single object, in its well-known slot with all rights. */
MUST_CHECK status_t cap_insert_boot_set(struct cap_space *space);

/* What a capability is, for its holder. Fails as cap_lookup. */
MUST_CHECK status_t cap_read(struct cap_space *space, cap_handle_t handle, struct cap_info *out);

#endif
