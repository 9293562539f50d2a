#ifndef ORRERY_CPU_ACCESS_WATCH_H
#define ORRERY_CPU_ACCESS_WATCH_H

/*
 * Observers of data accesses to linear addresses, those of the processor itself (descriptors, frames of interrupts) included;
 * walks of page tables and fetches are none. Guest memory and debug registers stay as they are. Only accesses to a page in which
 * something is watched take the slow way.
 */

#include "base/types.h"

#include <stdbool.h>

#define ACCESS_WATCHES_MAX 64u

struct access_watch {
    lin_t first;
    uint64_t size_bytes; /* 0: unused */
    bool reads, writes;  /* wanted */
};

/* Called inside the instruction, after the access. watch: the number of the entry. An instruction that starts again (under the
 * timing model, or after a page fault) may be told of again. */
typedef void access_watch_fn(void *target, unsigned watch, unsigned cpu, bool write);

struct access_watches {
    struct access_watch entries[ACCESS_WATCHES_MAX];
    unsigned count; /* no entry from here on is used */
    access_watch_fn *fn;
    void *target;
};

bool access_watched_in_page(const struct access_watches *w, uint64_t lin_page);
void access_watches_note(const struct access_watches *w, unsigned cpu, lin_t a, unsigned size_bytes,
                         bool write);

#endif
