#ifndef ORRERY_CORE_TRACE_H
#define ORRERY_CORE_TRACE_H

/*
 * Trace points: places in the machine that tell what happens there (rows in trace.def). Each counts its hits on a vCPU
 * and, when an observer has asked for it, hands it a record. Counts are the same in every build and on every host, take
 * part in no digest, and cost the guest nothing.
 */

#include <stdint.h>

enum trace_point {
#define TRACE_POINT(id, name, f0, f1, f2, f3, help) TRACE_##id,
#include "core/trace.def"
#undef TRACE_POINT
    TRACE_POINT_COUNT
};

#define TRACE_FIELDS 4u

struct trace_record {
    enum trace_point point;
    unsigned cpu;
    uint64_t now_cycles;
    uint64_t field[TRACE_FIELDS]; /* meanings in the row */
};

/* An observer: must not change the machine. */
typedef void trace_fn(void *target, const struct trace_record *r);

/* What one vCPU has told so far, and who listens. All zero: nobody. */
struct trace {
    uint64_t count[TRACE_POINT_COUNT];
    uint32_t wanted; /* bit p: fn is called at point p */
    unsigned cpu;
    trace_fn *fn;
    void *target;
};

struct trace_row {
    const char *name, *field[TRACE_FIELDS], *help;
};

/* The row of a point; point < TRACE_POINT_COUNT. */
const struct trace_row *trace_row(enum trace_point point);

void trace_tell(const struct trace *t, enum trace_point p, uint64_t now_cycles, uint64_t f0, uint64_t f1,
                uint64_t f2, uint64_t f3);

/* At a trace point; fields that the row does not name are 0. */
static inline void trace_hit(struct trace *t, enum trace_point p, uint64_t now_cycles, uint64_t f0,
                             uint64_t f1, uint64_t f2, uint64_t f3)
{
    t->count[p]++;
    if (t->wanted >> p & 1) {
        trace_tell(t, p, now_cycles, f0, f1, f2, f3);
    }
}

#endif
