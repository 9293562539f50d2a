#ifndef OS_DIMENSION_PLATFORM_H
#define OS_DIMENSION_PLATFORM_H

/*
 * What the dimension store asks of the system below it. Two back-ends implement it: mmap on a host
 * (os/tools/dimtool/host_platform.c) and the system calls of this kernel. Every call may be made from any thread of the
 * process. Addresses and sizes of memory are whole pages of 4096 bytes; sizes are in bytes.
 */

#include <stddef.h>
#include <stdint.h>

#include "abi/status.h"

#define DIM_PAGE_BYTES 4096u

enum dim_log_level {
    DIM_LOG_INFO,
    DIM_LOG_WARNING,
    DIM_LOG_ERROR,
};

/* A file or memory object that the platform holds open. */
struct dim_object {
    uint64_t handle;
    uint64_t size_bytes;
};

struct dim_platform {
    void *context; /* first argument of every function */

    /* Takes address space that nobody can reach yet; costs no memory. Fails with STATUS_ERR_NO_MEMORY. */
    status_t (*reserve)(void *context, uint64_t bytes, uint64_t *address);
    /* Gives a whole reservation back, with whatever is still in it. */
    status_t (*release)(void *context, uint64_t address, uint64_t bytes);

    /* Zeroed memory, readable and writable, at an address inside a reservation. */
    status_t (*commit)(void *context, uint64_t address, uint64_t bytes);
    /* Makes committed memory read-only. */
    status_t (*seal)(void *context, uint64_t address, uint64_t bytes);
    /*
     * Maps the first bytes of an object, read-only, at an address inside a reservation; the tail of the last page is
     * zero. STATUS_ERR_UNSUPPORTED: this object can only be read, and the store reads it into committed memory.
     */
    status_t (*map)(void *context, uint64_t address, uint64_t bytes, uint64_t handle);
    /*
     * Undoes commit or map: the memory is free, the addresses are only reserved again. Nobody tries again after a
     * failure, here or below: the store logs it and goes on.
     */
    status_t (*unmap)(void *context, uint64_t address, uint64_t bytes);

    /* Opens for reading. STATUS_ERR_NOT_FOUND when there is no such file: the one failure that simulation answers. */
    status_t (*open)(void *context, const char *name, struct dim_object *object);
    /* Reads exactly that many bytes; less is a failure. */
    status_t (*read)(void *context, uint64_t handle, uint64_t offset, void *to, uint64_t bytes);
    /* Whether a handle still names the object of that size; STATUS_ERR_DIM_BACKING when not. */
    status_t (*check)(void *context, const struct dim_object *object);
    status_t (*close)(void *context, uint64_t handle);

    /* One line without a line feed. May be null: nothing is logged. */
    void (*log)(void *context, enum dim_log_level level, const char *line);
    /* A clock for access latencies, any unit. May be null: latencies read 0. */
    uint64_t (*ticks)(void *context);
    /* Called again and again while a thread waits for another: yields. May be null. */
    void (*relax)(void *context);
};

/* One step of waiting for another thread. */
static inline void dim_platform_relax(const struct dim_platform *platform)
{
    if (platform->relax) {
        platform->relax(platform->context);
    }
}

#endif
