#ifndef OS_KERNEL_ARCH_X86_64_TRAP_H
#define OS_KERNEL_ARCH_X86_64_TRAP_H

/* Exceptions and interrupts, from entry.S. */

#include <stdbool.h>

#include "arch/x86_64/frame.h"

/* Interrupts off on entry and on return. */
void trap_dispatch(struct frame *frame);

/* The same for entries on IST stacks: NMI, #DB, #DF, #MC. */
void trap_dispatch_ist(struct frame *frame);

/* Name of an exception vector, "interrupt" for others. */
const char *trap_name(uint64_t vector);

/* Panic's part: whether one is going on, its stop for other CPUs, and the registers it shall print. */
bool panic_in_progress(void);
void panic_stop_this_cpu(void);
void panic_set_frame(const struct frame *frame);

#endif
