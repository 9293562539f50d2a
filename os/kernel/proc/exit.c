/*
 * exit and wait. Order of an exit, on the last thread: memory and capabilities first, so that whoever sees the exit status finds
 * the frames back; then children to init, then the zombie, then the parent is woken. Stack and control block
 * of the thread follow by the reaper.
 */
#include "proc/process.h"
#include "proc/threads.h"

#include "arch/x86_64/trap.h"
#include "console.h"
#include "panic.h"
#include "sched/sched.h"

static void give_back_resources(struct process *process)
{
    space_destroy(process_swap_space(process, NULL));
    uint64_t flags =
        spin_lock_irqsave(&process_tree_lock); /* the parent may be about to put something into it */
    struct cap_space *caps = process->caps;
    process->caps = NULL;
    spin_unlock_irqrestore(&process_tree_lock, flags);
    cap_space_destroy(caps);
}

/* Children of an ending process become init's; what has ended among them wakes init. */
static void reparent_children_locked(struct process *process)
{
    struct process *init = process_init_get();
    bool zombies = false;
    for (struct list *node; (node = list_pop_front(&process->children)) != NULL;) {
        struct process *child = list_entry(node, struct process, sibling_node);
        child->parent = init;
        list_push_back(&init->children, &child->sibling_node);
        zombies |= child->state == PROCESS_ZOMBIE;
    }
    if (zombies) {
        wait_queue_wake_all(&init->child_ended);
    }
}

void process_finish(struct process *process)
{
    struct thread *thread = thread_current();
    if (process == process_init_get()) {
        panic("init ended with status %d", process->exit_status);
    }
    process_set_state(process, PROCESS_EXITING);
    give_back_resources(process);
    process_drop_records(process);
    sched_announce_end(); /* before the zombie, so that who has seen it can wait for stack and control block */
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    process_remove_thread_locked(process, thread);
    reparent_children_locked(process);
    process_set_state(process, PROCESS_ZOMBIE);
    process_count_exit();
    struct process *parent = process->parent;
    __atomic_add_fetch(&parent->references, 1, __ATOMIC_RELAXED);
    spin_unlock_irqrestore(&process_tree_lock, flags);
    wait_queue_wake_all(&parent->child_ended);
    process_put(parent);
    sched_exit(); /* the process may be freed from here on: the thread does not look at it again */
}

void process_exit(int32_t status)
{
    arch_irq_enable();
    process_end_begin(process_current(), status);
    process_thread_exit(0);
}

/* First zombie among the wanted children; *any tells whether there is such a child at all. */
static struct process *find_zombie_locked(struct process *parent, pid_t wanted, bool *any)
{
    *any = false;
    list_for_each(node, &parent->children)
    {
        struct process *child = list_entry(node, struct process, sibling_node);
        if (wanted.number != 0 && child->pid.number != wanted.number) {
            continue;
        }
        *any = true;
        if (child->state == PROCESS_ZOMBIE) {
            return child;
        }
    }
    return NULL;
}

bool process_has_zombie(void)
{
    bool any;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    bool found = find_zombie_locked(process_current(), (pid_t){0}, &any) != NULL;
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return found;
}

static status_t wait_once(struct process *parent, pid_t wanted, struct process **zombie)
{
    bool any;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    *zombie = find_zombie_locked(parent, wanted, &any);
    if (*zombie != NULL) {
        process_reap_locked(*zombie);
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
    if (*zombie != NULL) {
        return STATUS_OK;
    }
    return any ? STATUS_ERR_AGAIN : STATUS_ERR_NO_CHILD;
}

status_t process_wait(pid_t wanted, bool block, pid_t *ended, int32_t *exit_status)
{
    struct process *parent = process_current();
    struct process *zombie;
    status_t status;
    for (;;) {
        struct waiter waiter;
        wait_queue_join(&parent->child_ended, &waiter);
        status = wait_once(parent, wanted, &zombie);
        if (status == STATUS_ERR_AGAIN && block && thread_must_end()) {
            block = false;
        } else if (status == STATUS_ERR_AGAIN && block) {
            wait_queue_sleep(&waiter, WAIT_FOREVER);
        }
        wait_queue_leave(&parent->child_ended, &waiter);
        if (status != STATUS_ERR_AGAIN || !block) {
            break;
        }
    }
    if (status == STATUS_OK) {
        *ended = zombie->pid;
        *exit_status = zombie->exit_status;
        process_put(zombie);
    }
    return status;
}

void process_fault(const struct frame *frame, uint64_t address, status_t reason)
{
    const struct process *process = process_current();
    arch_irq_enable(); /* printing takes long */
    console_printf("process %u %s: killed by %s%s%s at 0x%llx, instruction 0x%llx, error 0x%llx, thread %u\n",
                   process->pid.number, process->name, trap_name(frame->vector),
                   reason != STATUS_OK ? ", " : "", reason != STATUS_OK ? status_text(reason) : "",
                   (unsigned long long)address, (unsigned long long)frame->rip,
                   (unsigned long long)frame->error, thread_current()->tid.number);
    process_exit(reason == STATUS_ERR_NO_MEMORY ? STATUS_KILLED_NO_MEMORY
                                                : STATUS_KILLED_BASE + (int32_t)frame->vector);
}
