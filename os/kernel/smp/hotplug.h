#ifndef OS_KERNEL_SMP_HOTPLUG_H
#define OS_KERNEL_SMP_HOTPLUG_H

/*
 * CPUs that go and come while the system runs. A state machine of steps, each with an up and a down function: bringing a
 * CPU up runs them from first to last, taking it down from last to first; when one fails, those that were done are undone.
 *
 * What stays of a CPU that is off: its per-CPU area with its run queue (whose lock wakers of threads that blocked there
 * still take), its idle thread and its stacks, all used again when it comes back; so a cycle takes no memory.
 * What goes: ready and running threads to other CPUs (one whose affinity mask holds no other online CPU may run anywhere
 * from then on), sleepers' timers, device interrupts, the front caches of slabs and frames. A CPU that has promised
 * deadlines does not go; nor does the boot CPU.
 */

#include <stdbool.h>

#include "abi/status.h"

struct cpu;

struct hotplug_step {
    const char *name;
    status_t (*up)(struct cpu *cpu);   /* null: nothing to do; on failure nothing is changed */
    status_t (*down)(struct cpu *cpu); /* the same */
};

/*
 * Takes a CPU through `count` steps. On failure the steps that were done are undone in reverse order and the failure is
 * the result. Thread context. Undoing must not fail: panics.
 */
MUST_CHECK status_t hotplug_walk(const struct hotplug_step *steps, unsigned count, bool up, struct cpu *cpu);

/*
 * Takes a CPU out of service, or back into it. One at a time, others wait. Thread context, no lock held, interrupts on.
 * STATUS_ERR_RANGE: no such CPU. STATUS_ERR_STATE: it is off, or on, already. STATUS_ERR_RESERVED: the boot CPU.
 * STATUS_ERR_BUSY: it has promised deadlines. STATUS_ERR_TIMEOUT: it does not start. STATUS_ERR_NO_MEMORY.
 */
MUST_CHECK status_t cpu_down(unsigned id);
MUST_CHECK status_t cpu_up(unsigned id);

/* For the idle loop of a CPU that is asked to go: answers others until nobody waits for it any more, then stops for ever,
 * that is until it is started again. Interrupts off. */
_Noreturn void cpu_park(struct cpu *cpu);

#endif
