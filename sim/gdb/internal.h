#ifndef ORRERY_GDB_INTERNAL_H
#define ORRERY_GDB_INTERNAL_H

/* What the files of a session share: session.c (packets), stops.c (running, and why it ended), monitor.c. */

#include "gdb/session.h"

#define GDB_POINTS_MAX 512u

/* The types of Z packets. */
enum point_type { POINT_SOFTWARE, POINT_HARDWARE, POINT_WRITE, POINT_READ, POINT_ACCESS, POINT_TYPES };

struct gdb_point {
    struct gdb_session *session; /* NULL: unused */
    enum point_type type;
    uint64_t address, size;
    int id; /* of the machine's observer */
};

enum stop_reason { STOP_NONE, STOP_STEP, STOP_POINT, STOP_INTERRUPTED, STOP_BEGINNING, STOP_END };

struct gdb_session {
    struct sim *sim;
    struct travel *travel;
    struct gdb_options options;
    unsigned cpus;
    unsigned selected; /* vCPU of registers and memory */
    unsigned stepped;  /* of `s` and `c` without vCont, and of `bs` */
    struct gdb_point points[GDB_POINTS_MAX];

    /* while it runs, and how that ended */
    struct moment from;
    enum stop_reason reason;
    unsigned cpu; /* that stopped */
    const struct gdb_point *point;
    bool stepping, step_taken;
    uint64_t range_first, range_end; /* of range stepping; equal: one step */
    struct error lost;               /* why it could not go where it was to; empty */
};

/* stops.c */
bool point_add(struct gdb_session *g, enum point_type type, uint64_t address, uint64_t size);
bool point_remove(struct gdb_session *g, enum point_type type, uint64_t address, uint64_t size);
void points_clear(struct gdb_session *g);
void resume(struct gdb_session *g);
/* While this vCPU is in the range [first, end), or for one step of it. */
void step(struct gdb_session *g, unsigned cpu, uint64_t first, uint64_t end);
void step_back(struct gdb_session *g, unsigned cpu);
void resume_back(struct gdb_session *g);
void put_stop(struct gdb_session *g, struct gdb_text *out);

/* monitor.c: a command of the user; its answer is text. */
void monitor(struct gdb_session *g, const char *command, struct gdb_text *out);

#endif
