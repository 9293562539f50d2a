#ifndef OS_KERNEL_ARCH_X86_64_IOAPIC_H
#define OS_KERNEL_ARCH_X86_64_IOAPIC_H

#include "abi/status.h"

/* Maps all I/O APICs of the ACPI tables, masks every input, and silences the 8259 pair where there is one. */
MUST_CHECK status_t ioapic_init(void);

/* Routes an ISA interrupt to vector VECTOR_ISA_BASE + irq on one CPU and unmasks it. STATUS_ERR_NOT_FOUND: no
 * input. */
MUST_CHECK status_t ioapic_route_isa(unsigned irq, unsigned apic_id);

/* Sends every interrupt that goes to one CPU to another. */
void ioapic_move(unsigned from_apic_id, unsigned to_apic_id);

#endif
