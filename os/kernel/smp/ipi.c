/*
 * Reschedule and function-call interrupts. One function call at a time in the whole machine: they are rare (hotplug, grace
 * periods, drained caches), so one record that everybody waits for costs less than a queue a CPU. A reschedule interrupt
 * carries nothing: what there is to do lies in the target's run queue, so sending one too many does no harm.
 */
#include "smp/ipi.h"

#include "arch/x86_64/lapic.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/vectors.h"
#include "sched/sched.h"

static struct {
    bool busy; /* one call at a time */
    void (*function)(void *);
    void *argument;
    uint64_t waiting __attribute__((aligned(64))); /* CPUs that have not finished */
} __attribute__((aligned(64))) call;

void ipi_reschedule(unsigned cpu)
{
    lapic_send(cpu_table[cpu]->apic_id, VECTOR_RESCHEDULE);
}

void ipi_handle_call(void)
{
    call.function(call.argument);
    __atomic_and_fetch(&call.waiting, ~(1ull << arch_cpu_id()), __ATOMIC_RELEASE);
}

void ipi_call_others(void (*function)(void *), void *argument)
{
    preempt_disable();
    while (__atomic_exchange_n(&call.busy, true, __ATOMIC_ACQUIRE)) {
        arch_pause();
    }
    uint64_t targets = cpu_online_mask() & ~(1ull << arch_cpu_id());
    call.function = function;
    call.argument = argument;
    __atomic_store_n(&call.waiting, targets, __ATOMIC_RELEASE);
    for (uint64_t left = targets; left != 0; left &= left - 1) {
        lapic_send(cpu_table[__builtin_ctzll(left)]->apic_id, VECTOR_CALL);
    }
    while (__atomic_load_n(&call.waiting, __ATOMIC_ACQUIRE) != 0) {
        arch_pause();
    }
    __atomic_store_n(&call.busy, false, __ATOMIC_RELEASE);
    preempt_enable();
}
