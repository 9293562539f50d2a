#ifndef OS_LIB_NAMES_H
#define OS_LIB_NAMES_H

/*
 * Names of services. The name server (programs/nameserver) listens at the endpoint that every process holds in its
 * well-known slot CAP_ENDPOINT, from init on down; who is to have no names deletes that capability, or is spawned without.
 *
 * A name is bound to a capability that may be passed on; who looks it up gets one derived from it. It is owned by the
 * process that bound it, and free again when that one unbinds it, ends or replaces its program, or when the capability is
 * revoked.
 *
 * Calls of the server: the label says which one, m0..m3 are the name, filled up with zeros.
 *
 *     NAME_BIND     m4 the capability, m5 one that can send to and receive from an endpoint of the owner's, of which the server
 *                   gives the right to receive up: the name lives as long as somebody can receive there. That is the owner,
 *                   and whom it has given its right to
 *     NAME_FIND     answered with m1 the capability
 *     NAME_WAIT     as NAME_FIND, but not before there is such a name; STATUS_ERR_AGAIN: ask again
 *     NAME_UNBIND
 *     NAME_TIDY     no name; frees what belonged to those who have ended; answered with m1 how many names are bound
 *
 * The answer's m0 is a status.
 */

#include "lib/orrery.h"

#define NAME_BYTES  32u /* of a name in a message; the last one is zero */
#define NAMES_MAX   64u
#define NAME_WAITS  16u /* that the server keeps; with one more the oldest is told to ask again */
#define NAME_BIND   1u
#define NAME_FIND   2u
#define NAME_WAIT   3u
#define NAME_UNBIND 4u
#define NAME_TIDY   5u

/*
 * Binds a name of 1 to NAME_LENGTH_MAX characters to a child of the capability with these rights and the one to pass it on.
 * STATUS_ERR_ARGUMENT (empty), STATUS_ERR_LIMIT (too long; NAMES_MAX are bound), STATUS_ERR_EXISTS, STATUS_ERR_CAP_*.
 */
int64_t name_bind(const char *name, handle_t handle, unsigned rights);

/* A handle of the capability that has the name. STATUS_ERR_NOT_FOUND, STATUS_ERR_ARGUMENT, STATUS_ERR_CAP_*. */
int64_t name_find(const char *name);

/* The same as soon as there is such a name; STATUS_ERR_TIMEOUT when there is none for so long. */
int64_t name_wait(const char *name, uint64_t patience_ns);

/* STATUS_ERR_NOT_FOUND; STATUS_ERR_PERMISSION: another process has bound it. */
int64_t name_unbind(const char *name);

/* How many names are bound, once all that belonged to processes which have ended are free. */
int64_t name_tidy(void);

#endif
