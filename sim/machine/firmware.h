#ifndef ORRERY_MACHINE_FIRMWARE_H
#define ORRERY_MACHINE_FIRMWARE_H

/* The tables a firmware leaves in memory: ACPI (RSDP, XSDT, FADT, FACS, DSDT, MADT, SRAT, SLIT, HPET) and the old
 * MultiProcessor table. */

#include "core/bus.h"
#include "machine/memory_map.h"
#include "machine/sim.h"

/* The NUMA node of a vCPU: contiguous blocks of vCPUs. */
unsigned firmware_node_of_cpu(const struct sim_config *c, unsigned cpu);

/* The part of RAM that belongs to a node, in at most two ranges (below and above 4 GiB); returns how many.
 * Nodes split the memory evenly, cut at multiples of 2 MiB. */
unsigned firmware_node_memory(const struct sim_config *c, const struct memory_map *map, unsigned node,
                              struct ram_range ranges[2]);

void firmware_write_acpi(struct bus *bus, const struct sim_config *c, const struct memory_map *map);
void firmware_write_mp_table(struct bus *bus, const struct sim_config *c);

#endif
