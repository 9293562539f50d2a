#ifndef ORRERY_TIMING_RECORD_H
#define ORRERY_TIMING_RECORD_H

/*
 * What an observer is told of every step, in key order: what was done, and under a timing model its accesses and stamps
 * (docs/timing.md, section 14).
 */

#include <stdbool.h>
#include <stdint.h>

enum timing_access_kind {
    TIMING_FETCH, /* the page of the instruction was translated anew */
    TIMING_LOAD,
    TIMING_STORE,
    TIMING_WALK,   /* a table entry read for the next access that is no walk */
    TIMING_UPDATE, /* an accessed or dirty bit set for it */
    TIMING_LOAD_DEVICE,
    TIMING_STORE_DEVICE
};

/* One access of an instruction, in the order in which they happen. number tells one entry of the architectural TLB from
 * all others that this vCPU ever had; 0: no translation, or one that the first-level TLB is known to have. */
struct timing_access {
    uint64_t at;
    uint32_t number;
    uint16_t slot; /* of the TLB, where the entry is */
    uint8_t size_bytes;
    uint8_t kind; /* enum timing_access_kind */
    bool rest;    /* a load: the part in the next page of the one before it */
};

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

enum timing_wait {
    TIMING_WAIT_EMPTY,
    TIMING_WAIT_ROOM,
    TIMING_WAIT_LINE,
    TIMING_WAIT_UPDATE /* an accessed or dirty bit was set: what follows is tried again */
};

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
    uint64_t line
        [2]; /* TIMING_WAIT_LINE: addresses in the line or, two that differ, in both; _UPDATE: of the entry */
    uint64_t dispatch, start, end, store_commit,
        fetch_ready;  /* 0 without a model, as there are no accesses */
    uint64_t retired; /* the clock after the step */
    /* the vCPU after the step */
    uint64_t stack, space; /* RSP, CR3 */
    uint8_t privilege;     /* CPL */
};

/* Must not change the machine. */
typedef void timing_record_fn(void *target, const struct timing_record *r);

#endif
