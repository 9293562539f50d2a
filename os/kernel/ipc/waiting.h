#ifndef OS_KERNEL_IPC_WAITING_H
#define OS_KERNEL_IPC_WAITING_H

/* Waiting at an object until something works, or the capability that was used is gone. */

#include <stdbool.h>
#include <stdint.h>

#include "abi/status.h"
#include "cap/cap.h"
#include "sched/wait.h"

/* The capability by which an operation was begun. */
struct ipc_claim {
    cap_handle_t handle;
    uint64_t id;
};

/* STATUS_OK while the handle still names that capability; else why not. */
MUST_CHECK status_t ipc_claim_check(const struct ipc_claim *claim);

/*
 * Calls attempt(context) until it gives something else than STATUS_ERR_AGAIN, and that is the result; sleeps on the queue in
 * between. deadline IPC_NO_WAIT: one attempt. Fails besides with STATUS_ERR_TIMEOUT and as ipc_claim_check. Thread context,
 * no lock held.
 */
MUST_CHECK status_t ipc_wait(struct wait_queue *queue, const struct ipc_claim *claim, uint64_t deadline,
                             status_t (*attempt)(void *context), void *context);

#endif
