#ifndef OS_DIMENSION_SYSTEM_SYSTEM_PLATFORM_H
#define OS_DIMENSION_SYSTEM_SYSTEM_PLATFORM_H

/*
 * The dimension store's platform on the system calls of this kernel: address space by sys_map without access, memory
 * by sys_protect. Objects are stretches of the program's own memory with names.
 */

#include <stdbool.h>

#include "dimension/platform.h"

#define SYSTEM_PLATFORM_OPEN 128u /* objects open at a time */

struct system_object {
    const char *name;
    const void *bytes;
    uint64_t size_bytes;
};

/* The standard dimensions.json, as it stands (catalog.S). */
extern const char catalog_start[], catalog_end[];

/* One open object; a handle is (serial << 32 | index), so that an old or invented one is recognised. */
struct system_handle {
    const struct system_object *object; /* null: free */
    uint32_t serial;
    uint32_t reserved;
};

struct system_platform {
    const struct system_object *objects; /* must outlive the platform */
    uint32_t object_count;
    uint32_t serial;
    uint32_t open;           /* handles, now */
    uint32_t log_lines;      /* so far */
    bool quiet;              /* lines are counted, not printed */
    uint64_t reserved_bytes; /* now, as the next */
    uint64_t backed_bytes;
    struct system_handle handles[SYSTEM_PLATFORM_OPEN];
};

/* Prepares *system and fills *platform with its functions. Warnings and errors go to the console,
 * each as a line that begins with #. */
void system_platform_init(struct system_platform *system, struct dim_platform *platform,
                          const struct system_object *objects, uint32_t object_count);

#endif
