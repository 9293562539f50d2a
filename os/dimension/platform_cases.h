#ifndef OS_DIMENSION_PLATFORM_CASES_H
#define OS_DIMENSION_PLATFORM_CASES_H

/*
 * What every platform of the dimension store must do, as cases that run against any: the tests of each back-end run all of
 * them (tests/unit/dimension/test_platform.c, os/programs/dimtest).
 */

#include <stdbool.h>

#include "dimension/platform.h"

/* What the tests of a back-end provide. */
struct platform_under_test {
    struct dim_platform platform;
    const char *name; /* of an object of these bytes, which are no whole number of pages */
    const uint8_t *bytes;
    uint64_t size_bytes;
    /* Whether a read or a write of the byte at an address ends the process that does it; the caller survives. */
    bool (*faults)(uint64_t address, bool write);
};

/* A case returns null, or what was not so. */
typedef const char *(*platform_case_function)(const struct platform_under_test *t);

#define PLATFORM_CASE_BYTES (4ull * DIM_PAGE_BYTES)

#define CASE_EXPECT(condition)                  \
    do {                                        \
        if (!(condition)) {                     \
            return "it is not so: " #condition; \
        }                                       \
    } while (0)

static inline void case_fill(uint64_t address, uint64_t bytes, uint8_t with)
{
    uint8_t *at = (uint8_t *)(uintptr_t)address;
    for (uint64_t i = 0; i < bytes; i++) {
        at[i] = with;
    }
}

static inline bool case_is_equal(const uint8_t *one, const uint8_t *other, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++) {
        if (one[i] != other[i]) {
            return false;
        }
    }
    return true;
}

static inline bool case_is_filled(uint64_t address, uint64_t bytes, uint8_t with)
{
    const uint8_t *at = (const uint8_t *)(uintptr_t)address;
    for (uint64_t i = 0; i < bytes; i++) {
        if (at[i] != with) {
            return false;
        }
    }
    return true;
}

static inline const char *
case_reserved_addresses_are_whole_pages_that_nobody_reaches(const struct platform_under_test *t)
{
    const struct dim_platform *p = &t->platform;
    uint64_t one, other;
    CASE_EXPECT(p->reserve(p->context, PLATFORM_CASE_BYTES, &one) == STATUS_OK);
    CASE_EXPECT(p->reserve(p->context, DIM_PAGE_BYTES, &other) == STATUS_OK);
    CASE_EXPECT(one % DIM_PAGE_BYTES == 0 && other % DIM_PAGE_BYTES == 0 && one != 0 && other != 0);
    CASE_EXPECT(other + DIM_PAGE_BYTES <= one || one + PLATFORM_CASE_BYTES <= other);
    CASE_EXPECT(t->faults(one, false) && t->faults(one + PLATFORM_CASE_BYTES - 1, true) &&
                t->faults(other, true));
    CASE_EXPECT(p->release(p->context, one, PLATFORM_CASE_BYTES) == STATUS_OK);
    CASE_EXPECT(p->release(p->context, other, DIM_PAGE_BYTES) == STATUS_OK);
    return NULL;
}

static inline const char *
case_committed_memory_is_zero_and_no_wider_than_asked(const struct platform_under_test *t)
{
    const struct dim_platform *p = &t->platform;
    uint64_t at;
    CASE_EXPECT(p->reserve(p->context, PLATFORM_CASE_BYTES, &at) == STATUS_OK);
    CASE_EXPECT(p->commit(p->context, at + DIM_PAGE_BYTES, 2 * DIM_PAGE_BYTES) == STATUS_OK);
    CASE_EXPECT(case_is_filled(at + DIM_PAGE_BYTES, 2 * DIM_PAGE_BYTES, 0));
    case_fill(at + DIM_PAGE_BYTES, 2 * DIM_PAGE_BYTES, 0xa5);
    CASE_EXPECT(case_is_filled(at + DIM_PAGE_BYTES, 2 * DIM_PAGE_BYTES, 0xa5));
    CASE_EXPECT(t->faults(at + DIM_PAGE_BYTES - 1, false) && t->faults(at + 3 * DIM_PAGE_BYTES, false));
    CASE_EXPECT(p->release(p->context, at, PLATFORM_CASE_BYTES) == STATUS_OK); /* with what is still in it */
    CASE_EXPECT(t->faults(at + DIM_PAGE_BYTES, false));
    return NULL;
}

static inline const char *case_sealed_memory_is_read_and_not_written(const struct platform_under_test *t)
{
    const struct dim_platform *p = &t->platform;
    uint64_t at;
    CASE_EXPECT(p->reserve(p->context, PLATFORM_CASE_BYTES, &at) == STATUS_OK);
    CASE_EXPECT(p->commit(p->context, at, 2 * DIM_PAGE_BYTES) == STATUS_OK);
    case_fill(at, 2 * DIM_PAGE_BYTES, 0x5a);
    CASE_EXPECT(!t->faults(at, true));
    CASE_EXPECT(p->seal(p->context, at, 2 * DIM_PAGE_BYTES) == STATUS_OK);
    CASE_EXPECT(case_is_filled(at, 2 * DIM_PAGE_BYTES, 0x5a) && !t->faults(at, false));
    CASE_EXPECT(t->faults(at, true) && t->faults(at + 2 * DIM_PAGE_BYTES - 1, true));
    CASE_EXPECT(p->unmap(p->context, at, 2 * DIM_PAGE_BYTES) == STATUS_OK);
    CASE_EXPECT(p->release(p->context, at, PLATFORM_CASE_BYTES) == STATUS_OK);
    return NULL;
}

static inline const char *
case_unmapped_memory_is_reserved_again_and_comes_back_as_zeros(const struct platform_under_test *t)
{
    const struct dim_platform *p = &t->platform;
    uint64_t at, elsewhere;
    CASE_EXPECT(p->reserve(p->context, PLATFORM_CASE_BYTES, &at) == STATUS_OK);
    CASE_EXPECT(p->commit(p->context, at, PLATFORM_CASE_BYTES) == STATUS_OK);
    case_fill(at, PLATFORM_CASE_BYTES, 1);
    CASE_EXPECT(p->unmap(p->context, at + DIM_PAGE_BYTES, PLATFORM_CASE_BYTES - DIM_PAGE_BYTES) ==
                STATUS_OK); /* a part */
    CASE_EXPECT(t->faults(at + DIM_PAGE_BYTES, false) && case_is_filled(at, DIM_PAGE_BYTES, 1));
    CASE_EXPECT(p->reserve(p->context, PLATFORM_CASE_BYTES, &elsewhere) == STATUS_OK);
    CASE_EXPECT(elsewhere + PLATFORM_CASE_BYTES <= at || at + PLATFORM_CASE_BYTES <= elsewhere);
    CASE_EXPECT(p->commit(p->context, at + DIM_PAGE_BYTES, DIM_PAGE_BYTES) == STATUS_OK);
    CASE_EXPECT(case_is_filled(at + DIM_PAGE_BYTES, DIM_PAGE_BYTES, 0));
    CASE_EXPECT(p->release(p->context, elsewhere, PLATFORM_CASE_BYTES) == STATUS_OK);
    CASE_EXPECT(p->release(p->context, at, PLATFORM_CASE_BYTES) == STATUS_OK);
    return NULL;
}

static inline const char *case_objects_are_read_exactly(const struct platform_under_test *t)
{
    const struct dim_platform *p = &t->platform;
    struct dim_object object, missing;
    uint8_t part[64];
    CASE_EXPECT(p->open(p->context, "no such object", &missing) == STATUS_ERR_NOT_FOUND);
    CASE_EXPECT(p->open(p->context, t->name, &object) == STATUS_OK && object.size_bytes == t->size_bytes);
    CASE_EXPECT(p->read(p->context, object.handle, 100, part, sizeof part) == STATUS_OK);
    CASE_EXPECT(case_is_equal(part, t->bytes + 100, sizeof part));
    CASE_EXPECT(p->read(p->context, object.handle, t->size_bytes - sizeof part, part, sizeof part) ==
                STATUS_OK);
    CASE_EXPECT(case_is_equal(part, t->bytes + t->size_bytes - sizeof part, sizeof part));
    CASE_EXPECT(p->read(p->context, object.handle, t->size_bytes - sizeof part + 1, part, sizeof part) !=
                STATUS_OK);
    CASE_EXPECT(p->close(p->context, object.handle) == STATUS_OK);
    CASE_EXPECT(p->read(p->context, object.handle, 0, part, sizeof part) != STATUS_OK);
    return NULL;
}

static inline const char *
case_handles_that_are_closed_or_made_up_are_recognised(const struct platform_under_test *t)
{
    const struct dim_platform *p = &t->platform;
    struct dim_object object, again;
    CASE_EXPECT(p->open(p->context, t->name, &object) == STATUS_OK);
    CASE_EXPECT(p->check(p->context, &object) == STATUS_OK);
    struct dim_object forged = {object.handle ^ (UINT64_C(1) << 40), object.size_bytes};
    struct dim_object resized = {object.handle, object.size_bytes + 1};
    CASE_EXPECT(p->check(p->context, &forged) == STATUS_ERR_DIM_BACKING);
    CASE_EXPECT(p->check(p->context, &resized) == STATUS_ERR_DIM_BACKING);
    CASE_EXPECT(p->close(p->context, forged.handle) != STATUS_OK);
    CASE_EXPECT(p->close(p->context, object.handle) == STATUS_OK);
    CASE_EXPECT(p->close(p->context, object.handle) != STATUS_OK);
    CASE_EXPECT(p->open(p->context, t->name, &again) == STATUS_OK); /* in the same place, perhaps */
    CASE_EXPECT(p->check(p->context, &object) == STATUS_ERR_DIM_BACKING);
    CASE_EXPECT(p->close(p->context, again.handle) == STATUS_OK);
    return NULL;
}

/* A platform that cannot map says so and has changed nothing. */
static inline const char *
case_mapped_objects_are_their_bytes_and_read_only(const struct platform_under_test *t)
{
    const struct dim_platform *p = &t->platform;
    struct dim_object object;
    uint64_t at, pages = (t->size_bytes + DIM_PAGE_BYTES - 1) / DIM_PAGE_BYTES * DIM_PAGE_BYTES;
    CASE_EXPECT(p->open(p->context, t->name, &object) == STATUS_OK);
    CASE_EXPECT(p->reserve(p->context, pages + DIM_PAGE_BYTES, &at) == STATUS_OK);
    status_t status = p->map(p->context, at, t->size_bytes, object.handle);
    CASE_EXPECT(status == STATUS_OK || status == STATUS_ERR_UNSUPPORTED);
    if (status == STATUS_OK) {
        CASE_EXPECT(case_is_equal((const uint8_t *)(uintptr_t)at, t->bytes, t->size_bytes));
        CASE_EXPECT(case_is_filled(at + t->size_bytes, pages - t->size_bytes, 0));
        CASE_EXPECT(t->faults(at, true) && !t->faults(at, false));
        CASE_EXPECT(p->unmap(p->context, at, pages) == STATUS_OK);
    }
    CASE_EXPECT(t->faults(at, false) && t->faults(at + pages, false));
    CASE_EXPECT(p->release(p->context, at, pages + DIM_PAGE_BYTES) == STATUS_OK);
    CASE_EXPECT(p->close(p->context, object.handle) == STATUS_OK);
    return NULL;
}

#undef CASE_EXPECT

static const struct {
    const char *name;
    platform_case_function function;
} platform_cases[] = {
    {"reserved addresses are whole pages that nobody reaches",
     case_reserved_addresses_are_whole_pages_that_nobody_reaches},
    {"committed memory is zero and no wider than asked",
     case_committed_memory_is_zero_and_no_wider_than_asked},
    {"sealed memory is read and not written", case_sealed_memory_is_read_and_not_written},
    {"unmapped memory is reserved again and comes back as zeros",
     case_unmapped_memory_is_reserved_again_and_comes_back_as_zeros},
    {"objects are read exactly", case_objects_are_read_exactly},
    {"handles that are closed or made up are recognised",
     case_handles_that_are_closed_or_made_up_are_recognised},
    {"mapped objects are their bytes and read only", case_mapped_objects_are_their_bytes_and_read_only},
};

#define PLATFORM_CASES (sizeof platform_cases / sizeof platform_cases[0])

#endif
