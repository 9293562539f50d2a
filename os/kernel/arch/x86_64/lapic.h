#ifndef OS_KERNEL_ARCH_X86_64_LAPIC_H
#define OS_KERNEL_ARCH_X86_64_LAPIC_H

/* The local APIC of the calling CPU, x2APIC when the processor has it, else memory mapped. Used for IPIs and
 * the timer. */

#include <stdbool.h>
#include <stdint.h>

#include "abi/status.h"

/* Boot processor: maps the registers if they are memory mapped. */
MUST_CHECK status_t lapic_init(uint64_t physical_address);

/* Enables the APIC of this CPU with all local interrupts masked. */
void lapic_enable_on_this_cpu(void);

uint32_t lapic_id(void);

void lapic_end_of_interrupt(void);

/* Sends a fixed interrupt. Waits while the previous one is pending (memory-mapped mode only, at most some 100
 * cycles). */
void lapic_send(uint32_t apic_id, uint8_t vector);

/* Panic path: waits a bounded time, serves nothing meanwhile, enables the APIC first if need be. */
void lapic_send_nmi(uint32_t apic_id);

void lapic_send_init(uint32_t apic_id);
void lapic_send_startup(uint32_t apic_id, uint8_t page);

/* Timer, masked after lapic_enable_on_this_cpu. Count mode: runs down `count` ticks (divided by 1) once; 0 stops it. */
void lapic_timer_use_count(void);
void lapic_timer_use_deadline(void);
void lapic_timer_start(uint32_t count);
uint32_t lapic_timer_current(void);

#endif
