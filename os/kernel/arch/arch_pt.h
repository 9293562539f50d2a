#ifndef OS_KERNEL_ARCH_ARCH_PT_H
#define OS_KERNEL_ARCH_ARCH_PT_H

/* How page-table code touches memory: entries whole, tables through the physmap (arch.h). Freestanding:
 * inline bodies. */

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"
#include "types.h"

#if __STDC_HOSTED__

uint64_t arch_pt_load(const uint64_t *entry);
void arch_pt_store(uint64_t *entry, uint64_t value);
bool arch_pt_cmpxchg(uint64_t *entry, uint64_t *expected, uint64_t value);

#else

/* One 64-bit load. */
static inline uint64_t arch_pt_load(const uint64_t *entry)
{
    return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

/* One 64-bit store; what was written before is visible to a walk that sees it. */
static inline void arch_pt_store(uint64_t *entry, uint64_t value)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* As the GCC builtin, sequentially consistent; *expected is updated on failure. */
static inline bool arch_pt_cmpxchg(uint64_t *entry, uint64_t *expected, uint64_t value)
{
    return __atomic_compare_exchange_n(entry, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

#endif

#endif
