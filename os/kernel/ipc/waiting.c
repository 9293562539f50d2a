/*
 * Waiting at channels and notifications. Each attempt is made in the queue, so a change between attempt and sleep is never
 * missed; the capability is looked at after joining, so who comes to wait as it goes finds out by itself. Deviations: a
 * wake-up wakes all who wait there, since they may want different bits, or have lost their capability: waking one that
 * cannot use it would leave the others asleep.
 */
#include "ipc/waiting.h"

#include "ipc/counters.h"
#include "ipc/ipc.h"
#include "proc/process.h"
#include "proc/threads.h"

status_t ipc_claim_check(const struct ipc_claim *claim)
{
    struct cap_view view;
    rcu_read_lock();
    status_t status = cap_lookup(process_current()->caps, claim->handle, CAP_NONE, 0, &view);
    rcu_read_unlock();
    return status == STATUS_OK && view.id != claim->id ? STATUS_ERR_CAP_GENERATION : status;
}

status_t ipc_wait(struct wait_queue *queue, const struct ipc_claim *claim, uint64_t deadline,
                  status_t (*attempt)(void *context), void *context)
{
    status_t status = attempt(context);
    bool in_time = deadline != IPC_NO_WAIT;
    while (status == STATUS_ERR_AGAIN && in_time) {
        struct waiter waiter;
        wait_queue_join(queue, &waiter);
        status = attempt(context);
        if (status == STATUS_ERR_AGAIN) {
            status_t held = ipc_claim_check(claim);
            if (thread_must_end()) {
                status = STATUS_ERR_INTERRUPTED;
            } else if (held == STATUS_OK) {
                in_time = wait_queue_sleep(&waiter, deadline);
            } else {
                status = held;
                ipc_count(IPC_COUNTER_EVICTED);
            }
        }
        wait_queue_leave(queue, &waiter);
        if (!in_time && attempt(context) == STATUS_OK) {
            return STATUS_OK;
        }
    }
    if (status == STATUS_ERR_AGAIN && deadline != IPC_NO_WAIT) {
        ipc_count(IPC_COUNTER_TIMED_OUT);
        return STATUS_ERR_TIMEOUT;
    }
    return status;
}
