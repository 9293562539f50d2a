/* Figures of a process, read under the lock of the tree: parent, children and threads are of one moment. */
#include "proc/threads.h"

status_t process_own_locked(const struct process *process)
{
    if (process->state == PROCESS_DEAD) {
        return STATUS_ERR_NO_PROCESS;
    }
    while (process != NULL && process != process_current()) {
        process = process->parent;
    }
    return process != NULL ? STATUS_OK : STATUS_ERR_PERMISSION;
}

static void threads_locked(const struct process *process, struct process_info *out)
{
    out->threads = process->thread_count;
    out->main_thread = process_main_thread_locked(process).number;
    out->syscalls = process->syscalls;
    out->messages = process->messages;
    list_for_each(node, &process->threads)
    {
        const struct thread *thread = list_entry(node, struct thread, process_node);
        out->threads_listed++;
        out->syscalls += thread->syscalls;
        out->messages += thread->messages;
    }
}

static void read_locked(const struct process *process, struct process_info *out)
{
    *out = (struct process_info){.pid = process->pid.number};
    out->parent = process->parent != NULL ? process->parent->pid.number : 0;
    if (process->space != NULL) {
        const struct vm_stats *memory = &process->space->stats;
        out->resident_pages = memory->resident_pages;
        out->table_frames = process->space->table.tables;
        out->area_bytes = memory->area_bytes;
        out->faults = memory->faults;
    }
    threads_locked(process, out);
    list_for_each(node, &process->children)
    {
        out->children++;
    }
}

status_t process_info_read(pid_t pid, struct process_info *out)
{
    struct process *process = pid.number != 0 ? process_get(pid) : NULL;
    if (pid.number != 0 && process == NULL) {
        return STATUS_ERR_NO_PROCESS;
    }
    const struct process *about = process != NULL ? process : process_current();
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    status_t status = process_own_locked(about);
    if (status == STATUS_OK) {
        read_locked(about, out);
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
    if (process != NULL) {
        process_put(process);
    }
    return status;
}
