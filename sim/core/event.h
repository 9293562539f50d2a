#ifndef ORRERY_CORE_EVENT_H
#define ORRERY_CORE_EVENT_H

/*
 * The event queue: everything in the machine that happens at a time without being an instruction.
 *
 * A timer is registered once, at construction, in board order; its number is its identity for ever, in digests
 * and in snapshots. Each timer is armed for at most one moment. Events fire in the total order (due, timer
 * number), one at a time; a handler may arm any timer, itself included, for a moment >= its own due time.
 * An event due at t is recognised at the first step boundary whose clock is >= t (docs/model.md, Steps).
 */

#include "base/visit.h"

#include <stdbool.h>
#include <stdint.h>

#define EVENT_NEVER      UINT64_MAX
#define EVENT_TIMERS_MAX 1024u /* registering more is a CHECK */

/* due_cycles is the moment the timer was armed for, not the moment it was noticed. */
typedef void event_fn(void *owner, unsigned argument, uint64_t due_cycles);

struct event_queue;

struct event_queue *event_queue_create(void);
void event_queue_destroy(struct event_queue *q);

/* Registers a timer; returns its number. name must outlive the queue. */
unsigned event_timer_add(struct event_queue *q, const char *name, event_fn *fn, void *owner,
                         unsigned argument);

/* Arms (or re-arms) a timer. A moment before the one being fired is a CHECK. */
void event_arm(struct event_queue *q, unsigned timer, uint64_t due_cycles);
void event_cancel(struct event_queue *q, unsigned timer);

/* When the timer is due, or EVENT_NEVER. */
uint64_t event_due(const struct event_queue *q, unsigned timer);

/* When the first event of all is due, or EVENT_NEVER. O(1). */
uint64_t event_next(const struct event_queue *q);

/* Fires the one first event if it is due at or before now_cycles; returns whether it did. */
bool event_fire_one(struct event_queue *q, uint64_t now_cycles);

/* VISIT_MACHINE: due times by timer number. */
void event_queue_visit(struct event_queue *q, struct visitor *v);

#endif
