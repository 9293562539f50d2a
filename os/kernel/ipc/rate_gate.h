#ifndef OS_KERNEL_IPC_RATE_GATE_H
#define OS_KERNEL_IPC_RATE_GATE_H

/* The rate limit of one process, whose threads may send at once. */

#include "abi/status.h"
#include "ipc/rate.h"
#include "lib/spinlock.h"

struct rate_gate {
    struct spinlock lock;
    struct rate_limit limit;
};

/* No limit. */
void rate_gate_init(struct rate_gate *gate);

/* A full bucket with the limit of another process: what a child starts with. */
void rate_gate_inherit(struct rate_gate *gate, struct rate_gate *from);

/*
 * Sets a limit, 1..RATE_MAX_PER_SECOND and 1..RATE_MAX_BURST, and fills the bucket. It can only become stricter:
 * STATUS_ERR_PERMISSION.
 */
MUST_CHECK status_t rate_gate_set(struct rate_gate *gate, uint32_t per_second, uint32_t burst);

/* Takes a token. False: there is none now. Any context. */
bool rate_gate_pass(struct rate_gate *gate);

#endif
