/* System calls of shared regions. */
#include "sys/syscall.h"

#include "abi/abi.h"
#include "ipc/region.h"
#include "mm/layout.h"
#include "mm/limits.h"
#include "proc/process.h"
#include "proc/usercopy.h"

#define MAP_FLAGS_ALL (VM_PROTECTION_ALL | VM_FIXED | MAP_COPY | MAP_NOW | MAP_CACHE_MASK)

_Static_assert((MAP_CACHE_MASK >> MAP_CACHE_SHIFT) == 7, "the policies fit");

status_t decode_region_create(struct call *call)
{
    int64_t node = (int64_t)call->arguments[1];
    uint64_t bytes = call->arguments[0];
    bool fits = bytes != 0 && bytes <= REGION_MAX_BYTES && node >= -1 && node < (int64_t)MM_MAX_NODES;
    return fits ? STATUS_OK : FAIL(STATUS_ERR_RANGE, bytes, node);
}

int64_t invoke_region_create(struct call *call)
{
    cap_handle_t handle = {0};
    uint64_t pages = align_up(call->arguments[0], PAGE_SIZE) / PAGE_SIZE;
    status_t status = region_create(call->process->caps, pages, (int)(int64_t)call->arguments[1], &handle);
    return call_handle_result(status, handle);
}

static enum cache_policy cache_of(uint64_t flags)
{
    return (enum cache_policy)((flags & MAP_CACHE_MASK) >> MAP_CACHE_SHIFT);
}

status_t decode_region_map(struct call *call)
{
    uint64_t flags = call->arguments[4];
    if ((flags & ~(uint64_t)MAP_FLAGS_ALL) != 0) {
        return FAIL(STATUS_ERR_UNKNOWN_BITS, flags, MAP_FLAGS_ALL);
    }
    if ((flags & MAP_NOW) != 0 && call->arguments[2] > VM_POPULATE_MAX * PAGE_SIZE) {
        return FAIL(STATUS_ERR_RANGE, call->arguments[2], VM_POPULATE_MAX * PAGE_SIZE);
    }
    if (call->arguments[3] % PAGE_SIZE != 0) {
        return FAIL(STATUS_ERR_UNALIGNED, call->arguments[3], PAGE_SIZE);
    }
    if (call->arguments[1] == 0 && (flags & VM_FIXED) == 0) {
        call->arguments[1] = MAP_BASE;
    }
    return cache_of(flags) <= CACHE_WRITE_PROTECTED ? STATUS_OK
                                                    : FAIL(STATUS_ERR_ARGUMENT, flags, MAP_CACHE_MASK);
}

int64_t invoke_region_map(struct call *call)
{
    const struct region_request request = {
        .hint = call->arguments[1],
        .bytes = call->arguments[2],
        .offset = call->arguments[3],
        .flags = (uint32_t)call->arguments[4] & (VM_PROTECTION_ALL | VM_FIXED),
        .cache = cache_of(call->arguments[4]),
        .copy = (call->arguments[4] & MAP_COPY) != 0,
    };
    vaddr_t at;
    struct address_space *space = call->process->space;
    status_t status = region_map(region_of(call->capability.object), &call->capability,
                                 cap_handle(call->arguments[0]), &request, &at);
    if (status == STATUS_OK && (call->arguments[4] & MAP_NOW) != 0) {
        status = vm_populate_new(space, at, request.bytes, (request.flags & VM_WRITE) != 0);
    }
    return status != STATUS_OK ? status : (int64_t)vaddr_number(at);
}

status_t decode_region_seal(struct call *call)
{
    return call->arguments[0] != 0 ? STATUS_OK : FAIL(STATUS_ERR_CAP_INVALID, 0, 0);
}

int64_t invoke_region_seal(struct call *call)
{
    region_seal(region_of(call->capability.object));
    return STATUS_OK;
}

status_t decode_region_info(struct call *call)
{
    return user_range(vaddr_make(call->arguments[1]), sizeof(struct region_info));
}

int64_t invoke_region_info(struct call *call)
{
    struct region_info info;
    region_read(region_of(call->capability.object), &info);
    return user_write(vaddr_make(call->arguments[1]), &info, sizeof(info));
}
