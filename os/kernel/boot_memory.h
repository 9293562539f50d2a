#ifndef OS_KERNEL_BOOT_MEMORY_H
#define OS_KERNEL_BOOT_MEMORY_H

/* What the boot leaves behind for the rest of the start-up. */

#include "mm/region.h"

/* What is given back, in that order. */
enum boot_part {
    BOOT_PART_TEMPORARY_HEAP,
    BOOT_PART_HANDOFF,
    BOOT_PART_SERVICES,
    BOOT_PART_LOADER,
    BOOT_PART_ACPI,
    BOOT_PART_IMAGE, /* boot tables and stack, and the region list */
    BOOT_PARTS
};

struct boot_memory {
    struct region_list *regions;
    struct handoff_span temporary_heap;
    struct handoff_span initrd;
    struct handoff_framebuffer screen; /* size 0: none */
    uint64_t block_address;
    struct {
        uint64_t before;
        uint64_t after;
    } free_frames[BOOT_PARTS]; /* around giving back each part */
};

extern struct boot_memory boot_memory;

/* Gives back what only the boot needed: temporary heap, handoff block, boot tables and stack, ACPI and loader
 * memory. */
void boot_memory_release(void);

#endif
