/*
 * The dispatch of system calls: number, capability, decode, invoke. Results: a value, or a negative status.
 */
#include "sys/syscall.h"

#include "arch/arch.h"
#include "mm/layout.h"
#include "proc/oom.h"
#include "proc/process.h"
#include "proc/threads.h"
#include "sched/reaper.h"
#include "sched/sched.h"
#include "sys/errors.h"

enum cap_place { WHERE_NOWHERE, WHERE_SLOT, WHERE_HANDLE, WHERE_DIRECT };

static const struct row {
    status_t (*decode)(struct call *call); /* null: nothing to check */
    int64_t (*invoke)(struct call *call);
    enum cap_place where;
    enum cap_type type;
    uint32_t rights;
} table[SYS_COUNT] = {
#define SYSCALL(number, id, name, place, needs, required, result, arguments, returns, text) \
    [SYS_##id] = {.decode = DECODED_##arguments(decode_##name, NULL),                       \
                  .invoke = invoke_##name,                                                  \
                  .where = WHERE_##place,                                                   \
                  .type = CAP_##needs,                                                      \
                  .rights = (required)},
#include "abi/syscalls.def"
#undef SYSCALL
};

/* The capability that the row asks for, with a reference to its object. */
static status_t require(const struct row *row, struct call *call)
{
    cap_handle_t handle =
        row->where == WHERE_SLOT ? cap_well_known(row->type) : cap_handle(call->arguments[0]);
    return cap_get(call->process->caps, handle, row->type, row->rights, &call->capability);
}

static int64_t act(const struct row *row, struct call *call)
{
    status_t status = row->decode != NULL ? row->decode(call) : STATUS_OK;
    if (status != STATUS_OK) {
        return errors_stage(ERROR_STAGE_CHECK, status);
    }
    int64_t result = row->invoke(call);
    while (result == STATUS_ERR_NO_MEMORY && !errors_of_copies() &&
           (reaper_reclaim() || oom_make_room(false))) {
        result = row->invoke(call);
    }
    return result;
}

static int64_t serve(struct frame *frame)
{
    if (frame->rax >= SYS_COUNT || table[frame->rax].invoke == NULL) {
        return errors_stage(ERROR_STAGE_NUMBER, FAIL(STATUS_ERR_NO_SYSCALL, frame->rax, SYS_COUNT));
    }
    const struct row *row = &table[frame->rax];
    struct call call = {.frame = frame,
                        .process = process_current(),
                        .arguments = {frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9}};
    thread_current()->syscalls++;
    if (row->where == WHERE_NOWHERE || row->where == WHERE_DIRECT) {
        return act(row, &call);
    }
    status_t status = require(row, &call);
    if (status != STATUS_OK) {
        return errors_stage(ERROR_STAGE_CAPABILITY, status);
    }
    int64_t result = act(row, &call);
    object_put(call.capability.object);
    return result;
}

/* The way out of every call. Interrupts on before, off after. */
static void leave(struct frame *frame)
{
    arch_irq_disable();
    if (thread_current()->need_resched) {
        sched_preempt_from_interrupt();
    }
    process_check_end();
    syscall_flags_set(frame);
    if (frame->rip >= USER_END) { /* the instruction after a SYSCALL at the very end of the user half */
        process_fault(frame, frame->rip, STATUS_ERR_BAD_ADDRESS);
    }
}

void syscall_dispatch(struct frame *frame)
{
    uint64_t number = frame->rax;
    arch_irq_enable();
    errors_begin();
    int64_t result = serve(frame);
    errors_note(number, result);
    if (number != SYS_EXEC || result != STATUS_OK) { /* a new program starts with clear registers */
        frame->rax = (uint64_t)result;
    } else {
        errors_forget();
    }
    leave(frame);
}

void syscall_continue(struct frame *frame)
{
    arch_irq_enable();
    uint64_t number = frame->rax;
    errors_begin();
    int64_t result = continue_ipc(frame);
    errors_note(number, result);
    frame->rax = (uint64_t)result;
    leave(frame);
}
