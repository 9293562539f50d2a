/*
 * CPU hotplug. Why nobody waits for a CPU that has gone: the CPU first leaves the mask of online CPUs, then goes on
 * answering interrupts until everyone who may have read the old mask is done. Shootdowns run with interrupts off, so they
 * are over when each CPU has taken an interrupt (rcu_synchronize); function calls are one at a time, so they are over when
 * a call of our own is. The choice of a CPU for a thread and its arrival there lie in one section with interrupts off, so
 * after the same wait nothing can arrive at a CPU that is marked as draining.
 */
#include "smp/hotplug.h"

#include "arch/x86_64/clock.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/switch.h"
#include "mm/frame.h"
#include "mm/slab.h"
#include "panic.h"
#include "sched/rcu.h"
#include "sched/sched.h"
#include "smp/ap_start.h"
#include "smp/ipi.h"

#define POLL_NS       50000ull
#define DRAIN_NS      10000000000ull
#define HANDSHAKES_NS 10000000000ull

static bool busy; /* a CPU is on its way */

/* Sleeps until a word has a value; false after the limit. */
static bool wait_for(const uint32_t *word, uint32_t value, uint64_t limit_ns)
{
    uint64_t end = clock_cycles() + clock_cycles_from_ns(limit_ns);
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) {
        if (clock_cycles() > end) {
            return false;
        }
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(POLL_NS));
    }
    return true;
}

/* ---- caches: what the CPU kept for itself ---- */

static status_t caches_down(struct cpu *cpu)
{
    slab_drain_cpu(cpu->id);
    frame_cpu_drain(cpu->id);
    return STATUS_OK;
}

/* ---- processor ---- */

static void nothing(void *argument)
{
    (void)argument;
}

static status_t processor_down(struct cpu *cpu)
{
    __atomic_store_n(&cpu->park, CPU_PARK_LEAVE, __ATOMIC_RELEASE);
    ipi_reschedule(cpu->id);
    if (!wait_for(&cpu->state, CPU_STATE_LEAVING, HANDSHAKES_NS)) {
        panic("cpu %u does not leave", cpu->id);
    }
    rcu_synchronize();
    ipi_call_others(nothing, NULL);
    __atomic_store_n(&cpu->park, CPU_PARK_STOP, __ATOMIC_RELEASE);
    if (!wait_for(&cpu->state, CPU_STATE_OFFLINE, HANDSHAKES_NS)) {
        panic("cpu %u does not stop", cpu->id);
    }
    return STATUS_OK;
}

void cpu_park(struct cpu *cpu)
{
    cpu_mark_leaving(cpu);
    arch_irq_enable();
    while (__atomic_load_n(&cpu->park, __ATOMIC_ACQUIRE) != CPU_PARK_STOP) {
        arch_pause();
    }
    arch_irq_disable();
    clock_arm(CLOCK_NEVER);
    __atomic_store_n(&cpu->state, CPU_STATE_OFFLINE, __ATOMIC_RELEASE);
    arch_stop_for_ever();
}

static status_t processor_up(struct cpu *cpu)
{
    cpu->park = CPU_PARK_NOT;
    cpu->shootdown_pending = 0;
    cpu->tlb_next_slot = 0;
    cpu->idle_cycles = 0;
    cpu->busy_cycles = 0;
    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        cpu->tlb_slots[i] = (struct tlb_slot){.context = 0};
    }
    return ap_restart(cpu);
}

/* ---- interrupts, timers, threads ---- */

static status_t interrupts_down(struct cpu *cpu)
{
    ioapic_move(cpu->apic_id, cpu_boot_area.apic_id);
    return STATUS_OK;
}

static status_t timers_down(struct cpu *cpu)
{
    sched_move_sleepers(cpu);
    return STATUS_OK;
}

static status_t threads_up(struct cpu *cpu)
{
    __atomic_store_n(&cpu->draining, false, __ATOMIC_SEQ_CST);
    return STATUS_OK;
}

static status_t threads_down(struct cpu *cpu)
{
    __atomic_store_n(&cpu->draining, true, __ATOMIC_SEQ_CST);
    rcu_synchronize();
    status_t status = STATUS_ERR_BUSY;
    if (__atomic_load_n(&cpu->queue.deadline_bandwidth, __ATOMIC_SEQ_CST) == 0) {
        uint64_t end = clock_cycles() + clock_cycles_from_ns(DRAIN_NS);
        while (!sched_drain(cpu) && clock_cycles() < end) {
            sched_sleep_until(clock_cycles() + clock_cycles_from_ns(POLL_NS));
        }
        status = sched_drain(cpu) ? STATUS_OK : STATUS_ERR_TIMEOUT;
    }
    if (status != STATUS_OK) {
        (void)threads_up(cpu);
    }
    return status;
}

static const struct hotplug_step steps[] = {
    {"caches", NULL, caches_down},         {"processor", processor_up, processor_down},
    {"interrupts", NULL, interrupts_down}, {"timers", NULL, timers_down},
    {"threads", threads_up, threads_down},
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

/* ---- the machine ---- */

static status_t take_step(const struct hotplug_step *step, bool up, struct cpu *cpu)
{
    status_t (*function)(struct cpu *) = up ? step->up : step->down;
    return function != NULL ? function(cpu) : STATUS_OK;
}

status_t hotplug_walk(const struct hotplug_step *walk, unsigned count, bool up, struct cpu *cpu)
{
    for (unsigned done = 0; done < count; done++) {
        status_t status = take_step(&walk[up ? done : count - 1 - done], up, cpu);
        if (status == STATUS_OK) {
            continue;
        }
        while (done-- > 0) {
            const struct hotplug_step *step = &walk[up ? done : count - 1 - done];
            if (take_step(step, !up, cpu) != STATUS_OK) {
                panic("hotplug: step %s cannot be undone", step->name);
            }
        }
        return status;
    }
    return STATUS_OK;
}

static status_t change(unsigned id, bool up)
{
    if (id >= cpu_count_present()) {
        return STATUS_ERR_RANGE;
    }
    struct cpu *cpu = cpu_table[id];
    if (cpu == &cpu_boot_area) {
        return STATUS_ERR_RESERVED;
    }
    while (__atomic_exchange_n(&busy, true, __ATOMIC_ACQUIRE)) {
        sched_sleep_until(clock_cycles() + clock_cycles_from_ns(POLL_NS));
    }
    uint32_t from = up ? CPU_STATE_OFFLINE : CPU_STATE_ONLINE;
    status_t status = STATUS_ERR_STATE;
    if (__atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) == from) {
        status = hotplug_walk(steps, STEPS, up, cpu);
    }
    __atomic_store_n(&busy, false, __ATOMIC_RELEASE);
    return status;
}

status_t cpu_down(unsigned id)
{
    return change(id, false);
}

status_t cpu_up(unsigned id)
{
    return change(id, true);
}
