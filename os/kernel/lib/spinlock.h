#ifndef OS_KERNEL_LIB_SPINLOCK_H
#define OS_KERNEL_LIB_SPINLOCK_H

/*
 * Ticket spinlock. FIFO order, one 32-bit word of tickets (next in the high half, serving in the low half),
 * so that a debugger sees holder and queue. Every lock carries its name and class; the classes are the rows
 * of lock_classes.def.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "panic.h"

enum lock_class {
#define LOCK_CLASS(id, name, rank, protects) LOCK_CLASS_##id,
#include "lib/lock_classes.def"
#undef LOCK_CLASS
    LOCK_CLASS_COUNT
};

#define SPINLOCK_NO_HOLDER 0xffffffffu

struct spinlock {
    uint16_t serving; /* ticket that owns the lock */
    uint16_t next;    /* ticket the next arrival draws */
    uint32_t holder;  /* CPU that holds it, SPINLOCK_NO_HOLDER when free; for checks and debuggers */
    const char *name;
    enum lock_class lock_class;
};

#define SPINLOCK_INIT(lock_name, class_id)                                          \
    {                                                                               \
        .serving = 0, .next = 0, .holder = SPINLOCK_NO_HOLDER, .name = (lock_name), \
        .lock_class = LOCK_CLASS_##class_id                                         \
    }

/*
 * The lock validator, which only a test image has (test/lockdep.c); else both are null. Called before a lock is taken and
 * before it is released.
 */
KEEPS_REGISTERS void lockdep_acquire(const struct spinlock *lock) __attribute__((weak));
KEEPS_REGISTERS void lockdep_release(const struct spinlock *lock) __attribute__((weak));

/* Makes a free lock. name must outlive the lock. */
static inline void spinlock_init(struct spinlock *lock, const char *name, enum lock_class lock_class)
{
    *lock = (struct spinlock){.holder = SPINLOCK_NO_HOLDER, .name = name, .lock_class = lock_class};
}

static inline bool spin_is_held(const struct spinlock *lock)
{
    return __atomic_load_n(&lock->holder, __ATOMIC_RELAXED) == arch_cpu_id();
}

/*
 * Takes the lock: with interrupts off, or one that is never taken by interrupt code.
 * Panics on a recursive acquisition by the same CPU. At most 65,535 waiters.
 */
static inline void spin_lock(struct spinlock *lock)
{
    if (lockdep_acquire != NULL) {
        lockdep_acquire(lock);
    }
    uint16_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
    if (__builtin_expect(__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket, 0)) {
        if (spin_is_held(lock)) {
            panic("spinlock %s: taken twice by cpu %u", lock->name, arch_cpu_id());
        }
        while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket) {
            arch_pause();
        }
    }
    __atomic_store_n(&lock->holder, arch_cpu_id(), __ATOMIC_RELAXED);
}

/* How often it has been taken, modulo 65,536: of a lock that this CPU holds. */
static inline uint16_t spin_lock_turn(const struct spinlock *lock)
{
    return __atomic_load_n(&lock->serving, __ATOMIC_RELAXED);
}

/* Releases a lock that this CPU holds. */
static inline void spin_unlock(struct spinlock *lock)
{
    if (lockdep_release != NULL) {
        lockdep_release(lock);
    }
    __atomic_store_n(&lock->holder, SPINLOCK_NO_HOLDER, __ATOMIC_RELAXED);
    arch_step16(&lock->serving);
}

/*
 * For who reads what a lock guards without taking it: true when nobody holds it; then nothing has changed from here on until
 * spin_taken_since(ticket) is true (but for 65,536 takings in between).
 */
static inline bool spin_unheld(const struct spinlock *lock, uint16_t *ticket)
{
    *ticket = __atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&lock->next, __ATOMIC_ACQUIRE) == *ticket;
}

static inline bool spin_taken_since(const struct spinlock *lock, uint16_t ticket)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&lock->next, __ATOMIC_RELAXED) != ticket;
}

/* Draws the next ticket when it would be served at once: true. */
static inline bool spin_draw_free(struct spinlock *lock)
{
    uint16_t ticket = __atomic_load_n(&lock->next, __ATOMIC_RELAXED);
    return __atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) == ticket &&
           __atomic_compare_exchange_n(&lock->next, &ticket, (uint16_t)(ticket + 1), false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

/* For assembly that releases a lock by itself (entry.S): the validator is told before. */
static inline void spin_unlock_announce(const struct spinlock *lock)
{
    if (lockdep_release != NULL) {
        lockdep_release(lock);
    }
}

_Static_assert(offsetof(struct spinlock, serving) == 0 && offsetof(struct spinlock, holder) == 4, "entry.S");

/* Turns interrupts off, takes the lock, returns the interrupt state to give back. */
static inline uint64_t spin_lock_irqsave(struct spinlock *lock)
{
    uint64_t flags = arch_irq_save();
    spin_lock(lock);
    return flags;
}

/*
 * The same, but whoever finds the lock taken waits with interrupts as they were, behind who waits in order: for a lock that
 * many CPUs want at once, where a wait in order would keep interrupts off for as long as all of them need.
 */
ALWAYS_INLINE uint64_t spin_lock_irqsave_patient(struct spinlock *lock)
{
    uint64_t flags = arch_irq_save();
    while (__builtin_expect(!spin_draw_free(lock), 0)) {
        if (spin_is_held(lock)) {
            panic("spinlock %s: taken twice by cpu %u", lock->name, arch_cpu_id());
        }
        arch_irq_restore(flags);
        uint16_t ticket;
        while (!spin_unheld(lock, &ticket)) {
            arch_pause();
        }
        flags = arch_irq_save();
    }
    if (lockdep_acquire != NULL) {
        lockdep_acquire(lock);
    }
    __atomic_store_n(&lock->holder, arch_cpu_id(), __ATOMIC_RELAXED);
    return flags;
}

static inline void spin_unlock_irqrestore(struct spinlock *lock, uint64_t flags)
{
    spin_unlock(lock);
    arch_irq_restore(flags);
}

/* Name and rank of a class, for reports and checks (lib/spinlock.c). */
struct lock_class_info {
    const char *name;
    unsigned rank;
};

const struct lock_class_info *lock_class_info(enum lock_class lock_class);

#endif
