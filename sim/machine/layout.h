#ifndef ORRERY_MACHINE_LAYOUT_H
#define ORRERY_MACHINE_LAYOUT_H

/* The physical address map and the interrupt map of the boards. One fact, one place: devices are wired and
 * firmware tables are written from these. */

#include "base/types.h"

/* RAM: 0 .. LOW_RAM_MAX and, for what does not fit, from HIGH_RAM_BASE. */
#define LOW_RAM_MAX   UINT64_C(0xc0000000)
#define HIGH_RAM_BASE UINT64_C(0x100000000)

/* Below 1 MiB. */
#define BOOT_INFO_BASE    UINT64_C(0x9e000) /* PVH or Multiboot information, reserved in the memory map */
#define BOOT_INFO_BYTES   UINT64_C(0x2000)
#define BASE_RAM_END      BOOT_INFO_BASE
#define VIDEO_BASE        UINT64_C(0xa0000)
#define BIOS_BASE         UINT64_C(0xf0000) /* RSDP and MP floating pointer, where a scan finds them */
#define BIOS_END          UINT64_C(0x100000)
#define BIOS_TABLES_BYTES UINT64_C(0x8000)
#define RSDP_BASE         BIOS_BASE
#define MP_TABLE_BASE     (BIOS_BASE + 0x100)

/* ACPI tables: the last bytes of low RAM, reported as ACPI reclaimable. */
#define ACPI_TABLES_BYTES UINT64_C(0x10000)

#define IOAPIC_BASE    UINT64_C(0xfec00000)
#define HPET_BASE      UINT64_C(0xfed00000)
#define LAPIC_BASE     UINT64_C(0xfee00000)
#define GED_BASE       UINT64_C(0xfea00000)
#define GED_SLEEP_BASE (GED_BASE + 0x200) /* +0 sleep control, +1 sleep status, +2 reset */

#define PM1A_EVENT_PORT   0x600u
#define PM1A_CONTROL_PORT 0x604u
#define PM_TIMER_PORT     0x608u
#define GPE0_PORT         0x620u
#define GPE0_BYTES        4u
#define RESET_PORT        0xcf9u

#define COM1_PORT 0x3f8u
#define COM2_PORT 0x2f8u

/* ISA interrupts; on the I/O APIC they arrive at the pin of the same number, except the PIT at pin 2. */
#define IRQ_PIT     0u
#define IRQ_CASCADE 2u
#define IRQ_COM2    3u
#define IRQ_COM1    4u
#define IRQ_RTC     8u
#define IRQ_SCI     9u
#define GSI_PIT     2u
#define GSI_GED     9u /* microvm: the generic event device */

/* An I/O APIC ID above all local APIC IDs, as far as its four bits go. */
#define IOAPIC_ID(cpus) ((uint8_t)((cpus) < 16 ? (cpus) : 0))

/* S5 sleep type, in _S5 and in the sleep registers. */
#define SLP_TYP_S5 5u

#endif
