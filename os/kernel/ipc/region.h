#ifndef OS_KERNEL_IPC_REGION_H
#define OS_KERNEL_IPC_REGION_H

/*
 * Shared regions: memory of real frames that several address spaces map, or the memory of a device. What a mapping may
 * do was decided by the capability it was made with, and ends with that one: its pages go from every space, and later
 * faults there are denied.
 */

#include "abi/abi.h"
#include "abi/status.h"
#include "cap/cap.h"
#include "mm/vm.h"

struct region_object;

MUST_CHECK status_t region_objects_init(void);

/* A new region of zeroed pages on a node (negative: any). STATUS_ERR_NO_LOCAL_MEMORY, _NO_MEMORY; as cap_insert. */
MUST_CHECK status_t region_create(struct cap_space *space, uint64_t pages, int node, cap_handle_t *out);

/*
 * The same of contiguous pages, up to DMA_MAX_PAGES, that a device may reach; *physical: where they are. They stay what they are
 * when the region goes (ipc/dma.h). Fails as dma_take, cap_insert.
 */
MUST_CHECK status_t region_create_dma(struct cap_space *space, uint64_t pages, cap_handle_t *out,
                                      paddr_t *physical);

/* A range of device memory that device_range_check has allowed: a CAP_DEVICE. As cap_insert. */
MUST_CHECK status_t region_create_device(struct cap_space *space, paddr_t physical, uint64_t pages,
                                         cap_handle_t *out);

struct region_request {
    uint64_t hint;
    uint64_t bytes;
    uint64_t offset; /* bytes from the start of the region, page aligned */
    uint32_t flags;  /* VM_READ | VM_WRITE | VM_EXECUTE | VM_FIXED */
    enum cache_policy cache;
    bool copy; /* writers get copies of their own */
};

/*
 * Maps a part of a region by a capability. STATUS_ERR_RANGE: not inside the region; STATUS_ERR_CAP_RIGHTS: the capability
 * does not allow the protection; STATUS_ERR_CAP_REVOKED: it has just gone; STATUS_ERR_STATE: it is mapped
 * with another cache policy; as vm_map. Device memory is there when the call returns, and as vm_map_device.
 */
MUST_CHECK status_t region_map(struct region_object *region, const struct cap_view *by, cap_handle_t handle,
                               const struct region_request *request, vaddr_t *out);

/*
 * The region's content does not change any more: whoever maps it, before or after, writes to copies of its own. Returns when
 * no CPU can write to the region.
 */
void region_seal(struct region_object *region);

void region_read(struct region_object *region, struct region_info *out);

struct region_object *region_of(struct object *object);
void region_release(struct object *object);
void region_removed(struct object *object, uint64_t id, uint32_t rights, status_t why);

#endif
