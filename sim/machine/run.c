/*
 * The strict order of a machine: steps, store drains and events in key order (docs/model.md).
 *
 * A step's key is (clock before it, vCPU number); the vCPU with the smallest key runs until its key would pass the
 * next one's, an event or a drain. At one moment the order is: events by timer number, drains by vCPU number, steps
 * by vCPU number. Time is skipped only when no vCPU is active.
 */

#include "machine/machine.h"

#include "base/check.h"
#include "cpu/mem.h"

#include <stdio.h>

/* The two smallest keys among the active vCPUs. */
struct schedule {
    struct cpu *first;
    uint64_t first_clock;
    uint64_t first_deadline; /* first may run while its clock is below this */
    struct cpu *draining;    /* the vCPU whose drain comes first, or NULL */
    uint64_t drain_cycles;
};

static struct schedule schedule_make(struct sim *s)
{
    struct schedule r = {
        .first_clock = EVENT_NEVER, .first_deadline = EVENT_NEVER, .drain_cycles = EVENT_NEVER};
    for (unsigned i = 0; i < s->config.cpus; i++) {
        struct cpu *cpu = &s->cpus[i];
        uint64_t drain = mem_drain_next(cpu);
        if (drain < r.drain_cycles) {
            r.drain_cycles = drain;
            r.draining = cpu;
        }
        if (cpu->activity != CPU_ACTIVE) {
            continue;
        }
        uint64_t clock = cpu_now(cpu);
        if (clock < r.first_clock) {
            /* the old first has a smaller number: at its clock it goes before this one's would */
            r.first_deadline = r.first ? r.first_clock : EVENT_NEVER;
            r.first = cpu;
            r.first_clock = clock;
        } else if (clock + 1 < r.first_deadline) {
            r.first_deadline = clock + 1; /* a larger number: first may still run at this clock */
        }
    }
    return r;
}

static void end_with(struct sim *s, enum sim_stop stop)
{
    s->ended = stop;
}

/* What a vCPU does at cycle key ends the machine. Under a timing model nobody else sees that at once (docs/timing.md, 8.1), so
 * that it ends alike for those that have run ahead. The first one counts. */
static void end_from(struct sim *s, enum sim_stop stop, uint64_t key)
{
    if (s->model == NULL) {
        end_with(s, stop);
    } else if (s->ending == SIM_RUNNING) {
        s->ending = stop;
        s->ending_cycles = key + s->timing->value[TIMING_snoop_cycles];
    }
}

static uint64_t ending_limit(const struct sim *s)
{
    return s->ending == SIM_RUNNING ? EVENT_NEVER : s->ending_cycles;
}

static void describe_cpu(struct sim *s, struct cpu *cpu, const char *what)
{
    char bytes[64] = "";
    uint8_t code[15];
    size_t at = 0;
    for (unsigned size = sizeof code; size > 0; size--) {
        if (sim_read_linear(s, cpu->number, lin(cpu_linear_rip(cpu)), code, size)) {
            for (unsigned i = 0; i < size; i++) {
                at += (size_t)snprintf(bytes + at, sizeof bytes - at, " %02x", code[i]);
            }
            break;
        }
    }
    s->stop_cpu = cpu->number;
    snprintf(s->stop_text, sizeof s->stop_text, "%s at cpu %u, cycle %llu, rip 0x%llx, bytes%s", what,
             cpu->number, (unsigned long long)cpu_now(cpu), (unsigned long long)cpu->rip,
             bytes[0] ? bytes : " unreadable");
}

static void stand_at(struct sim *s, enum position_kind kind, uint64_t at)
{
    s->at = (struct position){.kind = (uint16_t)kind, .at = at};
    s->stepped = NULL;
}

static struct position step_of(const struct cpu *cpu, enum position_kind kind)
{
    return (struct position){(uint16_t)kind, (uint16_t)cpu->number, cpu_now(cpu), cpu->retired,
                             cpu->gpr[RCX]};
}

static void stand_before(struct sim *s, const struct cpu *cpu)
{
    s->at = step_of(cpu, POSITION_BEFORE_STEP);
    s->stepped = NULL;
}

struct position sim_position(const struct sim *s)
{
    return s->stepped ? step_of(s->stepped, POSITION_AFTER_STEP) : s->at;
}

bool position_same(struct position a, struct position b)
{
    return a.kind == b.kind && a.cpu == b.cpu && a.at == b.at && a.retired == b.retired && a.rcx == b.rcx;
}

/* ---- going to a place ---- */

/* Is the next step, of cpu, behind the place where a replay stops? */
static bool target_is_next(const struct sim *s, const struct cpu *cpu)
{
    return s->target && position_same(*s->target, step_of(cpu, POSITION_BEFORE_STEP));
}

static bool target_is_here(const struct sim *s)
{
    return s->target && position_same(*s->target, sim_position(s));
}

static bool target_is_step_of(const struct sim *s, const struct cpu *cpu)
{
    const struct position *t = s->target;
    return t && (t->kind == POSITION_BEFORE_STEP || t->kind == POSITION_AFTER_STEP) && t->cpu == cpu->number;
}

/* How far cpu may run: not past the clock of a place at which a replay stops. */
static uint64_t target_limit(const struct sim *s, const struct cpu *cpu, uint64_t limit)
{
    bool ahead = target_is_step_of(s, cpu) && s->target->at > cpu_now(cpu);
    return ahead ? least_of(limit, s->target->at) : limit;
}

/* ---- progress ---- */

/* Work between two looks at the progress, in cycles over all vCPUs. */
#define PROGRESS_CYCLES UINT64_C(20000000)

void sim_on_progress(struct sim *s, sim_progress_fn *fn, void *arg)
{
    s->progress = (struct progress){.fn = fn, .arg = arg, .next_cycles = fn ? s->now_cycles : EVENT_NEVER};
}

/* Tells how far the run is, when it is time to. Returns where the next slice has to end for the next time. */
static inline uint64_t progress_limit(struct sim *s, uint64_t clock)
{
    if (clock >= s->progress.next_cycles) {
        s->progress.next_cycles = clock + PROGRESS_CYCLES / s->config.cpus;
        s->progress.shown = true;
        s->progress.fn(s->progress.arg, s, true);
    }
    return s->progress.next_cycles;
}

static void progress_hide(struct sim *s)
{
    if (s->progress.shown) {
        s->progress.shown = false;
        s->progress.fn(s->progress.arg, s, false);
    }
}

/* Runs the observers of a probed address; the vCPU stands before the instruction. */
static void fire_probes(struct sim *s, struct cpu *cpu)
{
    uint64_t address = cpu_linear_rip(cpu);
    stand_before(s, cpu);
    progress_hide(s);
    for (unsigned i = 0; i < s->probe_end; i++) {
        if (s->probes[i].used && s->probes[i].address.v == address) {
            s->probes[i].fn(s->probes[i].arg, cpu->number, cpu_now(cpu));
        }
    }
}

static enum cpu_stop run_cpu(struct sim *s, struct cpu *cpu, uint64_t deadline_cycles)
{
    s->running = cpu;
    enum cpu_stop stop = cpu_run(cpu, deadline_cycles);
    s->running = NULL;
    s->stepped = cpu;
    switch (stop) {
    case CPU_STOP_DEADLINE:
        break;
    case CPU_STOP_BREAK:
        cpu_wake(cpu,
                 cpu_now(cpu)); /* it may have halted with an interrupt already pending: no edge will come */
        break;
    case CPU_STOP_PROBE:
        s->now_cycles = cpu_now(cpu);
        fire_probes(s, cpu);
        break;
    case CPU_STOP_SHUTDOWN:
        if (s->ending == SIM_RUNNING) {
            describe_cpu(s, cpu, "triple fault");
        }
        end_from(s, SIM_STOP_TRIPLE_FAULT, cpu_now(cpu));
        break;
    case CPU_STOP_NOT_MODELLED:
        describe_cpu(s, cpu, cpu->stop_text);
        end_with(s, SIM_STOP_NOT_MODELLED);
        break;
    }
    if (s->ended != SIM_RUNNING || s->request != REQUEST_NONE) {
        s->now_cycles = cpu_now(cpu); /* it ended here, wherever the slice began */
    }
    return stop;
}

/* An active vCPU in the order of the steps. key: its clock, and its number in the low bits. */
struct runner {
    uint64_t key;
    struct cpu *cpu;
};

#define KEY_SHIFT 6 /* clocks are below 2^58 cycles, three years; later ones (a stall) take no turns */
_Static_assert(SIM_CPUS_MAX <= 1 << KEY_SHIFT, "a vCPU's number has its place in a key");

static inline bool has_key(const struct cpu *cpu)
{
    return cpu_now(cpu) >> (64 - KEY_SHIFT) == 0;
}

static inline uint64_t runner_clock(const struct runner *r)
{
    return r->key >> KEY_SHIFT;
}

/* The active vCPUs in order, the first at head. A ring, because the first mostly becomes the last. */
struct line {
    struct runner runners[SIM_CPUS_MAX];
    unsigned head, count;
    struct cpu *draining; /* of all vCPUs, the one whose drain comes first, at drain_cycles; or NULL */
    uint64_t drain_cycles;
    uint64_t drains[SIM_CPUS_MAX]; /* mem_drain_next of each vCPU */
};

static inline struct runner *line_at(struct line *l, unsigned n)
{
    return &l->runners[(l->head + n) % SIM_CPUS_MAX];
}

/* Puts a vCPU where it belongs, from the end. */
static inline void line_add(struct line *l, struct cpu *cpu)
{
    struct runner r = {cpu_now(cpu) << KEY_SHIFT | cpu->number, cpu};
    unsigned at = l->count++;
    while (at > 0 && r.key < line_at(l, at - 1)->key) {
        *line_at(l, at) = *line_at(l, at - 1);
        at--;
    }
    *line_at(l, at) = r;
}

static inline struct cpu *line_take(struct line *l)
{
    struct cpu *first = line_at(l, 0)->cpu;
    l->head = (l->head + 1) % SIM_CPUS_MAX;
    l->count--;
    return first;
}

static void line_find_drain(struct line *l, struct sim *s)
{
    l->draining = NULL;
    l->drain_cycles = EVENT_NEVER;
    for (unsigned i = 0; i < s->config.cpus; i++) {
        if (l->drains[i] < l->drain_cycles) {
            l->drain_cycles = l->drains[i];
            l->draining = &s->cpus[i];
        }
    }
}

/* cpu has run, or drained: its stores may have changed. */
static inline void line_note_drain(struct line *l, struct sim *s, struct cpu *cpu)
{
    uint64_t due = mem_drain_next(cpu);
    if (due == l->drains[cpu->number]) {
        return;
    }
    l->drains[cpu->number] = due;
    if (cpu == l->draining) {
        line_find_drain(l, s);
    } else if (due < l->drain_cycles ||
               (l->draining && due == l->drain_cycles && cpu->number < l->draining->number)) {
        l->draining = cpu;
        l->drain_cycles = due;
    }
}

/* Until when cpu may run as far as drains are concerned: until the next one, with a model the next one of another vCPU, since
 * cpu sees to its own as it runs (timed_boundary). */
static inline uint64_t line_drain_of_others(const struct line *l, const struct sim *s, const struct cpu *cpu)
{
    if (s->model == NULL || l->draining != cpu) {
        return l->drain_cycles;
    }
    uint64_t soonest = EVENT_NEVER;
    for (unsigned i = 0; i < s->config.cpus; i++) {
        soonest = i == cpu->number ? soonest : least_of(soonest, l->drains[i]);
    }
    return soonest;
}

/* False: a clock has no key. */
static bool line_up(struct line *l, struct sim *s)
{
    l->head = l->count = 0;
    for (unsigned i = 0; i < s->config.cpus; i++) {
        if (s->cpus[i].activity == CPU_ACTIVE) {
            if (!has_key(&s->cpus[i])) {
                return false;
            }
            line_add(l, &s->cpus[i]);
        }
        l->drains[i] = mem_drain_next(&s->cpus[i]);
    }
    line_find_drain(l, s);
    return true;
}

/* How far vCPUs may run ahead: nothing that one does reaches another one, or memory that another one has in its caches, sooner. */
static uint64_t window_of(const struct sim *s)
{
    const uint32_t *v = s->timing->value;
    uint64_t messages = least_of(v[TIMING_ipi_cycles], v[TIMING_ioapic_cycles]);
    return least_of(least_of(v[TIMING_snoop_cycles], messages), VIRTIO_FETCH_CYCLES);
}

/* In look-ahead order the vCPU goes on before its turn. others_cycles: when another one acts at the soonest. */
static bool go_ahead(struct sim *s, struct cpu *cpu, uint64_t others_cycles, uint64_t until_cycles)
{
    uint64_t limit = least_of(event_next(s->events), until_cycles);
    bool far = cpu_run_ahead(cpu, others_cycles, least_of(limit, others_cycles + s->ahead_cycles));
    s->stepped = cpu;
    return far;
}

/* The first vCPU runs until its turn is over, before until_cycles and before the drain of another one. */
static inline enum cpu_stop line_run_first(struct line *l, struct sim *s, uint64_t until_cycles)
{
    const struct runner *first = line_at(l, 0), *second = line_at(l, 1);
    bool later_number = (second->key & (SIM_CPUS_MAX - 1)) > (first->key & (SIM_CPUS_MAX - 1));
    uint64_t drain = line_drain_of_others(l, s, first->cpu), others = least_of(drain, runner_clock(second));
    uint64_t turn = least_of(drain, runner_clock(second) + later_number);
    struct cpu *cpu = line_take(l);
    enum cpu_stop stop = CPU_STOP_DEADLINE;
    bool far = s->ahead_cycles != 0 && go_ahead(s, cpu, others, until_cycles);
    if (!far && cpu_now(cpu) < turn) {
        uint64_t limit = least_of(event_next(s->events), until_cycles);
        stop = run_cpu(s, cpu, least_of(limit, turn));
        if (s->ahead_cycles != 0 && stop == CPU_STOP_DEADLINE) {
            go_ahead(s, cpu, others, until_cycles);
        }
    }
    if (!has_key(cpu)) {
        return CPU_STOP_BREAK; /* the caller lines up anew */
    }
    line_add(l, cpu);
    line_note_drain(l, s, cpu);
    return stop;
}

/* line_drain_of_others without a line. */
static uint64_t drain_of_others(const struct sim *s, const struct cpu *cpu, uint64_t first_cycles)
{
    if (s->model == NULL || mem_drain_next(cpu) > first_cycles) {
        return first_cycles;
    }
    uint64_t soonest = EVENT_NEVER;
    for (unsigned i = 0; i < s->config.cpus; i++) {
        uint64_t due = &s->cpus[i] == cpu ? EVENT_NEVER : mem_drain_next(&s->cpus[i]);
        soonest = least_of(soonest, due);
    }
    return soonest;
}

/* Slices of several vCPUs in turns, and drains, as advance() would take them one by one, while nothing changes but
 * clocks and stores: whatever wakes, halts or asks for something makes cpu_run return with another reason than its
 * deadline; a drain that wakes somebody changes s->wakes. */
static void take_turns(struct sim *s, uint64_t until_cycles)
{
    struct line line;
    if (!line_up(&line, s)) {
        return;
    }
    s->ahead_cycles = s->config.lookahead && !s->target ? window_of(s) : 0;
    enum cpu_stop stop = CPU_STOP_DEADLINE;
    uint64_t wakes = s->wakes;
    while (line.count >= 2 && stop == CPU_STOP_DEADLINE && !s->stop_asked && s->request == REQUEST_NONE &&
           s->wakes == wakes) {
        uint64_t clock = runner_clock(line_at(&line, 0));
        uint64_t limit = least_of(event_next(s->events), until_cycles),
                 soonest = least_of(clock, line.drain_cycles);
        if (soonest >= limit) {
            return;
        }
        s->now_cycles = soonest > s->now_cycles ? soonest : s->now_cycles;
        if (line.drain_cycles <= clock) {
            mem_drain_due(line.draining, soonest);
            line_note_drain(&line, s, line.draining);
        } else {
            stop = line_run_first(&line, s, until_cycles);
        }
    }
}

static void take_request(struct sim *s)
{
    static const enum sim_stop stops[] = {
        [REQUEST_RESET] = SIM_STOP_RESET,
        [REQUEST_POWER_OFF] = SIM_STOP_POWER_OFF,
        [REQUEST_DEBUG_EXIT] = SIM_STOP_DEBUG_EXIT,
    };
    if (s->request != REQUEST_NONE) {
        end_from(s, stops[s->request], s->request_cycles);
        s->request = s->ended == SIM_RUNNING ? REQUEST_NONE : s->request;
    }
}

/* All vCPUs wait and none of them takes maskable interrupts: only a message in flight could help, or a device whose
 * interrupt the guest has made an NMI. (LINT0 of the bootstrap processor is the only local pin that is wired.) */
static bool all_deaf(const struct sim *s)
{
    if (!apic_bus_is_idle(&s->apic_bus) || ioapic_has_unmaskable(&s->ioapic) ||
        lapic_lint_is_unmaskable(&s->lapics[0], 0)) {
        return false;
    }
    for (unsigned i = 0; i < s->config.cpus; i++) {
        const struct cpu *cpu = &s->cpus[i];
        bool waits = cpu->activity == CPU_HALTED || cpu->activity == CPU_MWAIT;
        if (waits && (cpu->rflags & RFLAGS_IF)) {
            return false;
        }
    }
    return true;
}

/* When nothing goes on: the moment the last vCPU stopped. */
static uint64_t last_clock(const struct sim *s)
{
    uint64_t clock = s->now_cycles;
    for (unsigned i = 0; i < s->config.cpus; i++) {
        clock = cpu_now(&s->cpus[i]) > clock ? cpu_now(&s->cpus[i]) : clock;
    }
    return clock;
}

/* At the clock of a place where a replay stops the vCPU takes one step at a time, and while somebody looks at each. */
static enum cpu_stop run_towards_target(struct sim *s, struct cpu *cpu, uint64_t deadline_cycles)
{
    bool near = target_is_step_of(s, cpu) && s->target->at == cpu_now(cpu);
    if (!near && !s->boundary.fn) {
        return run_cpu(s, cpu, target_limit(s, cpu, deadline_cycles));
    }
    s->alone = cpu;
    hooks_update(s, cpu->number);
    enum cpu_stop stop = run_cpu(s, cpu, deadline_cycles);
    s->alone = NULL;
    hooks_update(s, cpu->number);
    return stop;
}

void sim_on_boundary(struct sim *s, sim_boundary_fn *fn, void *arg)
{
    s->boundary = (struct boundary){fn, arg};
}

/* Tells of the step that is next. False: it is not to be taken. */
static bool pass_boundary(struct sim *s, const struct cpu *cpu)
{
    stand_before(s, cpu);
    s->boundary.fn(s->boundary.arg, s, cpu->number);
    return !s->stop_asked;
}

static void run_first(struct sim *s, const struct schedule *next, uint64_t limit)
{
    if (target_is_next(s, next->first)) {
        stand_before(s, next->first);
        return;
    }
    if (s->boundary.fn && !pass_boundary(s, next->first)) {
        return;
    }
    uint64_t own =
        least_of(limit, least_of(next->first_deadline, drain_of_others(s, next->first, next->drain_cycles)));
    enum cpu_stop stop = run_towards_target(s, next->first, own);
    if (stop == CPU_STOP_DEADLINE && next->first_deadline != EVENT_NEVER && !s->target && !s->boundary.fn) {
        take_turns(s, limit);
    }
}

/* What look-ahead cannot take back ends it. */
static void stop_if_overtaken(struct sim *s)
{
    if (s->model != NULL && s->model->overtaken) {
        snprintf(s->stop_text, sizeof s->stop_text,
                 "a vCPU had run ahead of what reached it at cycle %llu; run it with --order strict, which "
                 "has no such limit",
                 (unsigned long long)s->now_cycles);
        end_with(s, SIM_STOP_NOT_MODELLED);
    }
}

/* One move of the strict order; returns what stops the run, or SIM_RUNNING. */
static enum sim_stop advance(struct sim *s, uint64_t until_cycles)
{
    struct schedule next = schedule_make(s);
    uint64_t event = event_next(s->events);
    uint64_t soonest = least_of(least_of(event, next.drain_cycles), next.first_clock);
    if (s->ending != SIM_RUNNING && least_of(soonest, until_cycles) >= s->ending_cycles) {
        s->now_cycles = s->ending_cycles;
        end_with(s, s->ending);
        return s->ended;
    }
    if (!next.first && next.drain_cycles == EVENT_NEVER && (event == EVENT_NEVER || all_deaf(s))) {
        s->now_cycles = last_clock(s);
        return SIM_STOP_NO_PROGRESS;
    }
    if (soonest >= until_cycles) {
        s->now_cycles = until_cycles;
        if (s->moved) {
            stand_at(s, POSITION_BEFORE_CYCLE, until_cycles);
        }
        return SIM_STOP_CYCLES;
    }
    s->moved = true;
    s->now_cycles = soonest > s->now_cycles ? soonest : s->now_cycles;
    if (event <= soonest) {
        event_fire_one(s->events, soonest);
        s->events_fired++;
        stand_at(s, POSITION_AFTER_EVENT, s->events_fired);
    } else if (next.drain_cycles <= soonest) {
        mem_drain_due(next.draining, soonest);
    } else {
        uint64_t limit = least_of(event, least_of(until_cycles, ending_limit(s)));
        run_first(s, &next, least_of(limit, progress_limit(s, next.first_clock)));
    }
    take_request(s);
    stop_if_overtaken(s);
    return s->ended;
}

/* The cut after a slice: the smallest clock of an active vCPU. */
static uint64_t cut(const struct sim *s)
{
    uint64_t clock = EVENT_NEVER;
    for (unsigned i = 0; i < s->config.cpus; i++) {
        if (s->cpus[i].activity == CPU_ACTIVE) {
            clock = least_of(clock, cpu_now(&s->cpus[i]));
        }
    }
    return clock != EVENT_NEVER && clock > s->now_cycles ? clock : s->now_cycles;
}

/* Where the run stands, for an internal error. */
static void print_position(const void *sim)
{
    const struct sim *s = sim;
    const struct cpu *cpu = s->running ? s->running : &s->cpus[0];
    fprintf(stderr, "orrery: seed %llu, %s vCPU %u at cycle %llu, rip 0x%llx\n",
            (unsigned long long)s->config.seed, s->running ? "in" : "outside of any; first", cpu->number,
            (unsigned long long)cpu_now(cpu), (unsigned long long)cpu->rip);
}

void sim_on_cut(struct sim *s, uint64_t next_cycles, sim_cut_fn *fn, void *arg)
{
    s->cut = (struct cut){fn, arg, fn ? next_cycles : EVENT_NEVER};
}

/* One move, not past the next cut; reaching that is not the end of a run, and who is called stands where the run stands. */
static enum sim_stop advance_in_cuts(struct sim *s, uint64_t until_cycles)
{
    struct position at = s->at;
    struct cpu *stepped = s->stepped;
    enum sim_stop stop = advance(s, least_of(until_cycles, s->cut.next_cycles));
    if (stop != SIM_STOP_CYCLES || s->now_cycles < s->cut.next_cycles) {
        return stop;
    }
    struct position end = s->at;
    s->at = at;
    s->stepped = stepped;
    s->cut.next_cycles = s->cut.fn(s->cut.arg, s);
    if (s->now_cycles < until_cycles) {
        return SIM_RUNNING;
    }
    if (s->moved) {
        s->at = end;
        s->stepped = NULL;
    }
    return stop;
}

enum sim_stop sim_last_stop(const struct sim *s)
{
    return s->last_stop;
}

enum sim_stop sim_run(struct sim *s, uint64_t until_cycles)
{
    s->stop_asked = false;
    s->moved = false;
    check_set_context(CHECK_MACHINE, print_position, s);
    enum sim_stop stop = s->ended;
    while (stop == SIM_RUNNING) {
        stop = advance_in_cuts(s, until_cycles);
        s->stop_asked |= target_is_here(s);
        if (stop == SIM_RUNNING && s->stop_asked) {
            s->now_cycles = cut(s);
            stop = SIM_STOP_ASKED;
        }
    }
    check_set_context(CHECK_MACHINE, NULL, NULL);
    progress_hide(s);
    s->last_stop = stop;
    return stop;
}

void sim_stop_ask(struct sim *s)
{
    s->stop_asked = true;
    if (s->running) {
        cpu_request_break(s->running);
    }
}

/* ---- what the parts tell the machine ---- */

void machine_wake(struct sim *s, unsigned cpu, uint64_t now_cycles)
{
    struct cpu *c = &s->cpus[cpu];
    if (c->activity == CPU_ACTIVE) {
        cpu_request_break(c);
    } else if (cpu_wake(c, now_cycles)) {
        s->wakes++;
        if (s->running) {
            cpu_request_break(s->running); /* the order has a new member */
        }
    }
}

/* Something reaches a vCPU that may have gone on without it. */
static void reach(struct sim *s, unsigned cpu, uint64_t now_cycles)
{
    const struct timing_core *core = s->cpus[cpu].timing;
    if (core != NULL && &s->cpus[cpu] != s->running && core->ahead_until > now_cycles) {
        s->model->overtaken = true;
    }
    machine_wake(s, cpu, now_cycles);
}

static void on_intr(void *target, unsigned cpu, bool asserted, uint64_t now_cycles)
{
    if (asserted) {
        reach(target, cpu, now_cycles);
    }
}

static void on_nmi(void *target, unsigned cpu, uint64_t now_cycles)
{
    struct sim *s = target;
    s->cpus[cpu].nmi_pending = true;
    reach(s, cpu, now_cycles);
}

static void on_init(void *target, unsigned cpu, uint64_t now_cycles)
{
    struct sim *s = target;
    s->cpus[cpu].init_pending = true;
    reach(s, cpu, now_cycles);
}

/* A SIPI to a vCPU that does not wait for one is dropped, as the manual says. */
static void on_sipi(void *target, unsigned cpu, uint8_t vector, uint64_t now_cycles)
{
    struct sim *s = target;
    struct cpu *c = &s->cpus[cpu];
    if (c->activity == CPU_WAIT_FOR_SIPI || c->init_pending) {
        c->sipi_vector = (uint16_t)(0x100u | vector);
        machine_wake(s, cpu, now_cycles + s->phases[cpu]);
    }
}

/* System management mode is not built: its interrupt must not get lost quietly. */
static void on_smi(void *target, unsigned cpu, uint64_t now_cycles)
{
    struct sim *s = target;
    describe_cpu(s, &s->cpus[cpu], "system management interrupt");
    end_with(s, SIM_STOP_NOT_MODELLED);
    machine_wake(s, cpu, now_cycles);
}

const struct lapic_signals machine_lapic_signals = {
    .smi = on_smi,
    .intr = on_intr,
    .nmi = on_nmi,
    .init = on_init,
    .sipi = on_sipi,
};

void machine_request_raised(void *target, enum machine_request request, uint32_t value, uint64_t now_cycles)
{
    struct sim *s = target;
    if (s->request == REQUEST_NONE && s->ending == SIM_RUNNING) {
        s->request = request;
        s->request_cycles = now_cycles;
        s->exit_value = value;
        s->stop_cpu = s->running ? s->running->number : 0;
    }
    if (s->running) {
        cpu_request_break(s->running);
    }
}

/* When what is being written becomes memory: a store that is due by the end of an instruction drains before that. */
static uint64_t write_cycles(const struct sim *s)
{
    const struct cpu *cpu = s->running;
    return cpu == NULL ? s->now_cycles : cpu->drain_key != 0 ? cpu->drain_key : cpu_now(cpu);
}

void machine_special_write(void *target, phys_t a, unsigned size_bytes)
{
    struct sim *s = target;
    uint8_t flags = s->bus.ram.flags[a.v >> PAGE_SHIFT];
    if (flags & PAGE_CODE) {
        block_cache_invalidate(s->blocks, a, size_bytes);
    }
    if (!(flags & PAGE_MONITOR)) {
        return;
    }
    for (unsigned i = 0; i < s->config.cpus; i++) {
        struct cpu *cpu = &s->cpus[i];
        uint64_t line = cpu->monitor_line.v & ~UINT64_C(63);
        if (cpu->monitor_armed && a.v < line + 64 && a.v + size_bytes > line) {
            cpu->monitor_armed = false;
            machine_wake(s, i, write_cycles(s));
        }
    }
}

void machine_drop_write_pointers(void *target)
{
    struct sim *s = target;
    for (unsigned i = 0; i < s->config.cpus; i++) {
        cpu_drop_write_pointers(&s->cpus[i]);
    }
}
