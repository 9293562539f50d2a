#ifndef OS_KERNEL_SYS_SYSCALL_H
#define OS_KERNEL_SYS_SYSCALL_H

/*
 * System calls. Dispatch (syscall.c) finds the row of abi/syscalls.def, checks the capability that it names, then calls
 *   decode_NAME   if the call has arguments: checks every one and can fail; changes nothing but the call's own record
 *   invoke_NAME   acts on what decode has accepted; fails only for what no check can tell before (memory, limits, peers)
 * A status that is made here is made by FAIL, so that the caller can ask where it came from (lib/fail.h).
 * What fails for want of memory must have changed nothing: it is invoked again after dead threads were freed, unless a copy
 * from or to the program has failed in it (sys/errors.h). Bodies are in call_AREA.c.
 */

#include "abi/abi.h"
#include "arch/x86_64/frame.h"
#include "cap/cap.h"
#include "lib/fail.h"

struct process;

struct call {
    struct frame *frame; /* the caller's registers; a call with more results than RAX writes them here */
    struct process *process;
    uint64_t arguments[6];
    /* SLOT and HANDLE rows: what was checked; its object stays until the call ends. */
    struct cap_view capability;
};

#define DECODED_ARGUMENTS_0()    DECODED_NOT
#define DECODED_ARGUMENTS_1(...) DECODED
#define DECODED_ARGUMENTS_2(...) DECODED
#define DECODED_ARGUMENTS_3(...) DECODED
#define DECODED_ARGUMENTS_4(...) DECODED
#define DECODED_ARGUMENTS_5(...) DECODED
#define DECODED_ARGUMENTS_6(...) DECODED
#define DECODED_NOT(yes, no)     no
#define DECODED(yes, no)         yes

#define SYSCALL(number, id, name, where, type, rights, result, arguments, returns, text) \
    DECODED_##arguments(MUST_CHECK status_t decode_##name(struct call *call);, )         \
        int64_t invoke_##name(struct call *call);
#include "abi/syscalls.def"
#undef SYSCALL

/* What a call returns that makes a capability. A handle is no negative number. */
static inline int64_t call_handle_result(status_t status, cap_handle_t handle)
{
    return status != STATUS_OK ? status : (int64_t)handle.word;
}

/* The flags with which a call returns. */
static inline void syscall_flags_set(struct frame *frame)
{
    frame->rflags = (frame->rflags & FRAME_RFLAGS_ALLOWED) | FRAME_RFLAGS_FORCED;
}

/* Ends a call or an answer that waited on a bare stack (call_ipc.c). */
int64_t continue_ipc(struct frame *frame);

/* From entry.S, for a thread that waited on a bare stack: the rest of its call. Interrupts off before and after. */
void syscall_continue(struct frame *frame);

/* From entry.S: interrupts off on entry and on return; the result goes to the frame's RAX. */
void syscall_dispatch(struct frame *frame);

#endif
