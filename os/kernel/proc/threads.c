/* Threads of a process: creation, end, join. */
#include "proc/threads.h"

#include "arch/x86_64/switch.h"
#include "console.h"
#include "ipc/ipc.h"
#include "lib/string.h"
#include "mm/kheap.h"
#include "mm/layout.h"
#include "panic.h"
#include "proc/user_stack.h"

#include "abi/thread.h"

/* ---- creation ---- */

/* Maps the stack and writes what lies at its top; the frame leads to the entry. */
static status_t build_user_side(struct thread *thread, const struct thread_request *request)
{
    struct process *process = process_current();
    uint64_t bytes = align_up(request->stack_bytes + tls_room(&process->tls), PAGE_SIZE);
    uint64_t top;
    status_t status = vm_map_stack_near(process->space, vaddr_make(MAP_BASE), bytes, &top);
    if (status != STATUS_OK) {
        return status;
    }
    thread->user_stack = top - bytes;
    thread->user_stack_bytes = bytes;
    struct tls_place place;
    status = tls_build(process->space, &process->tls, top - bytes, top, &place);
    if (status != STATUS_OK) {
        return status;
    }
    struct user_start start = {
        .entry = request->entry,
        .stack = place.bottom - sizeof(uint64_t), /* as after a call; the return address is 0 */
        .fs_base = place.pointer,
        .arguments = request->arguments,
    };
    arch_thread_first_user(thread, &start);
    return STATUS_OK;
}

/* Unmaps stack and thread-local storage of a thread, with the guard page. */
static void free_user_side(struct thread *thread)
{
    if (thread->user_stack == 0) {
        return;
    }
    status_t status = vm_unmap(process_current()->space, vaddr_make(thread->user_stack - PAGE_SIZE),
                               thread->user_stack_bytes + PAGE_SIZE);
    if (thread_log() || status != STATUS_OK) {
        console_printf("thread %u of process %u: user stack and TLS, %llu bytes at 0x%llx: %s\n",
                       thread->tid.number, process_current()->pid.number,
                       (unsigned long long)thread->user_stack_bytes, (unsigned long long)thread->user_stack,
                       status == STATUS_OK ? "freed" : status_text(status));
    }
}

/* Makes the thread one of the process, which may refuse. */
static status_t enter(struct process *process, struct thread *thread)
{
    status_t status = STATUS_OK;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    if (thread_must_end()) {
        status = STATUS_ERR_INTERRUPTED;
    } else if (process->thread_count >= THREADS_MAX) {
        status = STATUS_ERR_LIMIT;
    } else {
        process_add_thread_locked(process, thread);
        if (thread->record != NULL) {
            list_push_back(&process->thread_records, &thread->record->node);
        }
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return status;
}

static status_t make_record(struct thread *thread)
{
    struct thread_record *record = kzalloc(sizeof(*record));
    if (record == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    record->tid = thread->tid;
    thread->record = record;
    return STATUS_OK;
}

status_t process_thread_create(const struct thread_request *request, tid_t *out)
{
    struct process *process = process_current();
    struct thread *thread;
    status_t status = thread_create(&thread, sched_params_of_child(thread_current()), NULL, NULL);
    if (status != STATUS_OK) {
        return status;
    }
    thread->process = process;
    thread->space = process->space;
    if (!request->detached) {
        status = make_record(thread);
    }
    if (status == STATUS_OK) {
        status = build_user_side(thread, request);
    }
    *out = thread->tid;
    if (status == STATUS_OK) {
        status = enter(process, thread);
    }
    if (status != STATUS_OK) {
        free_user_side(thread);
        kfree(thread->record);
        thread_destroy_new(thread);
        return status;
    }
    sched_start(thread);
    return STATUS_OK;
}

/* ---- end ---- */

/* Takes the current thread out of its process, unless it is the last one. What others see of it from now on is its end. */
static bool leave(struct process *process, uint64_t value)
{
    struct thread *thread = thread_current();
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    bool last = process->thread_count == 1;
    if (!last) {
        sched_announce_end();
        process_remove_thread_locked(process, thread);
        if (thread->record != NULL) {
            thread->record->value = value;
            thread->record->ended = true;
        }
        wait_queue_wake_all(&process->threads_changed);
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return !last;
}

void process_thread_exit(uint64_t value)
{
    struct process *process = process_current();
    ipc_thread_end(thread_current());
    if (!__atomic_load_n(&process->ending, __ATOMIC_ACQUIRE)) { /* else the whole space goes */
        free_user_side(thread_current());
    }
    sched_adopt_space(NULL);
    if (leave(process, value)) {
        sched_exit(); /* the process may be freed from here on: the thread does not look at it again */
    }
    process_finish(process);
}

static void tell_locked(struct thread *thread)
{
    __atomic_store_n(&thread->ending, true, __ATOMIC_RELEASE);
    if (thread != thread_current()) {
        sched_poke(thread);
    }
}

static void end_begin_locked(struct process *process, int32_t status)
{
    if (!process->ending) {
        process->exit_status = status;
        __atomic_store_n(&process->ending, true, __ATOMIC_RELEASE);
        list_for_each(node, &process->threads)
        {
            tell_locked(list_entry(node, struct thread, process_node));
        }
    }
}

void process_end_begin(struct process *process, int32_t status)
{
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    end_begin_locked(process, status);
    spin_unlock_irqrestore(&process_tree_lock, flags);
}

status_t process_kill(pid_t pid, int32_t status)
{
    struct process *process = process_get(pid);
    if (process == NULL) {
        return STATUS_ERR_NO_PROCESS;
    }
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    status_t result = process_own_locked(process);
    if (result == STATUS_OK && process->state != PROCESS_LIVE) {
        result = STATUS_ERR_NO_PROCESS;
    }
    if (result == STATUS_OK && process == process_init_get()) {
        result = STATUS_ERR_PERMISSION;
    }
    if (result == STATUS_OK) {
        end_begin_locked(process, status);
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
    process_put(process);
    return result;
}

void process_check_end(void)
{
    if (process_current() != NULL && thread_must_end()) {
        arch_irq_enable();
        process_thread_exit(0);
    }
}

/* ---- the only one ---- */

static bool tell_others(struct process *process)
{
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    bool first = !thread_must_end();
    if (first) {
        list_for_each(node, &process->threads)
        {
            struct thread *thread = list_entry(node, struct thread, process_node);
            if (thread != thread_current()) {
                tell_locked(thread);
            }
        }
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return first;
}

status_t process_end_others(void)
{
    struct process *process = process_current();
    bool alone = false;
    bool goes_on = tell_others(process);
    while (goes_on && !alone) {
        struct waiter waiter;
        wait_queue_join(&process->threads_changed, &waiter);
        alone = __atomic_load_n(&process->thread_count, __ATOMIC_ACQUIRE) == 1;
        goes_on = !thread_must_end();
        if (goes_on && !alone) {
            wait_queue_sleep(&waiter, WAIT_FOREVER);
        }
        wait_queue_leave(&process->threads_changed, &waiter);
    }
    return goes_on ? STATUS_OK : STATUS_ERR_INTERRUPTED;
}

void process_drop_records(struct process *process)
{
    for (struct list *node; (node = list_pop_front(&process->thread_records)) != NULL;) {
        kfree(list_entry(node, struct thread_record, node));
    }
}

void process_become_single(void)
{
    struct process *process = process_current();
    struct thread *thread = thread_current();
    process_drop_records(process);
    thread->record = NULL;
    thread->user_stack = 0;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    process->main_thread = thread;
    spin_unlock_irqrestore(&process_tree_lock, flags);
}

tid_t process_main_thread_locked(const struct process *process)
{
    return process->main_thread != NULL ? process->main_thread->tid : (tid_t){0};
}

/* ---- join ---- */

/* Takes the record of a thread that has ended. STATUS_ERR_AGAIN: it has not. */
static status_t take_record(struct process *process, tid_t tid, struct thread_record **out)
{
    status_t status = STATUS_ERR_NOT_FOUND;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    list_for_each(node, &process->thread_records)
    {
        struct thread_record *record = list_entry(node, struct thread_record, node);
        if (record->tid.number == tid.number) {
            *out = record;
            status = record->ended ? STATUS_OK : STATUS_ERR_AGAIN;
            break;
        }
    }
    if (status == STATUS_OK) {
        list_remove(&(*out)->node);
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return status;
}

status_t process_thread_join(tid_t tid, uint64_t deadline, uint64_t *value)
{
    struct process *process = process_current();
    struct thread_record *record;
    status_t status = tid.number == thread_current()->tid.number ? STATUS_ERR_ARGUMENT : STATUS_ERR_AGAIN;
    bool in_time = true;
    while (status == STATUS_ERR_AGAIN) {
        struct waiter waiter;
        wait_queue_join(&process->threads_changed, &waiter);
        status = take_record(process, tid, &record);
        if (status == STATUS_ERR_AGAIN) {
            if (thread_must_end()) {
                status = STATUS_ERR_INTERRUPTED;
            } else if (!in_time) {
                status = STATUS_ERR_TIMEOUT;
            } else {
                in_time = wait_queue_sleep(&waiter, deadline);
            }
        }
        wait_queue_leave(&process->threads_changed, &waiter);
    }
    if (status == STATUS_OK) {
        *value = record->value;
        kfree(record);
    }
    return status;
}
