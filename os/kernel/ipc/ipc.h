#ifndef OS_KERNEL_IPC_IPC_H
#define OS_KERNEL_IPC_IPC_H

/*
 * Messages between threads: endpoints as kernel objects, waiting and waking, hand-off of the CPU, capabilities in messages.
 * The message of an operation lies in the party of the current thread (thread->ipc.message), before and after. All of it in
 * thread context with no lock held. Who waits, waits until `deadline` (cycles, WAIT_FOREVER) or not at all (IPC_NO_WAIT).
 *
 * What ends an operation that waits: STATUS_ERR_TIMEOUT; STATUS_ERR_CAP_REVOKED (the capability it was begun with);
 * STATUS_ERR_CAP_INVALID (that one was deleted); STATUS_ERR_PEER (no other side is left: nobody can receive, or send; or the
 * one who was to answer ended).
 */

#include "abi/status.h"
#include "cap/cap.h"
#include "ipc/endpoint.h"

#define IPC_NO_WAIT 0ull

struct thread;

struct endpoint_object {
    struct object object;
    struct endpoint endpoint;
    int32_t senders; /* capabilities that can; under the endpoint's lock */
    int32_t receivers;
};

/* Makes the caches of endpoints, channels and notifications. */
MUST_CHECK status_t ipc_init(void);

/* A new endpoint; its first capability has all rights. RIGHT_WRITE sends, RIGHT_READ receives. As cap_insert. */
MUST_CHECK status_t ipc_endpoint_create(struct cap_space *space, cap_handle_t *out);

/* Fails as cap_lookup, transit_put, endpoint_send_locked, STATUS_ERR_RATE, or with what ended the wait. */
MUST_CHECK status_t ipc_send(cap_handle_t handle, uint64_t deadline);
MUST_CHECK status_t ipc_call(cap_handle_t handle, uint64_t deadline);
MUST_CHECK status_t ipc_receive(cap_handle_t handle, uint64_t deadline);

/*
 * Answers the call that was received last (handle 0), or the one whose right was put aside. STATUS_ERR_STATE: none, or
 * answered before; STATUS_ERR_PEER: the caller has gone.
 */
MUST_CHECK status_t ipc_reply(cap_handle_t handle);

/* Answers the call that was received last, then receives. A caller that has gone is passed over in silence. */
MUST_CHECK status_t ipc_reply_receive(cap_handle_t handle, uint64_t deadline);

/* The rest of a call, or of an answer with receive, that the short way (ipc/fast.h) began. Fails with what ended the wait. */
MUST_CHECK status_t ipc_continue(void);

/* Puts the right to answer the last call aside, as a capability. STATUS_ERR_STATE: there is none; as cap_insert. */
MUST_CHECK status_t ipc_reply_save(struct cap_space *space, cap_handle_t *out);

/* The thread will not use messages any more: who waits for its answer gets STATUS_ERR_PEER. */
void ipc_thread_end(struct thread *thread);

/* What capabilities do to endpoints and rights put aside (object_types.c). */
void ipc_endpoint_release(struct object *object);
void ipc_endpoint_added(struct object *object, uint32_t rights);
void ipc_endpoint_removed(struct object *object, uint64_t id, uint32_t rights, status_t why);
void ipc_reply_release(struct object *object);

#endif
