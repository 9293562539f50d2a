#ifndef ORRERY_APIC_IOAPIC_H
#define ORRERY_APIC_IOAPIC_H

/* The I/O APIC (82093AA with the EOI register of version 0x20): 24 pins, each with a redirection entry. */

#include "apic/apic_message.h"
#include "core/device.h"
#include "core/pc_map.h"

#define IOAPIC_PINS       24u
#define IOAPIC_SIZE_BYTES 4096u

enum ioapic_register {
    IOAPIC_ID = 0x00,
    IOAPIC_VER = 0x01,
    IOAPIC_ARB = 0x02,
    IOAPIC_REDTBL = 0x10 /* two words a pin */
};

/* Offsets in the memory window. */
#define IOAPIC_IOREGSEL 0x00u
#define IOAPIC_IOWIN    0x10u
#define IOAPIC_EOI      0x40u

#define IOAPIC_RTE_LOGICAL    UINT64_C(0x800)
#define IOAPIC_RTE_DELIVS     UINT64_C(0x1000)
#define IOAPIC_RTE_LOW_ACTIVE UINT64_C(0x2000)
#define IOAPIC_RTE_REMOTE_IRR UINT64_C(0x4000)
#define IOAPIC_RTE_LEVEL      UINT64_C(0x8000)
#define IOAPIC_RTE_MASKED     UINT64_C(0x10000)

struct ioapic_config {
    uint8_t id;               /* 4 bits, after reset */
    uint32_t low_active_pins; /* how the board wires: these pins idle high, and an asserted line is low */
};

struct ioapic {
    struct ioapic_config config;
    struct apic_port port;

    /* state */
    uint32_t id; /* bits 27..24 */
    uint8_t select;
    uint64_t rte[IOAPIC_PINS];
    uint32_t pins; /* asserted lines, one bit a pin, before polarity */
};

/* The port is set by apic_bus_add_ioapic. */
void ioapic_init(struct ioapic *io, const struct ioapic_config *config);
void ioapic_reset(struct ioapic *io, uint64_t now_cycles);
void ioapic_visit(struct ioapic *io, struct visitor *v);
extern const struct device_ops ioapic_ops;

/* A line at an input pin: the shape of irq_line.set, target is the ioapic. True is asserted, high or low as
 * low_active_pins tells; a redirection entry of the other polarity sees it inverted, as on the hardware. */
void ioapic_set_pin(void *ioapic, unsigned pin, bool level, uint64_t now_cycles);

/* Is there a pin that is not masked and asks for an NMI, INIT or SMI? */
bool ioapic_has_unmaskable(const struct ioapic *io);

/* The EOI broadcast of a local APIC. */
void ioapic_eoi(struct ioapic *io, uint8_t vector, uint64_t now_cycles);

/* The bus has room again for what DELIVS still holds. */
void ioapic_bus_room(struct ioapic *io, uint64_t now_cycles);

#endif
