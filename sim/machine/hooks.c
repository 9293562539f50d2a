/*
 * Hooks that need to see every instruction of a vCPU: stalls at a step, interrupts at every instruction of a range.
 * While one is armed the vCPU runs in blocks of one instruction, which changes nothing but speed.
 */

#include "machine/machine.h"

static void stall_if_due(struct sim *s, struct cpu *cpu)
{
    for (unsigned i = 0; i < s->stall_count; i++) {
        struct stall *stall = &s->stalls[i];
        if (stall->cpu == cpu->number && cpu->retired >= stall->step) {
            cpu->stall_cycles += stall->cycles;
            *stall = s->stalls[--s->stall_count];
            cpu_request_break(cpu);
            hooks_update(s, cpu->number);
            return;
        }
    }
}

static void interrupt_if_inside(struct sim *s, struct cpu *cpu)
{
    struct interrupt_range *r = &s->ranges[cpu->number];
    uint64_t at = cpu_linear_rip(cpu);
    if (!r->armed || at < r->first || at > r->last) {
        return;
    }
    if (r->fired && r->fired_rip == at) {
        r->fired = false; /* back from the handler: let the instruction execute */
        return;
    }
    r->fired = true;
    r->fired_rip = at;
    if (r->vector >= 256) {
        cpu->nmi_pending = true;
    } else {
        struct apic_message m = {.vector = (uint8_t)r->vector, .delivery = APIC_FIXED};
        lapic_deliver(cpu->lapic, &m, cpu_now(cpu));
    }
}

static void before_instruction(struct cpu *cpu, void *target)
{
    struct sim *s = target;
    stall_if_due(s, cpu);
    interrupt_if_inside(s, cpu);
}

void hooks_update(struct sim *s, unsigned cpu)
{
    bool needed = s->ranges[cpu].armed;
    for (unsigned i = 0; i < s->stall_count; i++) {
        needed |= s->stalls[i].cpu == cpu;
    }
    s->cpus[cpu].step_hook = needed ? before_instruction : NULL;
    s->cpus[cpu].step_hook_target = s;
}
