#ifndef OS_ABI_STATUS_H
#define OS_ABI_STATUS_H

/*
 * The one status type of the system: 0 is success, every failure is negative, negatives are grouped by kind
 * (sixteen values a group, status.def). It crosses the system-call boundary unchanged.
 */

/* Put before every function that returns a status: ignoring it does not compile under -Werror. */
#define MUST_CHECK __attribute__((warn_unused_result))

typedef enum status {
#define STATUS_ROW(name, value, text) name = (value),
#include "abi/status.def"
#undef STATUS_ROW
} status_t;

/* English text of a status, never null; "unknown status" for a number outside the table. Kernel:
 * lib/status.c. */
const char *status_text(status_t status);

/* Name of a status as spelled in the source, never null; "STATUS_UNKNOWN" outside the table. Kernel:
 * lib/status.c. */
const char *status_name(status_t status);

#endif
