/* What the types of objects do: one row a type that does anything. */
#include "object/object.h"

const struct object_ops object_ops[CAP_TYPE_COUNT] = {
    [CAP_NONE] = {.release = NULL},
};
