/*
 * Mutex, semaphore, condition variable, read-write lock, barrier, once. Source of the mutex: U. Drepper, "Futexes Are Tricky",
 * third algorithm.
 *
 * Who goes to sleep counts himself (or marks the word) before the kernel compares the word with what he saw; who wakes changes
 * the word before he looks for sleepers. One of the two sees the other if both steps are sequentially consistent, so those
 * are; all else is acquire where something is taken and release where it is given. `turn` words change with every event that
 * may end a wait, so that a state which was left and reached again is not taken for one that never changed.
 */
#include "lib/sync.h"

#include "lib/orrery.h"
#include "lib/word.h"

#define ACQUIRE    __ATOMIC_ACQUIRE
#define RELEASE    __ATOMIC_RELEASE
#define RELAXED    __ATOMIC_RELAXED
#define SEQUENTIAL __ATOMIC_SEQ_CST
#define EVERYBODY  UINT32_MAX

static int64_t sleep_at(const uint32_t *word, uint32_t value, uint64_t patience_ns)
{
    return sys_futex_wait(word, value, patience_ns, FUTEX_PRIVATE);
}

static void wake_at(const uint32_t *word, uint32_t count)
{
    (void)sys_futex_wake(word, count, FUTEX_PRIVATE);
}

/* ---- mutex ---- */

bool mutex_try_lock(struct mutex *mutex)
{
    return word_replace(&mutex->state, 0, 1, ACQUIRE);
}

bool mutex_lock_for(struct mutex *mutex, uint64_t patience_ns)
{
    if (mutex_try_lock(mutex)) {
        return true;
    }
    while (word_exchange(&mutex->state, 2, ACQUIRE) != 0) {
        if (sleep_at(&mutex->state, 2, patience_ns) == STATUS_ERR_TIMEOUT) {
            return false; /* the mark stays: the next unlock wakes for nothing */
        }
    }
    return true;
}

void mutex_lock(struct mutex *mutex)
{
    (void)mutex_lock_for(mutex, SYNC_FOREVER);
}

void mutex_unlock(struct mutex *mutex)
{
    if (word_exchange(&mutex->state, 0, RELEASE) == 2) {
        wake_at(&mutex->state, 1);
    }
}

/* ---- semaphore ---- */

void semaphore_init(struct semaphore *semaphore, uint32_t value)
{
    *semaphore = (struct semaphore){.value = value};
}

bool semaphore_try_wait(struct semaphore *semaphore)
{
    uint32_t value = word_load(&semaphore->value, RELAXED);
    while (value != 0) {
        if (word_replace(&semaphore->value, value, value - 1, ACQUIRE)) {
            return true;
        }
        value = word_load(&semaphore->value, RELAXED);
    }
    return false;
}

void semaphore_wait(struct semaphore *semaphore)
{
    while (!semaphore_try_wait(semaphore)) {
        word_add(&semaphore->sleepers, 1, SEQUENTIAL);
        sleep_at(&semaphore->value, 0, SYNC_FOREVER);
        word_add(&semaphore->sleepers, UINT32_MAX, RELAXED);
    }
}

void semaphore_post(struct semaphore *semaphore)
{
    word_add(&semaphore->value, 1, SEQUENTIAL);
    if (word_load(&semaphore->sleepers, SEQUENTIAL) != 0) {
        wake_at(&semaphore->value, 1);
    }
}

/* ---- condition variable ---- */

bool condition_wait(struct condition *condition, struct mutex *mutex, uint64_t patience_ns)
{
    word_add(&condition->sleepers, 1, SEQUENTIAL);
    uint32_t turn = word_load(&condition->turn, SEQUENTIAL);
    mutex_unlock(mutex);
    int64_t status = sleep_at(&condition->turn, turn, patience_ns);
    word_add(&condition->sleepers, UINT32_MAX, RELAXED);
    mutex_lock(mutex);
    return status != STATUS_ERR_TIMEOUT;
}

static void next_turn(struct condition *condition, uint32_t count)
{
    word_add(&condition->turn, 1, SEQUENTIAL);
    if (word_load(&condition->sleepers, SEQUENTIAL) != 0) {
        wake_at(&condition->turn, count);
    }
}

void condition_signal(struct condition *condition)
{
    next_turn(condition, 1);
}

void condition_broadcast(struct condition *condition)
{
    next_turn(condition, EVERYBODY);
}

/* ---- readers and writers ---- */

static bool try_read(struct rwlock *lock)
{
    uint32_t state = word_load(&lock->state, RELAXED);
    while (state != RWLOCK_WRITER && word_load(&lock->writers, RELAXED) == 0) {
        if (word_replace(&lock->state, state, state + 1, ACQUIRE)) {
            return true;
        }
        state = word_load(&lock->state, RELAXED);
    }
    return false;
}

static void sleep_for_turn(struct rwlock *lock, uint32_t turn)
{
    word_add(&lock->sleepers, 1, SEQUENTIAL);
    sleep_at(&lock->turn, turn, SYNC_FOREVER);
    word_add(&lock->sleepers, UINT32_MAX, RELAXED);
}

static void become_free(struct rwlock *lock)
{
    word_add(&lock->turn, 1, SEQUENTIAL);
    if (word_load(&lock->sleepers, SEQUENTIAL) != 0) {
        wake_at(&lock->turn, EVERYBODY);
    }
}

void rwlock_read_lock(struct rwlock *lock)
{
    for (;;) {
        uint32_t turn = word_load(&lock->turn, ACQUIRE);
        if (try_read(lock)) {
            return;
        }
        sleep_for_turn(lock, turn);
    }
}

void rwlock_read_unlock(struct rwlock *lock)
{
    if (word_add(&lock->state, UINT32_MAX, RELEASE) == 1) {
        become_free(lock);
    }
}

void rwlock_write_lock(struct rwlock *lock)
{
    word_add(&lock->writers, 1, RELAXED);
    for (;;) {
        uint32_t turn = word_load(&lock->turn, ACQUIRE);
        if (word_replace(&lock->state, 0, RWLOCK_WRITER, ACQUIRE)) {
            break;
        }
        sleep_for_turn(lock, turn);
    }
    word_add(&lock->writers, UINT32_MAX, RELAXED);
}

void rwlock_write_unlock(struct rwlock *lock)
{
    word_store(&lock->state, 0, RELEASE);
    become_free(lock);
}

/* ---- barrier ---- */

void barrier_init(struct barrier *barrier, uint32_t count)
{
    *barrier = (struct barrier){.count = count};
}

bool barrier_wait(struct barrier *barrier)
{
    uint32_t turn = word_load(&barrier->turn, ACQUIRE);
    if (word_add(&barrier->arrived, 1, __ATOMIC_ACQ_REL) + 1 == barrier->count) {
        word_store(&barrier->arrived, 0, RELAXED);
        word_add(&barrier->turn, 1, RELEASE);
        wake_at(&barrier->turn, EVERYBODY);
        return true;
    }
    while (word_load(&barrier->turn, ACQUIRE) == turn) {
        sleep_at(&barrier->turn, turn, SYNC_FOREVER);
    }
    return false;
}

/* ---- once ---- */

void once_run(struct once *once, void (*function)(void))
{
    if (word_load(&once->state, ACQUIRE) == 3) {
        return;
    }
    if (word_replace(&once->state, 0, 1, ACQUIRE)) {
        function();
        if (word_exchange(&once->state, 3, RELEASE) == 2) {
            wake_at(&once->state, EVERYBODY);
        }
        return;
    }
    while (word_load(&once->state, ACQUIRE) != 3) {
        (void)word_replace(&once->state, 1, 2, RELAXED);
        sleep_at(&once->state, 2, SYNC_FOREVER);
    }
}
