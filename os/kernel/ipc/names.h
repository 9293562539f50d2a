#ifndef OS_KERNEL_IPC_NAMES_H
#define OS_KERNEL_IPC_NAMES_H

/*
 * Names of services: a process binds a name to a capability that it may pass on, others look the name up and get one derived
 * from it. A name belongs to the process that bound it and goes with it; it is free as well when its capability was revoked.
 */

#include "abi/status.h"
#include "cap/cap.h"
#include "sched/thread.h"

#define NAMES_MAX 64u /* what they stand for fits into the smallest capability space */

MUST_CHECK status_t names_init(void);

/*
 * Binds a name of `bytes` characters, 1..NAME_LENGTH_MAX, to a child of the owner's capability with these rights.
 * STATUS_ERR_EXISTS: another capability has the name; STATUS_ERR_LIMIT: NAMES_MAX names are bound; as cap_derive. Thread
 * context, no lock held. Bound: O(NAMES_MAX).
 */
MUST_CHECK status_t names_bind(pid_t owner, struct cap_space *space, const char *text, uint64_t bytes,
                               cap_handle_t source, uint32_t rights);

/* A capability of `to` derived from the one that has the name. STATUS_ERR_NOT_FOUND; as cap_derive. */
MUST_CHECK status_t names_find(struct cap_space *to, const char *text, uint64_t bytes, cap_handle_t *out);

/* STATUS_ERR_NOT_FOUND; STATUS_ERR_PERMISSION: another process bound it. */
MUST_CHECK status_t names_unbind(pid_t owner, const char *text, uint64_t bytes);

/* A process ends: its names are free. */
void names_process_end(pid_t owner);

#endif
