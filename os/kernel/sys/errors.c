/*
 * Failures of system calls, counted by status. One array for all CPUs: a failure is rare enough. Deviations: the figures
 * are read one after the other, so they are no snapshot.
 */
#include "sys/errors.h"

#include "abi/abi.h"
#include "proc/usercopy.h"

#define PIECE 32u

_Static_assert(ERROR_STATUSES % PIECE == 0, "figures go out in whole pieces");

#define STATUS_ROW(name, value, text) \
    _Static_assert(-(value) < (int)ERROR_STATUSES, "every status has a counter");
#include "abi/status.def"
#undef STATUS_ROW

static uint64_t failures[ERROR_STATUSES];

void errors_note(int64_t result)
{
    if (result < 0 && result > -(int64_t)ERROR_STATUSES) {
        __atomic_add_fetch(&failures[-result], 1, __ATOMIC_RELAXED);
    }
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
