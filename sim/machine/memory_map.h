#ifndef ORRERY_MACHINE_MEMORY_MAP_H
#define ORRERY_MACHINE_MEMORY_MAP_H

/* The memory map that firmware would report (e820 types), and the RAM ranges behind it. */

#include "core/ram.h"
#include "machine/layout.h"

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

struct memory_map_entry {
    uint64_t base, size_bytes;
    uint32_t type; /* enum e820_type */
};

#define MEMORY_MAP_MAX 16u

struct memory_map {
    struct memory_map_entry entries[MEMORY_MAP_MAX];
    unsigned count;
    uint64_t low_ram_end;  /* end of RAM below 4 GiB */
    uint64_t high_ram_end; /* end of RAM above 4 GiB, or HIGH_RAM_BASE when there is none */
    uint64_t acpi_base;    /* ACPI_TABLES_BYTES at the end of low RAM */
};

/* limit_bytes: the map reports no more usable RAM than this, counted from address 0; 0 means no limit. */
void memory_map_init(struct memory_map *m, uint64_t memory_bytes, uint64_t limit_bytes);

/* First byte after the usable RAM below 4 GiB that the map reports. */
uint64_t memory_map_low_top(const struct memory_map *m);

/* RAM ranges for ram_init; returns how many (1 or 2). */
unsigned memory_map_ram(const struct memory_map *m, struct ram_range ranges[2]);

#endif
