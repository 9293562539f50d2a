#ifndef LOOPS_H
#define LOOPS_H

/* The loops. */

#include "../ports.h"
#include "bench.h"

struct loop {
    const char *name;
    void (*prepare)(void);            /* not timed */
    uint64_t (*run)(uint64_t rounds); /* timed; the result is the same on every correct machine */
};

extern const struct loop loops[]; /* ends with a row without a name */

#endif
