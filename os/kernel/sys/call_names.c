/* System calls of names. A name lies in the caller's memory as a string that ends with a zero. */
#include "sys/syscall.h"

#include "abi/ipc.h"
#include "ipc/names.h"
#include "proc/process.h"
#include "proc/usercopy.h"

/* STATUS_ERR_LIMIT: longer than a name may be; STATUS_ERR_ARGUMENT: empty. */
static status_t read_name(const struct call *call, char *text, uint64_t *bytes)
{
    status_t status = user_read_string(text, vaddr_make(call->arguments[0]), NAME_LENGTH_MAX + 1, bytes);
    return status == STATUS_OK && *bytes == 0 ? STATUS_ERR_ARGUMENT : status;
}

status_t decode_name_bind(struct call *call)
{
    return (call->arguments[2] & ~(uint64_t)RIGHTS_ALL) == 0 ? STATUS_OK : STATUS_ERR_UNKNOWN_BITS;
}

int64_t invoke_name_bind(struct call *call)
{
    char text[NAME_LENGTH_MAX + 1];
    uint64_t bytes;
    status_t status = read_name(call, text, &bytes);
    return status != STATUS_OK ? status
                               : names_bind(call->process->pid, call->process->caps, text, bytes,
                                            cap_handle(call->arguments[1]), (uint32_t)call->arguments[2]);
}

status_t decode_name_find(struct call *call)
{
    return user_range(vaddr_make(call->arguments[0]), 1);
}

int64_t invoke_name_find(struct call *call)
{
    char text[NAME_LENGTH_MAX + 1];
    uint64_t bytes;
    cap_handle_t handle = {0};
    status_t status = read_name(call, text, &bytes);
    if (status == STATUS_OK) {
        status = names_find(call->process->caps, text, bytes, &handle);
    }
    return status != STATUS_OK ? status : (int64_t)handle.word;
}

status_t decode_name_unbind(struct call *call)
{
    return user_range(vaddr_make(call->arguments[0]), 1);
}

int64_t invoke_name_unbind(struct call *call)
{
    char text[NAME_LENGTH_MAX + 1];
    uint64_t bytes;
    status_t status = read_name(call, text, &bytes);
    return status != STATUS_OK ? status : names_unbind(call->process->pid, text, bytes);
}
