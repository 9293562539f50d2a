#ifndef OS_BOOT_PVH_H
#define OS_BOOT_PVH_H

/* Boot by the PVH protocol: from hvm_start_info to the handoff block. */

#include "abi/handoff.h"
#include "abi/status.h"

/* A readable pointer to physical memory below 4 GiB on the early tables, or null. */
const void *boot_reach(uint64_t address, uint64_t bytes);

/*
 * Finds room for temporary heap and handoff block in conventional memory, and fills the block. *block_address
 * is its physical address. STATUS_ERR_BAD_IMAGE: no or damaged start info; STATUS_ERR_NO_MEMORY: no room.
 */
MUST_CHECK status_t pvh_make_handoff(uint64_t start_info, uint64_t image_start, uint64_t image_end,
                                     struct handoff **block, uint64_t *block_address);

#endif
