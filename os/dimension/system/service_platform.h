#ifndef OS_DIMENSION_SYSTEM_SERVICE_PLATFORM_H
#define OS_DIMENSION_SYSTEM_SERVICE_PLATFORM_H

/*
 * The dimension store's platform for the server: memory as in system_platform.h, but what is sealed in a reservation of
 * region_bytes becomes a kernel region of exactly its size that clients can map, and files are those of the boot image, or of a disk
 * (service_disk.h).
 *
 *     commit   private memory, written by the store
 *     seal     its content moves to a new region, sealed; the server keeps a read-only mapping and the capability
 *     unmap    the server's mapping goes; the capability is *retired*: clients may still read this generation
 *
 * A retired region goes as soon as nobody maps it any more (service_platform_sweep), or when it is taken away
 * (service_platform_recall).
 */

#include "dimension/system/service_disk.h"
#include "dimension/system/system_platform.h"
#include "lib/orrery.h"
#include "lib/sync.h"

#define SERVICE_PLACES  72u /* reservations of regions: one each, and those of switches under way */
#define SERVICE_RETIRED 64u /* regions; the oldest beyond that stay with who maps them, out of reach */
#define SERVICE_FILES   128u

#define SERVICE_NOBODY UINT32_MAX /* no dimension */

struct service_place {
    uint64_t address; /* of a reservation of region_bytes; 0: none */
    handle_t region;  /* sealed there; 0: none */
};

struct service_retired {
    handle_t region; /* 0: none */
    uint32_t dimension;
    uint32_t reserved;
};

struct service_file {
    char path[PATH_MAX_BYTES]; /* empty: free */
    uint64_t size_bytes;
    uint64_t serial;
    struct service_disk_file on_disk; /* serial 0: of the boot image */
};

struct service_platform {
    struct system_platform memory;
    struct dim_platform base; /* functions of that */
    struct mutex lock;        /* of all below */
    uint64_t region_bytes;
    uint32_t dimension; /* that is being changed: whose regions retire */
    uint32_t serial;
    uint32_t regions; /* made so far, as the next */
    struct service_place places[SERVICE_PLACES];
    struct service_retired retired[SERVICE_RETIRED];
    struct service_file files[SERVICE_FILES];
    bool from_disk; /* files are those of: */
    struct service_disk disk;
};

/* Prepares *service, whose regions have region_bytes each, and fills *platform with its functions. */
void service_platform_init(struct service_platform *service, struct dim_platform *platform,
                           uint64_t region_bytes);

/*
 * From now on files are opened on the disk. STATUS_OK, or what service_disk_find fails with: then each opening tries again.
 * Before any other thread uses the platform.
 */
MUST_CHECK status_t service_platform_use_disk(struct service_platform *service);

/* The capability of what is sealed at an address; 0 when there is nothing. */
handle_t service_platform_region(struct service_platform *service, uint64_t address);

/* Frees retired regions that nobody maps. */
void service_platform_sweep(struct service_platform *service);

/*
 * Takes the retired regions of a dimension (SERVICE_NOBODY: of all) away from everybody: when it returns no mapping of them
 * is left anywhere.
 */
void service_platform_recall(struct service_platform *service, uint32_t dimension);

#endif
