/* The collector's thread: a pass a second while there is anything to collect, asleep otherwise. */
#include "cap/cap.h"

#include "arch/x86_64/clock.h"
#include "cap/collector.h"
#include "must.h"
#include "sched/sched.h"
#include "sched/wait.h"

#define PERIOD_NS 1000000000ull

static struct thread *collector;

void collector_wake(void)
{
    if (collector != NULL) {
        sched_wake(collector);
    }
}

static void collect_for_ever(void *argument)
{
    (void)argument;
    for (;;) {
        sched_prepare_wait();
        if (collector_idle()) {
            sched_block(WAIT_FOREVER);
            continue;
        }
        sched_cancel_wait();
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(PERIOD_NS));
        collector_pass(false);
    }
}

void cap_collector_start(void)
{
    struct thread *thread;
    must(thread_create(&thread, &sched_normal, collect_for_ever, NULL), "capability collector");
    collector = thread;
    sched_start(thread);
}
