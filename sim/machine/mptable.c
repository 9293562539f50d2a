/*
 * The MultiProcessor table, for kernels older than ACPI.
 * Source: Intel MultiProcessor Specification 1.4, "MP Configuration Table".
 */

#include "machine/firmware.h"

#include "base/bits.h"
#include "machine/aml.h"

#include <string.h>

#define MP_PROCESSOR        0u
#define MP_BUS              1u
#define MP_IOAPIC           2u
#define MP_IO_INTERRUPT     3u
#define MP_LOCAL            4u
#define MP_INT              0u
#define MP_NMI              1u
#define MP_EXTINT           3u
#define PROCESSOR_SIGNATURE 0x00a60f12u

static void interrupt(struct aml *a, unsigned entry, unsigned type, unsigned source_irq, unsigned to,
                      unsigned pin)
{
    aml_u8(a, entry);
    aml_u8(a, type);
    aml_u16(a, 0); /* polarity and trigger of the bus */
    aml_u8(a, 0);  /* ISA bus */
    aml_u8(a, source_irq);
    aml_u8(a, to);
    aml_u8(a, pin);
}

static unsigned write_entries(struct aml *a, const struct sim_config *c)
{
    unsigned count = 0;
    for (unsigned i = 0; i < c->cpus; i++, count++) {
        aml_u8(a, MP_PROCESSOR);
        aml_u8(a, i);
        aml_u8(a, 0x14);
        aml_u8(a, i == 0 ? 3 : 1); /* enabled, bootstrap */
        aml_u32(a, PROCESSOR_SIGNATURE);
        aml_u32(a, 0x201); /* FPU and APIC */
        aml_zero(a, 8);
    }
    aml_u8(a, MP_BUS);
    aml_u8(a, 0);
    aml_bytes(a, "ISA   ", 6);
    aml_u8(a, MP_IOAPIC);
    aml_u8(a, IOAPIC_ID(c->cpus));
    aml_u8(a, 0x20);
    aml_u8(a, 1);
    aml_u32(a, IOAPIC_BASE);
    count += 2;
    for (unsigned irq = 0; irq < ISA_INTERRUPTS; irq++) {
        if (irq != IRQ_CASCADE) {
            interrupt(a, MP_IO_INTERRUPT, MP_INT, irq, IOAPIC_ID(c->cpus), irq == IRQ_PIT ? GSI_PIT : irq);
            count++;
        }
    }
    interrupt(a, MP_LOCAL, MP_EXTINT, 0, 0xff, 0);
    interrupt(a, MP_LOCAL, MP_NMI, 0, 0xff, 1);
    return count + 2;
}

void firmware_write_mp_table(struct bus *bus, const struct sim_config *c)
{
    struct aml a = {.size = 0};
    uint64_t table_at = MP_TABLE_BASE + 16;
    aml_bytes(&a, "PCMP", 4);
    aml_u16(&a, 0); /* length */
    aml_u8(&a, 4);
    aml_u8(&a, 0); /* checksum */
    aml_bytes(&a, "ORRERY  ORRERYPC    ", 20);
    aml_zero(&a, 6);
    aml_u16(&a, 0); /* entry count */
    aml_u32(&a, LAPIC_BASE);
    aml_u32(&a, 0);
    unsigned count = write_entries(&a, c);
    store_le16(a.bytes + 4, (uint16_t)a.size);
    store_le16(a.bytes + 34, (uint16_t)count);
    a.bytes[7] = aml_checksum(a.bytes, a.size);
    bus_load(bus, phys(table_at), a.bytes, a.size);
    uint8_t pointer[16] = "_MP_";
    store_le32(pointer + 4, (uint32_t)table_at);
    pointer[8] = 1;
    pointer[9] = 4;
    pointer[10] = aml_checksum(pointer, sizeof pointer);
    bus_load(bus, phys(MP_TABLE_BASE), pointer, sizeof pointer);
}
