/*
 * What a vCPU may do before its turn (docs/timing.md, 8.1): touch lines that it has. A vCPU that loses a line sees it
 * snoop_cycles later, and the new owner's stores are memory no sooner, so until then it may go on.
 *
 * Three things are not as simple:
 * - Who gave a line away may still write to it for snoop_cycles: its new holder does not run ahead for so long (settled_at).
 * - A copy that is leaving is somebody's new line. When that one has dropped it before the copy is gone, the next owner would
 *   not know of the copy.
 * - Deliveries set accessed and dirty bits, and instructions with more stores than the queue has room for push stores out,
 *   without asking for the line.
 * The last two are so rare that they are only found, and the machine stops.
 */

#include "timing/internal.h"

bool timing_has_line(const struct timing_core *c, uint64_t line)
{
    return cache_find(&c->l2, line) >= 0;
}

bool timing_sees_owned(const struct timing_core *c, uint64_t line)
{
    if (timing_is_owned(c, line)) {
        return true;
    }
    int64_t index = cache_find(&c->l2, line);
    uint8_t state = index < 0 ? CACHE_INVALID : c->l2.states[index];
    return cache_seen_owned(state);
}

void timing_note_transaction(struct timing_core *c, uint64_t line, uint64_t key, bool alone)
{
    c->settled_at = later_of(c->settled_at, key + timing_value(c, TIMING_snoop_cycles));
    if (alone) {
        timing_note_unasked(c, line << TIMING_LINE_SHIFT, key);
    }
}

void timing_note_unasked(struct timing_core *c, uint64_t at, uint64_t key)
{
    const struct timing *s = c->shared;
    for (unsigned n = 0; n < s->cpus; n++) {
        const struct timing_core *other = &s->cores[n];
        if (other != c && other->ahead_until > key && timing_has_line(other, timing_line(at))) {
            c->shared->overtaken = true;
        }
    }
}
