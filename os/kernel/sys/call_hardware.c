/* System calls of drivers: ports, interrupt lines, memory of devices and for DMA. */
#include "sys/syscall.h"

#include "arch/x86_64/acpi.h"
#include "ipc/dma.h"
#include "ipc/hardware.h"
#include "ipc/region.h"
#include "mm/device_range.h"
#include "mm/layout.h"
#include "proc/process.h"
#include "proc/usercopy.h"

#define PORT_COUNT 65536u

_Static_assert(DMA_MAX_BYTES == DMA_MAX_PAGES * PAGE_SIZE, "one bound of memory for DMA");

status_t decode_ports_create(struct call *call)
{
    uint64_t first = call->arguments[0];
    uint64_t count = call->arguments[1];
    return first < PORT_COUNT && count != 0 && count <= PORT_COUNT - first
               ? STATUS_OK
               : FAIL(STATUS_ERR_RANGE, first, count);
}

int64_t invoke_ports_create(struct call *call)
{
    cap_handle_t handle = {0};
    status_t status = ports_create(call->process->caps, (uint32_t)call->arguments[0],
                                   (uint32_t)call->arguments[1], &handle);
    return call_handle_result(status, handle);
}

static status_t check_access(const struct call *call)
{
    if (call->arguments[2] > 4) {
        return FAIL(STATUS_ERR_RANGE, call->arguments[2], 4);
    }
    bool inside =
        ports_contain(ports_of(call->capability.object), call->arguments[1], (uint32_t)call->arguments[2]);
    return inside ? STATUS_OK : FAIL(STATUS_ERR_RANGE, call->arguments[1], call->arguments[2]);
}

status_t decode_port_read(struct call *call)
{
    return check_access(call);
}

int64_t invoke_port_read(struct call *call)
{
    return ports_read(ports_of(call->capability.object), call->arguments[1], (uint32_t)call->arguments[2]);
}

status_t decode_port_write(struct call *call)
{
    return check_access(call);
}

int64_t invoke_port_write(struct call *call)
{
    ports_write(ports_of(call->capability.object), call->arguments[1], (uint32_t)call->arguments[2],
                (uint32_t)call->arguments[3]);
    return STATUS_OK;
}

status_t decode_irq_create(struct call *call)
{
    return call->arguments[0] < ISA_IRQS ? STATUS_OK : FAIL(STATUS_ERR_RANGE, call->arguments[0], ISA_IRQS);
}

int64_t invoke_irq_create(struct call *call)
{
    cap_handle_t handle = {0};
    status_t status =
        irq_create(call->process->caps, (uint32_t)call->arguments[0], (struct irq_trigger){0}, &handle);
    return call_handle_result(status, handle);
}

status_t decode_irq_bind(struct call *call)
{
    return call->arguments[2] != 0 ? STATUS_OK : FAIL(STATUS_ERR_ARGUMENT, 0, 0);
}

int64_t invoke_irq_bind(struct call *call)
{
    return irq_bind(irq_of(call->capability.object), call->capability.id, call->process->caps,
                    cap_handle(call->arguments[1]), call->arguments[2]);
}

status_t decode_irq_acknowledge(struct call *call)
{
    return call->arguments[0] != 0 ? STATUS_OK : FAIL(STATUS_ERR_CAP_INVALID, 0, 0);
}

int64_t invoke_irq_acknowledge(struct call *call)
{
    return irq_acknowledge(irq_of(call->capability.object));
}

/* ---- memory ---- */

status_t decode_device_create(struct call *call)
{
    uint64_t physical = call->arguments[0];
    uint64_t bytes = call->arguments[1];
    if (bytes > REGION_MAX_BYTES) {
        return FAIL(STATUS_ERR_RANGE, bytes, REGION_MAX_BYTES);
    }
    status_t status = device_range_check(physical, bytes);
    return status == STATUS_OK ? STATUS_OK : FAIL(status, physical, bytes);
}

int64_t invoke_device_create(struct call *call)
{
    cap_handle_t handle = {0};
    status_t status = region_create_device(call->process->caps, paddr_make(call->arguments[0]),
                                           call->arguments[1] / PAGE_SIZE, &handle);
    return call_handle_result(status, handle);
}

status_t decode_device_map(struct call *call)
{
    uint64_t flags = call->arguments[4];
    if ((flags & ~(uint64_t)(VM_READ | VM_WRITE | VM_FIXED)) != 0) {
        return FAIL(STATUS_ERR_UNKNOWN_BITS, flags, VM_READ | VM_WRITE | VM_FIXED);
    }
    if (call->arguments[3] % PAGE_SIZE != 0) {
        return FAIL(STATUS_ERR_UNALIGNED, call->arguments[3], PAGE_SIZE);
    }
    if (call->arguments[1] == 0 && (flags & VM_FIXED) == 0) {
        call->arguments[1] = MAP_BASE;
    }
    return STATUS_OK;
}

int64_t invoke_device_map(struct call *call)
{
    const struct region_request request = {
        .hint = call->arguments[1],
        .bytes = call->arguments[2],
        .offset = call->arguments[3],
        .flags = (uint32_t)call->arguments[4],
        .cache = CACHE_UNCACHED,
    };
    vaddr_t at;
    status_t status = region_map(region_of(call->capability.object), &call->capability,
                                 cap_handle(call->arguments[0]), &request, &at);
    return status != STATUS_OK ? status : (int64_t)vaddr_number(at);
}

status_t decode_dma_create(struct call *call)
{
    uint64_t bytes = call->arguments[0];
    if (bytes == 0 || bytes > DMA_MAX_BYTES) {
        return FAIL(STATUS_ERR_RANGE, bytes, DMA_MAX_BYTES);
    }
    return user_range(vaddr_make(call->arguments[1]), sizeof(uint64_t));
}

/* Who does not learn where the memory is has no use for it. */
int64_t invoke_dma_create(struct call *call)
{
    cap_handle_t handle = {0};
    paddr_t physical = {0};
    uint64_t pages = align_up(call->arguments[0], PAGE_SIZE) / PAGE_SIZE;
    status_t status = region_create_dma(call->process->caps, pages, &handle, &physical);
    if (status == STATUS_OK) {
        uint64_t number = paddr_number(physical);
        status = user_write(vaddr_make(call->arguments[1]), &number, sizeof(number));
        if (status != STATUS_OK && cap_delete(call->process->caps, handle) != STATUS_OK) {
            return status; /* another thread was first */
        }
    }
    return call_handle_result(status, handle);
}

status_t decode_gsi_create(struct call *call)
{
    uint64_t number = call->arguments[0];
    if (number < ISA_IRQS || number >= IRQ_LINES) {
        return FAIL(STATUS_ERR_RANGE, number, IRQ_LINES);
    }
    return (call->arguments[1] & ~(uint64_t)(GSI_LEVEL | GSI_ACTIVE_LOW)) == 0
               ? STATUS_OK
               : FAIL(STATUS_ERR_UNKNOWN_BITS, call->arguments[1], GSI_LEVEL | GSI_ACTIVE_LOW);
}

int64_t invoke_gsi_create(struct call *call)
{
    cap_handle_t handle = {0};
    const struct irq_trigger trigger = {.level = (call->arguments[1] & GSI_LEVEL) != 0,
                                        .active_low = (call->arguments[1] & GSI_ACTIVE_LOW) != 0};
    status_t status = irq_create(call->process->caps, (uint32_t)call->arguments[0], trigger, &handle);
    return call_handle_result(status, handle);
}
