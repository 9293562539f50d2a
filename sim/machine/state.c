/*
 * The state of the whole machine: its one list, and what is made from it - digests, comparisons, snapshots.
 *
 * A snapshot is little-endian:
 *
 *    magic  version | configuration | place | state | RAM | XXH3-128 of all before it
 *    8      8         -- each of these four behind its length in 8 bytes --     16
 *
 * The configuration is compared, not loaded. The place is what belongs to a run but not to its state: where sim_position
 * stands and which probe was just passed depend on how the run was cut and watched, so no digest may see them.
 *
 * The checksum tells damage; a snapshot that was made with intent can still say anything, so each visitor refuses what
 * would lead it outside of its arrays.
 */

#include "machine/machine.h"

#include "base/bits.h"
#include "base/check.h"

#include <stdio.h>
#include <string.h>

#define SNAPSHOT_MAGIC   UINT64_C(0x504e53595252524f) /* "ORRRYSNP" */
#define SNAPSHOT_VERSION UINT64_C(6)
#define HEAD_BYTES       16u
#define CHECKSUM_BYTES   16u

/* ---- the list ---- */

/* Hooks that are armed decide the future, so they belong to the machine's state. */
static void visit_hooks(struct sim *s, struct visitor *v)
{
    visit_count(v, "stalls", &s->stall_count, STALLS_MAX);
    for (unsigned i = 0; i < s->stall_count; i++) {
        visit_count(v, "stall_cpu", &s->stalls[i].cpu, s->config.cpus - 1);
        visit_u64(v, "stall_step", &s->stalls[i].step);
        visit_u64(v, "stall_cycles", &s->stalls[i].cycles);
    }
    for (unsigned i = 0; i < s->config.cpus; i++) {
        struct interrupt_range *r = &s->ranges[i];
        visit_bool(v, "range_armed", &r->armed);
        visit_u64(v, "range_first", &r->first);
        visit_u64(v, "range_last", &r->last);
        visit_u16(v, "range_vector", &r->vector);
        if (v->loading) {
            hooks_update(s, i);
        }
    }
    visit_count(v, "interrupted", &s->interrupted_count, INTERRUPTED_MAX);
    for (unsigned i = 0; i < s->interrupted_count; i++) {
        visit_u64(v, "interrupted_rip", &s->interrupted[i].linear_rip);
        visit_u64(v, "interrupted_rsp", &s->interrupted[i].rsp);
        visit_u64(v, "interrupted_space", &s->interrupted[i].space);
    }
}

/* How the run stands, and how it ended. */
static void visit_run(struct sim *s, struct visitor *v)
{
    uint8_t ended = (uint8_t)s->ended, ending = (uint8_t)s->ending, request = (uint8_t)s->request;
    visit_u64(v, "now", &s->now_cycles);
    visit_u64(v, "events_fired", &s->events_fired);
    visit_choice(v, "ended", &ended, SIM_STOP_NOT_MODELLED);
    visit_choice(v, "request", &request, REQUEST_DEBUG_EXIT);
    visit_choice(v, "ending", &ending, SIM_STOP_NOT_MODELLED);
    visit_u64(v, "ending_cycles", &s->ending_cycles);
    visit_u32(v, "exit_value", &s->exit_value);
    visit_count(v, "stop_cpu", &s->stop_cpu, s->config.cpus - 1);
    visit_array(v, "stop_text", s->stop_text, 1, sizeof s->stop_text);
    visit_require(v, "stop_text", s->stop_text[sizeof s->stop_text - 1] == 0);
    s->stop_text[sizeof s->stop_text - 1] = 0;
    s->ended = (enum sim_stop)ended;
    s->ending = (enum sim_stop)ending;
    s->request = (enum machine_request)request;
}

static void visit_cpu(struct sim *s, unsigned number, struct visitor *v)
{
    visit_enter(v, "cpu", number);
    cpu_visit(&s->cpus[number], v);
    visit_leave(v);
    visit_enter(v, "lapic", number);
    lapic_visit(&s->lapics[number], v);
    visit_leave(v);
}

static void visit_devices(struct sim *s, struct visitor *v)
{
    bus_visit(&s->bus, v);
    board_visit(s, v);
    event_queue_visit(s->events, v);
}

static void visit_model(struct sim *s, struct visitor *v)
{
    if (s->model) {
        timing_visit(s->model, v);
    }
}

static void visit_order(struct sim *s, struct visitor *v)
{
    if (v->level >= VISIT_MACHINE) {
        visit_hooks(s, v);
        visit_run(s, v);
    }
}

void machine_visit(struct sim *s, struct visitor *v)
{
    for (unsigned i = 0; i < s->config.cpus; i++) {
        visit_cpu(s, i, v);
    }
    visit_devices(s, v);
    visit_model(s, v);
    visit_order(s, v);
}

/* ---- digests and comparisons ---- */

struct digest sim_digest(struct sim *s, enum visit_level level)
{
    struct digest ram = ram_digest(&s->bus.ram);
    machine_drop_write_pointers(s);
    struct digest_visitor *d = digest_visitor_create(level);
    struct visitor *v = digest_visitor_base(d);
    visit_digest(v, "ram", &ram);
    machine_visit(s, v);
    CHECK(!v->failed, "the machine's state is not what it must be");
    return digest_visitor_finish(d);
}

struct digest sim_state_hash(struct sim *s)
{
    return sim_digest(s, s->model ? VISIT_MODEL : VISIT_MACHINE);
}

typedef void part_fn(struct sim *s, struct visitor *v);

static uint64_t part_digest(struct sim *s, part_fn *part)
{
    struct digest_visitor *d = digest_visitor_create(VISIT_MODEL);
    part(s, digest_visitor_base(d));
    return digest_visitor_finish(d).lo;
}

static const struct {
    const char *name;
    part_fn *visit;
} shared_parts[] = {
    {"the devices", visit_devices}, {"the order", visit_order}, {"the timing model", visit_model}};

unsigned sim_part_digests(struct sim *s, uint64_t digests[SIM_PARTS_MAX])
{
    unsigned count = 0;
    digests[count++] = ram_digest(&s->bus.ram).lo;
    machine_drop_write_pointers(s);
    for (unsigned i = 0; i < s->config.cpus; i++) {
        struct digest_visitor *d = digest_visitor_create(VISIT_MODEL);
        visit_cpu(s, i, digest_visitor_base(d));
        digests[count++] = digest_visitor_finish(d).lo;
    }
    for (unsigned i = 0; i < sizeof shared_parts / sizeof shared_parts[0]; i++) {
        digests[count++] = part_digest(s, shared_parts[i].visit);
    }
    return count;
}

void sim_part_name(unsigned cpus, unsigned part, char *text, size_t size)
{
    if (part >= 1 && part <= cpus) {
        snprintf(text, size, "vCPU %u", part - 1);
    } else {
        snprintf(text, size, "%s", part == 0 ? "RAM" : shared_parts[part - 1 - cpus].name);
    }
}

void sim_save(struct sim *s, enum visit_level level, struct state_buffer *b)
{
    struct buffer_visitor v;
    save_visitor_init(&v, level, b);
    machine_visit(s, &v.base);
    CHECK(!v.base.failed, "the machine's state is not what it must be");
}

bool sim_differs(struct sim *s, enum visit_level level, struct state_buffer *b, char *where, size_t size)
{
    struct buffer_visitor v;
    compare_visitor_init(&v, level, b);
    machine_visit(s, &v.base);
    snprintf(where, size, "%s", v.where);
    return v.differs;
}

/* ---- snapshots ---- */

/* What makes two machines of a kind. */
static void visit_config(struct sim *s, struct visitor *v)
{
    struct sim_config c = s->config;
    uint32_t store_capacity = s->cpus[0].stores.capacity;
    struct digest timing = s->timing ? timing_params_digest(s->timing) : (struct digest){0, 0};
    struct digest cpu_model = digest_bytes(s->cpu_model, strlen(s->cpu_model));
    sim_config_visit(&c, v);
    visit_digest(v, "timing parameters", &timing);
    visit_u32(v, "store capacity", &store_capacity);
    visit_digest(v, "CPU model", &cpu_model);
    for (unsigned i = 0; i < c.disk_count; i++) {
        uint64_t size_bytes;
        struct digest file = sim_disk_file(s, i, &size_bytes);
        visit_u64(v, "disk size", &size_bytes);
        visit_digest(v, "disk file", &file);
    }
}

/* What no digest sees, see above. */
static void visit_place(struct sim *s, struct visitor *v)
{
    uint32_t stepped = s->stepped ? s->stepped->number + 1 : 0;
    visit_u16(v, "kind", &s->at.kind);
    visit_u16(v, "cpu", &s->at.cpu);
    visit_u64(v, "at", &s->at.at);
    visit_u64(v, "retired", &s->at.retired);
    visit_u64(v, "rcx", &s->at.rcx);
    visit_count(v, "stepped", &stepped, s->config.cpus);
    visit_require(v, "kind", s->at.kind <= POSITION_AFTER_EVENT && s->at.cpu < s->config.cpus);
    s->stepped = stepped ? &s->cpus[stepped - 1] : NULL;
    for (unsigned i = 0; i < s->config.cpus; i++) {
        visit_bool(v, "probe_passed", &s->cpus[i].probe_passed);
        visit_u64(v, "probe_rip", &s->cpus[i].probe_rip);
    }
}

static void put_length(struct state_buffer *b, size_t size)
{
    store_le64(state_buffer_extend(b, 8), size);
}

static void save_part(struct sim *s, part_fn *part, struct state_buffer *b)
{
    struct state_buffer own = {0};
    struct buffer_visitor v;
    save_visitor_init(&v, VISIT_MODEL, &own);
    part(s, &v.base);
    CHECK(!v.base.failed, "the machine's state is not what it must be");
    put_length(b, own.size);
    memcpy(state_buffer_extend(b, own.size), own.bytes, own.size);
    state_buffer_deinit(&own);
}

void sim_snapshot(struct sim *s, struct state_buffer *b)
{
    CHECK(!s->running, "a snapshot inside an instruction");
    b->size = b->position = 0;
    uint8_t *head = state_buffer_extend(b, HEAD_BYTES);
    store_le64(head, SNAPSHOT_MAGIC);
    store_le64(head + 8, SNAPSHOT_VERSION);
    save_part(s, visit_config, b);
    save_part(s, visit_place, b);
    save_part(s, machine_visit, b);
    ram_save(&s->bus.ram, b);
    struct digest sum = digest_bytes(b->bytes, b->size);
    uint8_t *tail = state_buffer_extend(b, CHECKSUM_BYTES);
    store_le64(tail, sum.hi);
    store_le64(tail + 8, sum.lo);
}

static bool is_whole(const struct state_buffer *b)
{
    if (b->size < HEAD_BYTES + CHECKSUM_BYTES) {
        return false;
    }
    struct digest sum = digest_bytes(b->bytes, b->size - CHECKSUM_BYTES);
    const uint8_t *tail = b->bytes + b->size - CHECKSUM_BYTES;
    return load_le64(b->bytes) == SNAPSHOT_MAGIC &&
           digest_equal(sum, (struct digest){load_le64(tail), load_le64(tail + 8)});
}

/* The next part, as a buffer that borrows its bytes; empty when there is none. */
static struct state_buffer take_part(struct state_buffer *all)
{
    const uint8_t *length = state_buffer_take(all, 8);
    uint64_t size = length ? load_le64(length) : 0;
    const uint8_t *bytes = size <= all->size - all->position ? state_buffer_take(all, size) : NULL;
    /* borrowed for reading only */
    return (struct state_buffer){.bytes = (uint8_t *)(uintptr_t)bytes, .size = bytes ? size : 0};
}

static bool same_config(struct sim *s, struct state_buffer *part, struct error *e)
{
    struct buffer_visitor v;
    compare_visitor_init(&v, VISIT_MODEL, part);
    visit_config(s, &v.base);
    return !v.differs || error_set(e, "the snapshot is of another machine: %s", v.where);
}

static bool load_part(struct sim *s, part_fn *part, struct state_buffer *b, struct error *e)
{
    struct buffer_visitor v;
    load_visitor_init(&v, VISIT_MODEL, b);
    part(s, &v.base);
    visit_require(&v.base, "end", b->position == b->size);
    return !v.base.failed || error_set(e, "the snapshot is damaged at %s", v.where);
}

void machine_save_all(struct sim *s, struct state_buffer *b)
{
    b->size = b->position = 0;
    save_part(s, visit_place, b);
    save_part(s, machine_visit, b);
}

void machine_load_all(struct sim *s, const struct state_buffer *b)
{
    struct state_buffer all = {.bytes = b->bytes, .size = b->size};
    struct state_buffer place = take_part(&all), state = take_part(&all);
    bool good = load_part(s, visit_place, &place, NULL) && load_part(s, machine_visit, &state, NULL);
    CHECK(good, "the machine does not accept its own state");
}

/* Place and state, or neither. */
static bool load_state(struct sim *s, struct state_buffer *place, struct state_buffer *state,
                       struct state_buffer *ram, struct error *e)
{
    struct state_buffer own = {0};
    machine_save_all(s, &own);
    block_cache_flush(s->blocks);
    bool good = load_part(s, visit_place, place, e) && load_part(s, machine_visit, state, e) &&
                (ram_load(&s->bus.ram, ram) || error_set(e, "the snapshot is damaged at RAM"));
    if (!good) {
        machine_load_all(s, &own);
    }
    state_buffer_deinit(&own);
    return good;
}

bool sim_restore(struct sim *s, const struct state_buffer *b, struct error *e)
{
    if (s->running) {
        return error_set(e, "a snapshot cannot be restored inside an instruction of vCPU %u",
                         s->running->number);
    }
    if (!is_whole(b)) {
        return error_set(e, "the snapshot is damaged, or is none");
    }
    if (load_le64(b->bytes + 8) != SNAPSHOT_VERSION) {
        return error_set(e, "the snapshot has version %llu, this program reads %llu",
                         (unsigned long long)load_le64(b->bytes + 8), (unsigned long long)SNAPSHOT_VERSION);
    }
    struct state_buffer all = {.bytes = b->bytes, .size = b->size - CHECKSUM_BYTES, .position = HEAD_BYTES};
    struct state_buffer config = take_part(&all), place = take_part(&all), state = take_part(&all);
    if (!same_config(s, &config, e) || !load_state(s, &place, &state, &all, e)) {
        return false;
    }
    s->log.count = 0;
    return true;
}
