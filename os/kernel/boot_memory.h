#ifndef OS_KERNEL_BOOT_MEMORY_H
#define OS_KERNEL_BOOT_MEMORY_H

/* What the boot leaves behind for the rest of the start-up. */

#include "mm/region.h"

struct boot_memory {
    struct region_list *regions;
    struct handoff_span temporary_heap;
    struct handoff_span initrd;
    struct handoff_framebuffer screen; /* size 0: none */
    uint64_t block_address;
};

extern struct boot_memory boot_memory;

/* Gives back what only the boot needed: temporary heap, handoff block, boot tables and stack, ACPI and loader
 * memory. */
void boot_memory_release(void);

#endif
