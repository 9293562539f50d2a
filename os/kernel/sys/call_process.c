/* System calls of processes and time. */
#include "sys/syscall.h"

#include "arch/x86_64/clock.h"
#include "proc/initrd.h"
#include "proc/process.h"
#include "proc/threads.h"
#include "proc/usercopy.h"
#include "sched/patience.h"
#include "sched/sched.h"

#define FILE_READ_MAX 65536u

status_t decode_exit(struct call *call)
{
    call->arguments[0] &= 0xff;
    return STATUS_OK;
}

int64_t invoke_exit(struct call *call)
{
    process_exit((int32_t)call->arguments[0]);
}

int64_t invoke_fork(struct call *call)
{
    pid_t child;
    status_t status = process_fork(call->frame, &child);
    return status != STATUS_OK ? status : (int64_t)child.number;
}

/* The program's strings are read and checked while the new one is built; until that stands the old one is untouched. */
status_t decode_exec(struct call *call)
{
    (void)call;
    return STATUS_OK;
}

int64_t invoke_exec(struct call *call)
{
    return process_exec(call->frame, vaddr_make(call->arguments[0]), vaddr_make(call->arguments[1]),
                        vaddr_make(call->arguments[2]));
}

status_t decode_spawn(struct call *call)
{
    uint64_t count = call->arguments[4];
    if (count == 0) {
        return STATUS_OK;
    }
    return count <= SPAWN_CAPS_MAX
               ? user_range(vaddr_make(call->arguments[3]), count * sizeof(struct spawn_cap))
               : FAIL(STATUS_ERR_LIMIT, count, SPAWN_CAPS_MAX);
}

int64_t invoke_spawn(struct call *call)
{
    struct spawn_cap caps[SPAWN_CAPS_MAX];
    char path[PATH_MAX_BYTES];
    uint64_t length;
    uint32_t count = (uint32_t)call->arguments[4];
    vaddr_t given_to = vaddr_make(call->arguments[3]);
    pid_t child;
    status_t status = user_read_string(path, vaddr_make(call->arguments[0]), sizeof(path), &length);
    if (status == STATUS_OK && count != 0) {
        status = user_read(caps, given_to, count * sizeof(caps[0]));
    }
    if (status == STATUS_OK) {
        status = process_spawn(path, vaddr_make(call->arguments[1]), vaddr_make(call->arguments[2]), caps,
                               count, given_to, &child);
    }
    return status != STATUS_OK ? status : (int64_t)child.number;
}

/* A bad pointer is told before a child is lost for it. */
status_t decode_wait(struct call *call)
{
    const int32_t nothing = 0;
    if (call->arguments[0] > UINT32_MAX || (call->arguments[2] & ~(uint64_t)WAIT_NO_BLOCK) != 0) {
        return FAIL(STATUS_ERR_ARGUMENT, call->arguments[0], call->arguments[2]);
    }
    return call->arguments[1] != 0 ? user_write(vaddr_make(call->arguments[1]), &nothing, sizeof(nothing))
                                   : STATUS_OK;
}

int64_t invoke_wait(struct call *call)
{
    pid_t ended;
    int32_t exit_status = 0;
    status_t status = process_wait((pid_t){(uint32_t)call->arguments[0]},
                                   (call->arguments[2] & WAIT_NO_BLOCK) == 0, &ended, &exit_status);
    if (status != STATUS_OK) {
        return status == STATUS_ERR_AGAIN ? 0 : status;
    }
    if (call->arguments[1] != 0) {
        status = user_write(vaddr_make(call->arguments[1]), &exit_status, sizeof(exit_status));
    }
    return status != STATUS_OK ? status : (int64_t)ended.number;
}

int64_t invoke_getpid(struct call *call)
{
    return call->process->pid.number;
}

int64_t invoke_getppid(struct call *call)
{
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    const struct process *parent = call->process->parent;
    int64_t number = parent != NULL ? (int64_t)parent->pid.number : 0;
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return number;
}

int64_t invoke_yield(struct call *call)
{
    (void)call;
    sched_yield();
    return 0;
}

status_t decode_sleep(struct call *call)
{
    call->arguments[0] = call->arguments[0] < PATIENCE_MAX_NS ? call->arguments[0] : PATIENCE_MAX_NS;
    return STATUS_OK;
}

int64_t invoke_sleep(struct call *call)
{
    uint64_t deadline = clock_cycles() + clock_cycles_from_ns(call->arguments[0]);
    while (clock_cycles() < deadline) {
        sched_prepare_wait();
        if (thread_must_end()) {
            sched_cancel_wait();
            break;
        }
        sched_block(deadline);
    }
    return 0;
}

int64_t invoke_clock(struct call *call)
{
    (void)call;
    return (int64_t)clock_ns_from_cycles(clock_cycles());
}

status_t decode_quota(struct call *call)
{
    return call->arguments[0] > UINT32_MAX ? FAIL(STATUS_ERR_RANGE, call->arguments[0], UINT32_MAX)
                                           : STATUS_OK;
}

int64_t invoke_quota(struct call *call)
{
    return process_quota_set((uint32_t)call->arguments[0]);
}

status_t decode_process_kill(struct call *call)
{
    return call->arguments[0] != 0 && call->arguments[0] <= UINT32_MAX && call->arguments[1] <= 0xff
               ? STATUS_OK
               : FAIL(STATUS_ERR_ARGUMENT, call->arguments[0], call->arguments[1]);
}

int64_t invoke_process_kill(struct call *call)
{
    return process_kill((pid_t){(uint32_t)call->arguments[0]}, (int32_t)call->arguments[1]);
}

status_t decode_file_read(struct call *call)
{
    return call->arguments[3] <= FILE_READ_MAX
               ? user_range(vaddr_make(call->arguments[2]), call->arguments[3])
               : FAIL(STATUS_ERR_RANGE, call->arguments[3], FILE_READ_MAX);
}

int64_t invoke_file_read(struct call *call)
{
    char path[PATH_MAX_BYTES];
    uint64_t length;
    struct initrd_file file;
    uint64_t offset = call->arguments[1];
    status_t status = user_read_string(path, vaddr_make(call->arguments[0]), sizeof(path), &length);
    if (status == STATUS_OK) {
        status = initrd_find(path, &file);
    }
    if (status != STATUS_OK || offset >= file.bytes) {
        return status;
    }
    uint64_t left = file.bytes - offset;
    uint64_t count = call->arguments[3] < left ? call->arguments[3] : left;
    status = user_write(vaddr_make(call->arguments[2]), (const char *)file.data + offset, count);
    return status != STATUS_OK ? status : (int64_t)count;
}
