/* Running a machine for a debugger, forwards and backwards: break- and watchpoints, steps, and why it stopped. */

#include "gdb/internal.h"

#include <string.h>

#define SLICE_CYCLES UINT64_C(20000000) /* between looks at whether the debugger wants it to stop */

/* ---- break- and watchpoints ---- */

static void stop_for(struct gdb_session *g, enum stop_reason reason, unsigned cpu, const struct gdb_point *p)
{
    g->reason = reason;
    g->cpu = cpu;
    g->point = p;
    sim_stop_ask(g->sim);
}

static bool is_where_it_began(const struct gdb_session *g)
{
    struct moment now = travel_now(g->travel);
    return now.cycles == g->from.cycles && now.instructions == g->from.instructions &&
           now.position.kind == g->from.position.kind && now.position.cpu == g->from.position.cpu &&
           now.position.rcx == g->from.position.rcx;
}

static void at_break(void *arg, unsigned cpu, uint64_t now_cycles)
{
    const struct gdb_point *p = arg;
    struct gdb_session *g = p->session;
    enum travel_purpose purpose = travel_purpose(g->travel);
    (void)now_cycles;
    if (purpose == TRAVEL_SEARCHING && travel_found(g->travel)) {
        g->cpu = cpu;
        g->point = p;
    } else if (purpose == TRAVEL_RUNNING && !is_where_it_began(g)) {
        stop_for(g, STOP_POINT, cpu, p);
    }
}

static void at_access(void *arg, unsigned cpu, bool write)
{
    const struct gdb_point *p = arg;
    struct gdb_session *g = p->session;
    enum travel_purpose purpose = travel_purpose(g->travel);
    (void)write;
    if (purpose == TRAVEL_SEARCHING && travel_found_inside(g->travel, cpu)) {
        g->cpu = cpu;
        g->point = p;
    } else if (purpose == TRAVEL_RUNNING) {
        stop_for(g, STOP_POINT, cpu, p);
    }
}

static bool is_break(enum point_type type)
{
    return type == POINT_SOFTWARE || type == POINT_HARDWARE;
}

static struct gdb_point *point_find(struct gdb_session *g, enum point_type type, uint64_t address,
                                    uint64_t size)
{
    for (unsigned i = 0; i < GDB_POINTS_MAX; i++) {
        struct gdb_point *p = &g->points[i];
        if (p->session && p->type == type && p->address == address && (is_break(type) || p->size == size)) {
            return p;
        }
    }
    return NULL;
}

static int observe(struct gdb_session *g, struct gdb_point *p)
{
    const struct sim_access access = {.first = lin(p->address),
                                      .size_bytes = p->size,
                                      .reads = p->type != POINT_WRITE,
                                      .writes = p->type != POINT_READ};
    return is_break(p->type) ? sim_probe_add(g->sim, lin(p->address), at_break, p)
                             : sim_access_add(g->sim, &access, at_access, p);
}

bool point_add(struct gdb_session *g, enum point_type type, uint64_t address, uint64_t size)
{
    if (point_find(g, type, address, size)) {
        return true; /* asked for again, as the protocol allows */
    }
    for (unsigned i = 0; i < GDB_POINTS_MAX; i++) {
        struct gdb_point *p = &g->points[i];
        if (!p->session) {
            *p = (struct gdb_point){g, type, address, size, -1};
            p->id = observe(g, p);
            p->session = p->id < 0 ? NULL : g;
            return p->id >= 0;
        }
    }
    return false;
}

static void forget(struct gdb_session *g, struct gdb_point *p)
{
    if (is_break(p->type)) {
        sim_probe_remove(g->sim, p->id);
    } else {
        sim_access_remove(g->sim, p->id);
    }
    p->session = NULL;
}

bool point_remove(struct gdb_session *g, enum point_type type, uint64_t address, uint64_t size)
{
    struct gdb_point *p = point_find(g, type, address, size);
    if (p) {
        forget(g, p);
    }
    return p != NULL;
}

void points_clear(struct gdb_session *g)
{
    for (unsigned i = 0; i < GDB_POINTS_MAX; i++) {
        if (g->points[i].session) {
            forget(g, &g->points[i]);
        }
    }
}

/* ---- forwards ---- */

static void begin(struct gdb_session *g)
{
    g->from = travel_now(g->travel);
    g->reason = STOP_NONE;
    g->point = NULL;
    g->lost.text[0] = 0;
}

/* Until something stops it, the limit, or the debugger. */
static void run(struct gdb_session *g)
{
    begin(g);
    while (g->reason == STOP_NONE) {
        uint64_t now = sim_cycles(g->sim), left = g->options.limit_cycles - now;
        if (now >= g->options.limit_cycles) {
            g->reason = STOP_END;
            return;
        }
        enum sim_stop stop =
            travel_run(g->travel, now + (left < SLICE_CYCLES ? left : SLICE_CYCLES), &g->lost);
        if (g->reason == STOP_NONE &&
            (g->lost.text[0] || (stop != SIM_STOP_CYCLES && stop != SIM_STOP_ASKED))) {
            g->reason = STOP_END;
            g->cpu = sim_stop_cpu(g->sim);
        } else if (g->reason == STOP_NONE && g->options.interrupted(g->options.arg)) {
            g->reason = STOP_INTERRUPTED;
        }
    }
}

void resume(struct gdb_session *g)
{
    run(g);
}

/* The step is over when the next one of the vCPU begins, outside of the range. */
static void at_boundary(void *arg, struct sim *s, unsigned cpu)
{
    struct gdb_session *g = arg;
    struct sim_regs r;
    if (cpu != g->stepped || travel_purpose(g->travel) != TRAVEL_RUNNING) {
        return;
    }
    if (!g->step_taken) {
        g->step_taken = true;
        return;
    }
    sim_get_regs(s, cpu, &r);
    if (r.linear_rip < g->range_first || r.linear_rip >= g->range_end) {
        stop_for(g, STOP_STEP, cpu, NULL);
    }
}

void step(struct gdb_session *g, unsigned cpu, uint64_t first, uint64_t end)
{
    g->stepped = cpu;
    g->step_taken = false;
    g->range_first = first;
    g->range_end = end;
    sim_on_boundary(g->sim, at_boundary, g);
    run(g);
    sim_on_boundary(g->sim, NULL, NULL);
}

/* ---- backwards ---- */

static void note_result(struct gdb_session *g, enum travel_result r, enum stop_reason found)
{
    g->reason = r == TRAVEL_FOUND ? found : STOP_BEGINNING;
    if (r == TRAVEL_LOST) {
        error_set(&g->lost, "the run does not come to where it was");
    }
}

void step_back(struct gdb_session *g, unsigned cpu)
{
    begin(g);
    g->cpu = cpu;
    note_result(g, travel_step_back(g->travel, cpu), STOP_STEP);
}

void resume_back(struct gdb_session *g)
{
    begin(g);
    note_result(g, travel_search_back(g->travel), STOP_POINT);
}

/* ---- why it stopped ---- */

static void put_point(const struct gdb_point *p, struct gdb_text *out)
{
    static const char *const names[POINT_TYPES] = {"swbreak", "hwbreak", "watch", "rwatch", "awatch"};
    if (is_break(p->type)) {
        gdb_putf(out, "%s:;", names[p->type]);
    } else {
        gdb_putf(out, "%s:%llx;", names[p->type], (unsigned long long)p->address);
    }
}

/* Signals as GDB numbers them: SIGINT 2, SIGTRAP 5, SIGSEGV 11. */
void put_stop(struct gdb_session *g, struct gdb_text *out)
{
    bool crashed = g->reason == STOP_END && sim_last_stop(g->sim) == SIM_STOP_TRIPLE_FAULT;
    unsigned signal = g->reason == STOP_INTERRUPTED ? 2 : crashed ? 11 : 5;
    gdb_putf(out, "T%02xthread:%x;", signal, g->cpu + 1);
    if (g->point && g->reason == STOP_POINT) {
        put_point(g->point, out);
    } else if (g->reason == STOP_BEGINNING) {
        gdb_put(out, "replaylog:begin;");
    } else if (g->reason == STOP_END && !crashed) {
        gdb_put(out, "replaylog:end;");
    }
    g->selected = g->cpu;
}
