#ifndef ORRERY_MACHINE_LAYOUT_H
#define ORRERY_MACHINE_LAYOUT_H

/* The physical address map and the interrupt map of the boards: what every PC has (core/pc_map.h) and what these choose.
 * One fact, one place: devices are wired and firmware tables are written from these. */

#include "base/types.h"
#include "core/pc_map.h"
#include "dev/acpi_pm.h"
#include "dev/virtio_mmio.h"

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

#define HPET_BASE      UINT64_C(0xfed00000)
#define GED_BASE       UINT64_C(0xfea00000)
#define GED_SLEEP_BASE (GED_BASE + 0x200) /* +0 sleep control, +1 sleep status, +2 reset */

/* virtio devices, as QEMU's board microvm has them: one window after another. Disk n is in slot n. */
#define VIRTIO_BASE         UINT64_C(0xfeb00000)
#define VIRTIO_SLOTS        4u
#define VIRTIO_SLOT_ENTROPY 3u

static inline uint64_t virtio_slot_base(unsigned slot)
{
    return VIRTIO_BASE + (uint64_t)slot * VIRTIO_MMIO_SIZE_BYTES;
}

/* The ACPI blocks of board pc, each as long as acpi_pm.h says. */
#define PM1A_EVENT_PORT   0x600u
#define PM1A_CONTROL_PORT (PM1A_EVENT_PORT + ACPI_PM_CONTROL)
#define PM_TIMER_PORT     (PM1A_EVENT_PORT + ACPI_PM_TIMER)
#define GPE0_PORT         0x620u

/* Global interrupts: input pins of the I/O APIC. An ISA interrupt arrives at the pin of its number, but the PIT's. */
#define GSI_PIT    2u
#define GSI_GED    9u          /* microvm: the generic event device */
#define GSI_HPET   0x00f00000u /* a mask of pins, 20 to 23: the HPET's choice */
#define GSI_VIRTIO 16u         /* + slot: 16 to 19, level-triggered, active high */

/* An I/O APIC ID above all local APIC IDs, as far as its four bits go. */
#define IOAPIC_ID(cpus) ((uint8_t)((cpus) < 16 ? (cpus) : 0))

/* S5 sleep type, in _S5 and in the sleep registers. */
#define SLP_TYP_S5 5u

#endif
