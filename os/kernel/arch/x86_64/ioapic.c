/*
 * I/O APIC and the masked 8259 pair. Source: Intel 82093AA data sheet, "Register Description". Deviations:
 * physical destinations of 8 bits only, so interrupts go to CPUs with an APIC number below 255.
 */
#include "arch/x86_64/ioapic.h"

#include "arch/arch.h"
#include "arch/x86_64/acpi.h"
#include "arch/x86_64/kmap.h"
#include "arch/x86_64/vectors.h"
#include "lib/spinlock.h"

#define IOREGSEL 0u
#define IOWIN    4u /* in 32-bit words */

#define IOAPIC_VERSION 1u
#define IOAPIC_REDTBL  0x10u
#define REDTBL_MASKED  0x10000u
#define REDTBL_LEVEL   0x8000u
#define REDTBL_LOW     0x2000u

#define PIC_MASTER_DATA 0x21u
#define PIC_SLAVE_DATA  0xa1u

struct io_apic {
    volatile uint32_t *window;
    uint32_t gsi_base;
    uint32_t inputs;
};

static struct io_apic io_apics[ACPI_MAX_IO_APICS];
static struct spinlock io_apic_lock = SPINLOCK_INIT("ioapic", IO_APIC);

static uint32_t reg_read(const struct io_apic *io, uint32_t index)
{
    io->window[IOREGSEL] = index;
    return io->window[IOWIN];
}

static void reg_write(const struct io_apic *io, uint32_t index, uint32_t value)
{
    io->window[IOREGSEL] = index;
    io->window[IOWIN] = value;
}

static status_t io_apic_map(struct io_apic *io, const struct acpi_io_apic *told)
{
    void *window;
    uint64_t page = align_down(told->address, PAGE_SIZE);
    status_t status = kmap_device(paddr_make(page), PAGE_SIZE, &window);
    if (status != STATUS_OK) {
        return status;
    }
    io->window = (volatile uint32_t *)((uintptr_t)window + (told->address - page));
    io->gsi_base = told->gsi_base;
    io->inputs = ((reg_read(io, IOAPIC_VERSION) >> 16) & 0xff) + 1;
    for (uint32_t input = 0; input < io->inputs; input++) {
        reg_write(io, IOAPIC_REDTBL + 2 * input, REDTBL_MASKED);
    }
    return STATUS_OK;
}

status_t ioapic_init(void)
{
    const struct acpi_info *acpi = acpi_info();
    if (acpi->has_8259) {
        port_write8(PIC_MASTER_DATA, 0xff);
        port_write8(PIC_SLAVE_DATA, 0xff);
    }
    for (uint32_t i = 0; i < acpi->io_apic_count; i++) {
        status_t status = io_apic_map(&io_apics[i], &acpi->io_apics[i]);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static uint32_t gsi_of(unsigned line)
{
    return line < ISA_IRQS ? acpi_info()->isa[line].gsi : line;
}

/* The redirection entry of a line: null when there is no input for it. */
static const struct io_apic *find_input(unsigned line, uint32_t *entry)
{
    uint32_t gsi = gsi_of(line);
    for (uint32_t i = 0; i < acpi_info()->io_apic_count; i++) {
        const struct io_apic *io = &io_apics[i];
        if (gsi >= io->gsi_base && gsi < io->gsi_base + io->inputs) {
            *entry = IOAPIC_REDTBL + 2 * (gsi - io->gsi_base);
            return io;
        }
    }
    return NULL;
}

static status_t route(unsigned line, struct irq_trigger trigger, unsigned apic_id, bool masked)
{
    uint32_t entry = 0;
    const struct io_apic *io = find_input(line, &entry);
    if (io == NULL) {
        return STATUS_ERR_NOT_FOUND;
    }
    uint32_t low = (VECTOR_LINE_BASE + line) | (trigger.active_low ? REDTBL_LOW : 0) |
                   (trigger.level ? REDTBL_LEVEL : 0);
    uint64_t flags = spin_lock_irqsave(&io_apic_lock);
    reg_write(io, entry + 1, apic_id << 24);
    reg_write(io, entry, low | (masked ? REDTBL_MASKED : 0));
    spin_unlock_irqrestore(&io_apic_lock, flags);
    return STATUS_OK;
}

status_t ioapic_route_isa(unsigned irq, unsigned apic_id, bool masked)
{
    const struct acpi_isa_irq *isa = &acpi_info()->isa[irq % ISA_IRQS];
    const struct irq_trigger trigger = {.level = isa->level, .active_low = isa->active_low};
    return route(irq % ISA_IRQS, trigger, apic_id, masked);
}

status_t ioapic_route_gsi(unsigned line, struct irq_trigger trigger, unsigned apic_id, bool masked)
{
    for (unsigned irq = 0; irq < ISA_IRQS; irq++) {
        if (gsi_of(irq) == line) {
            return STATUS_ERR_BUSY;
        }
    }
    return route(line, trigger, apic_id, masked);
}

void ioapic_mask(unsigned line, bool masked)
{
    uint32_t entry = 0;
    const struct io_apic *io = find_input(line, &entry);
    if (io == NULL) {
        return;
    }
    uint64_t flags = spin_lock_irqsave(&io_apic_lock);
    uint32_t low = reg_read(io, entry) & ~REDTBL_MASKED;
    reg_write(io, entry, low | (masked ? REDTBL_MASKED : 0));
    spin_unlock_irqrestore(&io_apic_lock, flags);
}

void ioapic_move(unsigned from_apic_id, unsigned to_apic_id)
{
    uint64_t flags = spin_lock_irqsave(&io_apic_lock);
    for (uint32_t i = 0; i < acpi_info()->io_apic_count; i++) {
        const struct io_apic *io = &io_apics[i];
        for (uint32_t input = 0; input < io->inputs; input++) {
            bool masked = (reg_read(io, IOAPIC_REDTBL + 2 * input) & REDTBL_MASKED) != 0;
            if (!masked && reg_read(io, IOAPIC_REDTBL + 2 * input + 1) >> 24 == from_apic_id) {
                reg_write(io, IOAPIC_REDTBL + 2 * input + 1, to_apic_id << 24);
            }
        }
    }
    spin_unlock_irqrestore(&io_apic_lock, flags);
}
