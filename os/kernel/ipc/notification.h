#ifndef OS_KERNEL_IPC_NOTIFICATION_H
#define OS_KERNEL_IPC_NOTIFICATION_H

/* Notifications: 64 bits that signallers set and waiters take. */

#include "ipc/waiting.h"

struct notification;

MUST_CHECK status_t notification_init(void);

/* A new notification, all bits 0. RIGHT_WRITE signals, RIGHT_READ waits. As cap_insert. */
MUST_CHECK status_t notification_create(struct cap_space *space, cap_handle_t *out);

/* Sets bits and wakes who waits. Any context. */
void notification_signal(struct notification *notification, uint64_t bits);

/* Takes those of the wanted bits that are set, waiting for the first. Fails as ipc_wait, STATUS_ERR_AGAIN: none. */
MUST_CHECK status_t notification_wait(struct notification *notification, const struct ipc_claim *claim,
                                      uint64_t wanted, uint64_t deadline, uint64_t *out);

struct notification *notification_of(struct object *object);
void notification_release(struct object *object);
void notification_removed(struct object *object, uint64_t id, uint32_t rights, status_t why);

#endif
