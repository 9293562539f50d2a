#ifndef OS_TOOLS_DIMTOOL_HOST_PLATFORM_H
#define OS_TOOLS_DIMTOOL_HOST_PLATFORM_H

/* The dimension store's platform on a POSIX host: address space by mmap, objects are files of one folder. */

#include <stdio.h>

#include "dimension/platform.h"

#define HOST_PLATFORM_FILES 128u

struct host_file {
    int descriptor; /* -1: closed */
    uint32_t serial;
};

/* The figures are what is out now; a test compares them with what was out before. Not for several stores at once. */
struct host_platform {
    const char *folder; /* of the files; must outlive the platform */
    FILE *log;          /* where lines go, null: nowhere */
    uint64_t reserved_bytes;
    uint64_t backed_bytes; /* committed or mapped */
    uint32_t reservations;
    uint32_t open_files;
    uint32_t serial;
    struct host_file files[HOST_PLATFORM_FILES];
};

/* Prepares *host and fills *platform with its functions; host must outlive the platform. No clock: latencies read 0. */
void host_platform_init(struct host_platform *host, struct dim_platform *platform, const char *folder,
                        FILE *log);

#endif
