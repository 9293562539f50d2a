/* System calls of capabilities. */
#include "sys/syscall.h"

#include "proc/process.h"
#include "proc/usercopy.h"

status_t decode_cap_read(struct call *call)
{
    return user_range(vaddr_make(call->arguments[1]), sizeof(struct cap_info));
}

int64_t invoke_cap_read(struct call *call)
{
    struct cap_info info;
    status_t status = cap_read(call->process->caps, cap_handle(call->arguments[0]), &info);
    return status == STATUS_OK ? user_write(vaddr_make(call->arguments[1]), &info, sizeof(info)) : status;
}
