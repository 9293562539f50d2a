/* References of kernel objects, and the objects there is one of. */
#include "object/object.h"

#include "panic.h"

#define PINNED(id) [CAP_##id] = {.references = OBJECT_PINNED, .type = CAP_##id}

static struct object singletons[CAP_TYPE_COUNT] = {
    PINNED(PROCESS),    PINNED(MEMORY), PINNED(CONSOLE), PINNED(DRIVER),
    PINNED(STATISTICS), PINNED(POWER),  PINNED(AUDIT),   PINNED(HARDWARE),
};

struct object *object_singleton(enum cap_type type)
{
    return singletons[type].references == OBJECT_PINNED ? &singletons[type] : NULL;
}

void object_init(struct object *object, enum cap_type type)
{
    *object = (struct object){.references = 1, .type = type};
}

bool object_try_get(struct object *object)
{
    uint32_t now = __atomic_load_n(&object->references, __ATOMIC_RELAXED);
    do {
        if (now == OBJECT_PINNED) {
            return true;
        }
        if (now == 0) {
            return false;
        }
        if (now == OBJECT_PINNED - 1) {
            panic("object: too many references");
        }
    } while (!__atomic_compare_exchange_n(&object->references, &now, now + 1, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return true;
}

void object_get(struct object *object)
{
    if (!object_try_get(object)) {
        panic("object: reference to a dead object of type %u", object->type);
    }
}

static void release(struct rcu_node *node)
{
    struct object *object = list_entry(node, struct object, rcu);
    if (object_ops[object->type].release != NULL) {
        object_ops[object->type].release(object);
    }
}

void object_put(struct object *object)
{
    if (__atomic_load_n(&object->references, __ATOMIC_RELAXED) == OBJECT_PINNED) {
        return;
    }
    uint32_t left = __atomic_sub_fetch(&object->references, 1, __ATOMIC_ACQ_REL);
    if (left == UINT32_MAX) {
        panic("object: of type %u put too often", object->type);
    }
    if (left == 0) {
        rcu_defer(&object->rcu, release);
    }
}
