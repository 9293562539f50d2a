#ifndef OS_BOOT_BLOCK_H
#define OS_BOOT_BLOCK_H

/*
 * Parts of the handoff block that are made in the same way whoever makes it: the kernel's own PVH entry (boot/pvh.c)
 * or the UEFI loader (os/uefi/).
 */

#include "abi/handoff.h"
#include "arch/x86_64/acpi.h"

/* Characters of a command line that leave room for the padding below HANDOFF_MAX_COMMAND_LINE. */
#define BLOCK_COMMAND_LINE_MAX 2048u

/* Whole pages that hold block, map and command line, for a map of so many bytes. */
uint64_t block_area_bytes(uint64_t map_bytes);

/*
 * Puts the command line behind the memory map, filled up with blanks to the end of a page, so that block (at the
 * beginning of a page), map and line are whole pages together. Where that would make too long a line, the map grows
 * by empty descriptors first. map: where the map of the block can be written; the area is the one block_area_bytes
 * tells. length: at most BLOCK_COMMAND_LINE_MAX.
 */
void block_put_command_line(struct handoff *block, void *map, const char *text, size_t length);

/* Processors and memory affinities as the ACPI tables tell them; the caller runs on the CPU of boot_apic_id. */
void block_put_processors(struct handoff *block, const struct acpi_info *acpi, uint32_t boot_apic_id);

#endif
