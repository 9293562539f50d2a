/*
 * Going back means: back to a checkpoint before the place, and on to it. Whenever a machine goes on to a known place that is far,
 * it leaves checkpoints half way, three quarters of the way and so on, so that the next step back from there has little to run.
 *
 * Checkpoints are kept in the order of (cycles, instructions, effects). At a stop that an observer asked for, the machine's clock
 * may be ahead of events that are still to come, so a checkpoint that seems to come before a moment may lie behind it: who
 * does not arrive tries the one before.
 */

#include "replay/travel.h"

#include "base/alloc.h"

#define INTERVAL_CYCLES   UINT64_C(4000000)
#define NEAR_INSTRUCTIONS UINT64_C(4000) /* so much is run again in single steps without another thought */
#define POINTS_MIN        3u

struct progress {
    uint64_t clock, retired;
};

struct point {
    struct moment at;
    struct checkpoint *checkpoint;
    struct progress *cpus; /* how far each vCPU was */
    bool between;          /* left on the way to a place; not one of the regular ones */
};

struct travel {
    struct sim *sim;
    enum travel_purpose purpose;
    enum sim_stop stop; /* of the last run: has it ended? */
    uint64_t budget_bytes, interval_cycles;

    struct effect *effects;
    size_t effect_count, effect_capacity, applied;

    struct point *points; /* ascending; the first is the beginning */
    size_t point_count, point_capacity;
    uint64_t state_bytes; /* of their checkpoints, without pages */

    bool behind; /* it has gone back, from: */
    uint64_t furthest_cycles;

    const struct moment *aim; /* on the way to it, or NULL */

    /* a search */
    struct moment from;     /* where it began */
    uint64_t found;         /* so many times, in this part of the history */
    struct moment found_at; /* the last time */
    bool found_inside;      /* then: of this vCPU's step */
    unsigned found_cpu;
    uint64_t wanted; /* stop inside the step of this one; 0: none */
};

static bool is_forever(enum sim_stop stop)
{
    return stop != SIM_RUNNING && stop != SIM_STOP_CYCLES && stop != SIM_STOP_ASKED;
}

struct moment travel_now(const struct travel *t)
{
    return (struct moment){
        .position = sim_position(t->sim),
        .cycles = sim_cycles(t->sim),
        .instructions = sim_instructions(t->sim),
        .effects = t->applied,
        .ended = is_forever(t->stop) ? t->stop : SIM_RUNNING,
    };
}

enum travel_purpose travel_purpose(const struct travel *t)
{
    return t->purpose;
}

bool travel_is_new(const struct travel *t, uint64_t now_cycles)
{
    return t->purpose == TRAVEL_RUNNING && (!t->behind || now_cycles > t->furthest_cycles);
}

size_t travel_future_count(const struct travel *t)
{
    return t->effect_count - t->applied;
}

/* ---- the order of moments ---- */

static int compare(const struct moment *a, const struct moment *b)
{
    uint64_t x[] = {a->cycles, a->instructions, a->effects}, y[] = {b->cycles, b->instructions, b->effects};
    for (unsigned i = 0; i < 3; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

static bool same_position(struct position a, struct position b)
{
    return a.kind == b.kind && a.cpu == b.cpu && a.at == b.at && a.retired == b.retired && a.rcx == b.rcx;
}

static bool same_moment(const struct moment *a, const struct moment *b)
{
    return compare(a, b) == 0 && a->ended == b->ended && same_position(a->position, b->position);
}

/* Number of points up to a moment; the first is always before it. */
static size_t points_until(const struct travel *t, const struct moment *m)
{
    size_t low = 0, high = t->point_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(&t->points[middle].at, m) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- checkpoints ---- */

static void point_remove(struct travel *t, size_t n)
{
    struct point *p = &t->points[n];
    t->state_bytes -= checkpoint_bytes(p->checkpoint);
    checkpoint_free(p->checkpoint);
    free(p->cpus);
    memmove(p, p + 1, (t->point_count - n - 1) * sizeof *p);
    t->point_count--;
}

static uint64_t bytes_held(const struct travel *t)
{
    return t->state_bytes + sim_checkpoint_pages_bytes(t->sim);
}

/* The first and the last stay. Those between go first, from the oldest; then every second. */
static void thin_out(struct travel *t)
{
    for (size_t n = 1; n + 1 < t->point_count && bytes_held(t) > t->budget_bytes;) {
        if (t->points[n].between) {
            point_remove(t, n);
        } else {
            n++;
        }
    }
    while (bytes_held(t) > t->budget_bytes && t->point_count > POINTS_MIN) {
        for (size_t n = 1; n + 1 < t->point_count; n++) {
            point_remove(t, n);
        }
        t->interval_cycles *= 2;
    }
}

static void take_point(struct travel *t, bool between)
{
    struct moment now = travel_now(t);
    size_t n = points_until(t, &now), cpus = sim_get_config(t->sim)->cpus;
    if (n > 0 && compare(&t->points[n - 1].at, &now) == 0) {
        return;
    }
    if (t->point_count == t->point_capacity) {
        t->point_capacity = t->point_capacity ? 2 * t->point_capacity : 64;
        t->points = realloc(t->points, t->point_capacity * sizeof *t->points);
        CHECK(t->points, "out of memory: %zu checkpoints", t->point_capacity);
    }
    struct point p = {now, sim_checkpoint(t->sim), alloc_zeroed(cpus, sizeof *p.cpus), between};
    for (unsigned i = 0; i < cpus; i++) {
        struct sim_regs r;
        sim_get_regs(t->sim, i, &r);
        p.cpus[i] = (struct progress){r.clock_cycles, r.retired};
    }
    memmove(&t->points[n + 1], &t->points[n], (t->point_count - n) * sizeof p);
    t->points[n] = p;
    t->point_count++;
    t->state_bytes += checkpoint_bytes(p.checkpoint);
}

/* Where the next regular one is due. */
static uint64_t next_regular(const struct travel *t)
{
    return t->points[t->point_count - 1].at.cycles + t->interval_cycles;
}

/* Half of what is left of the way. */
static uint64_t next_between(const struct travel *t)
{
    uint64_t now = sim_cycles(t->sim);
    bool far = t->aim && t->aim->cycles > now + 1 &&
               t->aim->instructions > sim_instructions(t->sim) + NEAR_INSTRUCTIONS;
    return far ? now + (t->aim->cycles - now) / 2 : UINT64_MAX;
}

static uint64_t next_cut(const struct travel *t)
{
    uint64_t regular = next_regular(t), between = next_between(t), soon = sim_cycles(t->sim) + 1;
    uint64_t next = regular < between ? regular : between;
    return next < soon ? soon : next;
}

static uint64_t on_cut(void *arg, struct sim *s)
{
    struct travel *t = arg;
    take_point(t, sim_cycles(s) < next_regular(t));
    if (t->aim == NULL) {
        thin_out(t); /* else who is on the way knows points */
    }
    return next_cut(t);
}

/* From here on, for this purpose. */
static void set_out(struct travel *t, enum travel_purpose purpose, const struct moment *aim)
{
    t->purpose = purpose;
    t->aim = aim;
    sim_on_cut(t->sim, next_cut(t), on_cut, t);
}

static void arrive(struct travel *t)
{
    t->purpose = TRAVEL_RUNNING;
    t->aim = NULL;
}

/* ---- the beginning and the end ---- */

static void effect_append(struct travel *t, const struct effect *f)
{
    if (t->effect_count == t->effect_capacity) {
        t->effect_capacity = t->effect_capacity ? 2 * t->effect_capacity : 64;
        t->effects = realloc(t->effects, t->effect_capacity * sizeof *t->effects);
        CHECK(t->effects, "out of memory: %zu effects", t->effect_capacity);
    }
    t->effects[t->effect_count++] = *f;
}

struct travel *travel_create(struct sim *s, const struct travel_options *o)
{
    struct travel *t = alloc_zeroed(1, sizeof *t);
    t->sim = s;
    t->stop = sim_last_stop(s);
    t->budget_bytes = o->budget_bytes;
    t->interval_cycles = o->interval_cycles ? o->interval_cycles : INTERVAL_CYCLES;
    for (size_t i = 0; i < o->future_count; i++) {
        effect_append(t, &o->future[i]);
    }
    take_point(t, false);
    return t;
}

void travel_free(struct travel *t)
{
    if (!t) {
        return;
    }
    sim_on_cut(t->sim, UINT64_MAX, NULL, NULL);
    while (t->point_count) {
        point_remove(t, t->point_count - 1);
    }
    free(t->points);
    free(t->effects);
    free(t);
}

/* ---- forwards ---- */

enum step_to { STEP_DONE, STEP_ASKED, STEP_LOST };

/* The next effect of the history, at its place. */
static enum step_to apply_next(struct travel *t, struct error *e)
{
    const struct effect *f = &t->effects[t->applied];
    bool there = sim_go_to(t->sim, f->position, f->at_cycles);
    t->stop = sim_last_stop(t->sim);
    if (!there && t->stop == SIM_STOP_ASKED) {
        return STEP_ASKED;
    }
    if (!there) {
        error_set(e, "effect %zu (%s) at cycle %llu: the run does not come there", t->applied + 1,
                  sim_effect_name((enum effect_kind)f->kind), (unsigned long long)f->at_cycles);
        return STEP_LOST;
    }
    if (!sim_effect(t->sim, f, e)) {
        return STEP_LOST;
    }
    t->applied++;
    return STEP_DONE;
}

static enum sim_stop run_until(struct travel *t, uint64_t until_cycles, enum travel_purpose purpose,
                               struct error *e)
{
    e->text[0] = 0;
    set_out(t, purpose, NULL);
    enum step_to step = STEP_DONE;
    while (step == STEP_DONE && t->applied < t->effect_count &&
           t->effects[t->applied].at_cycles <= until_cycles) {
        step = apply_next(t, e);
    }
    if (step == STEP_DONE) {
        t->stop = sim_run(t->sim, until_cycles);
    }
    arrive(t);
    return t->stop;
}

enum sim_stop travel_run(struct travel *t, uint64_t until_cycles, struct error *e)
{
    return run_until(t, until_cycles, TRAVEL_RUNNING, e);
}

bool travel_effect(struct travel *t, const struct effect *f, struct error *e)
{
    struct moment now = travel_now(t);
    if (!sim_effect(t->sim, f, e)) {
        return false;
    }
    size_t kept = points_until(t, &now);
    while (t->point_count > kept && t->point_count > 1) {
        point_remove(t, t->point_count - 1);
    }
    t->behind = false;
    t->effect_count = t->applied;
    effect_append(t, sim_effect_get(t->sim, sim_effect_count(t->sim) - 1));
    t->applied++;
    return true;
}

/* ---- to a moment ---- */

static void back_to(struct travel *t, size_t point)
{
    const struct point *p = &t->points[point];
    uint64_t now = sim_cycles(t->sim);
    t->furthest_cycles = t->behind && t->furthest_cycles > now ? t->furthest_cycles : now;
    t->behind = true;
    sim_go_back(t->sim, p->checkpoint);
    t->applied = p->at.effects;
    t->stop = p->at.ended == SIM_RUNNING ? SIM_STOP_ASKED : p->at.ended;
}

/* From here, which is before it. False: it was not reached; or, of a search, an observer asked to stop. */
static bool on_to(struct travel *t, const struct moment *m, enum travel_purpose purpose)
{
    bool there = true;
    set_out(t, purpose, m);
    while (there && t->applied < m->effects) {
        there = apply_next(t, NULL) == STEP_DONE;
    }
    if (there && m->ended != SIM_RUNNING) {
        t->stop = sim_run(t->sim, m->cycles == UINT64_MAX ? m->cycles : m->cycles + 1);
        there = t->stop == m->ended;
    } else if (there) {
        there = sim_go_to(t->sim, m->position, m->cycles);
        t->stop = SIM_STOP_ASKED;
    }
    arrive(t);
    return there;
}

/* By way of the point, or of one before it from which it is reached: *point becomes that. */
static bool go_by(struct travel *t, size_t *point, const struct moment *m, enum travel_purpose purpose)
{
    const struct moment to = *m; /* it may be a point's */
    for (;; --*point) {
        t->found = 0;
        back_to(t, *point);
        if (on_to(t, &to, purpose)) {
            return true;
        }
        if (*point == 0) {
            back_to(t, 0);
            return false;
        }
    }
}

bool travel_go(struct travel *t, const struct moment *m)
{
    struct moment now = travel_now(t);
    thin_out(t);
    size_t point = points_until(t, m) - 1;
    bool near = compare(&now, m) < 0 && compare(&t->points[point].at, &now) < 0;
    if (same_moment(&now, m) || (near && on_to(t, m, TRAVEL_MOVING))) {
        return true;
    }
    return go_by(t, &point, m, TRAVEL_MOVING);
}

bool travel_go_cycle(struct travel *t, uint64_t cycles)
{
    struct error e = {""};
    struct moment to = {.cycles = cycles};
    if (cycles < sim_cycles(t->sim)) {
        size_t before = points_until(t, &to);
        back_to(t, before ? before - 1 : 0);
    }
    if (cycles > sim_cycles(t->sim)) {
        run_until(t, cycles, TRAVEL_MOVING, &e);
    }
    return e.text[0] == 0;
}

/* ---- backwards ---- */

/* The last point that is not `m` itself or behind it; SIZE_MAX: there is none. */
static size_t point_before(const struct travel *t, const struct moment *m)
{
    size_t n = points_until(t, m);
    while (n > 0 && same_moment(&t->points[n - 1].at, m)) {
        n--;
    }
    return n - 1;
}

static enum travel_result at_beginning(struct travel *t)
{
    back_to(t, 0);
    return TRAVEL_NOTHING;
}

/* Lets a point lie shortly before the moment, if one far before it is the last. */
static bool come_near(struct travel *t, const struct moment *m)
{
    size_t n = point_before(t, m);
    bool far = m->instructions > t->points[n].at.instructions + 2 * NEAR_INSTRUCTIONS;
    return !far || go_by(t, &n, m, TRAVEL_MOVING);
}

/* The boundaries of one vCPU. */
struct last_step {
    const struct travel *travel;
    unsigned cpu;
    bool seen;
    struct moment at;
};

static void note_step(void *arg, struct sim *s, unsigned cpu)
{
    struct last_step *l = arg;
    (void)s;
    if (cpu == l->cpu) {
        l->seen = true;
        l->at = travel_now(l->travel);
    }
}

static bool has_moved(const struct point *p, const struct progress *since, unsigned cpu)
{
    return p->cpus[cpu].clock != since->clock || p->cpus[cpu].retired != since->retired;
}

static struct progress progress_of(const struct travel *t, unsigned cpu)
{
    struct sim_regs r;
    sim_get_regs(t->sim, cpu, &r);
    return (struct progress){r.clock_cycles, r.retired};
}

/* The last step of a vCPU between a point, or one before it, and the moment. */
static bool find_step(struct travel *t, size_t *point, const struct moment *m, struct last_step *l)
{
    sim_on_boundary(t->sim, note_step, l);
    bool there = go_by(t, point, m, TRAVEL_MOVING);
    sim_on_boundary(t->sim, NULL, NULL);
    return there;
}

/* Between the last point before the moment and that. */
static enum travel_result step_back_from(struct travel *t, const struct moment *end, struct progress *is,
                                         struct last_step *l)
{
    if (!has_moved(&t->points[point_before(t, end)], is, l->cpu)) {
        return TRAVEL_NOTHING;
    }
    if (!come_near(t, end)) {
        return TRAVEL_LOST;
    }
    size_t n = point_before(t, end);
    if (has_moved(&t->points[n], is, l->cpu) && !find_step(t, &n, end, l)) {
        return TRAVEL_LOST;
    }
    *is = t->points[n].cpus[l->cpu];
    return l->seen ? TRAVEL_FOUND : TRAVEL_NOTHING;
}

enum travel_result travel_step_back(struct travel *t, unsigned cpu)
{
    struct last_step l = {.travel = t, .cpu = cpu};
    struct moment end = travel_now(t);
    struct progress is = progress_of(t, cpu);
    thin_out(t);
    for (size_t n; (n = point_before(t, &end)) != SIZE_MAX; end = t->points[point_before(t, &end)].at) {
        enum travel_result r = step_back_from(t, &end, &is, &l);
        if (r != TRAVEL_NOTHING) {
            return r == TRAVEL_FOUND && travel_go(t, &l.at) ? TRAVEL_FOUND : TRAVEL_LOST;
        }
    }
    return at_beginning(t);
}

/* ---- searching ---- */

static bool note_found(struct travel *t, bool inside, unsigned cpu)
{
    struct moment now = travel_now(t);
    if (t->purpose != TRAVEL_SEARCHING || (!inside && same_moment(&now, &t->from))) {
        return false;
    }
    t->found++;
    if (t->wanted) {
        if (t->found == t->wanted) {
            sim_stop_ask(t->sim);
        }
        return false;
    }
    t->found_at = now;
    t->found_inside = inside;
    t->found_cpu = cpu;
    return true;
}

bool travel_found(struct travel *t)
{
    return note_found(t, false, 0);
}

bool travel_found_inside(struct travel *t, unsigned cpu)
{
    return note_found(t, true, cpu);
}

/* To before the step inside of which the last one between the point and the end was found: there once more, up to it, and a
 * step back. */
static enum travel_result go_before_found(struct travel *t, size_t point, const struct moment *end)
{
    t->wanted = t->found;
    t->found = 0;
    back_to(t, point);
    on_to(t, end, TRAVEL_SEARCHING);
    bool there = t->found == t->wanted;
    t->wanted = 0;
    return there ? travel_step_back(t, t->found_cpu) : TRAVEL_LOST;
}

enum travel_result travel_search_back(struct travel *t)
{
    struct moment end = t->from = travel_now(t);
    thin_out(t);
    for (size_t n; (n = point_before(t, &end)) != SIZE_MAX; end = t->points[n].at) {
        if (!go_by(t, &n, &end, TRAVEL_SEARCHING)) {
            return TRAVEL_LOST;
        }
        if (t->found && t->found_inside) {
            return go_before_found(t, n, &end);
        }
        if (t->found) {
            struct moment at = t->found_at;
            return travel_go(t, &at) ? TRAVEL_FOUND : TRAVEL_LOST;
        }
    }
    return at_beginning(t);
}
