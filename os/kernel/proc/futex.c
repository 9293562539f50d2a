/*
 * Futexes. A waiter looks at the word a last time under the lock of its bucket, which every waker takes after it has changed
 * the word: either the waiter sees the change or the waker sees the waiter. That look must not fault, as a fault may sleep:
 * with interrupts off it fails instead, and the page is brought in again without the lock.
 */
#include "proc/futex.h"

#include "lib/list.h"
#include "lib/spinlock.h"
#include "mm/vm.h"
#include "proc/threads.h"
#include "proc/usercopy.h"
#include "sched/wait.h"

#define BUCKETS 256u

struct futex_key {
    const struct address_space *space; /* null: shared, the address is physical */
    uint64_t address;
};

struct futex_waiter {
    struct list node;
    struct futex_key key;
    struct thread *thread;
    bool woken;
};

static struct bucket {
    struct spinlock lock;
    struct list waiters;
} buckets[BUCKETS];

void futex_init(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        spinlock_init(&buckets[i].lock, "proc.futex", LOCK_CLASS_FUTEX);
        list_init(&buckets[i].waiters);
    }
}

static struct bucket *bucket_of(const struct futex_key *key)
{
    uint64_t mixed = ((uint64_t)(uintptr_t)key->space ^ key->address >> 2) * 0x9e3779b97f4a7c15ull;
    return &buckets[mixed >> 56];
}

static bool same(const struct futex_key *a, const struct futex_key *b)
{
    return a->space == b->space && a->address == b->address;
}

/* STATUS_ERR_AGAIN: the page of a shared word has just gone. */
static status_t key_of(vaddr_t word, bool private, struct futex_key *out)
{
    struct address_space *space = process_current()->space;
    struct vm_area area;
    *out = (struct futex_key){.space = space, .address = vaddr_number(word)};
    if (private) {
        return STATUS_OK;
    }
    status_t status = vm_find_area(space, word, &area);
    if (status != STATUS_OK) {
        return STATUS_ERR_BAD_ADDRESS; /* what a fault there says */
    }
    if (area.kind == VM_BACKED && !area.copy) {
        paddr_t physical;
        status = vm_translate(space, word, &physical);
        *out = (struct futex_key){.space = NULL, .address = paddr_number(physical)};
    }
    return status == STATUS_OK ? STATUS_OK : STATUS_ERR_AGAIN;
}

/* Reads the word, so that its page is there, and finds its key. */
static status_t look(vaddr_t word, bool private, uint32_t *value, struct futex_key *key)
{
    status_t status;
    do {
        status = user_read(value, word, sizeof(*value));
        if (status == STATUS_OK) {
            status = key_of(word, private, key);
        }
    } while (status == STATUS_ERR_AGAIN);
    return status;
}

/* Prepares to sleep, in the bucket, if the word still has its value. STATUS_ERR_NOT_MAPPED: its page is not there. */
static status_t queue_up(struct futex_waiter *waiter, vaddr_t word, uint32_t expected)
{
    struct bucket *bucket = bucket_of(&waiter->key);
    uint32_t value;
    uint64_t flags = spin_lock_irqsave(&bucket->lock);
    status_t status = user_load_now(&value, word);
    if (status == STATUS_OK && value != expected) {
        status = STATUS_ERR_AGAIN;
    }
    if (status == STATUS_OK) {
        list_push_back(&bucket->waiters, &waiter->node);
        sched_prepare_wait();
    }
    spin_unlock_irqrestore(&bucket->lock, flags);
    return status;
}

/* Sleeps; STATUS_ERR_AGAIN: neither woken nor late. */
static status_t sleep(struct futex_waiter *waiter, uint64_t deadline)
{
    bool in_time = true;
    if (thread_must_end()) {
        sched_cancel_wait();
    } else {
        in_time = sched_block(deadline);
    }
    struct bucket *bucket = bucket_of(&waiter->key);
    uint64_t flags = spin_lock_irqsave(&bucket->lock);
    list_remove(&waiter->node);
    bool woken = waiter->woken;
    spin_unlock_irqrestore(&bucket->lock, flags);
    if (woken) {
        return STATUS_OK;
    }
    if (thread_must_end()) {
        return STATUS_ERR_INTERRUPTED;
    }
    return in_time ? STATUS_ERR_AGAIN : STATUS_ERR_TIMEOUT;
}

status_t futex_wait(vaddr_t word, bool private, uint32_t expected, uint64_t deadline)
{
    struct futex_waiter waiter = {.thread = thread_current()};
    status_t status;
    do {
        uint32_t value;
        status = look(word, private, &value, &waiter.key);
        if (status != STATUS_OK || value != expected) {
            return status != STATUS_OK ? status : STATUS_ERR_AGAIN;
        }
        status = queue_up(&waiter, word, expected);
        if (status == STATUS_ERR_AGAIN) {
            return status;
        }
        if (status == STATUS_OK) {
            status = sleep(&waiter, deadline);
        }
    } while (status == STATUS_ERR_AGAIN || status == STATUS_ERR_NOT_MAPPED);
    return status;
}

status_t futex_wake(vaddr_t word, bool private, uint32_t count, uint32_t *woken)
{
    struct futex_key key;
    uint32_t value;
    status_t status = private ? key_of(word, private, &key) : look(word, private, &value, &key);
    *woken = 0;
    if (status != STATUS_OK) {
        return status;
    }
    struct bucket *bucket = bucket_of(&key);
    uint64_t flags = spin_lock_irqsave(&bucket->lock);
    list_for_each_safe(node, after, &bucket->waiters)
    {
        struct futex_waiter *waiter = list_entry(node, struct futex_waiter, node);
        if (*woken < count && same(&waiter->key, &key)) {
            list_remove(node);
            waiter->woken = true;
            sched_wake(waiter->thread);
            ++*woken;
        }
    }
    spin_unlock_irqrestore(&bucket->lock, flags);
    sched_switch_if_needed();
    return STATUS_OK;
}
