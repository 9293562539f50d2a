/* The balancer thread. */
#include "sys/balancer.h"

#include "mm/frame.h"
#include "mm/pressure.h"
#include "sched/sched.h"
#include "sched/wait.h"

static struct thread *balancer;

static bool needed(void)
{
    return frame_balance_wanted() || pressure_changes(frame_free_count());
}

static void run(void *argument)
{
    (void)argument;
    for (;;) {
        sched_prepare_wait();
        if (!needed()) {
            (void)sched_block(WAIT_FOREVER);
            continue;
        }
        sched_cancel_wait();
        (void)frame_balance();
    }
}

void balancer_poll(void)
{
    if (balancer != NULL && needed()) {
        sched_wake(balancer);
    }
}

status_t balancer_start(void)
{
    struct thread *thread;
    status_t status = thread_create(&thread, &sched_kernel, run, NULL);
    if (status == STATUS_OK) {
        sched_start(thread);
        __atomic_store_n(&balancer, thread, __ATOMIC_RELEASE);
    }
    return status;
}
