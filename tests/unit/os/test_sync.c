/*
 * Every interleaving of small cases of the library's synchronisation (os/lib/sync.c). Threads are coroutines that stop before
 * each operation on a word, each call of the kernel and each step of the test itself. A case is run again and again with
 * another decision at one point; where a state comes up a second time (shared words, what each thread has seen so far, who
 * sleeps), its continuations are known. The memory is sequentially consistent: what weaker orders may do is not seen here.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "abi/status.h"
#include "abi/thread.h"
#include "lib/sync.h"
#include "lib/word.h"

#define THREADS_MAX_HERE 4u
#define STACK_BYTES      65536u
#define STEPS_MAX        400u
#define VISITED_SLOTS    (1u << 22)
#define RUNS_MAX         3000000u

enum outcome { GOOD, DEADLOCK, VIOLATION, TOO_LONG };

struct sync_case {
    unsigned threads;
    void (*body)(unsigned number);
    bool (*good)(void); /* in the end */
};

struct fiber {
    ucontext_t context;
    char *stack;
    uint64_t seen; /* digest of its steps and of what it has read */
    const uint32_t *sleeps_at;
    bool woken;
    bool done;
};

/* What the bodies share; cleared before every run. */
static struct {
    struct mutex mutex;
    struct semaphore semaphore;
    struct condition condition;
    struct rwlock rwlock;
    struct barrier barrier;
    struct once once;
    uint32_t word;
    uint32_t readers;
    uint32_t writers;
    uint32_t counter;
    uint32_t passed[THREADS_MAX_HERE];
} shared;

static struct fiber fibers[THREADS_MAX_HERE];
static ucontext_t scheduler;
static unsigned running;
static const struct sync_case *current;
static bool violated;

static struct {
    uint8_t choice;
    uint8_t choices; /* bit mask of threads that could go on */
} trail[STEPS_MAX];
static unsigned trail_length; /* decided so far, also for the next run */
static uint64_t *visited;
static unsigned visited_count;

/* ---- coroutines ---- */

static uint64_t mix(uint64_t digest, uint64_t value)
{
    digest = (digest ^ value) * 0x9e3779b97f4a7c15ull;
    return digest ^ digest >> 29;
}

static void give_way(void)
{
    fibers[running].seen = mix(fibers[running].seen, UINT64_MAX);
    assert_int_equal(swapcontext(&fibers[running].context, &scheduler), 0);
}

void word_step(void)
{
    give_way();
}

void word_saw(uint32_t value)
{
    fibers[running].seen = mix(fibers[running].seen, value + 1ull);
}

static void step(uint64_t what)
{
    give_way();
    word_saw((uint32_t)what);
}

static void violation_unless(bool right)
{
    violated |= !right;
}

int64_t sys_futex_wait(const uint32_t *word, uint32_t expected, uint64_t patience_ns, unsigned flags);
int64_t sys_futex_wake(const uint32_t *word, uint32_t count, unsigned flags);

int64_t sys_futex_wait(const uint32_t *word, uint32_t expected, uint64_t patience_ns, unsigned flags)
{
    struct fiber *fiber = &fibers[running];
    violation_unless(patience_ns == SYNC_FOREVER && flags == FUTEX_PRIVATE);
    step(100);
    if (*word != expected) {
        word_saw(1);
        return STATUS_ERR_AGAIN;
    }
    fiber->sleeps_at = word;
    fiber->woken = false;
    give_way();
    word_saw(2);
    return STATUS_OK;
}

int64_t sys_futex_wake(const uint32_t *word, uint32_t count, unsigned flags)
{
    violation_unless(flags == FUTEX_PRIVATE);
    step(200);
    for (unsigned i = 0; i < current->threads && count != 0; i++) {
        if (fibers[i].sleeps_at == word) {
            fibers[i].sleeps_at = NULL;
            count--;
        }
    }
    return 0;
}

static void fiber_main(void)
{
    current->body(running);
    fibers[running].done = true;
    give_way();
}

static void fiber_start(struct fiber *fiber)
{
    char *stack = fiber->stack != NULL ? fiber->stack : malloc(STACK_BYTES);
    assert_non_null(stack);
    *fiber = (struct fiber){.stack = stack};
    assert_int_equal(getcontext(&fiber->context), 0);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&fiber->context, fiber_main, 0);
}

static void fibers_start(void)
{
    memset(&shared, 0, sizeof(shared));
    violated = false;
    for (unsigned i = 0; i < current->threads; i++) {
        fiber_start(&fibers[i]);
    }
}

/* ---- search ---- */

static uint64_t state_digest(void)
{
    uint64_t digest = 1;
    const unsigned char *bytes = (const unsigned char *)&shared;
    for (size_t i = 0; i < sizeof(shared); i++) {
        digest = mix(digest, bytes[i]);
    }
    for (unsigned i = 0; i < current->threads; i++) {
        digest = mix(digest, fibers[i].seen);
        digest = mix(digest, (uint64_t)(uintptr_t)fibers[i].sleeps_at ^ fibers[i].done);
    }
    return digest != 0 ? digest : 1;
}

/* True when the state was there before. */
static bool visit(uint64_t digest)
{
    unsigned slot = (unsigned)digest % VISITED_SLOTS;
    while (visited[slot] != 0 && visited[slot] != digest) {
        slot = (slot + 1) % VISITED_SLOTS;
    }
    bool known = visited[slot] != 0;
    visited[slot] = digest;
    visited_count += !known;
    assert_true(visited_count < VISITED_SLOTS / 2);
    return known;
}

static uint8_t able(void)
{
    uint8_t mask = 0;
    for (unsigned i = 0; i < current->threads; i++) {
        mask |= (uint8_t)(!fibers[i].done && fibers[i].sleeps_at == NULL ? 1u << i : 0);
    }
    return mask;
}

static bool all_done(void)
{
    bool done = true;
    for (unsigned i = 0; i < current->threads; i++) {
        done &= fibers[i].done;
    }
    return done;
}

/* One run along the trail, and on with the first thread that can; sets how long it was. */
static enum outcome run_once(unsigned *length)
{
    fibers_start();
    for (unsigned at = 0;; at++) {
        uint8_t mask = able();
        *length = at;
        if (violated) {
            return VIOLATION;
        }
        if (mask == 0) {
            return all_done() ? (current->good() ? GOOD : VIOLATION) : DEADLOCK;
        }
        if (at == STEPS_MAX) {
            return TOO_LONG;
        }
        if (at >= trail_length) {
            if (visit(state_digest())) {
                return GOOD;
            }
            trail[at].choices = mask;
            trail[at].choice = (uint8_t)__builtin_ctz(mask);
        }
        running = trail[at].choice;
        assert_int_equal(swapcontext(&scheduler, &fibers[running].context), 0);
    }
}

/* The last decision that has another way left takes it. False: there is none. */
static bool next_trail(unsigned length)
{
    while (length-- > 0) {
        unsigned rest = (unsigned)trail[length].choices >> (trail[length].choice + 1u);
        if (rest != 0) {
            trail[length].choice = (uint8_t)(trail[length].choice + 1u + (unsigned)__builtin_ctz(rest));
            trail_length = length + 1;
            return true;
        }
    }
    return false;
}

static enum outcome explore(const struct sync_case *wanted)
{
    enum outcome outcome = GOOD;
    unsigned length = 0;
    unsigned runs = 0;
    current = wanted;
    trail_length = 0;
    visited_count = 0;
    memset(visited, 0, VISITED_SLOTS * sizeof(*visited));
    do {
        outcome = run_once(&length);
        runs++;
    } while (outcome == GOOD && runs < RUNS_MAX && next_trail(length));
    assert_true(runs < RUNS_MAX);
    print_message("%u threads: %u runs, %u states\n", wanted->threads, runs, visited_count);
    return outcome;
}

/* ---- mutex ---- */

static void enter_alone(void)
{
    violation_unless(shared.writers++ == 0);
    step(shared.counter);
    shared.counter++;
    shared.writers--;
}

static void lock_twice(unsigned number)
{
    for (unsigned i = 0; i < (number == 0 ? 2 : 1); i++) {
        mutex_lock(&shared.mutex);
        enter_alone();
        mutex_unlock(&shared.mutex);
    }
}

static bool mutex_is_free(void)
{
    return shared.mutex.state == 0 && shared.counter == current->threads + 1;
}

/* covers: TH-10 (X) */
static void a_mutex_excludes_and_loses_nobody(void **state)
{
    (void)state;
    assert_int_equal(explore(&(struct sync_case){2, lock_twice, mutex_is_free}), GOOD);
    assert_int_equal(explore(&(struct sync_case){3, lock_twice, mutex_is_free}), GOOD);
}

static void try_or_lock(unsigned number)
{
    if (number == 0 ? mutex_try_lock(&shared.mutex) : (mutex_lock(&shared.mutex), true)) {
        enter_alone();
        mutex_unlock(&shared.mutex);
    }
}

static bool mutex_is_free_again(void)
{
    return shared.mutex.state == 0 && shared.counter >= current->threads - 1;
}

static void a_mutex_that_is_tried_is_held_or_not(void **state)
{
    (void)state;
    assert_int_equal(explore(&(struct sync_case){3, try_or_lock, mutex_is_free_again}), GOOD);
}

/* ---- what the search must find ---- */

/* Looks, then locks. */
static void lock_in_two_steps(unsigned number)
{
    (void)number;
    while (word_load(&shared.word, 0) != 0) {
        sys_futex_wait(&shared.word, 1, SYNC_FOREVER, FUTEX_PRIVATE);
    }
    word_store(&shared.word, 1, 0);
    enter_alone();
    word_store(&shared.word, 0, 0);
    sys_futex_wake(&shared.word, 1, FUTEX_PRIVATE);
}

/* Wakes only if somebody has said that he sleeps, who says it too late. */
static void sleep_unannounced(unsigned number)
{
    if (number == 0) {
        if (word_load(&shared.counter, 0) == 0) {
            sys_futex_wait(&shared.word, 0, SYNC_FOREVER, FUTEX_PRIVATE);
        }
        word_add(&shared.readers, 1, 0);
    } else {
        word_store(&shared.counter, 1, 0);
        if (word_load(&shared.readers, 0) != 0) {
            sys_futex_wake(&shared.word, 1, FUTEX_PRIVATE);
        }
    }
}

static bool always(void)
{
    return true;
}

static void planted_faults_are_found(void **state)
{
    (void)state;
    assert_int_equal(explore(&(struct sync_case){2, lock_in_two_steps, always}), VIOLATION);
    assert_int_equal(explore(&(struct sync_case){2, sleep_unannounced, always}), DEADLOCK);
}

/* ---- semaphore ---- */

static void post_or_wait(unsigned number)
{
    if (number % 2 == 0) {
        semaphore_post(&shared.semaphore);
    } else {
        semaphore_wait(&shared.semaphore);
        shared.counter++;
    }
}

static bool all_passed(void)
{
    return shared.semaphore.value == 0 && shared.semaphore.sleepers == 0 && shared.counter == 2;
}

/* covers: TH-10 (X) */
static void a_post_is_never_lost(void **state)
{
    (void)state;
    assert_int_equal(explore(&(struct sync_case){4, post_or_wait, all_passed}), GOOD);
}

static void use_slot(unsigned number)
{
    if (number == 0) {
        semaphore_post(&shared.semaphore); /* there is one place */
        return;
    }
    semaphore_wait(&shared.semaphore);
    enter_alone();
    semaphore_post(&shared.semaphore);
}

static bool place_is_free(void)
{
    return shared.semaphore.value == 1 && shared.semaphore.sleepers == 0 && shared.counter == 2;
}

static void a_semaphore_of_one_excludes(void **state)
{
    (void)state;
    assert_int_equal(explore(&(struct sync_case){3, use_slot, place_is_free}), GOOD);
}

/* ---- condition ---- */

static void wait_for_counter(unsigned number)
{
    mutex_lock(&shared.mutex);
    if (number == 0) {
        shared.counter = 1;
        condition_signal(&shared.condition);
    }
    while (word_saw(shared.counter), shared.counter == 0) {
        (void)condition_wait(&shared.condition, &shared.mutex, SYNC_FOREVER);
    }
    mutex_unlock(&shared.mutex);
}

static void signal_behind_the_mutex(unsigned number)
{
    if (number == 0) {
        mutex_lock(&shared.mutex);
        shared.counter = 1;
        mutex_unlock(&shared.mutex);
        condition_broadcast(&shared.condition);
    } else {
        wait_for_counter(number);
    }
}

static bool nobody_sleeps(void)
{
    return shared.condition.sleepers == 0 && shared.mutex.state == 0;
}

/* covers: TH-10 (X) */
static void a_signal_is_never_lost(void **state)
{
    (void)state;
    assert_int_equal(explore(&(struct sync_case){2, wait_for_counter, nobody_sleeps}), GOOD);
    assert_int_equal(explore(&(struct sync_case){2, signal_behind_the_mutex, nobody_sleeps}), GOOD);
    assert_int_equal(explore(&(struct sync_case){3, signal_behind_the_mutex, nobody_sleeps}), GOOD);
}

/* One signal for two who wait leaves one asleep: the search sees that too. */
static void one_signal_wakes_one(void **state)
{
    (void)state;
    assert_int_equal(explore(&(struct sync_case){3, wait_for_counter, nobody_sleeps}), DEADLOCK);
}

/* ---- readers and writers ---- */

static void read_once(void)
{
    rwlock_read_lock(&shared.rwlock);
    shared.readers++;
    step(shared.writers);
    violation_unless(shared.writers == 0);
    shared.readers--;
    rwlock_read_unlock(&shared.rwlock);
}

static void write_once(void)
{
    rwlock_write_lock(&shared.rwlock);
    violation_unless(shared.readers == 0);
    enter_alone();
    rwlock_write_unlock(&shared.rwlock);
}

static void one_writer(unsigned number)
{
    number == 0 ? write_once() : read_once();
}

static void only_writers(unsigned number)
{
    (void)number;
    write_once();
}

static bool rwlock_is_free(void)
{
    return shared.rwlock.state == 0 && shared.rwlock.writers == 0 && shared.rwlock.sleepers == 0;
}

/* covers: TH-10 (X) */
static void a_writer_is_alone(void **state)
{
    (void)state;
    assert_int_equal(explore(&(struct sync_case){2, one_writer, rwlock_is_free}), GOOD);
    assert_int_equal(explore(&(struct sync_case){3, one_writer, rwlock_is_free}), GOOD);
    assert_int_equal(explore(&(struct sync_case){2, only_writers, rwlock_is_free}), GOOD);
}

/* ---- barrier, once ---- */

static void walk_together(unsigned number)
{
    if (number == 0) {
        shared.word++; /* nobody has run before the first step of all */
    }
    for (uint32_t round = 0; round < 2; round++) {
        shared.passed[number] = round + 1;
        shared.counter += barrier_wait(&shared.barrier);
        for (unsigned i = 0; i < current->threads; i++) {
            violation_unless(shared.passed[i] >= round + 1);
        }
    }
}

static void meet(unsigned number)
{
    if (shared.barrier.count == 0) {
        barrier_init(&shared.barrier, current->threads);
    }
    walk_together(number);
}

static bool one_was_last_each_time(void)
{
    return shared.counter == 2 && shared.barrier.arrived == 0;
}

/* covers: TH-10 (X) */
static void a_barrier_waits_for_all(void **state)
{
    (void)state;
    assert_int_equal(explore(&(struct sync_case){2, meet, one_was_last_each_time}), GOOD);
    assert_int_equal(explore(&(struct sync_case){3, meet, one_was_last_each_time}), GOOD);
}

static void count_slowly(void)
{
    step(0);
    shared.counter++;
}

static void run_it_once(unsigned number)
{
    (void)number;
    once_run(&shared.once, count_slowly);
    violation_unless(shared.counter == 1);
}

static void once_is_once(void **state)
{
    (void)state;
    assert_int_equal(explore(&(struct sync_case){2, run_it_once, always}), GOOD);
    assert_int_equal(explore(&(struct sync_case){3, run_it_once, always}), GOOD);
}

static int setup(void **state)
{
    (void)state;
    visited = calloc(VISITED_SLOTS, sizeof(*visited));
    return visited == NULL;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < THREADS_MAX_HERE; i++) {
        free(fibers[i].stack);
    }
    free(visited);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_faults_are_found),
        cmocka_unit_test(a_mutex_excludes_and_loses_nobody),
        cmocka_unit_test(a_mutex_that_is_tried_is_held_or_not),
        cmocka_unit_test(a_post_is_never_lost),
        cmocka_unit_test(a_semaphore_of_one_excludes),
        cmocka_unit_test(a_signal_is_never_lost),
        cmocka_unit_test(one_signal_wakes_one),
        cmocka_unit_test(a_writer_is_alone),
        cmocka_unit_test(a_barrier_waits_for_all),
        cmocka_unit_test(once_is_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
