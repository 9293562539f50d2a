#ifndef OS_KERNEL_BOOT_MEMORY_H
#define OS_KERNEL_BOOT_MEMORY_H

/* What the boot leaves behind for the rest of the start-up. */

#include "mm/region.h"

/* What is given back last: boot tables and stack, and the region list. Before that go the types of mm/region_types.def. */
#define BOOT_PART_IMAGE REGION_TYPE_COUNT
#define BOOT_PARTS      (BOOT_PART_IMAGE + 1)

struct boot_memory {
    struct region_list *regions;
    struct handoff_span temporary_heap;
    struct handoff_span initrd;
    struct handoff_framebuffer screen; /* size 0: none */
    uint64_t block_address;
    struct {
        uint64_t before;
        uint64_t after;
    } free_frames[BOOT_PARTS]; /* around giving back each part; both 0 for what stays */
};

extern struct boot_memory boot_memory;

/* Gives back what only the boot needed. */
void boot_memory_release(void);

#endif
