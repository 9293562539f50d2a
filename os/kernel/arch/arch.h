#ifndef OS_KERNEL_ARCH_ARCH_H
#define OS_KERNEL_ARCH_ARCH_H

/*
 * The seam between the machine-independent kernel and the processor. In the kernel (freestanding) the hot
 * ones are inline, from arch/x86_64/inline.h; a hosted build (unit tests) sees plain declarations and
 * supplies its own bodies.
 */

#include <stdbool.h>
#include <stdint.h>

#include "types.h"

#define ARCH_MAX_CPUS 64u

#if __STDC_HOSTED__

/* Turns interrupts off on this CPU and returns the state before, for arch_irq_restore. */
uint64_t arch_irq_save(void);

/* Gives back the interrupt state that arch_irq_save returned. */
void arch_irq_restore(uint64_t state);

/*
 * One more, of a number that only the caller may change at the moment; not atomic. Others see it after all that was stored
 * before and before all that is stored afterwards.
 */
void arch_step16(uint16_t *number);
void arch_step32(uint32_t *number);

/* Hint inside a spin loop. */
void arch_pause(void);

/* Number of this CPU, 0..ARCH_MAX_CPUS-1, 0 before the per-CPU areas exist. Stable only with preemption off.
 */
unsigned arch_cpu_id(void);

/* Address in the physical map of a physical address; any RAM. */
void *arch_phys_to_virt(paddr_t address);

/* The inverse, for pointers into the physical map only. */
paddr_t arch_virt_to_phys(const void *pointer);

/* Drops this CPU's translations of one page of the current address space. */
void arch_tlb_flush_page(vaddr_t address);

/* Drops all translations of this CPU, global ones too. */
void arch_tlb_flush_all(void);

/* Time-stamp counter, cycles. */
uint64_t arch_cycles(void);

#else

#include "arch/x86_64/inline.h"

#endif

#endif
