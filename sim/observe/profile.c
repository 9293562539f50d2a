/* What belongs to whom. docs/profile.md is the definition. */

#include "observe/profile_internal.h"

#include "base/alloc.h"
#include "base/visit.h"

#include <string.h>

#define NO_PAGE 1u

static const char *const pseudo_names[PROFILE_PSEUDO_COUNT] = {
    [PROFILE_IDLE] = "(idle)",           [PROFILE_STALL] = "(stall)", [PROFILE_INTERRUPT] = "(interrupt)",
    [PROFILE_EXCEPTION] = "(exception)", [PROFILE_DEEP] = "(deeper)",
};

/* ---- functions and lines ---- */

static uint32_t add_function(struct profile *p, struct profile_function f)
{
    p->functions = index_grow(p->functions, p->function_count, sizeof *p->functions);
    p->functions[p->function_count] = f;
    return (uint32_t)p->function_count++;
}

static uint32_t add_location(struct profile *p, struct profile_location l)
{
    p->locations = index_grow(p->locations, p->location_count, sizeof *p->locations);
    p->locations[p->location_count] = l;
    return (uint32_t)p->location_count++;
}

/* The function whose symbol covers an address; without a symbol one for the whole program. */
static uint32_t symbol_at(struct profile *p, uint32_t program, uint64_t pc)
{
    const struct symbols *s = p->programs.programs[program].symbols;
    struct profile_function f = {.program = program, .name = "(no symbol)", .outer = INDEX_NONE};
    uint64_t offset, first = UINT64_MAX;
    if (s != NULL && symbols_cover(s, pc, &f.name, &offset)) {
        first = pc - offset;
        if (!symbols_line(s, first, &f.file, &f.line)) {
            f.file = NULL;
            f.line = 0;
        }
    }
    struct index_key key = {program, first, 0};
    uint32_t found = index_find(&p->function_of, key);
    if (found == INDEX_NONE) {
        found = add_function(p, f);
        index_add(&p->function_of, key, found);
    }
    return found;
}

/* What was inlined into a function. Its key has a third word that no symbol's has. */
static uint32_t inlined_into(struct profile *p, uint32_t outer, const struct inlined_function *f)
{
    struct index_key key = {outer, f->origin, 1};
    uint32_t found = index_find(&p->function_of, key);
    if (found == INDEX_NONE) {
        uint32_t program = p->functions[outer].program;
        found = add_function(p, (struct profile_function){program, f->name, f->file, f->line, outer});
        index_add(&p->function_of, key, found);
    }
    return found;
}

/* The function of an address: of those that were inlined there the innermost. */
static uint32_t function_at(struct profile *p, uint32_t program, uint64_t pc)
{
    struct symbols *s = p->programs.programs[program].symbols;
    struct inlined_function inlined[SYMBOLS_INLINED_MAX];
    size_t count = s ? symbols_inlined_at(s, pc, inlined) : 0;
    uint32_t found = symbol_at(p, program, pc);
    for (size_t i = 0; i < count; i++) {
        found = inlined_into(p, found, &inlined[i]);
    }
    return found;
}

/* The location of an address: one for all of its function that have its line. */
static uint32_t location_at(struct profile *p, uint32_t program, uint64_t pc)
{
    struct index_key key = {program, pc, 0};
    uint32_t found = index_find(&p->location_of, key);
    if (found != INDEX_NONE) {
        return found;
    }
    const struct symbols *s = p->programs.programs[program].symbols;
    struct profile_location l = {.function = function_at(p, program, pc)};
    if (s == NULL || !symbols_line(s, pc, &l.file, &l.line)) {
        l.file = NULL;
        l.line = 0;
    }
    uint64_t file = l.file ? digest_bytes(l.file, strlen(l.file)).lo : 0;
    struct index_key line = {l.function, file, (uint64_t)l.line};
    found = index_find(&p->line_of, line);
    if (found == INDEX_NONE) {
        found = add_location(p, l);
        index_add(&p->line_of, line, found);
    }
    index_add(&p->location_of, key, found);
    return found;
}

/* ---- charging ---- */

static uint32_t cell_at(struct profile *p, uint32_t caller, uint32_t location, unsigned cpu)
{
    struct index_key key = {caller, location, cpu};
    uint32_t found = index_find(&p->cell_of, key);
    if (found == INDEX_NONE) {
        p->cells = index_grow(p->cells, p->cell_count, sizeof *p->cells);
        p->cells[p->cell_count] = (struct profile_cell){caller, location, cpu, 0};
        found = (uint32_t)p->cell_count++;
        index_add(&p->cell_of, key, found);
    }
    return found;
}

static struct profile_row *row_of(struct profile *p, uint32_t function, unsigned cpu)
{
    struct index_key key = {function, cpu, 0};
    uint32_t found = index_find(&p->row_of, key);
    if (found == INDEX_NONE) {
        p->rows = index_grow(p->rows, p->row_count, sizeof *p->rows);
        p->rows[p->row_count] = (struct profile_row){.function = function, .cpu = cpu};
        found = (uint32_t)p->row_count++;
        index_add(&p->row_of, key, found);
    }
    return &p->rows[found];
}

/* Those of the vCPU as they are; interrupts, which nobody takes from there, are 0. */
static void read_counters(const struct profile *p, unsigned cpu, uint64_t now[PROFILE_COUNTERS])
{
    const uint64_t *model = sim_timing_counters(p->sim, cpu);
    memset(now, 0, PROFILE_COUNTERS * sizeof *now);
    now[PROFILE_MASKED] = sim_counter(p->sim, COUNTER_MASKED, cpu);
    if (model != NULL) {
        memcpy(&now[PROFILE_TIMING_FIRST], model, PROFILE_TIMING * sizeof *now);
        now[PROFILE_SHARING] = sim_counter(p->sim, COUNTER_FALSE_SHARING, cpu);
    }
}

/* What the machine has counted since the last step of the vCPU. */
static void charge_row(struct profile *p, unsigned cpu, uint32_t function, uint64_t cycles,
                       uint64_t instructions)
{
    struct profile_row *row = row_of(p, function, cpu);
    uint64_t now[PROFILE_COUNTERS], *before = p->cpus[cpu].counters;
    read_counters(p, cpu, now);
    row->cycles += cycles;
    row->instructions += instructions;
    for (unsigned i = 0; i < PROFILE_COUNTERS; i++) {
        row->counters[i] += now[i] - before[i];
        before[i] = now[i];
    }
}

/* The function that has a row: one that is there as such. */
static uint32_t function_of_row(const struct profile *p, uint32_t location)
{
    uint32_t function = p->locations[location].function;
    while (p->functions[function].outer != INDEX_NONE) {
        function = p->functions[function].outer;
    }
    return function;
}

static void charge(struct profile *p, unsigned cpu, uint32_t cell, uint64_t cycles, uint64_t instructions)
{
    p->cells[cell].cycles += cycles;
    if (p->tables) {
        charge_row(p, cpu, function_of_row(p, p->cells[cell].location), cycles, instructions);
    }
}

/* Pseudo functions have the locations of their numbers. */
static void charge_pseudo(struct profile *p, unsigned cpu, uint32_t caller, enum profile_pseudo f,
                          uint64_t cycles)
{
    charge(p, cpu, cell_at(p, caller, f, cpu), cycles, 0);
}

/* ---- where a vCPU is ---- */

/* The space of user code that is about to run at pc, with this root. */
static void look(struct profile *p, unsigned cpu, uint64_t root, uint64_t pc)
{
    struct profile_cpu *v = &p->cpus[cpu];
    uint64_t page = pc & ~UINT64_C(0xfff);
    root &= ~UINT64_C(0xfff);
    if (v->root != root || v->page != page) {
        v->space = programs_look(&p->programs, p->sim, cpu, root, pc);
        v->root = root;
        v->page = page;
    }
}

static uint32_t program_of(const struct profile_cpu *v)
{
    return v->privilege == 3 ? v->space.program : PROGRAM_KERNEL;
}

/* An address of the upper half means the same in all spaces. */
static struct call_slot slot_of(const struct profile_cpu *v, uint64_t address)
{
    return (struct call_slot){address >> 63 ? 0 : v->space.number, address};
}

/* The cell of the instruction at pc, which the vCPU executes where it is. */
static uint32_t cell_of(struct profile *p, unsigned cpu, uint64_t pc)
{
    struct profile_cpu *v = &p->cpus[cpu];
    uint32_t program = program_of(v);
    struct profile_recent *r = &v->recent[(pc ^ pc >> 11) % PROFILE_RECENT];
    if (r->pc != pc || r->program != program || r->caller != v->place.caller) {
        uint32_t cell = cell_at(p, v->place.caller, location_at(p, program, pc), cpu);
        *r = (struct profile_recent){pc, program, v->place.caller, cell};
    }
    return r->cell;
}

/* ---- steps ---- */

enum step_kind { STEP_PLAIN, STEP_CALL, STEP_RETURN, STEP_ENTER, STEP_LEAVE };

static bool is_prefix(uint8_t b)
{
    return b == 0x66 || b == 0x67 || b == 0xf0 || b == 0xf2 || b == 0xf3 || b == 0x2e || b == 0x36 ||
           b == 0x3e || b == 0x26 || b == 0x64 || b == 0x65;
}

/* Source: APM vol. 3, opcode maps. */
static enum step_kind kind_of(const struct timing_record *r)
{
    const uint8_t *b = r->bytes, *end = r->bytes + r->length;
    while (b < end && is_prefix(*b)) {
        b++;
    }
    b += b < end && r->mode_bits == 64 && (*b & 0xf0) == 0x40;
    uint8_t first = b < end ? *b : 0x90, second = b + 1 < end ? b[1] : 0;
    switch (first) {
    case 0xe8:
    case 0x9a:
        return STEP_CALL;
    case 0xff:
        return (second >> 3 & 7) == 2 || (second >> 3 & 7) == 3 ? STEP_CALL : STEP_PLAIN;
    case 0xc2:
    case 0xc3:
    case 0xca:
    case 0xcb:
        return STEP_RETURN;
    case 0xcf:
        return STEP_LEAVE;
    case 0x0f:
        return second == 0x05 || second == 0x34   ? STEP_ENTER
               : second == 0x07 || second == 0x35 ? STEP_LEAVE
                                                  : STEP_PLAIN;
    default:
        return STEP_PLAIN;
    }
}

/* Where the step has led. A call of the next instruction only asks where it is. */
static void follow(struct profile *p, const struct timing_record *r, uint32_t function)
{
    struct profile_cpu *v = &p->cpus[r->cpu];
    uint64_t behind = r->pc + r->length;
    switch (kind_of(r)) {
    case STEP_CALL:
        if (r->next != behind) {
            call_enter(&p->stacks, &v->place, function, slot_of(v, r->stack), behind);
        }
        break;
    case STEP_RETURN:
        call_return(&p->stacks, &v->place, slot_of(v, v->stack), r->next);
        break;
    case STEP_ENTER:
        call_trap(&p->stacks, &v->place, function, INDEX_NONE, slot_of(v, v->stack), behind);
        break;
    case STEP_LEAVE:
        if (r->privilege == 3) {
            v->page = NO_PAGE;
            look(p, r->cpu, r->space, r->next);
        }
        call_resume(&p->stacks, &v->place, slot_of(v, r->stack), r->next, r->privilege == 3);
        break;
    case STEP_PLAIN:
        break;
    }
}

static void on_step(struct profile *p, const struct timing_record *r, uint64_t cycles)
{
    struct profile_cpu *v = &p->cpus[r->cpu];
    if (v->privilege == 3) {
        look(p, r->cpu, r->space, r->pc);
    }
    uint32_t cell = cell_of(p, r->cpu, r->pc);
    charge(p, r->cpu, cell, cycles, r->kind == TIMING_RECORD_STEP);
    if (r->kind == TIMING_RECORD_STEP) {
        follow(p, r, p->locations[p->cells[cell].location].function);
    }
}

/* The vCPU is on its way to a handler. */
static void on_delivery(struct profile *p, const struct timing_record *r, uint64_t cycles)
{
    struct profile_cpu *v = &p->cpus[r->cpu];
    enum profile_pseudo entry = r->kind == TIMING_RECORD_INTERRUPT ? PROFILE_INTERRUPT : PROFILE_EXCEPTION;
    uint32_t location = location_at(p, program_of(v), v->next), function = p->locations[location].function;
    uint32_t caller = call_child(&p->stacks, v->place.caller, function);
    if (p->tables && entry == PROFILE_INTERRUPT) {
        row_of(p, function_of_row(p, location), r->cpu)->counters[PROFILE_INTERRUPTS]++;
    }
    charge_pseudo(p, r->cpu, caller, entry, cycles);
    call_trap(&p->stacks, &v->place, function, entry, slot_of(v, v->stack), v->next);
}

static void on_record(void *target, const struct timing_record *r)
{
    struct profile *p = target;
    struct profile_cpu *v = &p->cpus[r->cpu];
    uint64_t cycles = r->retired - v->clock;
    v->clock = r->retired;
    switch (r->kind) {
    case TIMING_RECORD_STEP:
    case TIMING_RECORD_ITERATION:
        on_step(p, r, cycles);
        break;
    case TIMING_RECORD_EXCEPTION:
    case TIMING_RECORD_INTERRUPT:
        on_delivery(p, r, cycles);
        break;
    case TIMING_RECORD_WAIT:
        charge(p, r->cpu, cell_of(p, r->cpu, r->pc), cycles, 0);
        return;
    case TIMING_RECORD_WAKE:
        charge_pseudo(p, r->cpu, CALL_ROOT, PROFILE_IDLE, cycles);
        break;
    case TIMING_RECORD_CLOCK:
        charge_pseudo(p, r->cpu, CALL_ROOT, PROFILE_STALL, cycles);
        return;
    case TIMING_RECORD_RESET: /* what waking up took */
        charge_pseudo(p, r->cpu, CALL_ROOT, PROFILE_IDLE, cycles);
        v->place = (struct call_place){CALL_ROOT, 0};
        break;
    }
    v->next = r->next;
    v->stack = r->stack;
    v->privilege = r->privilege;
}

/* ---- begin and end ---- */

/* A vCPU that has not run yet has waited since 0. */
static void start_cpu(struct profile *p, unsigned cpu)
{
    struct profile_cpu *v = &p->cpus[cpu];
    struct sim_regs r;
    sim_get_regs(p->sim, cpu, &r);
    *v = (struct profile_cpu){.page = NO_PAGE, .clock = r.clock_cycles, .stack = r.gpr[4]};
    v->next = r.linear_rip;
    v->privilege = r.cpl;
    read_counters(p, cpu, v->counters);
    for (unsigned i = 0; i < PROFILE_RECENT; i++) {
        v->recent[i].program = INDEX_NONE;
    }
    if (r.retired == 0) {
        charge_pseudo(p, cpu, CALL_ROOT, PROFILE_IDLE, r.clock_cycles);
    }
    if (r.cpl == 3) {
        look(p, cpu, r.cr3, r.linear_rip);
    }
}

struct profile *profile_start(struct sim *s, const struct guest_files *files, bool tables)
{
    struct profile *p = alloc_zeroed(1, sizeof *p);
    p->sim = s;
    p->tables = tables;
    p->running = true;
    if (tables) {
        sim_count_sharing(s, NULL); /* before the profile is told of a step; without a model there is none */
    }
    programs_open(&p->programs, files);
    call_stacks_init(&p->stacks, PROFILE_DEEP);
    for (unsigned i = 0; i < PROFILE_PSEUDO_COUNT; i++) {
        uint32_t f = add_function(
            p,
            (struct profile_function){.program = INDEX_NONE, .name = pseudo_names[i], .outer = INDEX_NONE});
        add_location(p, (struct profile_location){f, NULL, 0});
    }
    unsigned cpus = sim_get_config(s)->cpus;
    p->cpus = alloc_zeroed(cpus, sizeof *p->cpus);
    for (unsigned i = 0; i < cpus; i++) {
        start_cpu(p, i);
    }
    sim_watch_steps(s, on_record, p);
    return p;
}

void profile_stop(struct profile *p)
{
    if (!p->running) {
        return;
    }
    p->running = false;
    sim_unwatch_steps(p->sim, on_record, p);
    for (unsigned i = 0; i < sim_get_config(p->sim)->cpus; i++) {
        /* what a vCPU that has been woken waits until it goes on */
        uint64_t clock = sim_counter(p->sim, COUNTER_CYCLES, i);
        charge_pseudo(p, i, CALL_ROOT, PROFILE_IDLE, clock - p->cpus[i].clock);
        p->cpus[i].clock = clock;
    }
}

void profile_free(struct profile *p)
{
    if (p == NULL) {
        return;
    }
    profile_stop(p);
    programs_close(&p->programs);
    call_stacks_deinit(&p->stacks);
    index_free(&p->function_of);
    index_free(&p->location_of);
    index_free(&p->line_of);
    index_free(&p->cell_of);
    index_free(&p->row_of);
    free(p->functions);
    free(p->locations);
    free(p->cells);
    free(p->rows);
    free(p->cpus);
    free(p);
}
