#ifndef OS_LIB_SYNC_H
#define OS_LIB_SYNC_H

/*
 * Synchronisation of the threads of a process. All of it works on words of memory; the kernel is asked only by who must sleep
 * and for who sleeps (futex). Zero is the initial state of each but barrier and semaphore. None may be copied or moved while
 * it is in use, and none is for threads of several processes.
 *
 * What one thread wrote before it unlocked, posted, signalled under the mutex, arrived or finished the once function, another
 * sees after its lock, wait or arrival.
 */

#include <stdbool.h>
#include <stdint.h>

#define SYNC_FOREVER UINT64_MAX

/* ---- mutex: one holder; not recursive; not fair (who comes may overtake who sleeps) ---- */

struct mutex {
    uint32_t state; /* 0 free, 1 held, 2 held and perhaps somebody sleeps */
};

void mutex_lock(struct mutex *mutex);
bool mutex_try_lock(struct mutex *mutex);

/* False: it was not to be had within the patience in ns. */
bool mutex_lock_for(struct mutex *mutex, uint64_t patience_ns);

/* By its holder. */
void mutex_unlock(struct mutex *mutex);

/* ---- counting semaphore ---- */

struct semaphore {
    uint32_t value;
    uint32_t sleepers;
};

void semaphore_init(struct semaphore *semaphore, uint32_t value);
void semaphore_wait(struct semaphore *semaphore);
bool semaphore_try_wait(struct semaphore *semaphore);
void semaphore_post(struct semaphore *semaphore);

/* ---- condition variable: always in a loop that looks at the condition; may wake for nothing ---- */

struct condition {
    uint32_t turn; /* changes with every signal */
    uint32_t sleepers;
};

/* Gives the mutex up while it sleeps. False: time is up (the mutex is held again). */
bool condition_wait(struct condition *condition, struct mutex *mutex, uint64_t patience_ns);
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);

/* ---- readers and writers: many readers or one writer; a writer that waits keeps new readers out ---- */

struct rwlock {
    uint32_t state;   /* readers, or RWLOCK_WRITER */
    uint32_t writers; /* that wait */
    uint32_t turn;    /* changes when it becomes free */
    uint32_t sleepers;
};

#define RWLOCK_WRITER 0x80000000u

void rwlock_read_lock(struct rwlock *lock);
void rwlock_read_unlock(struct rwlock *lock);
void rwlock_write_lock(struct rwlock *lock);
void rwlock_write_unlock(struct rwlock *lock);

/* ---- barrier: `count` threads wait for one another, again and again ---- */

struct barrier {
    uint32_t count;
    uint32_t arrived;
    uint32_t turn;
};

void barrier_init(struct barrier *barrier, uint32_t count);

/* True in the one that came last. */
bool barrier_wait(struct barrier *barrier);

/* ---- once ---- */

struct once {
    uint32_t state; /* 0 new, 1 running, 2 running and somebody sleeps, 3 done */
};

/* Calls the function if nobody has; returns when it has returned, whoever called it. */
void once_run(struct once *once, void (*function)(void));

#endif
