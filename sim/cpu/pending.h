#ifndef ORRERY_CPU_PENDING_H
#define ORRERY_CPU_PENDING_H

/* Does an external interrupt wait that RFLAGS.IF lets through? O(1); shadows are the run loop's affair. */

#include "apic/lapic.h"
#include "cpu/cpu.h"

static inline bool cpu_interrupt_waits(const struct cpu *cpu)
{
    return cpu->lapic && cpu->lapic->intr && (cpu->rflags & RFLAGS_IF);
}

#endif
