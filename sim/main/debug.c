/* A machine under a debugger. */

#include "main/debug.h"

#include "gdb/server.h"

#define HISTORY_BYTES (UINT64_C(1) << 30)

struct shown_once {
    struct console *console;
    const struct travel *travel;
};

static void output(void *arg, unsigned port, uint8_t byte, uint64_t now_cycles)
{
    const struct shown_once *w = arg;
    if (travel_is_new(w->travel, now_cycles)) {
        console_output(w->console, port, byte, now_cycles);
    }
}

static void announce(const struct gdb_server *v)
{
    char address[64];
    gdb_server_address(v, address, sizeof address);
    fprintf(stderr, "orrery: waiting for a debugger: target remote %s\n", address);
}

bool debug_run(struct sim *s, const struct options *o, const struct debug_future *f, struct console *console,
               enum sim_stop *stop, struct error *e)
{
    struct gdb_server *v = gdb_server_open(o->gdb, e);
    if (!v) {
        return false;
    }
    const struct travel_options history = {
        .budget_bytes = HISTORY_BYTES, .future = f->effects, .future_count = f->count};
    struct travel *t = travel_create(s, &history);
    struct shown_once shown = {console, t};
    e->text[0] = 0;
    sim_on_output(s, output, &shown);
    announce(v);
    *stop = SIM_STOP_ASKED;
    if (gdb_server_serve(v, s, t, f->limit_cycles) == GDB_DETACHED) {
        *stop = travel_run(t, f->limit_cycles, e);
    }
    sim_on_output(s, NULL, NULL);
    travel_free(t);
    gdb_server_close(v);
    return e->text[0] == 0;
}
