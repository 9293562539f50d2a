#ifndef ORRERY_MAIN_DEBUG_H
#define ORRERY_MAIN_DEBUG_H

/* --gdb, as boot and replay have it in common. */

#include "main/console.h"

/* What comes by itself: a recording's effects; nothing for a machine that is new. */
struct debug_future {
    const struct effect *effects;
    size_t count;
    uint64_t limit_cycles; /* how far the machine goes */
};

/* Lets a debugger look into the machine, which stands at its beginning, and, when that has detached, runs it to its end. What goes to
 * the console goes there once. Returns false with a message, or in *stop how the machine stopped; ASKED: the debugger ended it. */
bool debug_run(struct sim *s, const struct options *o, const struct debug_future *f, struct console *console,
               enum sim_stop *stop, struct error *e);

#endif
