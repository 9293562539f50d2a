/* System calls of scheduling: whom they are about, policy, affinity, figures. */
#include "sys/syscall.h"

#include "proc/process.h"
#include "proc/usercopy.h"
#include "sched/sched.h"
#include "smp/hotplug.h"

/* What is done with each thread that a call is about; under the lock of the process tree. */
typedef status_t (*thread_action)(struct thread *thread, void *context);

static status_t decode_target(const struct call *call)
{
    return call->arguments[0] <= SCHED_PROCESS && call->arguments[1] <= UINT32_MAX
               ? STATUS_OK
               : FAIL(STATUS_ERR_ARGUMENT, call->arguments[0], call->arguments[1]);
}

/* All threads of a process, or the one of a number (0: all); the tree is locked. */
static status_t for_threads(struct process *process, tid_t tid, thread_action action, void *context)
{
    bool found = false;
    status_t status = STATUS_OK;
    list_for_each(node, &process->threads)
    {
        struct thread *thread = list_entry(node, struct thread, process_node);
        if (tid.number == 0 || thread->tid.number == tid.number) {
            found = true;
            status = action(thread, context);
        }
        if (status != STATUS_OK) {
            break;
        }
    }
    return found ? status : FAIL(STATUS_ERR_NOT_FOUND, tid.number, 0);
}

static status_t for_target(const struct call *call, thread_action action, void *context)
{
    uint32_t number = (uint32_t)call->arguments[1];
    bool of_process = call->arguments[0] == SCHED_PROCESS;
    if (!of_process && (number == 0 || number == thread_current()->tid.number)) {
        return action(thread_current(), context);
    }
    struct process *process = of_process && number != 0 ? process_get((pid_t){number}) : NULL;
    if (of_process && number != 0 && process == NULL) {
        return FAIL(STATUS_ERR_NO_PROCESS, number, 0);
    }
    struct process *about = process != NULL ? process : process_current();
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    status_t status = process_own_locked(about);
    status = status == STATUS_OK ? for_threads(about, (tid_t){of_process ? 0 : number}, action, context)
                                 : FAIL(status, number, 0);
    spin_unlock_irqrestore(&process_tree_lock, flags);
    sched_switch_if_needed();
    if (process != NULL) {
        process_put(process);
    }
    return status;
}

static status_t set_params(struct thread *thread, void *context)
{
    return sched_set_params(thread, context);
}

status_t decode_sched_set(struct call *call)
{
    status_t status = decode_target(call);
    return status != STATUS_OK ? status
                               : user_range(vaddr_make(call->arguments[2]), sizeof(struct sched_params));
}

int64_t invoke_sched_set(struct call *call)
{
    struct sched_params params;
    status_t status = user_read(&params, vaddr_make(call->arguments[2]), sizeof(params));
    if (status == STATUS_OK) {
        status = sched_params_check(&params);
    }
    if (status == STATUS_OK && params.level > SCHED_LEVEL_MAX) {
        status = FAIL(STATUS_ERR_RANGE, params.level, SCHED_LEVEL_MAX);
    }
    return status != STATUS_OK ? status : for_target(call, set_params, &params);
}

static status_t set_affinity(struct thread *thread, void *context)
{
    return sched_set_affinity(thread, *(const uint64_t *)context);
}

status_t decode_sched_affinity(struct call *call)
{
    return decode_target(call);
}

int64_t invoke_sched_affinity(struct call *call)
{
    return for_target(call, set_affinity, &call->arguments[2]);
}

static status_t read_info(struct thread *thread, void *context)
{
    sched_info_read(thread, context);
    return STATUS_OK;
}

status_t decode_sched_get(struct call *call)
{
    status_t status = decode_target(call);
    return status != STATUS_OK ? status
                               : user_range(vaddr_make(call->arguments[2]), sizeof(struct sched_info));
}

int64_t invoke_sched_get(struct call *call)
{
    struct sched_info info;
    status_t status = for_target(call, read_info, &info);
    return status != STATUS_OK ? status : user_write(vaddr_make(call->arguments[2]), &info, sizeof(info));
}

status_t decode_cpu_set(struct call *call)
{
    return call->arguments[0] <= UINT32_MAX && call->arguments[1] <= 1
               ? STATUS_OK
               : FAIL(STATUS_ERR_RANGE, call->arguments[0], call->arguments[1]);
}

int64_t invoke_cpu_set(struct call *call)
{
    unsigned cpu = (unsigned)call->arguments[0];
    return call->arguments[1] != 0 ? cpu_up(cpu) : cpu_down(cpu);
}
