/* The table of lock classes: the rows of lib/lock_classes.def. The lock itself is inline. Deviations: none.
 */

#include "lib/spinlock.h"

static const struct lock_class_info classes[LOCK_CLASS_COUNT] = {
#define LOCK_CLASS(id, class_name, class_rank, text) \
    [LOCK_CLASS_##id] = {.name = (class_name), .rank = (class_rank)},
#include "lib/lock_classes.def"
#undef LOCK_CLASS
};

const struct lock_class_info *lock_class_info(enum lock_class lock_class)
{
    return &classes[lock_class];
}
