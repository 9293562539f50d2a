/*
 * The victim is only marked here: its thread ends itself on its way out to user mode, where it holds nothing. A victim that
 * sleeps in a call is woken; when it does not come out of the call in time, the next one is chosen. Deviations: none.
 */
#include "proc/oom.h"

#include "abi/abi.h"
#include "arch/x86_64/clock.h"
#include "console.h"
#include "mm/frame.h"
#include "proc/process.h"
#include "sched/sched.h"

#define LOOK_AGAIN_NS 1000000ull
#define LOOKS         200u

static void doom(struct process *victim)
{
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    __atomic_store_n(&victim->doomed, true, __ATOMIC_RELEASE);
    list_for_each(node, &victim->threads)
    {
        sched_wake(list_entry(node, struct thread, process_node));
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
}

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
        doom(victim);
    }
    for (unsigned look = 0; !spared && look < LOOKS && !process_is_empty(victim); look++) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(LOOK_AGAIN_NS));
    }
    process_put(victim);
    return !spared;
}

bool oom_chosen(const struct process *process)
{
    return __atomic_load_n(&process->doomed, __ATOMIC_ACQUIRE);
}

void oom_check(void)
{
    const struct process *process = process_current();
    if (process != NULL && oom_chosen(process)) {
        process_exit(STATUS_KILLED_NO_MEMORY);
    }
}
