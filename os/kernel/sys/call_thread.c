/* System calls of threads, of the words they wait at, and figures of processes. */
#include "sys/syscall.h"

#include "arch/x86_64/clock.h"
#include "mm/layout.h"
#include "proc/futex.h"
#include "proc/threads.h"
#include "proc/usercopy.h"
#include "sched/patience.h"

status_t decode_thread_create(struct call *call)
{
    return user_range(vaddr_make(call->arguments[0]), sizeof(struct thread_params));
}

static status_t check_params(const struct thread_params *params)
{
    if ((params->flags & ~(uint64_t)THREAD_DETACHED) != 0) {
        return FAIL(STATUS_ERR_UNKNOWN_BITS, params->flags, THREAD_DETACHED);
    }
    if (params->stack_bytes > THREAD_STACK_MAX_BYTES) {
        return FAIL(STATUS_ERR_RANGE, params->stack_bytes, THREAD_STACK_MAX_BYTES);
    }
    return user_range(vaddr_make(params->entry), 1);
}

int64_t invoke_thread_create(struct call *call)
{
    struct thread_params params;
    tid_t tid;
    status_t status = user_read(&params, vaddr_make(call->arguments[0]), sizeof(params));
    if (status == STATUS_OK) {
        status = check_params(&params);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct thread_request request = {.entry = params.entry,
                                     .detached = (params.flags & THREAD_DETACHED) != 0};
    uint64_t wanted = params.stack_bytes != 0 ? params.stack_bytes : THREAD_STACK_BYTES;
    request.stack_bytes = align_up(wanted, PAGE_SIZE);
    for (unsigned i = 0; i < 6; i++) {
        request.arguments[i] = params.arguments[i];
    }
    status = process_thread_create(&request, &tid);
    return status != STATUS_OK ? status : (int64_t)tid.number;
}

status_t decode_thread_exit(struct call *call)
{
    (void)call;
    return STATUS_OK;
}

int64_t invoke_thread_exit(struct call *call)
{
    process_thread_exit(call->arguments[0]);
}

/* A bad pointer is told before a value is lost for it. */
status_t decode_thread_join(struct call *call)
{
    const uint64_t nothing = 0;
    if (call->arguments[0] > UINT32_MAX) {
        return FAIL(STATUS_ERR_ARGUMENT, call->arguments[0], UINT32_MAX);
    }
    return call->arguments[1] != 0 ? user_write(vaddr_make(call->arguments[1]), &nothing, sizeof(nothing))
                                   : STATUS_OK;
}

int64_t invoke_thread_join(struct call *call)
{
    uint64_t value;
    status_t status = process_thread_join((tid_t){(uint32_t)call->arguments[0]},
                                          patience_deadline(call->arguments[2]), &value);
    if (status == STATUS_OK && call->arguments[1] != 0) {
        status = user_write(vaddr_make(call->arguments[1]), &value, sizeof(value));
    }
    return status;
}

int64_t invoke_thread_self(struct call *call)
{
    (void)call;
    return thread_current()->tid.number;
}

static status_t decode_word(const struct call *call, uint64_t flags)
{
    vaddr_t word = vaddr_make(call->arguments[0]);
    if ((flags & ~(uint64_t)FUTEX_PRIVATE) != 0) {
        return FAIL(STATUS_ERR_UNKNOWN_BITS, flags, FUTEX_PRIVATE);
    }
    return vaddr_aligned(word, sizeof(uint32_t))
               ? user_range(word, sizeof(uint32_t))
               : FAIL(STATUS_ERR_UNALIGNED, vaddr_number(word), sizeof(uint32_t));
}

status_t decode_futex_wait(struct call *call)
{
    return call->arguments[1] <= UINT32_MAX ? decode_word(call, call->arguments[3])
                                            : FAIL(STATUS_ERR_RANGE, call->arguments[1], UINT32_MAX);
}

int64_t invoke_futex_wait(struct call *call)
{
    return futex_wait(vaddr_make(call->arguments[0]), (call->arguments[3] & FUTEX_PRIVATE) != 0,
                      (uint32_t)call->arguments[1], patience_deadline(call->arguments[2]));
}

status_t decode_futex_wake(struct call *call)
{
    return call->arguments[1] <= UINT32_MAX ? decode_word(call, call->arguments[2])
                                            : FAIL(STATUS_ERR_RANGE, call->arguments[1], UINT32_MAX);
}

int64_t invoke_futex_wake(struct call *call)
{
    uint32_t woken;
    status_t status = futex_wake(vaddr_make(call->arguments[0]), (call->arguments[2] & FUTEX_PRIVATE) != 0,
                                 (uint32_t)call->arguments[1], &woken);
    return status != STATUS_OK ? status : (int64_t)woken;
}

status_t decode_process_info(struct call *call)
{
    return call->arguments[0] > UINT32_MAX
               ? FAIL(STATUS_ERR_ARGUMENT, call->arguments[0], UINT32_MAX)
               : user_range(vaddr_make(call->arguments[1]), sizeof(struct process_info));
}

int64_t invoke_process_info(struct call *call)
{
    struct process_info info;
    status_t status = process_info_read((pid_t){(uint32_t)call->arguments[0]}, &info);
    return status != STATUS_OK ? status : user_write(vaddr_make(call->arguments[1]), &info, sizeof(info));
}
