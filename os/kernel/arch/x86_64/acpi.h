#ifndef OS_KERNEL_ARCH_X86_64_ACPI_H
#define OS_KERNEL_ARCH_X86_64_ACPI_H

/* What the kernel takes from the ACPI tables: parsed once, everything copied, the tables are not needed
 * afterwards. */

#include "abi/handoff.h"
#include "abi/status.h"
#include "types.h"

#define ACPI_MAX_IO_APICS 8u
#define ACPI_MAX_NODES    HANDOFF_MAX_NODES
#define ISA_IRQS          16u

struct acpi_io_apic {
    uint32_t id;
    uint32_t gsi_base;
    uint64_t address;
};

/* Where an ISA interrupt arrives. */
struct acpi_isa_irq {
    uint32_t gsi;
    bool active_low;
    bool level;
};

struct acpi_info {
    uint64_t local_apic_address;
    uint32_t cpu_count;    /* entries of cpus; the boot processor is not known here */
    uint32_t cpus_dropped; /* beyond HANDOFF_MAX_CPUS */
    struct handoff_cpu cpus[HANDOFF_MAX_CPUS];
    uint32_t io_apic_count;
    struct acpi_io_apic io_apics[ACPI_MAX_IO_APICS];
    struct acpi_isa_irq isa[ISA_IRQS];
    uint32_t affinity_count;
    struct handoff_affinity affinities[HANDOFF_MAX_AFFINITIES];
    uint32_t node_count;
    uint32_t node_domain[ACPI_MAX_NODES]; /* proximity domain of each node, in order of appearance */
    uint8_t distance[ACPI_MAX_NODES][ACPI_MAX_NODES]; /* 0: not told */
    uint64_t hpet_address;                            /* 0: none */
    uint32_t pm_timer_port;                           /* 0: none */
    bool hardware_reduced;
    bool has_8259;
    bool can_power_off;
    uint8_t sleep_type_5;
    uint32_t pm1a_control; /* port, 0: none */
    uint32_t pm1b_control;
    uint64_t sleep_control; /* hardware-reduced: address, 0: none */
    bool sleep_control_is_port;
};

/*
 * Parses from the RSDP (physical address; 0: searched below 1 MiB). reach(address, bytes) returns a readable
 * pointer or null. STATUS_ERR_NOT_FOUND: no RSDP; _BAD_IMAGE: no MADT or a broken root table. What is broken
 * further down is left out, a SLIT as a whole. Domains after the ACPI_MAX_NODES-th count as node 0. Bound: tables
 * of at most 1 MiB, 256 root entries.
 */
MUST_CHECK status_t acpi_parse(uint64_t rsdp, const void *(*reach)(uint64_t address, uint64_t bytes));

/* Makes the processors, nodes and affinities those of a validated handoff block: a loader may know better. */
void acpi_use_handoff(const struct handoff *block);

const struct acpi_info *acpi_info(void);

#endif
