/*
 * Failures of system calls, counted by status. One array for all CPUs: a failure is rare enough. The place of a failure is
 * the last one that noted the status with which the call ended. Deviations: the figures are read one after the other, so
 * they are no snapshot. A status that was noted, dealt with, and made again where nothing is noted is told with the place
 * where it arose first.
 */
#include "sys/errors.h"

#include "lib/format.h"
#include "proc/usercopy.h"

#define PIECE 32u

_Static_assert(ERROR_STATUSES % PIECE == 0, "figures go out in whole pieces");

#define STATUS_ROW(name, value, text) \
    _Static_assert(-(value) < (int)ERROR_STATUSES, "every status has a counter");
#include "abi/status.def"
#undef STATUS_ROW

static uint64_t failures[ERROR_STATUSES];

status_t failure_note(status_t status, const char *file, uint32_t line, uint64_t value, uint64_t bound)
{
    struct failure *noted = &thread_current()->noted;
    noted->status = status;
    noted->file = file;
    noted->line = line;
    noted->detail[0] = value;
    noted->detail[1] = bound;
    return status;
}

status_t failure_of_copy(void)
{
    struct thread *thread = thread_current();
    thread->noted.copies = 1;
    return thread->copy_fault;
}

status_t errors_stage(enum error_stage stage, status_t status)
{
    thread_current()->noted.stage = (uint16_t)stage;
    return status;
}

void errors_note(uint64_t call, int64_t result)
{
    if (result >= 0 || result <= -(int64_t)ERROR_STATUSES) {
        return;
    }
    __atomic_add_fetch(&failures[-result], 1, __ATOMIC_RELAXED);
    struct thread *thread = thread_current();
    const struct failure unknown = {.status = (status_t)result, .stage = thread->noted.stage};
    thread->failed = thread->noted.status == result ? thread->noted : unknown;
    thread->failed.call = call;
}

void errors_forget(void)
{
    thread_current()->failed = (struct failure){.status = STATUS_OK};
}

status_t errors_copy_out(vaddr_t out)
{
    status_t status = STATUS_OK;
    for (unsigned first = 0; first < ERROR_STATUSES && status == STATUS_OK; first += PIECE) {
        uint64_t piece[PIECE];
        for (unsigned i = 0; i < PIECE; i++) {
            piece[i] = __atomic_load_n(&failures[first + i], __ATOMIC_RELAXED);
        }
        status = user_write(vaddr_add(out, first * sizeof(uint64_t)), piece, sizeof(piece));
    }
    return status;
}

status_t errors_report(vaddr_t out)
{
    const struct failure *failed = &thread_current()->failed;
    struct error_report report = {.call = failed->call,
                                  .status = failed->status,
                                  .stage = failed->stage,
                                  .detail = {failed->detail[0], failed->detail[1]},
                                  .line = failed->line};
    if (failed->file != NULL) {
        ksnprintf(report.file, sizeof(report.file), "%s", failed->file);
    }
    return user_write(out, &report, sizeof(report));
}
