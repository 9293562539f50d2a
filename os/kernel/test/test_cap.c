/* Capabilities and grace periods under real concurrency, and what a lookup costs. */
#include "arch/x86_64/clock.h"
#include "arch/x86_64/percpu.h"
#include "cap/cap.h"
#include "console.h"
#include "mm/kheap.h"
#include "sched/rcu.h"
#include "sched/sched.h"
#include "test/ktest.h"

#define GENERATIONS 0xffffu

/* covers: CP-01 (slots retire) */
void ktest_capability_slots_retire_at_their_last_generation(void)
{
    struct cap_space *space = cap_space_create((struct pid){0});
    KEXPECT(space != NULL);
    cap_handle_t first;
    cap_handle_t handle;
    KEXPECT(cap_insert(space, object_singleton(CAP_CONSOLE), RIGHT_READ, 0, &first) == STATUS_OK);
    KEXPECT(cap_delete(space, first) == STATUS_OK);
    for (unsigned i = 1; i < GENERATIONS; i++) {
        KEXPECT(cap_insert(space, object_singleton(CAP_CONSOLE), RIGHT_READ, 0, &handle) == STATUS_OK);
        KEXPECT(handle.word == first.word + ((uint64_t)i << 32) && cap_delete(space, handle) == STATUS_OK);
    }
    KEXPECT(cap_delete(space, handle) == STATUS_ERR_CAP_GENERATION);
    KEXPECT(cap_insert(space, object_singleton(CAP_CONSOLE), RIGHT_READ, 0, &handle) == STATUS_OK);
    KEXPECT((uint32_t)handle.word != (uint32_t)first.word);
    cap_space_destroy(space);
}

static status_t check(struct cap_space *space, cap_handle_t handle, enum cap_type type, uint32_t rights)
{
    struct cap_view view;
    rcu_read_lock();
    status_t status = cap_lookup(space, handle, type, rights, &view);
    rcu_read_unlock();
    return status;
}

/* covers: CP-04 (type and rights), CP-18 (clone), TS-02 */
void ktest_capability_checks_tell_what_is_wrong(void)
{
    struct cap_space *space = cap_space_create((struct pid){0});
    KEXPECT(space != NULL);
    KEXPECT(check(space, cap_well_known(CAP_CONSOLE), CAP_CONSOLE, 0) == STATUS_ERR_CAP_INVALID);
    KEXPECT(cap_insert_boot_set(space) == STATUS_OK);
    KEXPECT(check(space, cap_well_known(CAP_CONSOLE), CAP_CONSOLE, RIGHTS_ALL) == STATUS_OK);
    cap_handle_t handle;
    KEXPECT(cap_derive(space, cap_well_known(CAP_CONSOLE), space, RIGHT_READ, 0, &handle) == STATUS_OK);
    KEXPECT(check(space, handle, CAP_CONSOLE, RIGHT_READ) == STATUS_OK);
    KEXPECT(check(space, handle, CAP_CONSOLE, RIGHT_WRITE) == STATUS_ERR_CAP_RIGHTS);
    KEXPECT(check(space, handle, CAP_DRIVER, RIGHT_READ) == STATUS_ERR_CAP_TYPE);
    KEXPECT(check(space, cap_handle(handle.word | 1ull << 32), CAP_CONSOLE, 0) == STATUS_ERR_CAP_GENERATION);
    KEXPECT(check(space, cap_handle(handle.word | 1ull << 48), CAP_CONSOLE, 0) == STATUS_ERR_CAP_INVALID);
    struct cap_space *child = cap_space_clone(space, (struct pid){0});
    KEXPECT(child != NULL && check(child, handle, CAP_CONSOLE, RIGHT_READ) == STATUS_OK);
    struct cap_info of_parent;
    struct cap_info of_child;
    KEXPECT(cap_read(space, handle, &of_parent) == STATUS_OK &&
            cap_read(child, handle, &of_child) == STATUS_OK);
    KEXPECT(of_parent.id != of_child.id && of_parent.rights == of_child.rights);
    cap_space_destroy(child);
    cap_space_destroy(space);
}

/* ---- on all CPUs at once ---- */

#define MAX_READERS 8u

static struct {
    uint32_t running;
    uint32_t stop;
    uint32_t broken;
    uint64_t turns;
} readers;

/* The test's thread is better than the readers: they run while it sleeps. */
static void let_readers_run(void)
{
    sched_sleep_until(clock_cycles() + clock_cycles_from_ns(20000));
}

static void start_readers(void (*function)(void *))
{
    unsigned started = 0;
    readers.stop = 0;
    readers.broken = 0;
    readers.turns = 0;
    for (unsigned cpu = 0; cpu < cpu_count_online() && started < MAX_READERS; cpu++) {
        struct thread *thread;
        if (thread_create(&thread, &sched_normal, function, NULL) == STATUS_OK) {
            __atomic_add_fetch(&readers.running, 1, __ATOMIC_SEQ_CST);
            sched_start_on(thread, cpu);
            started++;
        }
    }
    while (__atomic_load_n(&readers.turns, __ATOMIC_SEQ_CST) < started) { /* all are at it */
        let_readers_run();
    }
}

static void stop_readers(void)
{
    __atomic_store_n(&readers.stop, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&readers.running, __ATOMIC_SEQ_CST) != 0) {
        let_readers_run();
    }
}

/* Reads something again and again until the test is over. */
static void read_for_ever(bool (*read_once)(void))
{
    while (__atomic_load_n(&readers.stop, __ATOMIC_SEQ_CST) == 0) {
        if (!read_once()) {
            __atomic_store_n(&readers.broken, 1, __ATOMIC_SEQ_CST);
        }
        __atomic_add_fetch(&readers.turns, 1, __ATOMIC_SEQ_CST);
        sched_yield();
    }
    __atomic_sub_fetch(&readers.running, 1, __ATOMIC_SEQ_CST);
}

#define GRACE_ROUNDS 100u
#define ALIVE        0x616c697665ull
#define READ_STEPS   50u

static struct published {
    uint64_t word;
    struct rcu_node rcu;
} * published;

/* What was found stays as it is until the end of the read section. */
static bool read_published(void)
{
    bool alive = true;
    rcu_read_lock();
    const struct published *seen = __atomic_load_n(&published, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < READ_STEPS; i++) {
        alive &= __atomic_load_n(&seen->word, __ATOMIC_RELAXED) == ALIVE;
        arch_pause();
    }
    rcu_read_unlock();
    return alive;
}

static void read_published_for_ever(void *argument)
{
    (void)argument;
    read_for_ever(read_published);
}

static struct published *publish(void)
{
    struct published *fresh = kmalloc(sizeof(*fresh));
    if (fresh == NULL) {
        return NULL;
    }
    fresh->word = ALIVE;
    return __atomic_exchange_n(&published, fresh, __ATOMIC_SEQ_CST);
}

static void bury(struct rcu_node *node)
{
    struct published *old = list_entry(node, struct published, rcu);
    __atomic_store_n(&old->word, 0, __ATOMIC_SEQ_CST);
    kfree(old);
}

/* covers: ST-03 (read sections on all CPUs), CP-09 (what the wait of a revocation rests on) */
void ktest_a_grace_period_outlasts_every_reader(void)
{
    publish();
    KEXPECT(published != NULL);
    start_readers(read_published_for_ever);
    for (unsigned round = 0; round < GRACE_ROUNDS; round++) {
        struct published *old = publish();
        KEXPECT(old != NULL);
        if (round % 2 == 0) {
            rcu_synchronize();
            bury(&old->rcu);
        } else {
            rcu_defer(&old->rcu, bury);
        }
        let_readers_run();
    }
    stop_readers();
    KEXPECT(readers.broken == 0);
    rcu_barrier();
    kfree(published);
}

#define REVOKE_ROUNDS 100u
#define STORM_ROUNDS  15u
#define STORM_TURNS   8u /* of another CPU during one revocation */

static struct cap_space *shared_space;
static uint64_t shared_handle; /* derived anew each round */
static uint64_t gone_handle;   /* revoked: no lookup that begins from now on may find it */

static bool look_up_shared(void)
{
    struct cap_view view;
    uint64_t gone = __atomic_load_n(&gone_handle, __ATOMIC_SEQ_CST);
    cap_handle_t handle = cap_handle(gone);
    rcu_read_lock();
    bool found = gone != 0 && cap_lookup(shared_space, handle, CAP_CONSOLE, 0, &view) == STATUS_OK;
    handle.word = __atomic_load_n(&shared_handle, __ATOMIC_SEQ_CST);
    bool right = handle.word == 0 || cap_lookup(shared_space, handle, CAP_CONSOLE, 0, &view) != STATUS_OK ||
                 view.object == object_singleton(CAP_CONSOLE);
    rcu_read_unlock();
    return !found && right;
}

static void look_up_for_ever(void *argument)
{
    (void)argument;
    read_for_ever(look_up_shared);
}

static bool revoke_rounds(cap_handle_t root)
{
    for (unsigned round = 0; round < REVOKE_ROUNDS; round++) {
        cap_handle_t child;
        uint64_t count = 0;
        if (cap_derive(shared_space, root, shared_space, RIGHT_READ, 0, &child) != STATUS_OK) {
            return false;
        }
        __atomic_store_n(&gone_handle, 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&shared_handle, child.word, __ATOMIC_SEQ_CST);
        let_readers_run();
        if (cap_revoke(shared_space, root, &count) != STATUS_OK || count != 1) {
            return false;
        }
        __atomic_store_n(&gone_handle, child.word, __ATOMIC_SEQ_CST);
        let_readers_run();
    }
    return true;
}

/* covers: CP-06 CP-09 CP-20 TS-02 */
void ktest_a_revocation_is_over_on_every_cpu_when_it_returns(void)
{
    cap_handle_t root;
    shared_space = cap_space_create((struct pid){0});
    KEXPECT(shared_space != NULL);
    KEXPECT(cap_insert(shared_space, object_singleton(CAP_CONSOLE), RIGHTS_ALL, 0, &root) == STATUS_OK);
    start_readers(look_up_for_ever);
    bool good = revoke_rounds(root);
    stop_readers();
    KEXPECT(good && readers.broken == 0);
    cap_space_destroy(shared_space);
}

/* Processors derive from one another's capabilities while their root is revoked over and over: nothing is left. */
static cap_handle_t storm_root;

/*
 * Whether a capability has gone as far as `why` says: first it is revoked, then its slot is collected (another generation),
 * and when a processor stands still for long (in QEMU, on a busy host) all of its slot's leaf is given back (no such slot).
 * None of them comes back, but a leaf does, with later generations.
 */
static bool gone(cap_handle_t handle, status_t why)
{
    struct cap_view view;
    rcu_read_lock();
    status_t now = cap_lookup(shared_space, handle, CAP_NONE, 0, &view);
    rcu_read_unlock();
    bool collected = now == STATUS_ERR_CAP_GENERATION || now == STATUS_ERR_CAP_INVALID;
    return why == STATUS_ERR_CAP_REVOKED
               ? collected || now == STATUS_ERR_CAP_REVOKED
               : collected && (why == STATUS_ERR_CAP_GENERATION || why == STATUS_ERR_CAP_INVALID);
}

static bool derive_in_storm(void)
{
    cap_handle_t child;
    status_t status = cap_derive(shared_space, storm_root, shared_space, RIGHTS_ALL, 0, &child);
    if (status != STATUS_OK) {
        return status == STATUS_ERR_CAP_QUOTA; /* the root itself stays */
    }
    for (unsigned depth = 0; depth < 8 && status == STATUS_OK; depth++) {
        status = cap_derive(shared_space, child, shared_space, RIGHTS_ALL, 0, &child);
    }
    return status == STATUS_OK || status == STATUS_ERR_CAP_QUOTA || gone(child, status);
}

static void derive_for_ever(void *argument)
{
    (void)argument;
    read_for_ever(derive_in_storm);
}

static uint64_t revoked_in_storm;

/* It ends although the others never do: they come to few turns meanwhile. */
static bool revoke_in_storm(void)
{
    uint64_t count = 0;
    uint64_t before = __atomic_load_n(&readers.turns, __ATOMIC_SEQ_CST);
    status_t status = cap_revoke(shared_space, storm_root, &count);
    uint64_t turns = __atomic_load_n(&readers.turns, __ATOMIC_SEQ_CST) - before;
    revoked_in_storm += count;
    let_readers_run();
    if (turns > STORM_TURNS * cpu_count_online()) {
        ktest_disturbed();
    }
    return status == STATUS_OK;
}

/* covers: CP-07 CP-27 (revocation storms), TS-02 */
void ktest_revocation_keeps_up_with_a_storm_of_derivations(void)
{
    uint64_t count;
    shared_space = cap_space_create((struct pid){0});
    KEXPECT(shared_space != NULL);
    KEXPECT(cap_insert(shared_space, object_singleton(CAP_CONSOLE), RIGHTS_ALL, 0, &storm_root) == STATUS_OK);
    start_readers(derive_for_ever);
    revoked_in_storm = 0;
    bool good = true;
    for (unsigned round = 0; round < STORM_ROUNDS && good; round++) {
        good = revoke_in_storm();
    }
    stop_readers();
    KEXPECT(good && readers.broken == 0 && revoked_in_storm != 0);
    KEXPECT(cap_revoke(shared_space, storm_root, &count) == STATUS_OK);
    KEXPECT(cap_revoke(shared_space, storm_root, &count) == STATUS_OK && count == 0);
    cap_collect();
    cap_handle_t at = {0};
    KEXPECT(cap_next(shared_space, at, &at) == STATUS_OK && at.word == storm_root.word);
    KEXPECT(cap_next(shared_space, at, &at) == STATUS_ERR_NOT_FOUND);
    cap_space_destroy(shared_space);
}

/* ---- cost ---- */

#define SAMPLES 101u

/* Cycles of the median of SAMPLES lookups, in turns of two handles. */
static uint64_t median_cycles(struct cap_space *space, cap_handle_t a, cap_handle_t b)
{
    static uint64_t samples[SAMPLES];
    struct cap_view view;
    rcu_read_lock();
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t start = arch_cycles();
        uint64_t before = arch_cycles();
        status_t status = cap_lookup(space, i % 2 == 0 ? a : b, CAP_CONSOLE, RIGHT_READ, &view);
        uint64_t both = arch_cycles() - before;
        uint64_t cycles =
            both - (before - start < both ? before - start : 0); /* without the reading of the counter */
        unsigned at = i;
        for (; at != 0 && samples[at - 1] > cycles; at--) {
            samples[at] = samples[at - 1];
        }
        samples[at] = status == STATUS_OK ? cycles : UINT64_MAX;
    }
    rcu_read_unlock();
    return samples[SAMPLES / 2];
}

/* Lookups of the first and of the last of `count` capabilities; handles in slots a multiple of CAP_CACHE_ENTRIES apart share an entry. */
static bool measure(uint32_t count, uint64_t *hit, uint64_t *miss, uint64_t *cold)
{
    cap_handle_t first = {0};
    cap_handle_t twin = {0};
    cap_handle_t last = {0};
    struct cap_view view;
    struct cap_space *space = cap_space_create((struct pid){0});
    for (uint32_t i = 0; space != NULL && i < count; i++) {
        if (cap_insert(space, object_singleton(CAP_CONSOLE), RIGHTS_ALL, 0, &last) != STATUS_OK) {
            return false;
        }
        first = i == 0 ? last : first;
        twin =
            (uint32_t)last.word % CAP_CACHE_ENTRIES == (uint32_t)first.word % CAP_CACHE_ENTRIES ? last : twin;
    }
    if (space == NULL) {
        return false;
    }
    rcu_read_lock();
    uint64_t before = arch_cycles();
    status_t status = cap_lookup(space, last, CAP_CONSOLE, RIGHT_READ, &view);
    *cold = arch_cycles() - before;
    rcu_read_unlock();
    (void)median_cycles(space, first, twin);
    *miss = median_cycles(space, first, twin);
    *hit = median_cycles(space, twin, twin);
    cap_space_destroy(space);
    return status == STATUS_OK;
}

/* tests/e2e/kernel_tests.sh reads the figures. covers: CP-05 */
void ktest_a_lookup_costs_the_same_in_a_space_of_any_size(void)
{
    static const uint32_t sizes[] = {CAP_CACHE_ENTRIES + 1, 1000, CAP_MAX_SLOTS - CAP_WELL_KNOWN_SLOTS};
    for (unsigned i = 0; i < 3; i++) {
        uint64_t hit;
        uint64_t miss;
        uint64_t cold;
        KEXPECT(measure(sizes[i], &hit, &miss, &cold));
        KEXPECT(hit != UINT64_MAX && miss != UINT64_MAX);
        console_printf("# lookup among %u capabilities: hit %llu, miss %llu, first %llu cycles\n", sizes[i],
                       (unsigned long long)hit, (unsigned long long)miss, (unsigned long long)cold);
    }
}
