/*
 * The victim is only told here (proc/threads.h): its threads end on their way out to user mode, where they hold nothing. One
 * that sleeps in a call is woken; when it does not come out of the call in time, the next one is chosen. Deviations: none.
 */
#include "proc/oom.h"

#include "abi/abi.h"
#include "arch/x86_64/clock.h"
#include "console.h"
#include "mm/frame.h"
#include "proc/process.h"
#include "proc/threads.h"
#include "sched/sched.h"

#define LOOK_AGAIN_NS 1000000ull
#define LOOKS         200u

bool oom_make_room(bool for_fault)
{
    uint64_t frames;
    struct process *victim = process_get_largest(&frames);
    if (victim == NULL) {
        return false;
    }
    bool spared = victim == process_current() || (!for_fault && frames < frame_manager_get()->map_frames / 4);
    if (!spared) {
        console_printf("process %u %s: ended, memory is out and it holds most of it, %llu frames\n",
                       victim->pid.number, victim->name, (unsigned long long)frames);
        process_end_begin(victim, STATUS_KILLED_NO_MEMORY);
    }
    for (unsigned look = 0; !spared && look < LOOKS && !process_is_empty(victim); look++) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(LOOK_AGAIN_NS));
    }
    process_put(victim);
    return !spared;
}
