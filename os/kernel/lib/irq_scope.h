#ifndef OS_KERNEL_LIB_IRQ_SCOPE_H
#define OS_KERNEL_LIB_IRQ_SCOPE_H

/*
 * Interrupts off for the rest of a block, and as they were before however it is left: at its end, by return, break, continue
 * or goto. Blocks nest. For sections with several ways out; a section with one uses arch_irq_save and arch_irq_restore.
 */

#include "arch/arch.h"

static inline void irq_scope_end(const uint64_t *flags)
{
    arch_irq_restore(*flags);
}

#define IRQ_SCOPE_NAME_2(line) irq_scope_##line
#define IRQ_SCOPE_NAME(line)   IRQ_SCOPE_NAME_2(line)

#define IRQS_OFF_IN_BLOCK() \
    const uint64_t IRQ_SCOPE_NAME(__LINE__) __attribute__((cleanup(irq_scope_end), unused)) = arch_irq_save()

#endif
