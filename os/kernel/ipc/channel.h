#ifndef OS_KERNEL_IPC_CHANNEL_H
#define OS_KERNEL_IPC_CHANNEL_H

/*
 * Channels: bounded queues of 64-byte messages, for any number of producers (RIGHT_WRITE) and consumers (RIGHT_READ). A
 * blocking channel has one lock and lets threads wait; a lock-free one takes no lock and never waits.
 */

#include "ipc/waiting.h"

struct channel;

MUST_CHECK status_t channel_init(void);

/*
 * A new channel of `capacity` messages, in frames of a node (negative: the own one) alone. flags: CHANNEL_LOCK_FREE.
 * STATUS_ERR_NO_LOCAL_MEMORY; STATUS_ERR_NO_MEMORY; as cap_insert.
 */
MUST_CHECK status_t channel_create(struct cap_space *space, uint32_t capacity, uint32_t flags, int node,
                                   cap_handle_t *out);

/*
 * Puts, takes up to `count` messages of 8 words: as many as there is room for, or are there, and waits only for the first.
 * *done: how many. Fails as ipc_wait; STATUS_ERR_AGAIN: full, empty; STATUS_ERR_PEER: nobody can take, or nobody can put and
 * the channel is empty. Thread context.
 */
MUST_CHECK status_t channel_put(struct channel *channel, const struct ipc_claim *claim, const uint64_t *words,
                                uint64_t count, uint64_t deadline, uint64_t *done);
MUST_CHECK status_t channel_take(struct channel *channel, const struct ipc_claim *claim, uint64_t *words,
                                 uint64_t count, uint64_t deadline, uint64_t *done);

struct channel *channel_of(struct object *object);
void channel_release(struct object *object);
void channel_added(struct object *object, uint32_t rights);
void channel_removed(struct object *object, uint64_t id, uint32_t rights, status_t why);

#endif
