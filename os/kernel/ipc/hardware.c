/*
 * Ports and interrupt lines as kernel objects. Deviations: all lines are delivered to the first CPU.
 */
#include "ipc/hardware.h"

#include "arch/x86_64/acpi.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/percpu.h"
#include "arch/x86_64/uart.h"
#include "ipc/notification.h"
#include "mm/slab.h"

struct ports_object {
    struct object object;
    uint32_t first;
    uint32_t count;
};

struct irq_object {
    struct object object;
    uint32_t line;
    struct irq_trigger trigger; /* of lines that are no ISA lines */
    bool waits;                 /* masked after an interrupt, until the acknowledgement */
    struct notification *bound;
    struct object *bound_object; /* the same, with a reference */
    uint64_t bound_by;           /* id of a capability */
    uint64_t bits;
};

static struct slab_cache ports_cache;
static struct slab_cache irq_cache;
static struct spinlock lines_lock = SPINLOCK_INIT("ipc.irq", IPC_IRQ); /* lines, and what they are bound to */
static struct irq_object *lines[IRQ_LINES];

status_t hardware_init(void)
{
    status_t status = slab_cache_init(&ports_cache, "ports", sizeof(struct ports_object), 0, 0);
    return status == STATUS_OK ? slab_cache_init(&irq_cache, "irq", sizeof(struct irq_object), 0, 0) : status;
}

/* ---- ports ---- */

struct ports_object *ports_of(struct object *object)
{
    return list_entry(object, struct ports_object, object);
}

status_t ports_create(struct cap_space *space, uint32_t first, uint32_t count, cap_handle_t *out)
{
    struct ports_object *ports = slab_alloc(&ports_cache);
    if (ports == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    object_init(&ports->object, CAP_PORTS);
    ports->first = first;
    ports->count = count;
    status_t status = cap_insert(space, &ports->object, RIGHTS_ALL, CAP_FLAG_KEEP_ON_EXEC, out);
    object_put(&ports->object);
    return status;
}

bool ports_contain(const struct ports_object *ports, uint64_t offset, uint32_t width)
{
    return (width == 1 || width == 2 || width == 4) && offset < ports->count &&
           width <= ports->count - offset;
}

uint32_t ports_read(const struct ports_object *ports, uint64_t offset, uint32_t width)
{
    uint16_t port = (uint16_t)(ports->first + offset);
    return width == 1 ? port_read8(port) : width == 2 ? port_read16(port) : port_read32(port);
}

void ports_write(const struct ports_object *ports, uint64_t offset, uint32_t width, uint32_t value)
{
    uint16_t port = (uint16_t)(ports->first + offset);
    if (width == 1) {
        port_write8(port, (uint8_t)value);
    } else if (width == 2) {
        port_write16(port, (uint16_t)value);
    } else {
        port_write32(port, value);
    }
}

void ports_release(struct object *object)
{
    slab_free(&ports_cache, ports_of(object));
}

/* ---- interrupt lines ---- */

struct irq_object *irq_of(struct object *object)
{
    return list_entry(object, struct irq_object, object);
}

static bool kernel_has(uint32_t line)
{
    for (unsigned id = 0; id < UART_COUNT; id++) {
        if (uart_present((enum uart_id)id) && uart_isa_irq((enum uart_id)id) == line) {
            return true;
        }
    }
    return false;
}

/* Makes the line the object's, or says why it cannot be. */
static status_t line_take(struct irq_object *irq)
{
    uint64_t flags = spin_lock_irqsave(&lines_lock);
    status_t status = lines[irq->line] != NULL || kernel_has(irq->line) ? STATUS_ERR_BUSY : STATUS_OK;
    if (status == STATUS_OK) {
        status = irq->line < ISA_IRQS
                     ? ioapic_route_isa(irq->line, cpu_table[0]->apic_id, true)
                     : ioapic_route_gsi(irq->line, irq->trigger, cpu_table[0]->apic_id, true);
    }
    if (status == STATUS_OK) {
        lines[irq->line] = irq;
    }
    spin_unlock_irqrestore(&lines_lock, flags);
    return status;
}

status_t irq_create(struct cap_space *space, uint32_t line, struct irq_trigger trigger, cap_handle_t *out)
{
    struct irq_object *irq = slab_alloc(&irq_cache);
    if (irq == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    *irq = (struct irq_object){.line = line, .trigger = trigger};
    object_init(&irq->object, CAP_IRQ);
    status_t status = line_take(irq);
    if (status != STATUS_OK) {
        slab_free(&irq_cache, irq);
        return status;
    }
    status = cap_insert(space, &irq->object, RIGHTS_ALL, CAP_FLAG_KEEP_ON_EXEC, out);
    object_put(&irq->object);
    return status;
}

/* Ends the binding made by a capability (0: any). */
static void unbind(struct irq_object *irq, uint64_t id)
{
    struct object *bound = NULL;
    uint64_t flags = spin_lock_irqsave(&lines_lock);
    if (irq->bound != NULL && (id == 0 || irq->bound_by == id)) {
        ioapic_mask(irq->line, true);
        bound = irq->bound_object;
        irq->bound = NULL;
        irq->waits = false;
    }
    spin_unlock_irqrestore(&lines_lock, flags);
    if (bound != NULL) {
        object_put(bound);
    }
}

status_t irq_bind(struct irq_object *irq, uint64_t id, struct cap_space *space, cap_handle_t notification,
                  uint64_t bits)
{
    struct cap_view view;
    status_t status = cap_get(space, notification, CAP_NOTIFICATION, RIGHT_WRITE, &view);
    if (status != STATUS_OK) {
        return status;
    }
    unbind(irq, 0);
    uint64_t flags = spin_lock_irqsave(&lines_lock);
    bool raced = irq->bound != NULL; /* another thread was first */
    if (!raced) {
        irq->bound = notification_of(view.object);
        irq->bound_object = view.object;
        irq->bound_by = id;
        irq->bits = bits;
        irq->waits = false;
        ioapic_mask(irq->line, false);
    }
    spin_unlock_irqrestore(&lines_lock, flags);
    if (raced) {
        object_put(view.object);
    }
    return raced ? STATUS_ERR_BUSY : STATUS_OK;
}

status_t irq_acknowledge(struct irq_object *irq)
{
    uint64_t flags = spin_lock_irqsave(&lines_lock);
    bool waits = irq->waits;
    if (waits) {
        irq->waits = false;
        ioapic_mask(irq->line, false);
    }
    spin_unlock_irqrestore(&lines_lock, flags);
    return waits ? STATUS_OK : STATUS_ERR_STATE;
}

void hardware_interrupt(uint32_t line)
{
    spin_lock(&lines_lock);
    struct irq_object *irq = lines[line];
    ioapic_mask(line, true);
    if (irq != NULL && irq->bound != NULL) {
        irq->waits = true;
        notification_signal(irq->bound, irq->bits);
    }
    spin_unlock(&lines_lock);
}

void irq_removed(struct object *object, uint64_t id, uint32_t rights, status_t why)
{
    (void)rights;
    (void)why;
    unbind(irq_of(object), id);
}

void irq_release(struct object *object)
{
    struct irq_object *irq = irq_of(object);
    unbind(irq, 0);
    uint64_t flags = spin_lock_irqsave(&lines_lock);
    lines[irq->line] = NULL;
    spin_unlock_irqrestore(&lines_lock, flags);
    slab_free(&irq_cache, irq);
}
