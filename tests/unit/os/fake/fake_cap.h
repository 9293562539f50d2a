#ifndef TESTS_UNIT_OS_FAKE_FAKE_CAP_H
#define TESTS_UNIT_OS_FAKE_FAKE_CAP_H

/*
 * What the capability system needs of the kernel, for host tests: read sections that are counted, grace periods that end
 * when they are asked for, one cap_cpu a pretended CPU, objects of type CONSOLE that remember what they were told.
 * Included once.
 */

#include "fake_arch.h"

#include "cap/cap_internal.h"
#include "cap/collector.h"
#include "lib/fail.h"
#include "mm/kheap.h"
#include "mm/slab.h"
#include "sched/wait.h"

#define FAKE_PID 7u /* of the first space of a test */

static unsigned fake_reading;
static unsigned fake_grace_periods;
static unsigned fake_collector_wakes;
static struct rcu_node *fake_deferred;
static struct cap_cpu fake_cap_cpus[2];

struct fake_object {
    struct object object;
    unsigned added;
    unsigned removed;
    status_t why;
    uint64_t removed_id;
    unsigned grace_periods; /* that there had been when it was told so */
    bool released;
};

static inline struct fake_object *fake_object_of(struct object *object)
{
    return (struct fake_object *)(void *)object;
}

status_t failure_note(status_t status, const char *file, uint32_t line, uint64_t value, uint64_t bound)
{
    assert_non_null(file);
    (void)line;
    (void)value;
    (void)bound;
    return status;
}

void rcu_read_lock(void)
{
    fake_reading++;
}

void rcu_read_unlock(void)
{
    assert_true(fake_reading != 0);
    fake_reading--;
}

bool rcu_reading(void)
{
    return fake_reading != 0;
}

/* Runs what was deferred. */
void rcu_barrier(void)
{
    assert_int_equal(fake_reading, 0);
    while (fake_deferred != NULL) {
        struct rcu_node *node = fake_deferred;
        fake_deferred = node->next;
        node->function(node);
    }
}

void rcu_synchronize(void)
{
    assert_int_equal(fake_reading, 0);
    assert_false(fake_irqs_off);
    fake_grace_periods++;
}

void rcu_defer(struct rcu_node *node, rcu_function function)
{
    node->function = function;
    node->next = fake_deferred;
    fake_deferred = node;
}

/* Nobody else removes anything, so nobody waits for that. */
void wait_queue_init(struct wait_queue *queue, const char *name)
{
    (void)name;
    list_init(&queue->waiters);
}

void wait_queue_join(struct wait_queue *queue, struct waiter *waiter)
{
    (void)queue;
    (void)waiter;
    fail();
}

bool wait_queue_sleep(struct waiter *waiter, uint64_t deadline_cycles)
{
    (void)waiter;
    (void)deadline_cycles;
    return false;
}

void wait_queue_leave(struct wait_queue *queue, struct waiter *waiter)
{
    (void)queue;
    (void)waiter;
}

void wait_queue_wake_all(struct wait_queue *queue)
{
    assert_false(fake_irqs_off);
    assert_int_equal(fake_reading, 0);
    assert_true(list_empty(&queue->waiters));
}

void collector_wake(void)
{
    fake_collector_wakes++;
}

struct cap_cpu *cap_cpu_this(void)
{
    return &fake_cap_cpus[fake_cpu];
}

struct cap_cpu *cap_cpu_of(unsigned cpu)
{
    return cpu < 2 ? &fake_cap_cpus[cpu] : NULL;
}

uint64_t arch_cycles(void)
{
    return fake_now();
}

static void fake_release(struct object *object)
{
    assert_int_equal(fake_reading, 0);
    fake_object_of(object)->released = true;
}

static void fake_added(struct object *object, uint32_t rights)
{
    (void)rights;
    assert_false(fake_irqs_off);
    if (object->references == OBJECT_PINNED) {
        return; /* the kernel's own */
    }
    fake_object_of(object)->added++;
}

static void fake_removed(struct object *object, uint64_t id, uint32_t rights, status_t why)
{
    (void)rights;
    assert_int_equal(fake_reading, 0);
    assert_false(fake_irqs_off);
    if (object->references == OBJECT_PINNED) {
        return;
    }
    fake_object_of(object)->removed++;
    fake_object_of(object)->removed_id = id;
    fake_object_of(object)->why = why;
    fake_object_of(object)->grace_periods = fake_grace_periods;
}

const struct object_ops object_ops[CAP_TYPE_COUNT] = {
    [CAP_CONSOLE] = {.release = fake_release, .added = fake_added, .removed = fake_removed},
};

/* An object of the test's own, with the test's reference. */
static inline void fake_object_init(struct fake_object *object)
{
    memset(object, 0, sizeof *object);
    object_init(&object->object, CAP_CONSOLE);
}

static inline status_t look(struct cap_space *space, cap_handle_t handle, enum cap_type type, uint32_t rights,
                            struct cap_view *view)
{
    rcu_read_lock();
    status_t status = cap_lookup(space, handle, type, rights, view);
    rcu_read_unlock();
    return status;
}

/* Whether a handle can be used at all. */
static inline status_t usable(struct cap_space *space, cap_handle_t handle)
{
    struct cap_view view;
    return look(space, handle, CAP_NONE, 0, &view);
}

/* Frames that are free when no cache holds anything back. */
static inline uint64_t fake_free_frames(void)
{
    slab_drain_cpu(0);
    slab_drain_cpu(1);
    kheap_trim();
    return frame_free_count();
}

static uint64_t fake_free_before;

/* One machine of 64 MiB for all tests of a program; what the system keeps between tests is part of what is tested. */
static inline void start_caps(void)
{
    static bool started;
    if (!started) {
        fake_machine(64, 2);
        assert_ok(kheap_init(&(struct kheap_config){.debug = HEAP_DEBUG_OFF}));
        assert_ok(cap_system_init());
        fake_free_before = fake_free_frames();
        started = true;
    }
    fake_cpu = 0;
}

/* Nothing is left of any capability, and every frame has come home: of records, of their leaves and of the directory. */
static inline void end_caps(void)
{
    rcu_barrier();
    assert_int_equal(leaf_count(), 0);
    assert_int_equal(fake_free_frames(), fake_free_before);
    assert_false(fake_irqs_off);
    assert_int_equal(fake_reading, 0);
    assert_true(collector_idle());
    assert_frames_sound();
}

/* A space with one capability, of `thing`, and its end: the object goes with its last capability. */
static struct fake_object thing;

static inline struct cap_space *space_with(uint32_t rights, cap_handle_t *handle)
{
    start_caps();
    fake_object_init(&thing);
    struct cap_space *space = cap_space_create((struct pid){FAKE_PID});
    assert_non_null(space);
    assert_ok(cap_insert(space, &thing.object, rights, 0, handle));
    return space;
}

static inline void end_space(struct cap_space *space)
{
    cap_space_destroy(space);
    assert_false(thing.released);
    rcu_barrier();
    object_put(&thing.object);
    rcu_barrier();
    assert_true(thing.released);
    end_caps();
}

#endif
