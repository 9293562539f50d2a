#ifndef OS_KERNEL_IPC_TRANSIT_H
#define OS_KERNEL_IPC_TRANSIT_H

/*
 * Capabilities that travel in messages. On its way a capability lies in a space of the kernel's own, as a child of the
 * sender's and parent of the receiver's: a revocation finds it wherever it is. The words of the message name it there.
 */

#include "abi/status.h"
#include "cap/cap.h"
#include "ipc/message.h"

/* Makes the space. */
MUST_CHECK status_t transit_init(void);

/* Gives back what it keeps for later messages. Thread context. */
void transit_trim(void);

/*
 * Replaces the handles in a message, whose tag is sound, by those in transit. All or nothing: fails as cap_derive
 * (RIGHT_GRANT is needed). Thread context, no lock held.
 */
MUST_CHECK status_t transit_put(struct cap_space *from, struct ipc_message *message);

/* Moves what a message carries into the receiver's space; a word becomes a handle there, or a status. */
void transit_take(struct cap_space *to, struct ipc_message *message);

/* Takes back what a message carries that was not delivered: the words of what was given up name it again. */
void transit_return(struct cap_space *owner, struct ipc_message *message);

#endif
