#ifndef OS_DIMENSION_LOCK_H
#define OS_DIMENSION_LOCK_H

/* Ticket lock between writers: first come, first served; who waits yields through the platform. Zero is unlocked. */

#include <stdint.h>

#include "dimension/platform.h"

struct dim_lock {
    uint32_t next;    /* ticket that the next arrival draws */
    uint32_t serving; /* ticket that holds the lock */
};

static inline void dim_lock_take(struct dim_lock *lock, const struct dim_platform *platform)
{
    uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket) {
        dim_platform_relax(platform);
    }
}

static inline void dim_lock_drop(struct dim_lock *lock)
{
    __atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
}

#endif
