#ifndef OS_LIB_SERVE_H
#define OS_LIB_SERVE_H

/* What servers of endpoints have in common. */

#include "lib/orrery.h"

/*
 * Answers the call received last with *message, if what came was a call and not a message that nobody waits behind, and
 * receives the next one into *message. As ipc_reply_receive, but a plain send does not end a server.
 */
int64_t serve_next(handle_t endpoint, struct ipc_registers *message);

/* Deletes the capabilities that came with a message: for who asks for none. */
void serve_drop_handles(const struct ipc_registers *message);

#endif
