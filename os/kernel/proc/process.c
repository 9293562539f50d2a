/*
 * The process table, states, quotas. One lock for table, tree and states: an exit changes all three at once (children to
 * init, the zombie, the parent's answer), and with a lock for each nobody could see them agree.
 */
#include "proc/process.h"

#include "lib/string.h"
#include "mm/kheap.h"
#include "mm/slab.h"
#include "panic.h"

struct spinlock process_tree_lock = SPINLOCK_INIT("proc.tree", PROCESS_TREE);

static struct slab_cache process_cache;
static struct slab_cache space_cache;
static struct list buckets[PROCESS_TABLE_BUCKETS];
static struct process *init_process;
static pid_t last_pid;
static struct process_totals totals;

status_t process_system_init(void)
{
    for (unsigned i = 0; i < PROCESS_TABLE_BUCKETS; i++) {
        list_init(&buckets[i]);
    }
    status_t status = slab_cache_init(&process_cache, "process", sizeof(struct process), 64, 0);
    if (status == STATUS_OK) {
        status = slab_cache_init(&space_cache, "space", sizeof(struct address_space), 64, 0);
    }
    return status;
}

struct process *process_make(void)
{
    struct process *process = slab_alloc(&process_cache);
    if (process == NULL) {
        return NULL;
    }
    memset(process, 0, sizeof(*process));
    process->pid = (pid_t){__atomic_add_fetch(&last_pid.number, 1, __ATOMIC_RELAXED)};
    process->state = PROCESS_NEW;
    process->references = 1;
    list_init(&process->children);
    list_init(&process->sibling_node);
    list_init(&process->table_node);
    list_init(&process->threads);
    list_init(&process->thread_records);
    wait_queue_init(&process->threads_changed, "proc.threads");
    wait_queue_init(&process->child_ended, "proc.child");
    rate_gate_init(&process->rate);
    return process;
}

/* Takes apart what process_make and its callers have built so far. */
void process_unmake(struct process *process)
{
    if (process->space != NULL) {
        space_destroy(process->space);
    }
    if (process->caps != NULL) {
        cap_space_destroy(process->caps);
    }
    slab_free(&process_cache, process);
}

struct address_space *space_block_alloc(void)
{
    return slab_alloc(&space_cache);
}

void space_block_free(struct address_space *space)
{
    slab_free(&space_cache, space);
}

struct address_space *space_make(pid_t pid, status_t *status)
{
    struct address_space *space = space_block_alloc();
    *status = space != NULL ? vm_space_init(space, pid) : STATUS_ERR_NO_MEMORY;
    if (*status != STATUS_OK && space != NULL) {
        space_block_free(space);
        space = NULL;
    }
    return space;
}

void space_destroy(struct address_space *space)
{
    vm_space_deinit(space);
    space_block_free(space);
}

struct address_space *process_swap_space(struct process *process, struct address_space *space)
{
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    struct address_space *old = process->space;
    process->space = space;
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return old;
}

bool process_is_empty(struct process *process)
{
    enum process_state state = __atomic_load_n(&process->state, __ATOMIC_ACQUIRE);
    return state == PROCESS_ZOMBIE || state == PROCESS_DEAD;
}

/* Frames of a process, 0 when it is no candidate. Tree locked, so that the space stays. */
static uint64_t frames_locked(const struct process *process)
{
    bool candidate = process != init_process && process->state == PROCESS_LIVE && process->space != NULL &&
                     !process->ending;
    return candidate ? process->space->stats.resident_pages + process->space->table.tables : 0;
}

struct process *process_get_largest(uint64_t *frames)
{
    struct process *largest = NULL;
    *frames = 0;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    for (unsigned i = 0; i < PROCESS_TABLE_BUCKETS; i++) {
        list_for_each(node, &buckets[i])
        {
            struct process *process = list_entry(node, struct process, table_node);
            uint64_t held = frames_locked(process);
            bool younger = largest != NULL && process->pid.number > largest->pid.number;
            if (held > *frames || (held > 0 && held == *frames && younger)) {
                largest = process;
                *frames = held;
            }
        }
    }
    if (largest != NULL) {
        __atomic_add_fetch(&largest->references, 1, __ATOMIC_RELAXED);
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return largest;
}

void process_set_state(struct process *process, enum process_state to)
{
    static const uint8_t legal[] = {
        [PROCESS_NEW] = 1u << PROCESS_LIVE,
        [PROCESS_LIVE] = 1u << PROCESS_EXITING,
        [PROCESS_EXITING] = 1u << PROCESS_ZOMBIE,
        [PROCESS_ZOMBIE] = 1u << PROCESS_DEAD,
        [PROCESS_DEAD] = 0,
    };
    if (!(legal[process->state] & (1u << to))) {
        panic("process %u: illegal state change %u to %u", process->pid.number, process->state, to);
    }
    __atomic_store_n(&process->state, to, __ATOMIC_RELEASE);
}

void process_link_locked(struct process *process, struct process *parent)
{
    process_set_state(process, PROCESS_LIVE);
    process->parent = parent;
    if (parent != NULL) {
        list_push_back(&parent->children, &process->sibling_node);
        totals.forks++;
    } else {
        init_process = process;
    }
    list_push_back(&buckets[process->pid.number % PROCESS_TABLE_BUCKETS], &process->table_node);
    totals.processes++;
}

void process_add_thread_locked(struct process *process, struct thread *thread)
{
    list_push_back(&process->threads, &thread->process_node);
    __atomic_store_n(&process->thread_count, process->thread_count + 1, __ATOMIC_RELAXED);
    totals.threads++;
}

void process_remove_thread_locked(struct process *process, struct thread *thread)
{
    list_remove(&thread->process_node);
    __atomic_store_n(&process->thread_count, process->thread_count - 1, __ATOMIC_RELAXED);
    process->main_thread = process->main_thread == thread ? NULL : process->main_thread;
    process->syscalls += thread->syscalls;
    process->messages += thread->messages;
    totals.threads--;
}

/* Takes a zombie out of tree and table; the caller drops the table's reference with process_put. */
void process_reap_locked(struct process *process)
{
    process_set_state(process, PROCESS_DEAD);
    list_remove(&process->sibling_node);
    list_remove(&process->table_node);
    process->parent = NULL;
    totals.processes--;
}

void process_count_exit(void)
{
    totals.exits++;
}

struct process *process_init_get(void)
{
    return init_process;
}

struct process *process_get(pid_t pid)
{
    struct process *found = process_current();
    if (found != NULL && found->pid.number == pid.number) { /* in the table while it runs */
        __atomic_add_fetch(&found->references, 1, __ATOMIC_RELAXED);
        return found;
    }
    found = NULL;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    list_for_each(node, &buckets[pid.number % PROCESS_TABLE_BUCKETS])
    {
        struct process *process = list_entry(node, struct process, table_node);
        if (process->pid.number == pid.number) {
            __atomic_add_fetch(&process->references, 1, __ATOMIC_RELAXED);
            found = process;
            break;
        }
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return found;
}

void process_put(struct process *process)
{
    if (__atomic_sub_fetch(&process->references, 1, __ATOMIC_ACQ_REL) == 0) {
        if (process->state != PROCESS_DEAD) {
            panic("process %u lost its last reference alive", process->pid.number);
        }
        quota_uncharge(process->quota);
        slab_free(&process_cache, process);
    }
}

struct cap_space *process_child_caps(pid_t pid)
{
    struct cap_space *caps = NULL;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    list_for_each(node, &process_current()->children)
    {
        struct process *child = list_entry(node, struct process, sibling_node);
        if (child->pid.number == pid.number && child->caps != NULL) {
            caps = child->caps;
            cap_space_get(caps);
        }
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
    return caps;
}

void process_totals_read(struct process_totals *out)
{
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    *out = totals;
    spin_unlock_irqrestore(&process_tree_lock, flags);
}

/* ---- quotas ---- */

/* Adds one unless the limit is reached. */
static bool count_up(uint32_t *used, uint32_t limit)
{
    uint32_t now = __atomic_load_n(used, __ATOMIC_RELAXED);
    do {
        if (now >= limit) {
            return false;
        }
    } while (!__atomic_compare_exchange_n(used, &now, now + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

/* One more process in the tree and all trees around it, or in none. The quota gains a reference. */
status_t quota_charge(struct process_quota *quota)
{
    for (struct process_quota *at = quota; at != NULL; at = at->outer) {
        if (!count_up(&at->used, at->limit)) {
            for (struct process_quota *undo = quota; undo != at; undo = undo->outer) {
                __atomic_sub_fetch(&undo->used, 1, __ATOMIC_RELAXED);
            }
            return STATUS_ERR_LIMIT;
        }
    }
    __atomic_add_fetch(&quota->references, 1, __ATOMIC_RELAXED);
    return STATUS_OK;
}

/* One process less, and its reference; the last reference frees the quota, which is one reference of the
 * outer one. */
void quota_uncharge(struct process_quota *quota)
{
    for (struct process_quota *at = quota; at != NULL; at = at->outer) {
        __atomic_sub_fetch(&at->used, 1, __ATOMIC_RELAXED);
    }
    while (quota != NULL && __atomic_sub_fetch(&quota->references, 1, __ATOMIC_ACQ_REL) == 0) {
        struct process_quota *outer = quota->outer;
        kfree(quota);
        quota = outer;
    }
}

/* The process keeps counting in the outer tree, whose charge and reference pass to the new one. */
status_t process_quota_set(uint32_t limit)
{
    if (limit == 0 || limit > PROCESS_TREE_QUOTA) {
        return STATUS_ERR_RANGE;
    }
    struct process *process = process_current();
    struct process_quota *quota = kzalloc(sizeof(*quota));
    if (quota == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    uint64_t flags = spin_lock_irqsave(&process_tree_lock); /* another thread may do the same */
    *quota = (struct process_quota){.outer = process->quota,
                                    .references = 1,
                                    .limit = limit,
                                    .used = 1,
                                    .depth = process->quota->depth + 1};
    bool fits = quota->depth != PROCESS_QUOTA_DEPTH;
    if (fits) {
        __atomic_store_n(&process->quota, quota, __ATOMIC_RELEASE);
    }
    spin_unlock_irqrestore(&process_tree_lock, flags);
    if (!fits) {
        kfree(quota);
        return STATUS_ERR_LIMIT;
    }
    return STATUS_OK;
}
