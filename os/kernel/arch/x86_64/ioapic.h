#ifndef OS_KERNEL_ARCH_X86_64_IOAPIC_H
#define OS_KERNEL_ARCH_X86_64_IOAPIC_H

#include <stdbool.h>

#include "abi/status.h"

/* Maps all I/O APICs of the ACPI tables, masks every input, and silences the 8259 pair where there is one. */
MUST_CHECK status_t ioapic_init(void);

/* Routes an ISA interrupt to vector VECTOR_ISA_BASE + irq on one CPU, masked or not. STATUS_ERR_NOT_FOUND: no input. */
MUST_CHECK status_t ioapic_route_isa(unsigned irq, unsigned apic_id, bool masked);

/* Masks or unmasks a routed ISA interrupt; nothing happens where there is no input. Any context. */
void ioapic_mask_isa(unsigned irq, bool masked);

/* Sends every interrupt that goes to one CPU to another. */
void ioapic_move(unsigned from_apic_id, unsigned to_apic_id);

#endif
