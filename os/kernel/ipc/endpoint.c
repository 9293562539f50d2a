/*
 * The state machine of endpoints. Deviations: senders are served first come, first served; a better thread does not overtake.
 */
#include "ipc/endpoint.h"

void endpoint_init(struct endpoint *endpoint)
{
    spinlock_init(&endpoint->lock, "ipc.endpoint", LOCK_CLASS_IPC_ENDPOINT);
    list_init(&endpoint->senders);
    list_init(&endpoint->receivers);
    list_init(&endpoint->callers);
    endpoint->closed = STATUS_OK;
}

void ipc_party_init(struct ipc_party *party)
{
    list_init(&party->node);
    party->endpoint = NULL;
    party->answers = NULL;
    party->right = (struct reply_right){NULL, NULL, false};
    party->state = IPC_IDLE;
    party->result = STATUS_OK;
    party->bare = false;
}

static struct ipc_step done(status_t status, struct ipc_party *partner)
{
    return (struct ipc_step){.status = status, .partner = partner};
}

static struct ipc_step wait_in(struct endpoint *endpoint, struct list *queue, struct ipc_party *party,
                               enum ipc_state state)
{
    endpoint_wait_in(endpoint, queue, party, state);
    return (struct ipc_step){.blocked = true};
}

/* Who gets a message; null: nobody receives. */
static struct ipc_party *receiver_near(const struct endpoint *endpoint, const struct ipc_party *sender)
{
    const struct list *at = endpoint->receivers.next;
    if (at == endpoint->receivers.prev) { /* there is no choice */
        return endpoint_first_of(&endpoint->receivers);
    }
    uint32_t numa_node = ipc_party_numa_node(sender);
    for (unsigned look = 0; look < ENDPOINT_LOOK && at != &endpoint->receivers; look++, at = at->next) {
        struct ipc_party *receiver = list_entry(at, struct ipc_party, node);
        if (ipc_party_numa_node(receiver) == numa_node) {
            return receiver;
        }
    }
    return endpoint_first_of(&endpoint->receivers);
}

struct ipc_step endpoint_send_locked(struct endpoint *endpoint, struct ipc_party *party, bool block)
{
    if (endpoint->closed != STATUS_OK) {
        return done(endpoint->closed, NULL);
    }
    struct ipc_party *receiver = receiver_near(endpoint, party);
    if (receiver == NULL) {
        return block ? wait_in(endpoint, &endpoint->senders, party, IPC_SENDING)
                     : done(STATUS_ERR_AGAIN, NULL);
    }
    ipc_message_pass(&receiver->message, &party->message);
    endpoint_end(receiver, STATUS_OK);
    return done(STATUS_OK, receiver);
}

struct ipc_step endpoint_call_locked(struct endpoint *endpoint, struct ipc_party *party, bool block)
{
    if (endpoint->closed != STATUS_OK) {
        return done(endpoint->closed, NULL);
    }
    struct ipc_party *receiver = receiver_near(endpoint, party);
    if (receiver == NULL) {
        return block ? wait_in(endpoint, &endpoint->senders, party, IPC_CALLING)
                     : done(STATUS_ERR_AGAIN, NULL);
    }
    ipc_message_pass(&receiver->message, &party->message);
    endpoint_end(receiver, STATUS_OK);
    endpoint_hand_right(endpoint, party, receiver);
    return (struct ipc_step){.blocked = true, .partner = receiver};
}

struct ipc_step endpoint_receive_locked(struct endpoint *endpoint, struct ipc_party *party, bool block)
{
    if (reply_right_held(&party->right)) {
        return done(STATUS_ERR_STATE, NULL);
    }
    if (endpoint->closed != STATUS_OK) {
        return done(endpoint->closed, NULL);
    }
    struct ipc_party *sender = endpoint_first_of(&endpoint->senders);
    if (sender == NULL) {
        return block ? wait_in(endpoint, &endpoint->receivers, party, IPC_RECEIVING)
                     : done(STATUS_ERR_AGAIN, NULL);
    }
    ipc_message_pass(&party->message, &sender->message);
    if (sender->state == IPC_CALLING) {
        list_remove(&sender->node);
        endpoint_hand_right(endpoint, sender, party);
        return done(STATUS_OK, NULL);
    }
    endpoint_end(sender, STATUS_OK);
    return done(STATUS_OK, sender);
}

struct ipc_step endpoint_reply_locked(struct reply_right *right, struct ipc_message *message)
{
    struct ipc_party *caller = right->caller;
    bool gone = right->gone;
    *right = (struct reply_right){NULL, NULL, false};
    if (caller == NULL) {
        return done(gone ? STATUS_ERR_PEER : STATUS_ERR_STATE, NULL);
    }
    ipc_message_pass(&caller->message, message);
    endpoint_end(caller, STATUS_OK);
    return done(STATUS_OK, caller);
}

struct ipc_party *endpoint_abandon_locked(struct reply_right *right, status_t why)
{
    struct ipc_party *caller = right->caller;
    *right = (struct reply_right){NULL, NULL, false};
    if (caller != NULL) {
        endpoint_end(caller, why);
    }
    return caller;
}

void endpoint_move_right_locked(struct reply_right *from, struct reply_right *to)
{
    *to = *from;
    *from = (struct reply_right){NULL, NULL, false};
    if (to->caller != NULL) {
        to->caller->answers = to;
    }
}

bool endpoint_cancel_locked(struct ipc_party *party, status_t why)
{
    if (party->state == IPC_IDLE) {
        return false;
    }
    if (party->answers != NULL) {
        *party->answers = (struct reply_right){NULL, NULL, true};
    }
    endpoint_end(party, why);
    return true;
}

static struct ipc_party *evict_from(struct list *parties, uint64_t id, status_t why)
{
    list_for_each(node, parties)
    {
        struct ipc_party *party = list_entry(node, struct ipc_party, node);
        if (id == 0 || party->message.badge == id) {
            (void)endpoint_cancel_locked(party, why);
            return party;
        }
    }
    return NULL;
}

struct ipc_party *endpoint_evict_locked(struct endpoint *endpoint, uint64_t id, status_t why)
{
    struct ipc_party *party = evict_from(&endpoint->senders, id, why);
    if (party == NULL) {
        party = evict_from(&endpoint->receivers, id, why);
    }
    return party == NULL && id != 0 ? evict_from(&endpoint->callers, id, why) : party;
}

void endpoint_close_locked(struct endpoint *endpoint, status_t why)
{
    endpoint->closed = why;
}
