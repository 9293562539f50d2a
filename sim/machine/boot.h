#ifndef ORRERY_MACHINE_BOOT_H
#define ORRERY_MACHINE_BOOT_H

/* Loading a kernel: PVH (ELF64 or ELF32 with XEN_ELFNOTE_PHYS32_ENTRY) and Multiboot1. */

#include "core/bus.h"
#include "machine/memory_map.h"
#include "machine/sim.h"

/* How the bootstrap CPU must start: 32-bit protected mode, flat segments, paging off. */
struct boot_entry {
    uint32_t eip, eax, ebx;
};

/* Puts image, modules, command line and information structures into RAM. On failure RAM may be partly written;
 * the machine has not started. */
bool boot_load(struct bus *bus, const struct memory_map *map, const struct sim_image *image,
               struct boot_entry *out, struct error *e);

#endif
