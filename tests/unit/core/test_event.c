/* The event queue: order, re-arming, cancelling, deadlines, state. The long random test is in tests/diff. */

#define _POSIX_C_SOURCE 200809L

#include "core/event.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct event_queue *q;
    unsigned timers[8];
    unsigned fired[64];
    uint64_t at[64];
    unsigned count;
    unsigned rearm; /* the argument whose handler arms again */
    uint64_t rearm_after;
};

static struct fixture f;

static void handler(void *owner, unsigned argument, uint64_t due_cycles)
{
    assert_ptr_equal(owner, &f);
    f.fired[f.count] = argument;
    f.at[f.count++] = due_cycles;
    if (argument == f.rearm) {
        event_arm(f.q, f.timers[argument], due_cycles + f.rearm_after);
    }
}

static int setup(void **state)
{
    (void)state;
    f = (struct fixture){.q = event_queue_create(), .rearm = 99};
    for (unsigned i = 0; i < 8; i++) {
        f.timers[i] = event_timer_add(f.q, "test", handler, &f, i);
        assert_int_equal(f.timers[i], i);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    event_queue_destroy(f.q);
    return 0;
}

static void empty_queue_is_due_never(void **state)
{
    (void)state;
    assert_int_equal(event_next(f.q), EVENT_NEVER);
    assert_false(event_fire_one(f.q, UINT64_MAX));
    assert_int_equal(event_due(f.q, 3), EVENT_NEVER);
    event_cancel(f.q, 3);
}

static void events_fire_by_due_time_then_by_number(void **state)
{
    (void)state;
    event_arm(f.q, 5, 10);
    event_arm(f.q, 2, 10);
    event_arm(f.q, 7, 5);
    event_arm(f.q, 0, 20);
    while (event_fire_one(f.q, 20)) {
    }
    static const unsigned order[] = {7, 2, 5, 0};
    assert_int_equal(f.count, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(f.fired[i], order[i]);
    }
}

static void handler_gets_the_due_time_not_the_time_of_notice(void **state)
{
    (void)state;
    event_arm(f.q, 1, 10);
    assert_false(event_fire_one(f.q, 9));
    assert_true(event_fire_one(f.q, 1000));
    assert_int_equal(f.at[0], 10);
    assert_int_equal(event_due(f.q, 1), EVENT_NEVER);
}

static void arming_again_moves_the_one_event(void **state)
{
    (void)state;
    event_arm(f.q, 1, 10);
    event_arm(f.q, 1, 30);
    event_arm(f.q, 2, 20);
    assert_int_equal(event_due(f.q, 1), 30);
    assert_int_equal(event_next(f.q), 20);
    while (event_fire_one(f.q, 100)) {
    }
    assert_int_equal(f.count, 2);
    assert_int_equal(f.fired[0], 2);
}

static void cancelled_event_does_not_fire(void **state)
{
    (void)state;
    event_arm(f.q, 1, 10);
    event_arm(f.q, 2, 11);
    event_cancel(f.q, 1);
    assert_int_equal(event_next(f.q), 11);
    while (event_fire_one(f.q, 100)) {
    }
    assert_int_equal(f.count, 1);
}

static void handler_may_arm_itself_for_the_same_moment(void **state)
{
    (void)state;
    f.rearm = 1;
    event_arm(f.q, 1, 10);
    event_arm(f.q, 2, 10);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(event_fire_one(f.q, 10));
    }
    assert_int_equal(f.fired[0], 1);
    assert_int_equal(f.fired[1], 1); /* the lower number still goes first */
    assert_int_equal(f.fired[2], 1);
    f.rearm = 99;
    assert_true(event_fire_one(f.q, 10));
    assert_true(event_fire_one(f.q, 10));
    assert_int_equal(f.fired[4], 2);
    assert_false(event_fire_one(f.q, 10));
}

static void arming_in_the_past_of_the_fired_event_is_a_check(void **state)
{
    (void)state;
    event_arm(f.q, 1, 10);
    event_fire_one(f.q, 10);
    event_arm(f.q, 2, 10);
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        event_arm(f.q, 3, 9);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void state_moves_to_a_queue_with_the_same_timers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        event_arm(f.q, i, 100 - i * 7);
    }
    event_fire_one(f.q, 60);
    struct state_buffer buffer = {0};
    struct buffer_visitor save, load;
    save_visitor_init(&save, VISIT_MACHINE, &buffer);
    event_queue_visit(f.q, &save.base);
    while (event_fire_one(f.q, 1000)) {
    }
    load_visitor_init(&load, VISIT_MACHINE, &buffer);
    event_queue_visit(f.q, &load.base);
    state_buffer_deinit(&buffer);
    f.count = 0;
    while (event_fire_one(f.q, 1000)) {
    }
    assert_int_equal(f.count, 7);
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(f.fired[i], 6 - i);
    }
}

static void arch_level_sees_nothing_of_the_queue(void **state)
{
    (void)state;
    event_arm(f.q, 1, 10);
    struct digest_visitor *d = digest_visitor_create(VISIT_ARCH);
    event_queue_visit(f.q, digest_visitor_base(d));
    assert_true(digest_equal(digest_visitor_finish(d), digest_bytes("", 0)));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(empty_queue_is_due_never),
        T(events_fire_by_due_time_then_by_number),
        T(handler_gets_the_due_time_not_the_time_of_notice),
        T(arming_again_moves_the_one_event),
        T(cancelled_event_does_not_fire),
        T(handler_may_arm_itself_for_the_same_moment),
        T(arming_in_the_past_of_the_fired_event_is_a_check),
        T(state_moves_to_a_queue_with_the_same_timers),
        T(arch_level_sees_nothing_of_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
