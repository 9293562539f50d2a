/*
 * Garbage collection: the slots of revoked capabilities. A revoked one stays in its slot so that its holder is told so; a
 * pass of the collector frees those that a pass before has seen already.
 */
#include "cap/cap_internal.h"

#include "cap/collector.h"

static struct spinlock collector_lock = SPINLOCK_INIT("cap.collector", CAP_COLLECTOR);
static struct list spaces = LIST_INIT(spaces); /* that have revoked slots */

/* A space that is closed frees its slots itself. */
void collector_add(struct cap_space *space)
{
    if (space->closed) {
        return;
    }
    spin_lock(&collector_lock);
    bool first = list_empty(&spaces);
    if (list_empty(&space->collector_node)) {
        list_push_back(&spaces, &space->collector_node);
    }
    spin_unlock(&collector_lock);
    if (first) {
        collector_wake();
    }
}

void collector_remove(struct cap_space *space)
{
    uint64_t irq = spin_lock_irqsave(&collector_lock);
    list_remove(&space->collector_node);
    spin_unlock_irqrestore(&collector_lock, irq);
}

bool collector_idle(void)
{
    uint64_t irq = spin_lock_irqsave(&collector_lock);
    bool idle = list_empty(&spaces);
    spin_unlock_irqrestore(&collector_lock, irq);
    return idle;
}

static uint32_t spaces_waiting(void)
{
    uint32_t count = 0;
    uint64_t irq = spin_lock_irqsave(&collector_lock);
    list_for_each(node, &spaces)
    {
        count++;
    }
    spin_unlock_irqrestore(&collector_lock, irq);
    return count;
}

/* The first space, out of the list, with a reference. */
static struct cap_space *space_pop(void)
{
    uint64_t irq = spin_lock_irqsave(&collector_lock);
    struct list *node = list_pop_front(&spaces);
    struct cap_space *space = node != NULL ? list_entry(node, struct cap_space, collector_node) : NULL;
    if (space != NULL) {
        cap_space_get(space);
    }
    spin_unlock_irqrestore(&collector_lock, irq);
    return space;
}

/* What is left counts as old at the next pass. */
static void space_aged(struct cap_space *space)
{
    uint64_t irq = spin_lock_irqsave(&space->lock);
    space->revoked_old = space->revoked_count;
    if (space->revoked_count != 0) {
        collector_add(space);
    }
    spin_unlock_irqrestore(&space->lock, irq);
}

static void space_pass(struct cap_space *space, bool all)
{
    uint32_t left = __atomic_load_n(all ? &space->revoked_count : &space->revoked_old, __ATOMIC_RELAXED);
    while (left != 0) {
        uint32_t step = left < COLLECT_STEP ? left : COLLECT_STEP;
        uint32_t freed = space_collect(space, step);
        cap_count(CAP_COUNT_COLLECTED, freed);
        left = freed == step ? left - step : 0;
    }
    space_aged(space);
}

void collector_pass(bool all)
{
    struct cap_space *space;
    for (uint32_t left = spaces_waiting(); left != 0 && (space = space_pop()) != NULL; left--) {
        space_pass(space, all);
        cap_space_put(space);
    }
}

void cap_collect(void)
{
    collector_pass(true);
}
