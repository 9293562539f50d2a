/* Synchronisation on the real system; every interleaving of small cases is tested on the host (tests/unit/os/test_sync.c). */
#include "threadtest.h"

#define THREADS 6u
#define ROUNDS  400u

static int64_t tids[THREADS];

/* Starts THREADS threads with their number and joins them; true when all return 1. */
static bool run_all(thread_function function)
{
    bool good = true;
    for (uint64_t i = 0; i < THREADS; i++) {
        tids[i] = thread_start(function, (void *)(uintptr_t)i, 0);
        good &= tids[i] > 0;
    }
    for (unsigned i = 0; i < THREADS; i++) {
        uint64_t value = 0;
        good &= thread_join(tids[i], &value) == STATUS_OK && value == 1;
    }
    return good;
}

/* ---- words ---- */

static uint32_t word;

/* Once a thread waits: argument is its number. */
static uint64_t wake_later(void *argument)
{
    (void)tap_thread_waits((int64_t)(uintptr_t)argument);
    __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
    return (uint64_t)sys_futex_wake(&word, 5, FUTEX_PRIVATE);
}

static bool test_a_word_is_waited_at(void)
{
    uint64_t woken = 0;
    word = 0;
    EXPECT(sys_futex_wait(&word, 1, THREAD_PATIENCE_FOREVER, FUTEX_PRIVATE) == STATUS_ERR_AGAIN);
    EXPECT(sys_futex_wait(&word, 0, 0, 0) == STATUS_ERR_TIMEOUT);
    int64_t before = sys_clock();
    EXPECT(sys_futex_wait(&word, 0, 5 * MS, FUTEX_PRIVATE) == STATUS_ERR_TIMEOUT);
    EXPECT(sys_clock() - before >= (int64_t)(5 * MS) && sys_futex_wake(&word, 1, 0) == 0);
    int64_t tid = thread_start(wake_later, (void *)(uintptr_t)sys_thread_self(), 0);
    EXPECT(sys_futex_wait(&word, 0, THREAD_PATIENCE_FOREVER, FUTEX_PRIVATE) == STATUS_OK && word == 1);
    return thread_join(tid, &woken) == STATUS_OK && woken == 1;
}

static bool test_bad_words_are_refused(void)
{
    const uint32_t *kernel = (const uint32_t *)0xffffffff80100000;
    const uint32_t *unmapped = (const uint32_t *)0x1000;
    const uint32_t *odd = (const uint32_t *)((uintptr_t)&word + 2);
    EXPECT(sys_futex_wait(kernel, 0, 0, 0) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_futex_wait(unmapped, 0, 0, FUTEX_PRIVATE) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_futex_wait(unmapped, 0, 0, 0) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_futex_wait(odd, 0, 0, 0) == STATUS_ERR_UNALIGNED);
    EXPECT(sys_futex_wait(&word, 0, 0, 2) == STATUS_ERR_UNKNOWN_BITS);
    EXPECT(sys_futex_wake(kernel, 1, 0) == STATUS_ERR_BAD_ADDRESS);
    EXPECT(sys_futex_wake(unmapped, 1, 0) == STATUS_ERR_BAD_ADDRESS);
    return sys_futex_wake(odd, 1, FUTEX_PRIVATE) == STATUS_ERR_UNALIGNED;
}

static uint32_t *shared_word;

static int wait_in_region(void)
{
    return sys_futex_wait(shared_word, 0, THREAD_PATIENCE_FOREVER, 0) == STATUS_OK && *shared_word == 5 ? 0
                                                                                                        : 1;
}

/* A region is mapped at two addresses in two processes; anonymous memory at one address is two words after fork. */
static bool test_processes_meet_at_a_word_of_a_shared_region(void)
{
    int64_t region = sys_region_create(PAGE, -1);
    EXPECT(region > 0);
    int64_t at = sys_region_map((handle_t)region, 0, PAGE, 0, PROTECT_READ | PROTECT_WRITE);
    int64_t again = sys_region_map((handle_t)region, 0, PAGE, 0, PROTECT_READ | PROTECT_WRITE);
    EXPECT(at > 0 && again > 0 && at != again);
    shared_word = (uint32_t *)(uintptr_t)again + 3;
    volatile uint32_t *mine = (uint32_t *)(uintptr_t)at + 3;
    *mine = 0;
    word = 0;
    int64_t pid = tap_child(wait_in_region);
    EXPECT(tap_child_waits(pid));
    *mine = 5;
    EXPECT(sys_futex_wake(&word, 5, 0) == 0);
    EXPECT(sys_futex_wake((uint32_t *)(uintptr_t)at + 3, 5, FUTEX_PRIVATE) == 0);
    EXPECT(sys_futex_wake((uint32_t *)(uintptr_t)at + 3, 5, 0) == 1);
    EXPECT(tap_status(pid) == 0);
    EXPECT(sys_unmap((uint64_t)at, PAGE) == 0 && sys_unmap((uint64_t)again, PAGE) == 0);
    return sys_cap_delete((handle_t)region) == STATUS_OK;
}

/* ---- the library ---- */

static struct mutex mutex;
static uint64_t counter; /* not atomic: the mutex is what makes it right */

static uint64_t count_up(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        mutex_lock(&mutex);
        uint64_t now = counter;
        if (i % 64 == 0) {
            sys_yield();
        }
        counter = now + 1;
        mutex_unlock(&mutex);
    }
    return 1;
}

static bool test_a_mutex_lets_one_in(void)
{
    counter = 0;
    EXPECT(run_all(count_up) && counter == (uint64_t)THREADS * ROUNDS && mutex.state == 0);
    EXPECT(mutex_try_lock(&mutex) && !mutex_try_lock(&mutex) && !mutex_lock_for(&mutex, 2 * MS));
    mutex_unlock(&mutex);
    EXPECT(mutex_lock_for(&mutex, 0));
    mutex_unlock(&mutex);
    return true;
}

static struct semaphore slots;
static uint32_t inside;
static uint32_t most;

/* Who is in stays until a second one has been seen, for some time: whether two meet is not the scheduler's choice. */
static void meet_another(void)
{
    for (unsigned turns = 0; __atomic_load_n(&most, __ATOMIC_RELAXED) < 2 && turns < 100000; turns++) {
        sys_yield();
    }
}

static uint64_t use_slot(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < ROUNDS / 8; i++) {
        semaphore_wait(&slots);
        uint32_t now = __atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED);
        uint32_t seen = __atomic_load_n(&most, __ATOMIC_RELAXED);
        while (seen < now &&
               !__atomic_compare_exchange_n(&most, &seen, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
        meet_another();
        sys_yield();
        __atomic_sub_fetch(&inside, 1, __ATOMIC_RELAXED);
        semaphore_post(&slots);
    }
    return 1;
}

static bool test_a_semaphore_lets_so_many_in(void)
{
    semaphore_init(&slots, 2);
    most = 0;
    EXPECT(run_all(use_slot) && most == 2 && slots.value == 2 && slots.sleepers == 0);
    EXPECT(semaphore_try_wait(&slots) && semaphore_try_wait(&slots) && !semaphore_try_wait(&slots));
    return true;
}

/* A queue of four places between three makers and three takers. */
static struct condition not_full;
static struct condition not_empty;
static uint64_t queue[4];
static unsigned queued;
static uint64_t taken_sum;

static void put(uint64_t value)
{
    mutex_lock(&mutex);
    while (queued == 4) {
        (void)condition_wait(&not_full, &mutex, SYNC_FOREVER);
    }
    queue[queued++] = value;
    condition_signal(&not_empty);
    mutex_unlock(&mutex);
}

static void take(void)
{
    mutex_lock(&mutex);
    while (queued == 0) {
        (void)condition_wait(&not_empty, &mutex, SYNC_FOREVER);
    }
    taken_sum += queue[--queued];
    condition_signal(&not_full);
    mutex_unlock(&mutex);
}

static uint64_t make_or_take(void *argument)
{
    for (uint64_t i = 0; i < ROUNDS / 2; i++) {
        if ((uintptr_t)argument % 2 == 0) {
            put(i);
        } else {
            take();
        }
    }
    return 1;
}

static bool test_conditions_pass_everything_on(void)
{
    const uint64_t each = (ROUNDS / 2) * (ROUNDS / 2 - 1) / 2;
    taken_sum = 0;
    EXPECT(run_all(make_or_take) && taken_sum == THREADS / 2 * each && queued == 0);
    mutex_lock(&mutex);
    EXPECT(!condition_wait(&not_full, &mutex, 2 * MS) && mutex.state != 0);
    mutex_unlock(&mutex);
    return not_full.sleepers == 0 && not_empty.sleepers == 0;
}

static struct rwlock rwlock;
static uint64_t left_half;
static uint64_t right_half;

/* Readers never see the halves differ. */
static uint64_t read_or_write(void *argument)
{
    uint64_t good = 1;
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        if ((uintptr_t)argument < 2) {
            rwlock_write_lock(&rwlock);
            left_half++;
            sys_yield();
            right_half++;
            rwlock_write_unlock(&rwlock);
        } else {
            rwlock_read_lock(&rwlock);
            uint64_t seen = __atomic_load_n(&left_half, __ATOMIC_RELAXED);
            sys_yield();
            good &= seen == right_half && (rwlock.state & RWLOCK_WRITER) == 0;
            rwlock_read_unlock(&rwlock);
        }
    }
    return good;
}

static bool test_writers_exclude_readers(void)
{
    left_half = 0;
    right_half = 0;
    EXPECT(run_all(read_or_write) && left_half == ROUNDS / 2 && right_half == left_half);
    return rwlock.state == 0 && rwlock.writers == 0 && rwlock.sleepers == 0;
}

static struct barrier barrier;
static uint32_t steps[THREADS];
static uint32_t last_ones;

static uint64_t walk_together(void *argument)
{
    uint64_t good = 1;
    for (uint32_t round = 0; round < ROUNDS / 8; round++) {
        steps[(uintptr_t)argument] = round;
        if (barrier_wait(&barrier)) {
            __atomic_add_fetch(&last_ones, 1, __ATOMIC_RELAXED);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            good &= steps[i] == round;
        }
        (void)barrier_wait(&barrier);
    }
    return good;
}

static bool test_a_barrier_holds_all_until_the_last_comes(void)
{
    barrier_init(&barrier, THREADS);
    last_ones = 0;
    return run_all(walk_together) && last_ones == ROUNDS / 8;
}

static struct once once;
static uint32_t calls;

static void call_slowly(void)
{
    sys_sleep(5 * MS);
    calls++;
}

static uint64_t call_once(void *argument)
{
    (void)argument;
    once_run(&once, call_slowly);
    return calls == 1;
}

static bool test_once_is_once(void)
{
    return run_all(call_once) && calls == 1;
}

static uint64_t use_heap(void *argument)
{
    unsigned char *blocks[16] = {NULL};
    uint64_t good = 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned char **block = &blocks[i * 7 % 16];
        size_t bytes = 16 + i * 13 % 200;
        if (*block != NULL) {
            good &= **block == (unsigned char)((uintptr_t)argument + 1);
            free(*block);
        }
        *block = malloc(bytes);
        good &= *block != NULL;
        memset(*block, (int)(uintptr_t)argument + 1, bytes);
    }
    for (unsigned i = 0; i < 16; i++) {
        free(blocks[i]);
    }
    return good;
}

static bool test_threads_share_the_heap(void)
{
    return run_all(use_heap);
}

const struct tap_test sync_tests[] = {
    {"a_word_is_waited_at", test_a_word_is_waited_at},
    {"bad_words_are_refused", test_bad_words_are_refused},
    {"processes_meet_at_a_word_of_a_shared_region", test_processes_meet_at_a_word_of_a_shared_region},
    {"a_mutex_lets_one_in", test_a_mutex_lets_one_in},
    {"a_semaphore_lets_so_many_in", test_a_semaphore_lets_so_many_in},
    {"conditions_pass_everything_on", test_conditions_pass_everything_on},
    {"writers_exclude_readers", test_writers_exclude_readers},
    {"a_barrier_holds_all_until_the_last_comes", test_a_barrier_holds_all_until_the_last_comes},
    {"once_is_once", test_once_is_once},
    {"threads_share_the_heap", test_threads_share_the_heap},
};
const unsigned sync_test_count = sizeof(sync_tests) / sizeof(sync_tests[0]);
