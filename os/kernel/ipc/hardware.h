#ifndef OS_KERNEL_IPC_HARDWARE_H
#define OS_KERNEL_IPC_HARDWARE_H

/*
 * Hardware for drivers that are programs: ranges of I/O ports, and interrupt lines whose interrupts arrive as bits of a
 * notification. A line is masked from the moment of an interrupt until the driver acknowledges it, so a line that never
 * rests costs one interrupt an acknowledgement.
 */

#include "abi/status.h"
#include "arch/x86_64/ioapic.h"
#include "cap/cap.h"

struct irq_object;
struct ports_object;

MUST_CHECK status_t hardware_init(void);

/* Ports first..first+count-1, inside 65,536. As cap_insert. */
MUST_CHECK status_t ports_create(struct cap_space *space, uint32_t first, uint32_t count, cap_handle_t *out);

/* Whether `width` bytes (1, 2 or 4) at an offset lie inside the range. */
bool ports_contain(const struct ports_object *ports, uint64_t offset, uint32_t width);

/* Access to what ports_contain says is inside. */
uint32_t ports_read(const struct ports_object *ports, uint64_t offset, uint32_t width);
void ports_write(const struct ports_object *ports, uint64_t offset, uint32_t width, uint32_t value);

/*
 * An interrupt line below IRQ_LINES (arch/x86_64/ioapic.h), masked. STATUS_ERR_BUSY: the kernel or another capability tree
 * has it; STATUS_ERR_NOT_FOUND: the machine has no such line; as cap_insert.
 */
MUST_CHECK status_t irq_create(struct cap_space *space, uint32_t line, struct irq_trigger trigger,
                               cap_handle_t *out);

/*
 * Interrupts signal `bits` to a notification (named in `space`, RIGHT_WRITE) from now on; the line is unmasked. The binding
 * ends with the capability `id`, by which it was made. Fails as cap_get.
 */
MUST_CHECK status_t irq_bind(struct irq_object *irq, uint64_t id, struct cap_space *space,
                             cap_handle_t notification, uint64_t bits);

/* Unmasks the line after an interrupt. STATUS_ERR_STATE: there was none, or the line is not bound. */
MUST_CHECK status_t irq_acknowledge(struct irq_object *irq);

/* From the interrupt of a line that is not the kernel's own. Interrupts off. */
void hardware_interrupt(uint32_t line);

struct irq_object *irq_of(struct object *object);
struct ports_object *ports_of(struct object *object);
void irq_release(struct object *object);
void irq_removed(struct object *object, uint64_t id, uint32_t rights, status_t why);
void ports_release(struct object *object);

#endif
