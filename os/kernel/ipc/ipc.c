/*
 * Messages between threads, on top of the endpoint machine. A thread finds its endpoint by a lookup and joins a queue of it
 * in one read section (sched/rcu.h): a revocation waits for those, then evicts who waits, so nobody can come to wait by a
 * capability that is gone. A partner is woken under the endpoint's lock: it may not be seen afterwards.
 * Deviations: none.
 */
#include "ipc/ipc.h"

#include "ipc/channel.h"
#include "ipc/counters.h"
#include "ipc/hardware.h"
#include "ipc/notification.h"
#include "ipc/rate_gate.h"
#include "ipc/region.h"
#include "ipc/transit.h"
#include "mm/slab.h"
#include "proc/process.h"
#include "proc/threads.h"
#include "sched/sched.h"
#include "sched/wait.h"

struct reply_object {
    struct object object;
    struct reply_right right;
};

enum verb { VERB_SEND, VERB_CALL, VERB_RECEIVE, VERB_REPLY_RECEIVE };

static struct slab_cache endpoint_cache;
static struct slab_cache reply_cache;

status_t ipc_init(void)
{
    status_t status = slab_cache_init(&endpoint_cache, "endpoint", sizeof(struct endpoint_object), 64, 0);
    if (status == STATUS_OK) {
        status = slab_cache_init(&reply_cache, "reply", sizeof(struct reply_object), 0, 0);
    }
    if (status == STATUS_OK) {
        status = channel_init();
    }
    if (status == STATUS_OK) {
        status = notification_init();
    }
    if (status == STATUS_OK) {
        status = region_objects_init();
    }
    if (status == STATUS_OK) {
        status = hardware_init();
    }
    return status == STATUS_OK ? transit_init() : status;
}

static struct endpoint_object *endpoint_of(struct object *object)
{
    return list_entry(object, struct endpoint_object, object);
}

static struct thread *thread_of(struct ipc_party *party)
{
    return list_entry(party, struct thread, ipc);
}

/* The CPU may change meanwhile: then a message goes further than it had to. */
uint32_t ipc_party_numa_node(const struct ipc_party *party)
{
    const struct thread *thread = list_entry(party, struct thread, ipc);
    return cpu_table[__atomic_load_n(&thread->cpu, __ATOMIC_RELAXED)]->node;
}

/* ---- waiting ---- */

static bool has_ended(const struct ipc_party *party)
{
    return __atomic_load_n(&party->state, __ATOMIC_ACQUIRE) == IPC_IDLE;
}

/* Ends the own operation unless somebody was first. */
static bool cancel(struct ipc_party *party, status_t why)
{
    bool cancelled = false;
    rcu_read_lock();
    struct endpoint *endpoint = __atomic_load_n(&party->endpoint, __ATOMIC_ACQUIRE);
    if (endpoint != NULL) {
        uint64_t flags = spin_lock_irqsave(&endpoint->lock);
        cancelled = party->endpoint == endpoint && endpoint_cancel_locked(party, why);
        spin_unlock_irqrestore(&endpoint->lock, flags);
    }
    rcu_read_unlock();
    return cancelled;
}

/* Waits on, after the first wait, until the operation has ended. */
static status_t wait_for_end(struct ipc_party *party, uint64_t deadline, bool in_time)
{
    while (!has_ended(party)) {
        if (!in_time && cancel(party, STATUS_ERR_TIMEOUT)) {
            ipc_count(IPC_COUNTER_TIMED_OUT);
            return STATUS_ERR_TIMEOUT;
        }
        if (thread_must_end() && cancel(party, STATUS_ERR_INTERRUPTED)) {
            return STATUS_ERR_INTERRUPTED;
        }
        sched_prepare_wait();
        if (has_ended(party) || thread_must_end()) {
            sched_cancel_wait();
        } else {
            in_time = sched_block(deadline);
        }
    }
    return party->result;
}

static void wake_locked(struct ipc_party *partner)
{
    if (partner != NULL) {
        sched_wake(thread_of(partner));
    }
}

/* ---- meeting ---- */

/*
 * An answer and a receive in one: the right is one of this endpoint. While the receive waits, who was answered is the
 * partner.
 */
static struct ipc_step reply_receive_locked(struct endpoint *endpoint, struct ipc_party *party, uint64_t id,
                                            bool block)
{
    party->message.badge = 0;
    struct ipc_step reply = endpoint_reply_locked(&party->right, &party->message);
    party->message.badge = id;
    struct ipc_step step = endpoint_receive_locked(endpoint, party, block);
    if (reply.partner != NULL) {
        ipc_count(IPC_COUNTER_ANSWERED);
    }
    if (step.blocked) {
        step.partner = reply.partner;
    } else {
        wake_locked(reply.partner);
        ipc_count(IPC_COUNTER_SLOW_NOT_BLOCKED);
    }
    return step;
}

static struct ipc_step step_locked(struct endpoint *endpoint, struct ipc_party *party, enum verb verb,
                                   bool block)
{
    uint64_t id = party->message.badge;
    switch (verb) {
    case VERB_SEND:
        return endpoint_send_locked(endpoint, party, block);
    case VERB_CALL:
        return endpoint_call_locked(endpoint, party, block);
    case VERB_REPLY_RECEIVE:
        return reply_receive_locked(endpoint, party, id, block);
    case VERB_RECEIVE:
        break;
    }
    return endpoint_receive_locked(endpoint, party, block);
}

/* A capability that went before its user was queued evicted nobody: whoever is queued looks again. In a read section. */
static bool still_held(cap_handle_t handle, uint64_t id, status_t *why)
{
    struct cap_view view;
    *why = cap_lookup(process_current()->caps, handle, CAP_ENDPOINT, 0, &view);
    if (*why == STATUS_OK && view.id != id) {
        *why = STATUS_ERR_CAP_GENERATION;
    }
    return *why == STATUS_OK;
}

/*
 * The step's thread has prepared to wait. Its CPU goes to the partner, if there is one: that one was not woken, and cannot
 * be freed before this CPU has interrupts on. In a read section, which ends here.
 */
static status_t block(struct ipc_party *party, const struct ipc_step *step, cap_handle_t handle,
                      uint64_t deadline, uint64_t flags)
{
    status_t why = STATUS_ERR_INTERRUPTED;
    bool queued = party->state != IPC_ANSWER;
    bool gives_up = (queued && !still_held(handle, party->message.badge, &why)) || thread_must_end();
    if (gives_up && cancel(party, why != STATUS_OK ? why : STATUS_ERR_INTERRUPTED)) {
        wake_locked(step->partner);
        rcu_read_unlock();
        arch_irq_restore(flags);
        sched_cancel_wait();
        return why;
    }
    rcu_read_unlock();
    bool in_time;
    if (step->partner != NULL) {
        ipc_count(IPC_COUNTER_OFFERED);
        in_time = sched_handoff(thread_of(step->partner), deadline);
        arch_irq_restore(flags);
    } else {
        ipc_count(IPC_COUNTER_SLOW_NO_PARTNER);
        arch_irq_restore(flags);
        in_time = sched_block(deadline);
    }
    return wait_for_end(party, deadline, in_time);
}

static status_t meet(cap_handle_t handle, enum verb verb, uint64_t deadline)
{
    struct ipc_party *party = &thread_current()->ipc;
    struct cap_view view;
    bool receives = verb == VERB_RECEIVE || verb == VERB_REPLY_RECEIVE;
    rcu_read_lock();
    status_t status =
        cap_lookup(process_current()->caps, handle, CAP_ENDPOINT, receives ? RIGHT_READ : RIGHT_WRITE, &view);
    struct endpoint *endpoint = status == STATUS_OK ? &endpoint_of(view.object)->endpoint : NULL;
    if (status == STATUS_OK && verb == VERB_REPLY_RECEIVE &&
        __atomic_load_n(&party->right.endpoint, __ATOMIC_ACQUIRE) != endpoint) {
        status = STATUS_ERR_FOREIGN; /* the call came another way, or is gone */
    }
    if (status != STATUS_OK) {
        rcu_read_unlock();
        return status;
    }
    party->message.badge = view.id;
    party->message.stamp = arch_cycles();
    uint64_t flags = spin_lock_irqsave(&endpoint->lock);
    struct ipc_step step = step_locked(endpoint, party, verb, deadline != IPC_NO_WAIT);
    if (step.blocked) {
        sched_prepare_wait();
        spin_unlock(&endpoint->lock);
        return block(party, &step, handle, deadline, flags);
    }
    wake_locked(step.partner);
    spin_unlock_irqrestore(&endpoint->lock, flags);
    rcu_read_unlock();
    return step.status;
}

/* Sends or calls; what the message carries comes along or back. */
static status_t convey(cap_handle_t handle, enum verb verb, uint64_t deadline)
{
    struct process *process = process_current();
    struct ipc_message *message = &thread_current()->ipc.message;
    if (!rate_gate_pass(&process->rate)) {
        ipc_count(IPC_COUNTER_RATE_REFUSED);
        return STATUS_ERR_RATE;
    }
    status_t status = ipc_tag_handles(message->tag) != 0 ? transit_put(process->caps, message) : STATUS_OK;
    if (status != STATUS_OK) {
        return status;
    }
    status = meet(handle, verb, deadline);
    thread_current()->messages += status == STATUS_OK;
    if (status != STATUS_OK && ipc_tag_handles(message->tag) != 0) {
        transit_return(process->caps, message);
    }
    return status;
}

static void take_handles(void)
{
    struct ipc_message *message = &thread_current()->ipc.message;
    if (ipc_tag_handles(message->tag) != 0) {
        transit_take(process_current()->caps, message);
    }
}

status_t ipc_send(cap_handle_t handle, uint64_t deadline)
{
    status_t status = convey(handle, VERB_SEND, deadline);
    if (status == STATUS_OK) {
        ipc_count(IPC_COUNTER_SENT);
    }
    return status;
}

status_t ipc_call(cap_handle_t handle, uint64_t deadline)
{
    status_t status = convey(handle, VERB_CALL, deadline);
    if (status == STATUS_OK) {
        take_handles();
        ipc_count(IPC_COUNTER_CALLED);
    }
    return status;
}

status_t ipc_receive(cap_handle_t handle, uint64_t deadline)
{
    thread_current()->ipc.message.tag = 0;
    status_t status = meet(handle, VERB_RECEIVE, deadline);
    if (status == STATUS_OK) {
        take_handles();
    }
    return status;
}

status_t ipc_continue(void)
{
    struct ipc_party *party = &thread_current()->ipc;
    party->bare = false;
    status_t status = wait_for_end(party, WAIT_FOREVER, true);
    if (status == STATUS_OK) {
        take_handles();
    }
    return status;
}

/* ---- answering ---- */

/* Takes the lock of the call that a right answers; null when there is no call any more. In a read section. */
static struct endpoint *lock_call(struct reply_right *right, uint64_t *flags)
{
    struct endpoint *endpoint = __atomic_load_n(&right->endpoint, __ATOMIC_ACQUIRE);
    if (endpoint == NULL) {
        return NULL;
    }
    *flags = spin_lock_irqsave(&endpoint->lock);
    if (right->endpoint != endpoint) {
        spin_unlock_irqrestore(&endpoint->lock, *flags);
        return NULL;
    }
    return endpoint;
}

static status_t answer(struct reply_right *right, struct ipc_message *message)
{
    uint64_t flags;
    message->badge = 0;
    message->stamp = arch_cycles();
    rcu_read_lock();
    struct endpoint *endpoint = lock_call(right, &flags);
    struct ipc_step step = endpoint_reply_locked(right, message);
    if (endpoint != NULL) {
        wake_locked(step.partner);
        spin_unlock_irqrestore(&endpoint->lock, flags);
    }
    rcu_read_unlock();
    if (step.status == STATUS_OK) {
        ipc_count(IPC_COUNTER_ANSWERED);
    }
    return step.status;
}

/* Answers with the message of the current thread, what it carries included. */
static status_t answer_with(struct reply_right *right)
{
    struct ipc_message *message = &thread_current()->ipc.message;
    status_t status =
        ipc_tag_handles(message->tag) != 0 ? transit_put(process_current()->caps, message) : STATUS_OK;
    if (status != STATUS_OK) {
        return status;
    }
    status = answer(right, message);
    if (status != STATUS_OK && ipc_tag_handles(message->tag) != 0) {
        transit_return(process_current()->caps, message);
    }
    return status;
}

status_t ipc_reply(cap_handle_t handle)
{
    if (handle.word == 0) {
        return answer_with(&thread_current()->ipc.right);
    }
    struct cap_view view;
    status_t status = cap_get(process_current()->caps, handle, CAP_REPLY, RIGHT_WRITE, &view);
    if (status == STATUS_OK) {
        status = answer_with(&list_entry(view.object, struct reply_object, object)->right);
        object_put(view.object);
    }
    return status;
}

/* The sender gives up a capability of its own, and learns from the words what became of it. */
static bool gives_up(const struct ipc_message *message)
{
    unsigned words = ipc_tag_words(message->tag);
    for (unsigned i = words - ipc_tag_handles(message->tag); i < words; i++) {
        if ((message->words[i] & IPC_MOVE) != 0) {
            return true;
        }
    }
    return false;
}

status_t ipc_reply_receive(cap_handle_t handle, uint64_t deadline)
{
    struct ipc_party *party = &thread_current()->ipc;
    if (ipc_tag_handles(party->message.tag) != 0) {
        ipc_count(IPC_COUNTER_SLOW_HANDLES);
    } else {
        status_t status = meet(handle, VERB_REPLY_RECEIVE, deadline);
        if (status == STATUS_OK) {
            take_handles();
        }
        if (status != STATUS_ERR_FOREIGN) {
            return status;
        }
        ipc_count(IPC_COUNTER_SLOW_OTHER_ENDPOINT);
    }
    bool told = gives_up(&party->message);
    status_t status = answer_with(&party->right);
    bool passed_over = status == STATUS_ERR_PEER && !told;
    return status == STATUS_OK || passed_over ? ipc_receive(handle, deadline) : status;
}

/* Gives a right up; its caller gets `why`. */
static void abandon(struct reply_right *right, status_t why)
{
    uint64_t flags;
    rcu_read_lock();
    struct endpoint *endpoint = lock_call(right, &flags);
    if (endpoint != NULL) {
        wake_locked(endpoint_abandon_locked(right, why));
        ipc_count(IPC_COUNTER_EVICTED);
        spin_unlock_irqrestore(&endpoint->lock, flags);
    }
    rcu_read_unlock();
    right->gone = false;
}

void ipc_thread_end(struct thread *thread)
{
    abandon(&thread->ipc.right, STATUS_ERR_PEER);
}

/* ---- rights put aside ---- */

status_t ipc_reply_save(struct cap_space *space, cap_handle_t *out)
{
    struct reply_right *right = &thread_current()->ipc.right;
    if (!reply_right_held(right)) {
        return STATUS_ERR_STATE;
    }
    struct reply_object *reply = slab_alloc(&reply_cache);
    if (reply == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    object_init(&reply->object, CAP_REPLY);
    reply->right = (struct reply_right){NULL, NULL, false};
    status_t status = cap_insert(space, &reply->object, RIGHT_WRITE | RIGHT_GRANT, 0, out);
    if (status == STATUS_OK) {
        uint64_t flags;
        rcu_read_lock();
        struct endpoint *endpoint = lock_call(right, &flags);
        endpoint_move_right_locked(right, &reply->right);
        if (endpoint != NULL) {
            spin_unlock_irqrestore(&endpoint->lock, flags);
        }
        rcu_read_unlock();
    }
    object_put(&reply->object);
    return status;
}

void ipc_reply_release(struct object *object)
{
    struct reply_object *reply = list_entry(object, struct reply_object, object);
    abandon(&reply->right, STATUS_ERR_NO_ANSWER);
    slab_free(&reply_cache, reply);
}

/* ---- endpoints as objects ---- */

status_t ipc_endpoint_create(struct cap_space *space, cap_handle_t *out)
{
    struct endpoint_object *made = slab_alloc(&endpoint_cache);
    if (made == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    object_init(&made->object, CAP_ENDPOINT);
    endpoint_init(&made->endpoint);
    made->senders = 0;
    made->receivers = 0;
    status_t status = cap_insert(space, &made->object, RIGHTS_ALL, CAP_FLAG_KEEP_ON_EXEC, out);
    object_put(&made->object);
    return status;
}

/* Nobody waits here any more: whoever did was evicted with the capability it did so by. */
void ipc_endpoint_release(struct object *object)
{
    slab_free(&endpoint_cache, endpoint_of(object));
}

/* Counts capabilities; true when there is nobody left to receive, or to send. */
static bool count_capabilities(struct endpoint_object *at, uint32_t rights, int32_t change)
{
    uint64_t flags = spin_lock_irqsave(&at->endpoint.lock);
    at->senders += rights & RIGHT_WRITE ? change : 0;
    at->receivers += rights & RIGHT_READ ? change : 0;
    bool alone = change < 0 && (at->senders == 0 || at->receivers == 0);
    if (alone) {
        endpoint_close_locked(&at->endpoint, STATUS_ERR_PEER);
    }
    spin_unlock_irqrestore(&at->endpoint.lock, flags);
    return alone;
}

static void evict_all(struct endpoint *endpoint, uint64_t id, status_t why)
{
    struct ipc_party *party;
    do {
        uint64_t flags = spin_lock_irqsave(&endpoint->lock);
        party = endpoint_evict_locked(endpoint, id, why);
        wake_locked(party);
        spin_unlock_irqrestore(&endpoint->lock, flags);
        if (party != NULL) {
            ipc_count(IPC_COUNTER_EVICTED);
        }
    } while (party != NULL);
}

void ipc_endpoint_added(struct object *object, uint32_t rights)
{
    (void)count_capabilities(endpoint_of(object), rights, 1);
}

void ipc_endpoint_removed(struct object *object, uint64_t id, uint32_t rights, status_t why)
{
    struct endpoint_object *at = endpoint_of(object);
    evict_all(&at->endpoint, id, why == STATUS_ERR_CAP_REVOKED ? why : STATUS_ERR_CAP_INVALID);
    if (count_capabilities(at, rights, -1)) {
        evict_all(&at->endpoint, 0, STATUS_ERR_PEER);
    }
}
