#ifndef OS_KERNEL_LIB_FAIL_H
#define OS_KERNEL_LIB_FAIL_H

/*
 * Where a failure arises. FAIL stands where a status is made, as its value; the thread keeps the place and two words until
 * its call ends, and the program can ask for them (sys/errors.h). Only failures pay.
 */

#include <stdint.h>

#include "abi/status.h"

/* Of a thread: what its present call has noted, and what its last failed one has left. */
struct failure {
    status_t status;
    uint16_t stage;   /* enum error_stage */
    uint16_t copies;  /* not 0: a copy from or to the program has failed */
    const char *file; /* null: the place that made the status noted nothing */
    uint32_t line;
    uint64_t detail[2];
    uint64_t call;
};

/* value: what was refused; bound: what it should have kept to, or another part of it. Thread context, locks may be held. */
#define FAIL(status, value, bound) \
    failure_note((status), __FILE__, __LINE__, (uint64_t)(value), (uint64_t)(bound))

/* Notes it and returns the status. The file's name must stay. */
MUST_CHECK status_t failure_note(status_t status, const char *file, uint32_t line, uint64_t value,
                                 uint64_t bound);

/*
 * Why the thread's copy from or to its program has just ended early: what the fault was answered with (trap.c). Notes that one
 * has, so that the call is not repeated (sys/errors.h).
 */
MUST_CHECK status_t failure_of_copy(void);

#endif
