#ifndef OS_DIMENSION_LOCK_H
#define OS_DIMENSION_LOCK_H

/* Ticket lock between writers: first come, first served; who waits yields through the platform. Zero is unlocked. */

#include <stdbool.h>
#include <stdint.h>

#include "dimension/platform.h"

struct dim_lock {
    uint32_t next;    /* ticket that the next arrival draws */
    uint32_t serving; /* ticket that holds the lock */
};

static inline uint32_t dim_lock_draw(struct dim_lock *lock)
{
    return __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
}

/* Whether it is that ticket's turn: then the lock is held. */
static inline bool dim_lock_is_served(const struct dim_lock *lock, uint32_t ticket)
{
    return __atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) == ticket;
}

static inline void dim_lock_wait(const struct dim_lock *lock, uint32_t ticket,
                                 const struct dim_platform *platform)
{
    while (!dim_lock_is_served(lock, ticket)) {
        dim_platform_relax(platform);
    }
}

static inline void dim_lock_take(struct dim_lock *lock, const struct dim_platform *platform)
{
    dim_lock_wait(lock, dim_lock_draw(lock), platform);
}

static inline void dim_lock_drop(struct dim_lock *lock)
{
    __atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
}

#endif
