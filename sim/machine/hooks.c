/*
 * Hooks that need to see every instruction of a vCPU: stalls at a step, interrupts at every instruction of a range.
 * While one is armed the vCPU runs in blocks of one instruction, which changes nothing but speed.
 */

#include "cpu/pending.h"
#include "machine/machine.h"

#include <string.h>

/* True when the vCPU stalls now: what else there is before this instruction comes after it. */
static bool stall_if_due(struct sim *s, struct cpu *cpu)
{
    for (unsigned i = 0; i < s->stall_count; i++) {
        struct stall *stall = &s->stalls[i];
        if (stall->cpu == cpu->number && cpu->retired >= stall->step) {
            cpu->stall_cycles += stall->cycles;
            *stall = s->stalls[--s->stall_count];
            hooks_update(s, cpu->number);
            return true;
        }
    }
    return false;
}

static struct interrupted interrupted_here(const struct cpu *cpu)
{
    uint64_t space = cpu->cpl == 3 ? align_down(cpu->cr3, PAGE_SIZE_BYTES) : 0;
    return (struct interrupted){cpu_linear_rip(cpu), cpu->gpr[RSP], space};
}

/* Takes it out of the list: was it there? */
static bool interrupted_forget(struct sim *s, struct interrupted who)
{
    for (unsigned i = 0; i < s->interrupted_count; i++) {
        const struct interrupted *at = &s->interrupted[i];
        if (at->linear_rip == who.linear_rip && at->rsp == who.rsp && at->space == who.space) {
            s->interrupted_count--;
            memmove(&s->interrupted[i], &s->interrupted[i + 1],
                    (s->interrupted_count - i) * sizeof *s->interrupted);
            return true;
        }
    }
    return false;
}

static void interrupted_remember(struct sim *s, struct interrupted who)
{
    if (s->interrupted_count == INTERRUPTED_MAX) {
        interrupted_forget(s, s->interrupted[0]);
    }
    s->interrupted[s->interrupted_count++] = who;
}

/* Is an interrupt the next thing to happen? */
static bool is_interrupted_now(const struct cpu *cpu)
{
    bool nmi = cpu->nmi_pending && !cpu->nmi_blocked;
    bool external = !(cpu->shadow & SHADOW_STI) && cpu_interrupt_waits(cpu);
    return !(cpu->shadow & SHADOW_MOV_SS) && (nmi || external);
}

/* An instruction whose probe has been reported had its interrupt before that. */
static void interrupt_if_inside(struct sim *s, struct cpu *cpu)
{
    const struct interrupt_range *r = &s->ranges[cpu->number];
    struct interrupted here = interrupted_here(cpu);
    bool reported = cpu->probe_passed && cpu->probe_rip == here.linear_rip;
    bool inside = r->armed && here.linear_rip >= r->first && here.linear_rip <= r->last;
    if (!inside || reported || interrupted_forget(s, here)) {
        return;
    }
    if (r->vector >= 256) {
        cpu->nmi_pending = true;
    } else {
        struct apic_message m = {.vector = (uint8_t)r->vector, .delivery = APIC_FIXED};
        lapic_deliver(cpu->lapic, &m, cpu_now(cpu));
    }
    if (is_interrupted_now(cpu)) {
        interrupted_remember(s, here);
    }
}

static void before_instruction(struct cpu *cpu, void *target)
{
    struct sim *s = target;
    if (s->alone == cpu) {
        cpu_request_break(cpu);
    }
    if (!stall_if_due(s, cpu)) {
        interrupt_if_inside(s, cpu);
    }
}

void hooks_update(struct sim *s, unsigned cpu)
{
    bool needed = s->ranges[cpu].armed || s->alone == &s->cpus[cpu];
    for (unsigned i = 0; i < s->stall_count; i++) {
        needed |= s->stalls[i].cpu == cpu;
    }
    /* Without a timing model blocks do not tell of their instructions. */
    needed |= s->watcher_count != 0 && s->model == NULL;
    s->cpus[cpu].step_hook = needed ? before_instruction : NULL;
    s->cpus[cpu].step_hook_target = s;
}
