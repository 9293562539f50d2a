/* spawn: a child from a program and capabilities, built whole before anybody can see it. */
#include "proc/process.h"

#include "proc/program.h"
#include "proc/usercopy.h"
#include "sched/sched.h"

static status_t give_one(struct process *child, struct spawn_cap *cap)
{
    cap_handle_t given;
    if (((cap->flags & ~CAP_FLAGS_ALL) | (cap->rights & ~RIGHTS_ALL)) != 0) {
        return STATUS_ERR_UNKNOWN_BITS;
    }
    status_t status = cap_derive(process_current()->caps, cap_handle(cap->handle), child->caps, cap->rights,
                                 cap->flags, &given);
    if (status == STATUS_OK && cap->handle < CAP_WELL_KNOWN_SLOTS) {
        status = cap_move(child->caps, given, child->caps, (uint32_t)cap->handle, &given);
    }
    cap->given = given.word;
    return status;
}

static status_t give(struct process *child, struct spawn_cap *caps, uint32_t count, vaddr_t given_to)
{
    child->caps = cap_space_create(child->pid);
    status_t status = child->caps != NULL ? STATUS_OK : STATUS_ERR_NO_MEMORY;
    for (uint32_t i = 0; status == STATUS_OK && i < count; i++) {
        status = give_one(child, &caps[i]);
    }
    return status == STATUS_OK && count != 0 ? user_write(given_to, caps, count * sizeof(caps[0])) : status;
}

static status_t load(struct process *child, const char *path, vaddr_t argv, vaddr_t envp,
                     struct program *program)
{
    struct program_strings *strings;
    status_t status = program_strings_read(argv, envp, &strings);
    if (status == STATUS_OK) {
        status = program_load(path, strings, child->pid, program);
        program_strings_free(strings);
    }
    if (status == STATUS_OK) {
        child->space = program->space;
        child->tls = program->tls;
    }
    return status;
}

static status_t make_thread(struct process *child, const struct program *program)
{
    struct thread *thread;
    status_t status = thread_create(&thread, sched_params_of_child(thread_current()), NULL, NULL);
    if (status == STATUS_OK) {
        struct user_start start = program_start(program);
        arch_thread_first_user(thread, &start);
        thread->process = child;
        thread->space = child->space;
        child->main_thread = thread;
    }
    return status;
}

static status_t charge(struct process *child)
{
    struct process_quota *quota = __atomic_load_n(&process_current()->quota, __ATOMIC_ACQUIRE);
    status_t status = quota_charge(quota);
    if (status == STATUS_OK) {
        child->quota = quota;
    } else {
        thread_destroy_new(child->main_thread);
    }
    return status;
}

status_t process_spawn(const char *path, vaddr_t argv, vaddr_t envp, struct spawn_cap *caps, uint32_t count,
                       vaddr_t given_to, pid_t *out)
{
    struct process *child = process_make();
    struct program program;
    if (child == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    status_t status = load(child, path, argv, envp, &program);
    if (status == STATUS_OK) {
        status = give(child, caps, count, given_to);
    }
    if (status == STATUS_OK) {
        status = make_thread(child, &program);
    }
    if (status == STATUS_OK) {
        status = charge(child);
    }
    if (status != STATUS_OK) {
        process_unmake(child);
        return status;
    }
    struct process *parent = process_current();
    struct thread *thread = child->main_thread;
    rate_gate_inherit(&child->rate, &parent->rate);
    process_name_set(child, path);
    *out = child->pid;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    process_link_locked(child, parent);
    process_add_thread_locked(child, thread);
    spin_unlock_irqrestore(&process_tree_lock, flags);
    sched_start(thread);
    return STATUS_OK;
}
