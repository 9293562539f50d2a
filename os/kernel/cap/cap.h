#ifndef OS_KERNEL_CAP_CAP_H
#define OS_KERNEL_CAP_CAP_H

/*
 * Capabilities: what a process may do, and to which objects. A capability lies in a slot of a process's capability space
 * and is named by a handle: the slot and the slot's generation, which goes up when the slot is emptied. User code never
 * sees addresses; a handle that was not given out does not fit.
 *
 * All capabilities that were made from one another form a tree: a derived one is the child of its source. Revoking a
 * capability takes away everything below it, wherever it lies; deleting one gives its children to its parent.
 *
 * Lookups take no lock. Everything else is thread context, interrupts on, no spinlock held, unless it says otherwise.
 */

#include <stdbool.h>
#include <stdint.h>

#include "abi/abi.h"
#include "abi/status.h"
#include "object/object.h"
#include "types.h"

#define CAP_MAX_SLOTS 65536u

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

/* Audit ring and collector; once, before the first space. STATUS_ERR_NO_MEMORY. */
MUST_CHECK status_t cap_system_init(void);

/* Starts the thread that frees the slots of revoked capabilities, a second or two after the revocation. */
void cap_collector_start(void);

/* ---- spaces ---- */

/* An empty space of a process, with one reference; null when memory is out. */
struct cap_space *cap_space_create(struct pid pid);

/*
 * What a child of fork holds: the parent's capabilities by the policy of each (CAP_FLAG_INHERIT_*), as new ones with the
 * same handles and rights; a handle that names nothing in the parent names nothing in the child. Null: no memory.
 */
struct cap_space *cap_space_clone(struct cap_space *parent, struct pid pid);

/* Deletes what does not say CAP_FLAG_KEEP_ON_EXEC. */
void cap_space_exec(struct cap_space *space);

/* Closes the space, deletes every capability and drops the owner's reference. No lookup of the owner is under way. */
void cap_space_destroy(struct cap_space *space);

/* One more reference, for who puts capabilities into a space that is not its own; what is closed takes none. */
void cap_space_get(struct cap_space *space);
void cap_space_put(struct cap_space *space);

/* Lowers the number of capabilities that the space may hold. STATUS_ERR_RANGE: 0, above the limit, or below the number. */
MUST_CHECK status_t cap_space_limit(struct cap_space *space, uint32_t capabilities);

/* ---- lookup ---- */

/*
 * Finds a capability and checks it, in this order: STATUS_ERR_CAP_INVALID (no such slot, empty, bits that no handle has),
 * _CAP_GENERATION (the slot holds another one now), _CAP_REVOKED, _CAP_TYPE (type is not CAP_NONE and another), _CAP_RIGHTS
 * (not all of `rights`). Only inside a read section (sched/rcu.h), until whose end the object stays; takes no reference and,
 * unless it fails, no lock. Bound: O(1).
 */
MUST_CHECK status_t cap_lookup(struct cap_space *space, cap_handle_t handle, enum cap_type type,
                               uint32_t rights, struct cap_view *out);

/* The same with a reference to the object, which the caller puts. Needs no read section. */
MUST_CHECK status_t cap_get(struct cap_space *space, cap_handle_t handle, enum cap_type type, uint32_t rights,
                            struct cap_view *out);

/* What a capability is, for its holder; also of a revoked one. STATUS_ERR_CAP_INVALID, _CAP_GENERATION. */
MUST_CHECK status_t cap_read(struct cap_space *space, cap_handle_t handle, struct cap_info *out);

/*
 * The handle of the first capability, revoked ones too, in a slot behind that of `after` (word 0: from the start).
 * STATUS_ERR_NOT_FOUND: no more. A capability that stays in its slot all the time is met exactly once, whatever else
 * changes meanwhile. Bound: O(slots of the space).
 */
MUST_CHECK status_t cap_next(struct cap_space *space, cap_handle_t after, cap_handle_t *out);

/* ---- making and unmaking ---- */

/*
 * A new capability for an object, root of a tree of its own, in a free slot. It takes a reference of its own.
 * STATUS_ERR_CAP_QUOTA (limit of the space, all slots in use), STATUS_ERR_NO_MEMORY, STATUS_ERR_DEAD (space closed). So fail
 * all that make a capability.
 */
MUST_CHECK status_t cap_insert(struct cap_space *space, struct object *object, uint32_t rights,
                               uint32_t flags, cap_handle_t *out);

/* The boot set of init: every type that has a single object, in its well-known slot with all rights. */
MUST_CHECK status_t cap_insert_boot_set(struct cap_space *space);

/*
 * A child of the source, in a free slot of `to`, which may be the same space. Fails as cap_lookup and cap_insert;
 * STATUS_ERR_CAP_RIGHTS: `rights` is no subset of the source's, or another space and no RIGHT_GRANT.
 */
MUST_CHECK status_t cap_derive(struct cap_space *from, cap_handle_t source, struct cap_space *to,
                               uint32_t rights, uint32_t flags, cap_handle_t *out);

/* A sibling of the source with the same rights and flags, in the same space. Needs RIGHT_GRANT; fails as cap_derive. */
MUST_CHECK status_t cap_copy(struct cap_space *space, cap_handle_t source, cap_handle_t *out);

/*
 * Moves a capability with its place in the tree and its id to a free slot of `to` (slot 0: any; else a well-known one that
 * is empty: STATUS_ERR_EXISTS, STATUS_ERR_CAP_TARGET when that slot is not of the capability's type). Fails as cap_derive.
 */
MUST_CHECK status_t cap_move(struct cap_space *from, cap_handle_t source, struct cap_space *to, uint32_t slot,
                             cap_handle_t *out);

/*
 * Empties a slot, of a revoked capability too: then the revocation may still be under way. Fails as cap_lookup. Bound: O(1),
 * and a grace period when the object's users are told.
 */
MUST_CHECK status_t cap_delete(struct cap_space *space, cap_handle_t handle);

/*
 * Takes away everything that was derived from a capability, which itself stays. When it returns no CPU's lookup finds any
 * of them, and none is in use: not those either that another revocation or their own holder took away meanwhile. Preemptible,
 * a few at a time. *count: how many of them this call took (may be null). Fails as cap_lookup; then it waits for nobody.
 */
MUST_CHECK status_t cap_revoke(struct cap_space *space, cap_handle_t handle, uint64_t *count);

/*
 * Gives back, after a grace period, the leaves that hold nothing; a space keeps some for later otherwise. Bound: all leaves there can
 * be, interrupts off.
 */
void cap_space_trim(struct cap_space *space);

/* Frees the slots of all revoked capabilities of all spaces now. */
void cap_collect(void);

/* ---- figures and records ---- */

/* Sums over all CPUs; each figure is exact, together they are of about the same time. */
void cap_stats_read(struct cap_stats *out);

/* Records that a process was denied something that the capability `id` had allowed before. Any context. */
void cap_audit_denied(struct pid pid, uint64_t id, status_t why);

/*
 * Copies records of the audit ring with sequence numbers >= from, oldest first, at most `limit`; returns how many. A gap
 * in the numbers is what the ring has lost.
 */
uint32_t cap_audit_read(uint64_t from, struct cap_audit *out, uint32_t limit);

#endif
