/* Trace points: their rows, and the call of the observer. */

#include "core/trace.h"

#include "base/check.h"

_Static_assert(TRACE_POINT_COUNT <= 32, "a bit for each in the words of sim_on_trace");

static const struct trace_row rows[TRACE_POINT_COUNT] = {
#define TRACE_POINT(id, name, f0, f1, f2, f3, help) [TRACE_##id] = {name, {f0, f1, f2, f3}, help},
#include "core/trace.def"
#undef TRACE_POINT
};

const struct trace_row *trace_row(enum trace_point point)
{
    CHECK(point < TRACE_POINT_COUNT, "trace point %d", (int)point);
    return &rows[point];
}

void trace_tell(const struct trace *t, enum trace_point p, uint64_t now_cycles, uint64_t f0, uint64_t f1,
                uint64_t f2, uint64_t f3)
{
    struct trace_record r = {p, t->cpu, now_cycles, {f0, f1, f2, f3}};
    t->fn(t->target, &r);
}
