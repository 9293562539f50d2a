/* System calls of capabilities. Handles are checked where they are used, in one step with what is done to them. */
#include "sys/syscall.h"

#include "mm/kheap.h"
#include "proc/process.h"
#include "proc/usercopy.h"

#define AUDIT_MAX 64u

/* Rights and flags as a program may ask for them. */
static status_t check_bits(uint64_t rights, uint64_t flags)
{
    if ((rights & ~(uint64_t)RIGHTS_ALL) != 0 || (flags & ~(uint64_t)CAP_FLAGS_ALL) != 0) {
        return FAIL(STATUS_ERR_UNKNOWN_BITS, rights, flags);
    }
    const uint64_t both = CAP_FLAG_INHERIT_COPY | CAP_FLAG_INHERIT_NONE;
    return (flags & both) == both ? FAIL(STATUS_ERR_ARGUMENT, flags, both) : STATUS_OK;
}

static cap_handle_t handle_of(const struct call *call)
{
    return cap_handle(call->arguments[0]);
}

status_t decode_cap_read(struct call *call)
{
    return user_range(vaddr_make(call->arguments[1]), sizeof(struct cap_info));
}

int64_t invoke_cap_read(struct call *call)
{
    struct cap_info info;
    status_t status = cap_read(call->process->caps, handle_of(call), &info);
    return status == STATUS_OK ? user_write(vaddr_make(call->arguments[1]), &info, sizeof(info)) : status;
}

status_t decode_cap_derive(struct call *call)
{
    return check_bits(call->arguments[1], call->arguments[2]);
}

int64_t invoke_cap_derive(struct call *call)
{
    cap_handle_t out;
    status_t status = cap_derive(call->process->caps, handle_of(call), call->process->caps,
                                 (uint32_t)call->arguments[1], (uint32_t)call->arguments[2], &out);
    return call_handle_result(status, out);
}

status_t decode_cap_copy(struct call *call)
{
    (void)call;
    return STATUS_OK;
}

int64_t invoke_cap_copy(struct call *call)
{
    cap_handle_t out;
    status_t status = cap_copy(call->process->caps, handle_of(call), &out);
    return call_handle_result(status, out);
}

status_t decode_cap_move(struct call *call)
{
    return call->arguments[1] >= CAP_WELL_KNOWN_SLOTS
               ? FAIL(STATUS_ERR_RANGE, call->arguments[1], CAP_WELL_KNOWN_SLOTS)
               : STATUS_OK;
}

int64_t invoke_cap_move(struct call *call)
{
    cap_handle_t out;
    struct cap_space *space = call->process->caps;
    status_t status = cap_move(space, handle_of(call), space, (uint32_t)call->arguments[1], &out);
    return call_handle_result(status, out);
}

status_t decode_cap_delete(struct call *call)
{
    (void)call;
    return STATUS_OK;
}

int64_t invoke_cap_delete(struct call *call)
{
    return cap_delete(call->process->caps, handle_of(call));
}

status_t decode_cap_revoke(struct call *call)
{
    (void)call;
    return STATUS_OK;
}

int64_t invoke_cap_revoke(struct call *call)
{
    uint64_t count;
    status_t status = cap_revoke(call->process->caps, handle_of(call), &count);
    return status != STATUS_OK ? status : (int64_t)count;
}

status_t decode_cap_next(struct call *call)
{
    (void)call;
    return STATUS_OK;
}

int64_t invoke_cap_next(struct call *call)
{
    cap_handle_t out;
    status_t status = cap_next(call->process->caps, handle_of(call), &out);
    return call_handle_result(status, out);
}

status_t decode_cap_limit(struct call *call)
{
    return call->arguments[0] > CAP_MAX_SLOTS ? FAIL(STATUS_ERR_RANGE, call->arguments[0], CAP_MAX_SLOTS)
                                              : STATUS_OK;
}

int64_t invoke_cap_limit(struct call *call)
{
    return cap_space_limit(call->process->caps, (uint32_t)call->arguments[0]);
}

status_t decode_cap_give(struct call *call)
{
    return call->arguments[1] > UINT32_MAX ? FAIL(STATUS_ERR_NO_PROCESS, call->arguments[1], UINT32_MAX)
                                           : check_bits(call->arguments[2], call->arguments[3]);
}

int64_t invoke_cap_give(struct call *call)
{
    struct cap_space *child = process_child_caps((pid_t){(uint32_t)call->arguments[1]});
    if (child == NULL) {
        return FAIL(STATUS_ERR_NO_PROCESS, call->arguments[1], 0);
    }
    cap_handle_t out;
    status_t status = cap_derive(call->process->caps, handle_of(call), child, (uint32_t)call->arguments[2],
                                 (uint32_t)call->arguments[3], &out);
    cap_space_put(child);
    return call_handle_result(status, out);
}

status_t decode_audit_read(struct call *call)
{
    call->arguments[2] = call->arguments[2] < AUDIT_MAX ? call->arguments[2] : AUDIT_MAX;
    return user_range(vaddr_make(call->arguments[1]), call->arguments[2] * sizeof(struct cap_audit));
}

int64_t invoke_audit_read(struct call *call)
{
    struct cap_audit *records = kmalloc(AUDIT_MAX * sizeof(*records));
    if (records == NULL) {
        return FAIL(STATUS_ERR_NO_MEMORY, AUDIT_MAX * sizeof(*records), 0);
    }
    uint32_t count = cap_audit_read(call->arguments[0], records, (uint32_t)call->arguments[2]);
    status_t status = user_write(vaddr_make(call->arguments[1]), records, count * sizeof(*records));
    kfree(records);
    return status != STATUS_OK ? status : (int64_t)count;
}

status_t decode_cap_stats(struct call *call)
{
    return user_range(vaddr_make(call->arguments[0]), sizeof(struct cap_stats));
}

int64_t invoke_cap_stats(struct call *call)
{
    struct cap_stats stats;
    cap_stats_read(&stats);
    return user_write(vaddr_make(call->arguments[0]), &stats, sizeof(stats));
}
