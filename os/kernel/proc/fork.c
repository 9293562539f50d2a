/*
 * fork: everything that can fail is built before the child can be seen by anybody. Of several threads only the caller is
 * cloned, as in POSIX: it is the child's main thread, and nobody can join it. Stacks and thread-local storage of the others
 * are not in the child, but for the stack of the main thread, where arguments and environment lie. What others had locked
 * stays locked.
 */
#include "proc/process.h"

#include "arch/x86_64/switch.h"
#include "lib/string.h"
#include "mm/layout.h"
#include "sched/sched.h"

static status_t clone_space(struct process *parent, struct process *child)
{
    struct address_space *space = space_block_alloc();
    if (space == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    status_t status = vm_clone(parent->space, space, child->pid);
    if (status != STATUS_OK) {
        space_block_free(space);
        return status;
    }
    child->space = space;
    vm_drop_stacks(space, USER_MAIN_STACK_TOP - 1, thread_current()->user_stack);
    return STATUS_OK;
}

static status_t clone_resources(struct process *parent, struct process *child, struct thread **thread)
{
    child->caps = cap_space_clone(parent->caps, child->pid);
    if (child->caps == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    status_t status = thread_create(thread, sched_params_of_child(thread_current()), NULL, NULL);
    if (status != STATUS_OK) {
        return status;
    }
    status = clone_space(parent, child);
    if (status != STATUS_OK) {
        thread_destroy_new(*thread);
    }
    return status;
}

status_t process_fork(const struct frame *frame, pid_t *out)
{
    struct process *parent = process_current();
    struct process *child = process_make();
    if (child == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    struct thread *thread;
    struct process_quota *quota = __atomic_load_n(&parent->quota, __ATOMIC_ACQUIRE);
    status_t status = clone_resources(parent, child, &thread);
    if (status == STATUS_OK) {
        status = quota_charge(quota);
        if (status != STATUS_OK) {
            thread_destroy_new(thread);
        }
    }
    if (status != STATUS_OK) {
        process_unmake(child);
        return status;
    }
    child->quota = quota;
    rate_gate_inherit(&child->rate, &parent->rate);
    memcpy(child->name, parent->name, sizeof(child->name));
    arch_thread_clone_user(thread_current(), frame, thread);
    thread->process = child;
    thread->space = child->space;
    thread->user_stack = thread_current()->user_stack;
    thread->user_stack_bytes = thread_current()->user_stack_bytes;
    child->main_thread = thread;
    child->tls = parent->tls;
    *out = child->pid;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    process_link_locked(child, parent);
    process_add_thread_locked(child, thread);
    spin_unlock_irqrestore(&process_tree_lock, flags);
    sched_start(thread);
    return STATUS_OK;
}
