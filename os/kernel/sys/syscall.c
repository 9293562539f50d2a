/*
 * System calls: the table of abi/syscalls.def turned into a dispatch. A row's capability is checked before
 * its body runs; a body decodes its arguments (which can fail) and acts. Results: a value, or a negative
 * status.
 */
#include "sys/syscall.h"

#include "abi/abi.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/power.h"
#include "arch/x86_64/uart.h"
#include "cap/cap.h"
#include "console.h"
#include "lib/string.h"
#include "mm/layout.h"
#include "mm/vm.h"
#include "proc/process.h"
#include "proc/usercopy.h"
#include "sched/reaper.h"
#include "sched/sched.h"
#include "sys/boot_arguments.h"
#include "sys/quiesce.h"
#include "sys/stats.h"

#define WRITE_MAX 4096u
#define PIECE     CONSOLE_LINE
/* where memory goes that the program does not care to place */
#define MAP_BASE            0x0000100000000000ull
#define SHUTDOWN_GRACE_NS   100000000ull
#define RFLAGS_USER_FORCED  0x200u
#define RFLAGS_USER_ALLOWED 0x240dd5u /* status flags, TF, IF, DF, AC, ID */

struct call {
    struct frame *frame;
    uint64_t arguments[6];
};

static int64_t body_exit(struct call *call)
{
    process_exit((int32_t)(call->arguments[0] & 0xff));
}

static int64_t body_fork(struct call *call)
{
    pid_t child;
    status_t status = process_fork(call->frame, &child);
    return status != STATUS_OK ? status : (int64_t)child.number;
}

static int64_t body_exec(struct call *call)
{
    status_t status = process_exec(call->frame, vaddr_make(call->arguments[0]),
                                   vaddr_make(call->arguments[1]), vaddr_make(call->arguments[2]));
    return status;
}

static int64_t body_wait(struct call *call)
{
    vaddr_t out = vaddr_make(call->arguments[1]);
    int32_t exit_status = 0;
    if (call->arguments[0] > UINT32_MAX || (call->arguments[2] & ~(uint64_t)WAIT_NO_BLOCK) != 0) {
        return STATUS_ERR_ARGUMENT;
    }
    /* A bad pointer is told before a child is lost for it. */
    if (vaddr_number(out) != 0) {
        status_t status = user_write(out, &exit_status, sizeof(exit_status));
        if (status != STATUS_OK) {
            return status;
        }
    }
    pid_t ended;
    status_t status = process_wait((pid_t){(uint32_t)call->arguments[0]},
                                   (call->arguments[2] & WAIT_NO_BLOCK) == 0, &ended, &exit_status);
    if (status != STATUS_OK) {
        return status == STATUS_ERR_AGAIN ? 0 : status;
    }
    if (vaddr_number(out) != 0) {
        status = user_write(out, &exit_status, sizeof(exit_status));
    }
    return status != STATUS_OK ? status : (int64_t)ended.number;
}

static int64_t body_getpid(struct call *call)
{
    (void)call;
    return process_current()->pid.number;
}

static int64_t body_getppid(struct call *call)
{
    (void)call;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    const struct process *parent = process_current()->parent;
    int64_t pid = parent != NULL ? (int64_t)parent->pid.number : 0;
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return pid;
}

static int64_t body_yield(struct call *call)
{
    (void)call;
    sched_yield();
    return 0;
}

static int64_t body_sleep(struct call *call)
{
    const uint64_t longest_ns = 1ull << 60;
    uint64_t ns = call->arguments[0] < longest_ns ? call->arguments[0] : longest_ns;
    sched_sleep_until(clock_cycles() + clock_cycles_from_ns(ns));
    return 0;
}

static int64_t body_clock(struct call *call)
{
    (void)call;
    return (int64_t)clock_ns_from_cycles(clock_cycles());
}

/* Copies text in by pieces and hands each to a port. */
static int64_t write_pieces(const struct call *call, enum uart_id port)
{
    uint64_t bytes = call->arguments[1];
    if (bytes > WRITE_MAX) {
        return STATUS_ERR_RANGE;
    }
    for (uint64_t done = 0; done < bytes;) {
        char piece[PIECE];
        uint64_t count = bytes - done < sizeof(piece) ? bytes - done : sizeof(piece);
        status_t status = user_read(piece, vaddr_make(call->arguments[0] + done), count);
        if (status != STATUS_OK) {
            return status;
        }
        uart_write(port, piece, count);
        done += count;
    }
    return (int64_t)bytes;
}

static int64_t body_console_write(struct call *call)
{
    return write_pieces(call, UART_CONSOLE);
}

static int64_t body_driver_write(struct call *call)
{
    return uart_present(UART_DRIVER) ? write_pieces(call, UART_DRIVER) : STATUS_ERR_NOT_FOUND;
}

static int64_t body_driver_read(struct call *call)
{
    char piece[PIECE];
    uint64_t limit = call->arguments[1] < sizeof(piece) ? call->arguments[1] : sizeof(piece);
    if (!uart_present(UART_DRIVER)) {
        return STATUS_ERR_NOT_FOUND;
    }
    if (limit == 0 || (call->arguments[2] & ~(uint64_t)DRIVER_READ_OR_CHILD) != 0) {
        return STATUS_ERR_ARGUMENT;
    }
    /* A bad pointer is told before input is lost for it. */
    memset(piece, 0, limit);
    status_t status = user_write(vaddr_make(call->arguments[0]), piece, limit);
    if (status != STATUS_OK) {
        return status;
    }
    bool or_child = (call->arguments[2] & DRIVER_READ_OR_CHILD) != 0;
    size_t count = uart_read(UART_DRIVER, piece, limit, or_child ? &process_current()->child_ended : NULL,
                             process_has_zombie);
    status = user_write(vaddr_make(call->arguments[0]), piece, count);
    return status != STATUS_OK ? status : (int64_t)count;
}

_Static_assert(PROTECT_READ == VM_READ && PROTECT_WRITE == VM_WRITE && PROTECT_EXECUTE == VM_EXECUTE &&
                   MAP_EXACT == VM_FIXED,
               "the ABI's protection bits are the kernel's");

static int64_t body_map(struct call *call)
{
    vaddr_t out;
    if ((call->arguments[2] & ~(uint64_t)(VM_PROTECTION_ALL | VM_FIXED)) != 0) {
        return STATUS_ERR_UNKNOWN_BITS;
    }
    bool anywhere = call->arguments[0] == 0 && (call->arguments[2] & VM_FIXED) == 0;
    vaddr_t hint = vaddr_make(anywhere ? MAP_BASE : call->arguments[0]);
    status_t status =
        vm_map(process_current()->space, hint, call->arguments[1], (uint32_t)call->arguments[2], &out);
    return status != STATUS_OK ? status : (int64_t)vaddr_number(out);
}

static int64_t body_unmap(struct call *call)
{
    return vm_unmap(process_current()->space, vaddr_make(call->arguments[0]), call->arguments[1]);
}

static int64_t body_protect(struct call *call)
{
    if ((call->arguments[2] & ~(uint64_t)VM_PROTECTION_ALL) != 0) {
        return STATUS_ERR_UNKNOWN_BITS;
    }
    return vm_protect(process_current()->space, vaddr_make(call->arguments[0]), call->arguments[1],
                      (uint32_t)call->arguments[2]);
}

static int64_t body_stats(struct call *call)
{
    return stats_copy_out(vaddr_make(call->arguments[0]), call->arguments[1]);
}

static int64_t body_shutdown(struct call *call)
{
    if (call->arguments[0] > 0xff) {
        return STATUS_ERR_RANGE;
    }
    uart_flush(UART_DRIVER);
    uart_flush(UART_CONSOLE);
    if (call->arguments[0] == 0) {
        power_off();
    } else {
        power_debug_exit((uint8_t)call->arguments[0]);
    }
    sched_sleep_until(clock_cycles() +
                      clock_cycles_from_ns(SHUTDOWN_GRACE_NS)); /* the power goes at leisure */
    return STATUS_ERR_UNSUPPORTED;
}

static int64_t body_quiesce(struct call *call)
{
    (void)call;
    quiesce();
    return 0;
}

static int64_t body_boot_arguments(struct call *call)
{
    return boot_arguments_copy_out(vaddr_make(call->arguments[0]), call->arguments[1]);
}

static int64_t body_cap_read(struct call *call)
{
    struct cap_info info;
    if (call->arguments[0] >= CAP_MAX_SLOTS) {
        return STATUS_ERR_CAP_INVALID;
    }
    status_t status = cap_read(process_current()->caps, (unsigned)call->arguments[0], &info);
    if (status == STATUS_OK) {
        status = user_write(vaddr_make(call->arguments[1]), &info, sizeof(info));
    }
    return status;
}

static int64_t body_quota(struct call *call)
{
    return call->arguments[0] > UINT32_MAX ? STATUS_ERR_RANGE
                                           : process_quota_set((uint32_t)call->arguments[0]);
}

static const struct {
    int64_t (*body)(struct call *call);
    enum cap_type capability;
    uint32_t rights;
} table[SYS_COUNT] = {
#define SYSCALL(number, id, name, needs, required, result, arguments, returns, text) \
    [SYS_##id] = {.body = body_##name, .capability = CAP_##needs, .rights = (required)},
#include "abi/syscalls.def"
#undef SYSCALL
};

static int64_t invoke(struct frame *frame)
{
    if (frame->rax >= SYS_COUNT) {
        return STATUS_ERR_NO_SYSCALL;
    }
    uint64_t number = frame->rax;
    struct process *process = process_current();
    process->syscalls++;
    if (table[number].capability != CAP_NONE) {
        status_t status = cap_require(process->caps, table[number].capability, table[number].rights);
        if (status != STATUS_OK) {
            return status;
        }
    }
    struct call call = {frame, {frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9}};
    int64_t result = table[number].body(&call);
    if (result == STATUS_ERR_NO_MEMORY && reaper_reclaim()) {
        result = table[number].body(&call); /* what fails for want of memory has changed nothing */
    }
    return result;
}

void syscall_dispatch(struct frame *frame)
{
    arch_irq_enable();
    uint64_t number = frame->rax;
    int64_t result = invoke(frame);
    if (number != SYS_EXEC || result != STATUS_OK) { /* a new program starts with clear registers */
        frame->rax = (uint64_t)result;
    }
    arch_irq_disable();
    if (thread_current()->need_resched) {
        sched_preempt_from_interrupt();
    }
    frame->rflags = (frame->rflags & RFLAGS_USER_ALLOWED) | RFLAGS_USER_FORCED;
    if (frame->rip >= USER_END) { /* the instruction after a SYSCALL at the very end of the user half */
        process_fault(frame, frame->rip, STATUS_ERR_BAD_ADDRESS);
    }
}
