#ifndef ORRERY_BASE_TYPES_H
#define ORRERY_BASE_TYPES_H

/* Address types. A linear and a physical address are different C types, so mixing them does not compile. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A linear address: after segmentation, before paging. 64 bits; in 32-bit modes the upper half is zero. */
typedef struct {
    uint64_t v;
} lin_t;

/* A physical address: after paging. At most PHYS_BITS bits are ever set. */
typedef struct {
    uint64_t v;
} phys_t;

#define PAGE_SHIFT      12u
#define PAGE_SIZE_BYTES 4096u
#define PAGE_MASK_BITS  4095u
#define PHYS_BITS       46u /* MAXPHYADDR reported by CPUID 8000_0008 */
#define LIN_BITS        48u /* 4-level paging */

static inline lin_t lin(uint64_t v)
{
    return (lin_t){v};
}

static inline phys_t phys(uint64_t v)
{
    return (phys_t){v};
}

/* True when bits 63..47 of a linear address are all equal (4-level paging). */
static inline bool lin_is_canonical(lin_t a)
{
    return (uint64_t)((int64_t)(a.v << (64 - LIN_BITS)) >> (64 - LIN_BITS)) == a.v;
}

#endif
