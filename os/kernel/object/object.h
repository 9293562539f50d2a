#ifndef OS_KERNEL_OBJECT_OBJECT_H
#define OS_KERNEL_OBJECT_OBJECT_H

/*
 * Kernel objects: what capabilities name. Every object begins with a struct object; capabilities, mappings and system
 * calls under way hold references. With the last one the object's type releases it: after a grace period (sched/rcu.h), in
 * thread context, no lock held. So who has found an object by a lookup may use it until the end of the read section in
 * which that was, without a reference of its own.
 */

#include <stdbool.h>
#include <stdint.h>

#include "abi/abi.h"
#include "abi/status.h"
#include "sched/rcu.h"

/* References of an object that is never released. */
#define OBJECT_PINNED UINT32_MAX

struct object {
    uint32_t references;
    enum cap_type type;
    struct rcu_node rcu;        /* of the release */
} __attribute__((aligned(16))); /* a capability does not store the low bits of its address */

/*
 * What a type does when something happens to its objects; null: nothing. The row of a new type goes into
 * object_types.c.
 *   release   the last reference is gone: takes the object apart and frees it. Thread context, no lock held.
 *   added     a capability with these rights has come to be (made, derived, moved in, inherited). In a read section, no lock
 *             held.
 *   removed   the capability `id` is gone: STATUS_ERR_CAP_REVOKED when its ancestor was revoked, STATUS_ERR_DEAD when its
 *             holder deleted it, moved it away or ended. Called once, a grace period after lookups of it began to fail, so
 *             that who has found it and queues by its id is seen, and before the revocation returns. Thread context, no
 *             lock held, the object referenced.
 */
struct object_ops {
    void (*release)(struct object *object);
    void (*added)(struct object *object, uint32_t rights);
    void (*removed)(struct object *object, uint64_t id, uint32_t rights, status_t why);
};

extern const struct object_ops object_ops[CAP_TYPE_COUNT];

/* A new object with one reference, the maker's. */
void object_init(struct object *object, enum cap_type type);

/* One more reference; the caller has one, or is in the read section of the lookup that found a pinned object. */
void object_get(struct object *object);

/* One more reference unless the last one is gone. In the read section in which the object was found. */
MUST_CHECK bool object_try_get(struct object *object);

/* One reference less. Any context. */
void object_put(struct object *object);

/* The only object of a type that has just one (console, driver port, ...), pinned; null for other types. */
struct object *object_singleton(enum cap_type type);

#endif
