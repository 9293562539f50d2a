#ifndef ORRERY_GDB_SESSION_H
#define ORRERY_GDB_SESSION_H

/*
 * What a debugger asks of a machine with its history, packet by packet; where packets come from is somebody else's (server.h).
 *
 * vCPUs are threads 1 to n, of one process. Addresses are linear; memory is what the selected vCPU sees as a supervisor. Break-
 * and watchpoints are observers: guest memory and debug registers stay as they are. Writes of registers and memory are effects.
 *
 * Source: the GDB manual, "Remote Protocol".
 */

#include "gdb/packet.h"
#include "replay/travel.h"

struct gdb_options {
    uint64_t limit_cycles;          /* the machine goes no further */
    bool (*interrupted)(void *arg); /* asked now and then while it runs: shall it stop? */
    void *arg;
};

struct gdb_session;

/* The travel outlives the session. */
struct gdb_session *gdb_session_create(struct sim *s, struct travel *t, const struct gdb_options *o);
void gdb_session_free(struct gdb_session *g); /* NULL is none; takes all its observers away */

enum gdb_reply {
    GDB_REPLY,  /* the answer is to be sent */
    GDB_NO_ACK, /* the answer is to be sent, and from then on nobody acknowledges */
    GDB_DETACH, /* the answer is to be sent, and the machine is to go on alone */
    GDB_KILL /* the end of the session and of the machine; the answer may be empty, and is then not to be sent */
};

/* Answers a packet's data (size bytes, a 0 behind them) in *out, which is empty at first. May run the machine. */
enum gdb_reply gdb_session_answer(struct gdb_session *g, const uint8_t *data, size_t size,
                                  struct gdb_text *out);

#endif
