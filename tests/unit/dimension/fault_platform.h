#ifndef TESTS_UNIT_DIMENSION_FAULT_PLATFORM_H
#define TESTS_UNIT_DIMENSION_FAULT_PLATFORM_H

/*
 * The host's platform with a counter before every call that may fail: the n-th call fails, or the n-th of one kind.
 * Lines logged are counted and the last one is kept.
 */

#define _DEFAULT_SOURCE /* so this header comes first */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/dimtool/host_platform.h"

enum fault_kind {
    FAULT_RESERVE,
    FAULT_RELEASE,
    FAULT_COMMIT,
    FAULT_SEAL,
    FAULT_MAP,
    FAULT_UNMAP,
    FAULT_OPEN,
    FAULT_READ,
    FAULT_CHECK,
    FAULT_CLOSE,
    FAULT_KINDS,
};

struct fault_platform {
    struct host_platform host;
    struct dim_platform real;
    uint64_t calls[FAULT_KINDS]; /* so far, those that failed too */
    uint64_t all_calls;
    uint64_t fail_call;            /* number (from 1) of the call that fails, of any kind; 0: none */
    uint64_t fail_of[FAULT_KINDS]; /* the same, of one kind */
    bool fail_all[FAULT_KINDS];    /* all of one kind */
    bool cannot_map;               /* objects can only be read */
    unsigned lines[3];             /* logged, by level */
    char last_line[256];
    char warnings[8][256];
    uint64_t now;
};

static inline bool fault_due(struct fault_platform *f, enum fault_kind kind)
{
    uint64_t number = ++f->calls[kind];
    return ++f->all_calls == f->fail_call || number == f->fail_of[kind] || f->fail_all[kind];
}

/* Failures of making differ from those of undoing: an undo that fails has undone nothing here. */
static inline status_t fault_reserve(void *context, uint64_t bytes, uint64_t *address)
{
    struct fault_platform *f = context;
    return fault_due(f, FAULT_RESERVE) ? STATUS_ERR_NO_MEMORY : f->real.reserve(&f->host, bytes, address);
}

/* What fails to be given back is given back all the same: the caller has no second chance, only a line to log. */
static inline status_t fault_release(void *context, uint64_t address, uint64_t bytes)
{
    struct fault_platform *f = context;
    status_t status = f->real.release(&f->host, address, bytes);
    return fault_due(f, FAULT_RELEASE) ? STATUS_ERR_BAD_ADDRESS : status;
}

static inline status_t fault_commit(void *context, uint64_t address, uint64_t bytes)
{
    struct fault_platform *f = context;
    return fault_due(f, FAULT_COMMIT) ? STATUS_ERR_NO_MEMORY : f->real.commit(&f->host, address, bytes);
}

static inline status_t fault_seal(void *context, uint64_t address, uint64_t bytes)
{
    struct fault_platform *f = context;
    return fault_due(f, FAULT_SEAL) ? STATUS_ERR_NO_MEMORY : f->real.seal(&f->host, address, bytes);
}

static inline status_t fault_map(void *context, uint64_t address, uint64_t bytes, uint64_t handle)
{
    struct fault_platform *f = context;
    if (f->cannot_map) {
        return STATUS_ERR_UNSUPPORTED;
    }
    return fault_due(f, FAULT_MAP) ? STATUS_ERR_NO_MEMORY : f->real.map(&f->host, address, bytes, handle);
}

static inline status_t fault_unmap(void *context, uint64_t address, uint64_t bytes)
{
    struct fault_platform *f = context;
    status_t status = f->real.unmap(&f->host, address, bytes);
    return fault_due(f, FAULT_UNMAP) ? STATUS_ERR_BAD_ADDRESS : status;
}

static inline status_t fault_open(void *context, const char *name, struct dim_object *object)
{
    struct fault_platform *f = context;
    return fault_due(f, FAULT_OPEN) ? STATUS_ERR_PERMISSION : f->real.open(&f->host, name, object);
}

static inline status_t fault_read(void *context, uint64_t handle, uint64_t offset, void *to, uint64_t bytes)
{
    struct fault_platform *f = context;
    return fault_due(f, FAULT_READ) ? STATUS_ERR_DIM_BACKING
                                    : f->real.read(&f->host, handle, offset, to, bytes);
}

static inline status_t fault_check(void *context, const struct dim_object *object)
{
    struct fault_platform *f = context;
    return fault_due(f, FAULT_CHECK) ? STATUS_ERR_DIM_BACKING : f->real.check(&f->host, object);
}

static inline status_t fault_close(void *context, uint64_t handle)
{
    struct fault_platform *f = context;
    status_t status = f->real.close(&f->host, handle);
    return fault_due(f, FAULT_CLOSE) ? STATUS_ERR_DIM_BACKING : status;
}

static inline void fault_log(void *context, enum dim_log_level level, const char *line)
{
    struct fault_platform *f = context;
    if (level == DIM_LOG_WARNING && f->lines[level] < 8) {
        strncpy(f->warnings[f->lines[level]], line, sizeof f->warnings[0] - 1);
    }
    f->lines[level]++;
    strncpy(f->last_line, line, sizeof f->last_line - 1);
}

/* A clock that counts by one each time it is asked. */
static inline uint64_t fault_ticks(void *context)
{
    struct fault_platform *f = context;
    return __atomic_add_fetch(&f->now, 1, __ATOMIC_RELAXED);
}

static inline void fault_relax(void *context)
{
    struct fault_platform *f = context;
    f->real.relax(&f->host);
}

static inline struct dim_platform fault_platform_make(struct fault_platform *f, const char *folder)
{
    memset(f, 0, sizeof *f);
    host_platform_init(&f->host, &f->real, folder, NULL);
    return (struct dim_platform){
        .context = f,
        .reserve = fault_reserve,
        .release = fault_release,
        .commit = fault_commit,
        .seal = fault_seal,
        .map = fault_map,
        .unmap = fault_unmap,
        .open = fault_open,
        .read = fault_read,
        .check = fault_check,
        .close = fault_close,
        .log = fault_log,
        .ticks = fault_ticks,
        .relax = fault_relax,
    };
}

/* Nothing is out: no address space, no memory, no open file. */
static inline void assert_nothing_left(const struct fault_platform *f)
{
    assert_int_equal(f->host.reservations, 0);
    assert_int_equal(f->host.reserved_bytes, 0);
    assert_int_equal(f->host.backed_bytes, 0);
    assert_int_equal(f->host.open_files, 0);
}

#define assert_status(call, wanted)                                                         \
    do {                                                                                    \
        status_t status_got_ = (call);                                                      \
        if (status_got_ != (wanted)) {                                                      \
            print_message("%s: %s, wanted %s\n", #call, status_name(status_got_), #wanted); \
        }                                                                                   \
        assert_int_equal(status_got_, (wanted));                                            \
    } while (0)

#define assert_ok(call) assert_status(call, STATUS_OK)

#endif
