/* fork: everything that can fail is built before the child can be seen by anybody. */
#include "proc/process.h"

#include "arch/x86_64/switch.h"
#include "lib/string.h"
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
    status_t status = clone_resources(parent, child, &thread);
    if (status == STATUS_OK) {
        status = quota_charge(parent->quota);
        if (status != STATUS_OK) {
            thread_destroy_new(thread);
        }
    }
    if (status != STATUS_OK) {
        process_unmake(child);
        return status;
    }
    child->quota = parent->quota;
    rate_gate_inherit(&child->rate, &parent->rate);
    memcpy(child->name, parent->name, sizeof(child->name));
    struct frame *child_frame = thread_user_frame(thread);
    *child_frame = *frame;
    child_frame->rax = 0;
    arch_thread_clone_user_state(thread_current(), thread);
    thread->process = child;
    thread->space = child->space;
    list_push_back(&child->threads, &thread->process_node);
    child->thread_count = 1;
    *out = child->pid;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    process_link_locked(child, parent);
    spin_unlock_irqrestore(&process_tree_lock, flags);
    sched_start(thread);
    return STATUS_OK;
}
