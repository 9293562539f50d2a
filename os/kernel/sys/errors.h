#ifndef OS_KERNEL_SYS_ERRORS_H
#define OS_KERNEL_SYS_ERRORS_H

/* How often system calls have failed since the start, by status. */

#include <stdint.h>

#include "abi/status.h"
#include "types.h"

/* Counts the result of a call if it is a status other than STATUS_OK. Any context; one atomic addition. */
void errors_note(int64_t result);

/* Copies the figures to a struct error_stats of the current process. STATUS_ERR_BAD_ADDRESS. */
MUST_CHECK status_t errors_copy_out(vaddr_t out);

#endif
