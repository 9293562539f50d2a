#ifndef OS_KERNEL_SMP_IPI_H
#define OS_KERNEL_SMP_IPI_H

/* Interrupts between CPUs: look at your run queue, run a function, drop translations. */

#include <stdint.h>

#include "types.h"

struct tlb_gather;

/* Makes a CPU look at its run queue. */
void ipi_reschedule(unsigned cpu);

/*
 * Runs function(argument) once on every online CPU but this one, at interrupt level, and returns when all
 * have finished. Interrupts on, no spinlock held.
 */
void ipi_call_others(void (*function)(void *), void *argument);

/* Handlers of the vectors. */
void ipi_handle_call(void);
void ipi_handle_shootdown(void);

/*
 * The flush hook of mm/tlb.h: drops the gathered translations on every CPU that may hold them, and returns
 * when all have done so. Safe whatever the targets do: a CPU that spins with interrupts off, for a lock or
 * for its own acknowledgements, answers from its spin loop (arch_pause). No spinlock may be held.
 */
void shootdown_flush(const struct tlb_gather *gather);

/* Serves the requests that wait for this CPU, if any. Interrupts off. */
KEEPS_REGISTERS void shootdown_serve(void);

#endif
