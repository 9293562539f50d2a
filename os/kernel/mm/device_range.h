#ifndef OS_KERNEL_MM_DEVICE_RANGE_H
#define OS_KERNEL_MM_DEVICE_RANGE_H

/*
 * Which physical addresses may be given to programs as memory of devices: what the memory map does not mention, and what it
 * calls MMIO or framebuffer; never memory of any kind, what the firmware keeps, or what the kernel drives itself.
 */

#include "abi/status.h"
#include "mm/region.h"

struct device_span {
    uint64_t base; /* bytes */
    uint64_t end;  /* first byte after */
};

/*
 * Notes what is refused: the regions of the boot, the kernel's own devices (spans, each rounded out to pages), and everything
 * from `limit` on. Once, before the region list goes. STATUS_ERR_NO_MEMORY.
 */
MUST_CHECK status_t device_ranges_init(const struct region_list *regions, const struct device_span *own,
                                       uint32_t own_count, uint64_t limit);

/*
 * Whether [base, base+bytes) may be given: whole pages, at least one (else STATUS_ERR_UNALIGNED, STATUS_ERR_RANGE: also when
 * it ends above the limit), of which none is refused (STATUS_ERR_PERMISSION). Bound: O(regions of the boot).
 */
MUST_CHECK status_t device_range_check(uint64_t base, uint64_t bytes);

#endif
