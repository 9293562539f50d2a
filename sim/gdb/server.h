#ifndef ORRERY_GDB_SERVER_H
#define ORRERY_GDB_SERVER_H

/* A socket on which one debugger after another may look into a machine. */

#include "replay/travel.h"

struct gdb_server;

/* where: [HOST:]PORT; without a host only this machine can connect. Port 0: any that is free. NULL with a message. */
struct gdb_server *gdb_server_open(const char *where, struct error *e);
void gdb_server_close(struct gdb_server *v); /* NULL is none */
/* Where it listens, as a debugger's `target remote` takes it. */
void gdb_server_address(const struct gdb_server *v, char *text, size_t size);

enum gdb_end {
    GDB_DETACHED, /* the machine is to go on alone; also when the connection got lost */
    GDB_KILLED    /* it is to end here */
};

/* Waits for a debugger and does what it says, until it leaves. The machine goes no further than the limit. */
enum gdb_end gdb_server_serve(struct gdb_server *v, struct sim *s, struct travel *t, uint64_t limit_cycles);

#endif
