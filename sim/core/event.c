/*
 * A binary heap of timer numbers ordered by (due, number). The heap's layout is not state: it is rebuilt from
 * the due times after a load.
 */

#include "core/event.h"

#include "base/check.h"

#include <stdlib.h>

struct timer {
    const char *name;
    event_fn *fn;
    void *owner;
    unsigned argument;
    unsigned heap_index; /* meaningful while due != EVENT_NEVER */
};

struct event_queue {
    uint64_t due[EVENT_TIMERS_MAX];
    struct timer timers[EVENT_TIMERS_MAX];
    unsigned heap[EVENT_TIMERS_MAX];
    unsigned timer_count, heap_count;
    uint64_t firing_cycles;
};

static bool before(const struct event_queue *q, unsigned a, unsigned b)
{
    return q->due[a] != q->due[b] ? q->due[a] < q->due[b] : a < b;
}

static void heap_put(struct event_queue *q, unsigned index, unsigned timer)
{
    q->heap[index] = timer;
    q->timers[timer].heap_index = index;
}

static void sift_up(struct event_queue *q, unsigned index)
{
    unsigned timer = q->heap[index];
    while (index > 0) {
        unsigned parent = (index - 1) / 2;
        if (!before(q, timer, q->heap[parent])) {
            break;
        }
        heap_put(q, index, q->heap[parent]);
        index = parent;
    }
    heap_put(q, index, timer);
}

static void sift_down(struct event_queue *q, unsigned index)
{
    unsigned timer = q->heap[index];
    for (;;) {
        unsigned child = 2 * index + 1;
        if (child >= q->heap_count) {
            break;
        }
        if (child + 1 < q->heap_count && before(q, q->heap[child + 1], q->heap[child])) {
            child++;
        }
        if (!before(q, q->heap[child], timer)) {
            break;
        }
        heap_put(q, index, q->heap[child]);
        index = child;
    }
    heap_put(q, index, timer);
}

struct event_queue *event_queue_create(void)
{
    struct event_queue *q = calloc(1, sizeof *q);
    CHECK(q, "out of memory");
    for (unsigned i = 0; i < EVENT_TIMERS_MAX; i++) {
        q->due[i] = EVENT_NEVER;
    }
    return q;
}

void event_queue_destroy(struct event_queue *q)
{
    free(q);
}

unsigned event_timer_add(struct event_queue *q, const char *name, event_fn *fn, void *owner,
                         unsigned argument)
{
    CHECK(q->timer_count < EVENT_TIMERS_MAX, "too many timers at %s", name);
    q->timers[q->timer_count] = (struct timer){.name = name, .fn = fn, .owner = owner, .argument = argument};
    return q->timer_count++;
}

static void heap_remove(struct event_queue *q, unsigned timer)
{
    unsigned index = q->timers[timer].heap_index;
    unsigned last = q->heap[--q->heap_count];
    if (last != timer) {
        heap_put(q, index, last);
        sift_up(q, index);
        sift_down(q, q->timers[last].heap_index);
    }
    q->due[timer] = EVENT_NEVER;
}

void event_arm(struct event_queue *q, unsigned timer, uint64_t due_cycles)
{
    CHECK(timer < q->timer_count, "timer %u is not registered", timer);
    CHECK(due_cycles >= q->firing_cycles, "%s armed for cycle %llu, in the past", q->timers[timer].name,
          (unsigned long long)due_cycles);
    if (q->due[timer] != EVENT_NEVER) {
        heap_remove(q, timer);
    }
    if (due_cycles != EVENT_NEVER) {
        q->due[timer] = due_cycles;
        q->heap[q->heap_count] = timer;
        sift_up(q, q->heap_count++);
    }
}

void event_cancel(struct event_queue *q, unsigned timer)
{
    event_arm(q, timer, EVENT_NEVER);
}

uint64_t event_due(const struct event_queue *q, unsigned timer)
{
    return q->due[timer];
}

uint64_t event_next(const struct event_queue *q)
{
    return q->heap_count ? q->due[q->heap[0]] : EVENT_NEVER;
}

bool event_fire_one(struct event_queue *q, uint64_t now_cycles)
{
    uint64_t due = event_next(q);
    if (due == EVENT_NEVER || due > now_cycles) {
        return false;
    }
    unsigned timer = q->heap[0];
    heap_remove(q, timer);
    q->firing_cycles = due;
    const struct timer *t = &q->timers[timer];
    t->fn(t->owner, t->argument, due);
    return true;
}

static void make_heap(struct event_queue *q)
{
    q->heap_count = 0;
    for (unsigned i = 0; i < q->timer_count; i++) {
        if (q->due[i] != EVENT_NEVER) {
            q->heap[q->heap_count] = i;
            sift_up(q, q->heap_count++);
        }
    }
}

void event_queue_visit(struct event_queue *q, struct visitor *v)
{
    if (v->level < VISIT_MACHINE) {
        return;
    }
    visit_array(v, "due", q->due, 8, q->timer_count);
    visit_u64(v, "firing", &q->firing_cycles);
    for (unsigned i = 0; i < q->timer_count; i++) {
        visit_require(v, q->timers[i].name, q->due[i] >= q->firing_cycles);
    }
    if (v->loading) {
        make_heap(q);
    }
}
