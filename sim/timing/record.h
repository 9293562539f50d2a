#ifndef ORRERY_TIMING_RECORD_H
#define ORRERY_TIMING_RECORD_H

/* What an observer of the timing model is told: a step and its stamps, in key order (docs/timing.md, section 14). */

#include <stdbool.h>
#include <stdint.h>

struct timing_access;

enum timing_record_kind {
    TIMING_RECORD_STEP,      /* an instruction, or the last iteration of a repeated one */
    TIMING_RECORD_ITERATION, /* of a repeated string instruction, not its last */
    TIMING_RECORD_EXCEPTION,
    TIMING_RECORD_INTERRUPT,
    TIMING_RECORD_WAIT, /* a step waits: reason, line; retired is until when */
    TIMING_RECORD_WAKE, /* retired: at that time, before wake_cycles */
    TIMING_RECORD_RESET,
    TIMING_RECORD_CLOCK /* retired: what the clock was set to from outside */
};

enum timing_wait { TIMING_WAIT_EMPTY, TIMING_WAIT_ROOM, TIMING_WAIT_LINE };

struct timing_record {
    enum timing_record_kind kind;
    unsigned cpu, mode_bits;
    uint64_t pc, next; /* linear */
    const uint8_t *bytes;
    unsigned length;
    bool backward, keeps;
    uint64_t code[2];
    uint8_t code_bytes[2];
    const struct timing_access *accesses;
    unsigned access_count;
    enum timing_wait wait;
    uint64_t line; /* address of what a TIMING_WAIT_LINE waits for */
    uint64_t dispatch, start, end, retired, store_commit, fetch_ready;
};

/* Must not change the machine. */
typedef void timing_record_fn(void *target, const struct timing_record *r);

#endif
