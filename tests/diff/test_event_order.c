/* The event queue against a plain sorted list: random arming, cancelling and firing. SEED=n repeats a run. */

#include "base/rng.h"
#include "core/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TIMERS     200u
#define OPERATIONS 100000u

struct entry {
    uint64_t due;
    unsigned timer;
};

/* The oracle: entries in firing order. */
struct sorted_list {
    struct entry entries[TIMERS];
    unsigned count;
};

struct run {
    struct event_queue *q;
    struct sorted_list list;
    struct rng rng;
    uint64_t now;
    unsigned fired_timer;
    uint64_t fired_due;
};

static void list_remove(struct sorted_list *l, unsigned timer)
{
    for (unsigned i = 0; i < l->count; i++) {
        if (l->entries[i].timer == timer) {
            l->count--;
            for (; i < l->count; i++) {
                l->entries[i] = l->entries[i + 1];
            }
            return;
        }
    }
}

static void list_arm(struct sorted_list *l, unsigned timer, uint64_t due)
{
    list_remove(l, timer);
    unsigned at = l->count++;
    while (at > 0 && (l->entries[at - 1].due > due ||
                      (l->entries[at - 1].due == due && l->entries[at - 1].timer > timer))) {
        l->entries[at] = l->entries[at - 1];
        at--;
    }
    l->entries[at] = (struct entry){due, timer};
}

/* Due times crowd together, so that ties are common. */
static uint64_t random_due(struct run *r, uint64_t from)
{
    return from + rng_below(&r->rng, rng_below(&r->rng, 4) ? 20 : 2000);
}

static void arm_both(struct run *r, unsigned timer, uint64_t due)
{
    event_arm(r->q, timer, due);
    list_arm(&r->list, timer, due);
}

static void handler(void *owner, unsigned argument, uint64_t due_cycles)
{
    struct run *r = owner;
    r->fired_timer = argument;
    r->fired_due = due_cycles;
    list_remove(&r->list, argument);
    if (rng_below(&r->rng, 3) == 0) {
        arm_both(r, argument, random_due(r, due_cycles));
    }
    if (rng_below(&r->rng, 3) == 0) {
        arm_both(r, (unsigned)rng_below(&r->rng, TIMERS), random_due(r, due_cycles));
    }
}

static void fire_one(struct run *r)
{
    struct entry head = r->list.entries[0];
    bool due = r->list.count > 0 && head.due <= r->now;
    assert_int_equal(event_fire_one(r->q, r->now), due);
    if (due) {
        assert_int_equal(r->fired_timer, head.timer);
        assert_int_equal(r->fired_due, head.due);
    }
}

static void operate(struct run *r)
{
    unsigned timer = (unsigned)rng_below(&r->rng, TIMERS);
    switch (rng_below(&r->rng, 5)) {
    case 0:
    case 1:
        arm_both(r, timer, random_due(r, r->now));
        break;
    case 2:
        event_cancel(r->q, timer);
        list_remove(&r->list, timer);
        break;
    case 3:
        r->now += rng_below(&r->rng, 40);
        break;
    default:
        fire_one(r);
        break;
    }
}

static void assert_same_head(struct run *r)
{
    assert_int_equal(event_next(r->q), r->list.count ? r->list.entries[0].due : EVENT_NEVER);
}

static void queue_and_sorted_list_fire_the_same_events_in_the_same_order(void **state)
{
    (void)state;
    const char *text = getenv("SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 1;
    printf("seed %llu\n", (unsigned long long)seed);
    struct run *r = test_calloc(1, sizeof *r);
    r->q = event_queue_create();
    rng_init(&r->rng, seed, 0);
    for (unsigned i = 0; i < TIMERS; i++) {
        event_timer_add(r->q, "timer", handler, r, i);
    }
    for (unsigned i = 0; i < OPERATIONS; i++) {
        operate(r);
        assert_same_head(r);
    }
    for (unsigned i = 0; i < TIMERS; i++) { /* nothing armed on one side only */
        uint64_t due = EVENT_NEVER;
        for (unsigned n = 0; n < r->list.count; n++) {
            due = r->list.entries[n].timer == i ? r->list.entries[n].due : due;
        }
        assert_int_equal(event_due(r->q, i), due);
    }
    event_queue_destroy(r->q);
    test_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue_and_sorted_list_fire_the_same_events_in_the_same_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
