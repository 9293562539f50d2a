/* Look-ahead of a vCPU: which lines it may touch, and its queued stores meanwhile. Source: docs/timing.md, 8.1. */

#include "cpu/ahead.h"

#include "core/event.h"
#include "cpu/store_queue.h"

bool ahead_reads_lines(const struct cpu *cpu, uint64_t first, uint64_t last)
{
    return timing_has_line(cpu->timing, first) && (last == first || timing_has_line(cpu->timing, last));
}

bool ahead_writes_lines(const struct cpu *cpu, uint64_t first, uint64_t last)
{
    return timing_sees_owned(cpu->timing, first) && (last == first || timing_sees_owned(cpu->timing, last));
}

bool ahead_fetch(const struct cpu *cpu, const struct block *b)
{
    const struct timing_core *t = cpu->timing;
    uint64_t last = (b->at.v + b->size_bytes - 1) >> TIMING_LINE_SHIFT;
    for (uint64_t line = b->at.v >> TIMING_LINE_SHIFT; line <= last; line++) {
        if (!cache_is_recent(&t->l1i, line) && !timing_has_line(t, line)) {
            return false;
        }
    }
    return true;
}

uint64_t ahead_begin(struct cpu *cpu, uint64_t deadline_cycles)
{
    struct store_queue *q = &cpu->stores;
    cpu->ahead = true;
    cpu->ahead_due = 0;
    for (unsigned i = 0; i < q->count; i++) {
        const struct store_entry *e = store_queue_entry(q, i);
        uint64_t first = e->address.v >> TIMING_LINE_SHIFT;
        uint64_t last = (e->address.v + e->size_bytes - 1) >> TIMING_LINE_SHIFT;
        if (e->due_cycles >= deadline_cycles) {
            break;
        }
        if (!ahead_writes_lines(cpu, first, last)) {
            return e->due_cycles; /* who knows what comes of this one */
        }
    }
    return deadline_cycles;
}

void ahead_end(struct cpu *cpu)
{
    cpu->ahead = false;
    if (cpu->ahead_due != 0) {
        store_queue_entry(&cpu->stores, 0)->due_cycles = cpu->ahead_due;
    }
}

void ahead_pass_due(struct cpu *cpu)
{
    struct store_entry *oldest = store_queue_entry(&cpu->stores, 0);
    cpu->ahead_due = oldest->due_cycles;
    oldest->due_cycles = EVENT_NEVER;
}
