#ifndef OS_KERNEL_MM_PRESSURE_H
#define OS_KERNEL_MM_PRESSURE_H

/*
 * Memory pressure: a level computed from the free frames, and the shrinkers that react. A level is entered
 * when the free count falls below its mark and left only when it rises a margin above it (hysteresis).
 * Entering a higher level runs every shrinker exactly once; staying there or leaving it runs none.
 */

#include "abi/status.h"
#include "lib/list.h"
#include "types.h"

enum pressure_level { PRESSURE_NONE, PRESSURE_LOW, PRESSURE_CRITICAL };

struct pressure_marks {
    uint64_t low;      /* frames: below it PRESSURE_LOW */
    uint64_t critical; /* frames: below it PRESSURE_CRITICAL */
    uint64_t margin;   /* frames above a mark before its level is left */
};

struct shrinker {
    struct list link; /* owned by the pressure module while registered */
    const char *name;
    /* Frees what it can, returns frames given back. Called without any spinlock of mm/ held, but maybe
     * under an address space's gate, so it must not call vm_*; interrupts as the caller's. */
    uint64_t (*shrink)(void *context, enum pressure_level level);
    void *context;
    uint64_t calls;
    uint64_t frames;
};

/* Starts with no shrinkers at PRESSURE_NONE. */
void pressure_init(const struct pressure_marks *marks);

/* Adds a shrinker (caller owns the memory). STATUS_ERR_EXISTS when it is registered already. */
MUST_CHECK status_t pressure_register(struct shrinker *shrinker);
void pressure_unregister(struct shrinker *shrinker);

/* Tells the current free count; runs shrinkers on an upward crossing. Returns frames they gave back. */
uint64_t pressure_update(uint64_t free_frames);

/* Would pressure_update of this count enter or leave a level? Takes no lock: an answer for hints. */
bool pressure_changes(uint64_t free_frames);

/* Runs all shrinkers now, whatever the level (allocation failure path). Returns frames they gave back. */
uint64_t pressure_shrink(enum pressure_level level);

/* Another CPU runs the shrinkers right now; pressure_shrink does nothing meanwhile. */
bool pressure_shrinking(void);

enum pressure_level pressure_level(void);

/* Upward crossings into a level since start. */
uint64_t pressure_crossings(enum pressure_level level);

#endif
