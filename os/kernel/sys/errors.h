#ifndef OS_KERNEL_SYS_ERRORS_H
#define OS_KERNEL_SYS_ERRORS_H

/*
 * Calls that failed: how often since the start, by status, and of each thread the last one, with the place in the kernel
 * where its status was made (lib/fail.h).
 */

#include <stdbool.h>
#include <stdint.h>

#include "abi/abi.h"
#include "abi/status.h"
#include "sched/sched.h"
#include "types.h"

/* Forgets what was noted before; at the start of a call, and of what is left of it after a wait. */
static inline void errors_begin(void)
{
    struct thread *thread = thread_current();
    thread->noted.status = STATUS_OK;
    thread->noted.stage = ERROR_STAGE_ACTION;
    thread->noted.copies = 0;
}

/* Whether a copy from or to the program has failed since the call began: then it may have acted, and must not be repeated. */
static inline bool errors_of_copies(void)
{
    return thread_current()->noted.copies != 0;
}

/* Notes how far the call came, and returns the status. */
MUST_CHECK status_t errors_stage(enum error_stage stage, status_t status);

/* The end of a call: counts its result and keeps what was noted, if it is a status other than STATUS_OK. */
void errors_note(uint64_t call, int64_t result);

/* A new program begins: no call of its has failed. */
void errors_forget(void);

/* Copies the figures to a struct error_stats of the current process. Fails as user_write. */
MUST_CHECK status_t errors_copy_out(vaddr_t out);

/* Copies the calling thread's last failure to a struct error_report. Fails as user_write. */
MUST_CHECK status_t errors_report(vaddr_t out);

#endif
