#ifndef OS_KERNEL_IPC_ENDPOINT_H
#define OS_KERNEL_IPC_ENDPOINT_H

/*
 * Endpoints: where threads meet to pass messages. The state machine alone; who sleeps and wakes is the caller's
 * affair (ipc/ipc.c), so it runs on the host as well.
 *
 * A party is one thread in one operation. Its states:
 *
 *     IDLE --send, nobody receives--> SENDING ---receive---> IDLE
 *     IDLE --call, nobody receives--> CALLING ---receive---> ANSWER
 *     IDLE --call, somebody receives----------------------> ANSWER --reply--> IDLE
 *     IDLE --receive, nobody sends--> RECEIVING --send, call--> IDLE
 *
 * and from every state back to IDLE with an error by cancel, revocation, close, or because the one who held the right to
 * answer gave it up. A right to answer is held by one party, for one caller, and is used once.
 *
 * Everything about a party that is not IDLE, and about a right that is not empty, is under the lock of its endpoint.
 * Functions named _locked want that lock held.
 */

#include <stdbool.h>

#include "abi/status.h"
#include "ipc/message.h"
#include "lib/list.h"
#include "lib/spinlock.h"

#define ENDPOINT_LOOK 8u /* receivers that a sender looks at */

enum ipc_state { IPC_IDLE, IPC_SENDING, IPC_CALLING, IPC_ANSWER, IPC_RECEIVING };

struct endpoint;
struct ipc_party;

/* The right to answer one call. */
struct reply_right {
    struct endpoint *endpoint; /* of the call, null: there is no caller */
    struct ipc_party *caller;
    bool gone; /* there was one */
};

struct ipc_party {
    struct list node; /* in a list of the endpoint */
    struct ipc_message message;
    struct endpoint *endpoint;   /* null: IDLE */
    struct reply_right *answers; /* ANSWER: the right that will end it */
    struct reply_right right;    /* that this party holds */
    enum ipc_state state;
    status_t result; /* of the operation that ended last; set before state */
    bool bare; /* its thread waits with nothing on its kernel stack but the frame of its call (ipc/fast.h) */
};

struct endpoint {
    struct spinlock lock;
    struct list senders;   /* SENDING and CALLING, first come first served; empty while receivers is not */
    struct list receivers; /* RECEIVING; a sender's node goes before first come */
    struct list callers;   /* ANSWER */
    status_t closed;       /* STATUS_OK while open, else what operations get */
};

/*
 * What an operation has led to. blocked: the party waits, status says nothing yet. partner: another party that became
 * IDLE and must run, or null; it may go away as soon as the endpoint's lock is released.
 */
struct ipc_step {
    status_t status;
    bool blocked;
    struct ipc_party *partner;
};

void endpoint_init(struct endpoint *endpoint);
void ipc_party_init(struct ipc_party *party);

/*
 * Passes party->message to a receiver, or waits for one: to the first on the party's NUMA node among the ENDPOINT_LOOK who have
 * waited longest, else to the first of all. STATUS_ERR_AGAIN: nobody receives and block is false; the status of a closed
 * endpoint. Bound: O(ENDPOINT_LOOK).
 */
struct ipc_step endpoint_send_locked(struct endpoint *endpoint, struct ipc_party *party, bool block);

/* As send; the party then waits for an answer. */
struct ipc_step endpoint_call_locked(struct endpoint *endpoint, struct ipc_party *party, bool block);

/*
 * Takes the first message into party->message, or waits for one. With a call comes the right to answer it;
 * STATUS_ERR_STATE while the party still holds an older one.
 */
struct ipc_step endpoint_receive_locked(struct endpoint *endpoint, struct ipc_party *party, bool block);

/* ---- the steps that operations are made of; also for ipc/fast.c. Locked, as all of the above. ---- */

/* The operation of a party has ended. */
static inline void endpoint_end(struct ipc_party *party, status_t result)
{
    list_remove(&party->node);
    party->endpoint = NULL;
    party->answers = NULL;
    party->result = result;
    __atomic_store_n(&party->state, IPC_IDLE, __ATOMIC_RELEASE);
}

/* A party that is in no list waits in one of the endpoint's. */
static inline void endpoint_wait_in(struct endpoint *endpoint, struct list *queue, struct ipc_party *party,
                                    enum ipc_state state)
{
    party->endpoint = endpoint;
    party->state = state;
    list_push_back(queue, &party->node);
}

/* A caller that is in no list waits for its answer; the right to give it lies with the receiver. */
static inline void endpoint_hand_right(struct endpoint *endpoint, struct ipc_party *caller,
                                       struct ipc_party *receiver)
{
    endpoint_wait_in(endpoint, &endpoint->callers, caller, IPC_ANSWER);
    caller->answers = &receiver->right;
    receiver->right = (struct reply_right){endpoint, caller, false};
}

static inline struct ipc_party *endpoint_first_of(const struct list *queue)
{
    return list_empty(queue) ? NULL : list_entry(queue->next, struct ipc_party, node);
}

/* NUMA node of the CPU where a party's thread runs or ran last. The embedder of parties defines it (ipc/ipc.c). */
uint32_t ipc_party_numa_node(const struct ipc_party *party);

/* A right that lets its holder answer, or tells that the caller has gone. */
static inline bool reply_right_held(const struct reply_right *right)
{
    return right->caller != NULL || right->gone;
}

/*
 * Answers with `message` the call whose right this is. The right is used up in any case. STATUS_ERR_STATE: no right;
 * STATUS_ERR_PEER: the caller has gone. The lock is that of right->endpoint, when there is one; so for the next two.
 */
struct ipc_step endpoint_reply_locked(struct reply_right *right, struct ipc_message *message);

/* Gives the right up: its caller gets `why` and is returned. */
struct ipc_party *endpoint_abandon_locked(struct reply_right *right, status_t why);

/* Moves a right to another place. to must be empty. */
void endpoint_move_right_locked(struct reply_right *from, struct reply_right *to);

/* Ends the operation of a party with `why`: its time is up, its thread ends. False: it has ended already. */
bool endpoint_cancel_locked(struct ipc_party *party, status_t why);

/*
 * Ends the operation of one party that waits through the capability `id` (0: any, but for an answer), null when none is
 * left: called again until then, with the lock released in between. Bound: O(parties that wait).
 */
struct ipc_party *endpoint_evict_locked(struct endpoint *endpoint, uint64_t id, status_t why);

/* From now on every operation gets `why`; those who wait are evicted by the caller. */
void endpoint_close_locked(struct endpoint *endpoint, status_t why);

#endif
