/* System calls of the own address space. Ranges are checked by the address space under its gate. */
#include "sys/syscall.h"

#include "mm/frame.h"
#include "mm/layout.h"
#include "mm/vm.h"
#include "proc/process.h"

_Static_assert(PROTECT_READ == VM_READ && PROTECT_WRITE == VM_WRITE && PROTECT_EXECUTE == VM_EXECUTE &&
                   MAP_EXACT == VM_FIXED,
               "the ABI's protection bits are the kernel's");

status_t decode_map(struct call *call)
{
    if ((call->arguments[2] & ~(uint64_t)(VM_PROTECTION_ALL | VM_FIXED | MAP_NOW)) != 0) {
        return FAIL(STATUS_ERR_UNKNOWN_BITS, call->arguments[2], VM_PROTECTION_ALL | VM_FIXED | MAP_NOW);
    }
    if ((call->arguments[2] & MAP_NOW) != 0 && call->arguments[1] > VM_POPULATE_MAX * PAGE_SIZE) {
        return FAIL(STATUS_ERR_RANGE, call->arguments[1], VM_POPULATE_MAX * PAGE_SIZE);
    }
    if (call->arguments[0] == 0 && (call->arguments[2] & VM_FIXED) == 0) {
        call->arguments[0] = MAP_BASE;
    }
    return STATUS_OK;
}

int64_t invoke_map(struct call *call)
{
    struct address_space *space = call->process->space;
    uint32_t flags = (uint32_t)call->arguments[2];
    vaddr_t out;
    status_t status =
        vm_map(space, vaddr_make(call->arguments[0]), call->arguments[1], flags & ~MAP_NOW, &out);
    if (status == STATUS_OK && (flags & MAP_NOW) != 0) {
        status = vm_populate_new(space, out, call->arguments[1], (flags & VM_WRITE) != 0);
    }
    return status != STATUS_OK ? status : (int64_t)vaddr_number(out);
}

status_t decode_unmap(struct call *call)
{
    return vaddr_aligned(vaddr_make(call->arguments[0]), PAGE_SIZE)
               ? STATUS_OK
               : FAIL(STATUS_ERR_UNALIGNED, call->arguments[0], PAGE_SIZE);
}

int64_t invoke_unmap(struct call *call)
{
    return vm_unmap(call->process->space, vaddr_make(call->arguments[0]), call->arguments[1]);
}

status_t decode_protect(struct call *call)
{
    return (call->arguments[2] & ~(uint64_t)VM_PROTECTION_ALL) != 0
               ? FAIL(STATUS_ERR_UNKNOWN_BITS, call->arguments[2], VM_PROTECTION_ALL)
               : STATUS_OK;
}

int64_t invoke_protect(struct call *call)
{
    return vm_protect(call->process->space, vaddr_make(call->arguments[0]), call->arguments[1],
                      (uint32_t)call->arguments[2]);
}

status_t decode_migrate(struct call *call)
{
    bool node = call->arguments[2] < frame_manager_get()->node_count;
    return node ? STATUS_OK : FAIL(STATUS_ERR_ARGUMENT, call->arguments[2], frame_manager_get()->node_count);
}

int64_t invoke_migrate(struct call *call)
{
    uint64_t moved;
    status_t status = vm_migrate(call->process->space, vaddr_make(call->arguments[0]), call->arguments[1],
                                 (unsigned)call->arguments[2], &moved);
    return status != STATUS_OK ? status : (int64_t)moved;
}
