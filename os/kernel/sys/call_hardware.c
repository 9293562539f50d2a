/* System calls of drivers: ports and interrupt lines. */
#include "sys/syscall.h"

#include "ipc/hardware.h"
#include "proc/process.h"

#define PORT_COUNT 65536u
#define ISA_LINES  16u

static int64_t created(status_t status, cap_handle_t handle)
{
    return status != STATUS_OK ? status : (int64_t)handle.word;
}

status_t decode_ports_create(struct call *call)
{
    uint64_t first = call->arguments[0];
    uint64_t count = call->arguments[1];
    return first < PORT_COUNT && count != 0 && count <= PORT_COUNT - first ? STATUS_OK : STATUS_ERR_RANGE;
}

int64_t invoke_ports_create(struct call *call)
{
    cap_handle_t handle = {0};
    status_t status = ports_create(call->process->caps, (uint32_t)call->arguments[0],
                                   (uint32_t)call->arguments[1], &handle);
    return created(status, handle);
}

static status_t check_access(const struct call *call)
{
    if (call->arguments[2] > 4) {
        return STATUS_ERR_RANGE;
    }
    bool inside =
        ports_contain(ports_of(call->capability.object), call->arguments[1], (uint32_t)call->arguments[2]);
    return inside ? STATUS_OK : STATUS_ERR_RANGE;
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
    return call->arguments[0] < ISA_LINES ? STATUS_OK : STATUS_ERR_RANGE;
}

int64_t invoke_irq_create(struct call *call)
{
    cap_handle_t handle = {0};
    status_t status = irq_create(call->process->caps, (uint32_t)call->arguments[0], &handle);
    return created(status, handle);
}

status_t decode_irq_bind(struct call *call)
{
    return call->arguments[2] != 0 ? STATUS_OK : STATUS_ERR_ARGUMENT;
}

int64_t invoke_irq_bind(struct call *call)
{
    return irq_bind(irq_of(call->capability.object), call->capability.id, call->process->caps,
                    cap_handle(call->arguments[1]), call->arguments[2]);
}

status_t decode_irq_acknowledge(struct call *call)
{
    return call->arguments[0] != 0 ? STATUS_OK : STATUS_ERR_CAP_INVALID;
}

int64_t invoke_irq_acknowledge(struct call *call)
{
    return irq_acknowledge(irq_of(call->capability.object));
}
