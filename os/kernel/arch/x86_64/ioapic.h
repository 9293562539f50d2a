#ifndef OS_KERNEL_ARCH_X86_64_IOAPIC_H
#define OS_KERNEL_ARCH_X86_64_IOAPIC_H

#include <stdbool.h>

#include "abi/status.h"

/* Lines: ISA interrupts 0..15, wherever the tables say that they arrive, and from 16 on global interrupt numbers. */
#define IRQ_LINES 64u

/* How the lines from 16 on are wired; of ISA lines the tables tell. */
struct irq_trigger {
    bool level;
    bool active_low;
};

/* Maps all I/O APICs of the ACPI tables, masks every input, and silences the 8259 pair where there is one. */
MUST_CHECK status_t ioapic_init(void);

/* Routes an ISA interrupt to vector VECTOR_LINE_BASE + irq on one CPU, masked or not. STATUS_ERR_NOT_FOUND: no input. */
MUST_CHECK status_t ioapic_route_isa(unsigned irq, unsigned apic_id, bool masked);

/* The same of a line from 16 on. STATUS_ERR_BUSY: an ISA interrupt arrives there. */
MUST_CHECK status_t ioapic_route_gsi(unsigned line, struct irq_trigger trigger, unsigned apic_id,
                                     bool masked);

/* Masks or unmasks a routed line; nothing happens where there is no input. Any context. */
void ioapic_mask(unsigned line, bool masked);

/* Sends every interrupt that goes to one CPU to another. */
void ioapic_move(unsigned from_apic_id, unsigned to_apic_id);

#endif
