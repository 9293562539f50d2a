/* Runs a vector: one instruction at a time by the plain functions, in slices of one cycle, in whole blocks up to the
 * same place, and with a store queue. All must come to the expected state. */

#include "vec.h"

#include "cpu/exception.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MACHINE_RAM (UINT64_C(4) << 20)

enum engine { ENGINE_PLAIN, ENGINE_SLICES, ENGINE_BLOCKS, ENGINE_QUEUE, ENGINE_COUNT };

static const char *const engine_names[ENGINE_COUNT] = {"plain", "slices", "blocks", "store queue"};

struct port_log {
    uint64_t port, value, size_bytes, count;
};

struct vec_machine {
    struct bus bus;
    struct event_queue *events;
    struct lapic lapic;
    struct block_cache *blocks;
    struct cpuid_model model;
    struct port_log log;
    struct vec_state got;
    struct cpu cpu;
};

/* ---- the machine ---- */

static uint64_t port_read(void *dev, const struct bus_cx *cx, uint16_t port, unsigned size_bytes)
{
    uint64_t value = 0;
    (void)dev, (void)cx;
    for (unsigned i = 0; i < size_bytes; i++) {
        value |= (uint64_t)((port + i) & 0xff) << 8 * i;
    }
    return value;
}

static void port_write(void *dev, const struct bus_cx *cx, uint16_t port, uint64_t value, unsigned size_bytes)
{
    struct vec_machine *m = dev;
    (void)cx;
    m->log = (struct port_log){port, value, size_bytes, m->log.count + 1};
}

static void port_visit(void *dev, struct visitor *v)
{
    struct vec_machine *m = dev;
    visit_u64(v, "value", &m->log.value);
}

static void special_write(void *target, phys_t a, unsigned size_bytes)
{
    struct vec_machine *m = target;
    struct cpu *c = &m->cpu;
    block_cache_invalidate(m->blocks, a, size_bytes);
    if (c->monitor_armed && (a.v & ~UINT64_C(63)) == c->monitor_line.v) {
        c->monitor_armed = false;
    }
}

struct vec_machine *vec_machine_create(void)
{
    static const struct device_ops port_ops = {
        .name = "port", .port_read = port_read, .port_write = port_write, .visit = port_visit};
    struct ram_range range = {.base = {0}, .size_bytes = MACHINE_RAM};
    struct vec_machine *m = calloc(1, sizeof *m);
    if (m == NULL) {
        abort();
    }
    bus_init(&m->bus);
    if (!ram_init(&m->bus.ram, &range, 1, NULL) || !cpuid_model_init(&m->model, NULL, 1, NULL)) {
        abort();
    }
    bus_add_ports(&m->bus, VEC_PORT, 64, &port_ops, m);
    m->bus.on_special_write = special_write;
    m->bus.on_special_write_target = m;
    m->blocks = block_cache_create(&m->bus.ram);
    return m;
}

void vec_machine_destroy(struct vec_machine *m)
{
    block_cache_destroy(m->blocks);
    ram_deinit(&m->bus.ram);
    bus_deinit(&m->bus);
    free(m);
}

/* ---- state in and out ---- */

static void load_lapic(struct vec_machine *m, const struct vec_state *s)
{
    static const struct lapic_signals no_signals = {0};
    struct lapic_config config = {.bsp = true, .x2apic = true, .tsc_deadline = true, .bus_hz = LAPIC_BUS_HZ};
    m->events = event_queue_create();
    lapic_init(&m->lapic, &config, &no_signals, m->events);
    lapic_reset(&m->lapic, VEC_START_TIME);
    lapic_write(&m->lapic, LAPIC_SVR, LAPIC_SVR_ENABLE | 0xff, VEC_START_TIME);
    m->lapic.apic_base = s->field[VEC_APIC_BASE];
    lapic_set_cr8(&m->lapic, (unsigned)s->field[VEC_CR8], VEC_START_TIME);
    if (s->field[VEC_IRQ] != 0) {
        struct apic_message message = {.vector = (uint8_t)s->field[VEC_IRQ], .delivery = APIC_FIXED};
        lapic_deliver(&m->lapic, &message, VEC_START_TIME);
    }
}

static void load_state(struct vec_machine *m, const struct vec_state *s, enum engine engine)
{
    struct cpu *c = &m->cpu;
    uint64_t unused = 0, *special = &unused;
    struct cpu_config config = {.bus = &m->bus,
                                .lapic = &m->lapic,
                                .blocks = m->blocks,
                                .costs = &cost_fast,
                                .cpuid = &m->model,
                                .seed = 1,
                                .store_capacity = engine == ENGINE_QUEUE ? 8 : 0,
                                .drain_cycles = 40};
    load_lapic(m, s);
    if (!bus_load(&m->bus, phys(0), s->ram, VEC_RAM_BYTES)) {
        abort();
    }
    for (uint64_t page = 0; page < VEC_RAM_BYTES; page += PAGE_SIZE_BYTES) {
        block_cache_invalidate(m->blocks, phys(page), PAGE_SIZE_BYTES);
    }
    cpu_init(c, &config);
#define VEC_FIELD(id, name, where) (where) = (__typeof__(where))s->field[VEC_##id];
#include "vec_field.def"
#undef VEC_FIELD
    cpu_set_clock(c, s->field[VEC_CLOCK]);
    cpu_set_rflags(c, s->field[VEC_RFLAGS]);
    cpu_update_mode(c);
    mem_flush_all(c);
    if ((c->cr0 & CR0_PG) && (c->cr4 & CR4_PAE) && !(c->efer & EFER_LMA) && !mem_load_pdptes(c, c->cr3)) {
        abort();
    }
    c->single_step_blocks = engine == ENGINE_PLAIN;
    m->log = (struct port_log){0};
}

static void store_state(struct vec_machine *m, const struct vec_state *expected)
{
    struct cpu *c = &m->cpu;
    struct vec_state *s = &m->got;
    uint64_t unused = 0, *special = &unused;
    mem_drain(c);
#define VEC_FIELD(id, name, where) s->field[VEC_##id] = (uint64_t)(where);
#include "vec_field.def"
#undef VEC_FIELD
    s->field[VEC_RFLAGS] = cpu_rflags(c);
    s->field[VEC_CR8] = lapic_cr8(&m->lapic);
    s->field[VEC_TSC_OFFSET] = m->lapic.tsc_offset;
    s->field[VEC_APIC_BASE] = m->lapic.apic_base;
    s->field[VEC_OUT_PORT] = m->log.port;
    s->field[VEC_OUT_VALUE] = m->log.value;
    s->field[VEC_OUT_SIZE] = m->log.size_bytes;
    s->field[VEC_OUT_COUNT] = m->log.count;
    s->field[VEC_CLOCK] = expected->field[VEC_CLOCK];
    s->field[VEC_IRQ] = expected->field[VEC_IRQ];
    if (!bus_peek(&m->bus, phys(0), s->ram, VEC_RAM_BYTES)) {
        abort();
    }
}

/* ---- running ---- */

static enum cpu_stop run_steps(struct cpu *c, unsigned steps)
{
    enum cpu_stop stop = CPU_STOP_DEADLINE;
    for (unsigned i = 0; i < steps; i++) {
        uint64_t now = cpu_now(c);
        do {
            stop = cpu_run(c, now + 1);
        } while (stop == CPU_STOP_BREAK && c->activity == CPU_ACTIVE && cpu_now(c) == now);
        if (c->activity != CPU_ACTIVE || stop == CPU_STOP_NOT_MODELLED) {
            break;
        }
    }
    return stop;
}

/* Runs on to the place where the plain run ended. */
static enum cpu_stop run_blocks(struct cpu *c, uint64_t place, uint64_t retired, bool active)
{
    uint64_t limit = VEC_START_TIME + 4 * VEC_STEPS_MAX;
    enum cpu_stop stop;
    if (active && !block_cache_probe_add(c->blocks, lin(place))) {
        abort();
    }
    do {
        stop = cpu_run(c, limit);
    } while (c->activity == CPU_ACTIVE &&
             (stop == CPU_STOP_BREAK || (stop == CPU_STOP_PROBE && c->retired < retired)));
    if (active) {
        block_cache_probe_remove(c->blocks, lin(place));
    }
    return stop == CPU_STOP_PROBE ? CPU_STOP_DEADLINE : stop;
}

/* ---- comparing ---- */

static void say(const struct vec *v, enum engine engine, bool *first)
{
    if (*first) {
        printf("%s:%u: %s, %s: %s %s\n", v->file, v->line, vec_mode_names[v->mode], engine_names[engine],
               v->key, v->title);
    }
    *first = false;
}

static bool compare(const struct vec *v, const struct vec_state *got, enum engine engine)
{
    bool same = true;
    for (unsigned i = 0; i < VEC_FIELD_COUNT; i++) {
        if (got->field[i] != v->after.field[i]) {
            say(v, engine, &same);
            printf("    %-12s %llx, not %llx\n", vec_field_names[i], (unsigned long long)got->field[i],
                   (unsigned long long)v->after.field[i]);
        }
    }
    unsigned shown = 0;
    for (uint64_t at = 0; at < VEC_RAM_BYTES && memcmp(got->ram, v->after.ram, VEC_RAM_BYTES) != 0; at += 8) {
        if (memcmp(got->ram + at, v->after.ram + at, 8) != 0 && shown++ < 8) {
            say(v, engine, &same);
            printf("    [%llx].8     %llx, not %llx\n", (unsigned long long)at,
                   (unsigned long long)vec_peek(got, at, 8), (unsigned long long)vec_peek(&v->after, at, 8));
        }
    }
    return same;
}

static bool ended(const struct vec *v, const struct cpu *c, enum cpu_stop stop, enum engine engine)
{
    static const char *const names[] = {"runs on", "shutdown", "not modelled"};
    enum vec_end end = stop == CPU_STOP_NOT_MODELLED ? VEC_END_NOT_MODELLED
                       : c->activity == CPU_SHUTDOWN ? VEC_END_SHUTDOWN
                                                     : VEC_END_RUNS;
    bool first = true;
    if (end == v->end) {
        return true;
    }
    say(v, engine, &first);
    printf("    ended as: %s, not %s %s (rip %llx)\n", names[end], names[v->end],
           end == VEC_END_NOT_MODELLED ? c->stop_text : "", (unsigned long long)c->rip);
    return false;
}

static bool run_engine(struct vec_machine *m, const struct vec *v, enum engine engine)
{
    struct cpu *c = &m->cpu;
    uint64_t place = cpu_linear_rip(c),
             retired = c->retired; /* of the run before: the plain one, for blocks */
    bool active = c->activity == CPU_ACTIVE;
    load_state(m, &v->before, engine);
    enum cpu_stop stop =
        engine == ENGINE_BLOCKS ? run_blocks(c, place, retired, active) : run_steps(c, v->steps);
    bool ok = ended(v, c, stop, engine);
    if (ok && v->end == VEC_END_RUNS) {
        store_state(m, &v->after);
        ok = compare(v, &m->got, engine);
    }
    return ok;
}

static void unload(struct vec_machine *m)
{
    cpu_deinit(&m->cpu);
    event_queue_destroy(m->events);
}

/* Whole blocks run until a probe, which comes after the events of its boundary: not when one still waits there. Nor within a
 * repeated instruction. */
static bool blocks_end_there(const struct vec *v)
{
    const uint64_t *f = v->after.field;
    bool waits = f[VEC_IRQ] != 0 || f[VEC_NMI] != 0 || f[VEC_PENDING_DB] != 0 || f[VEC_SHADOW] != 0;
    bool moves = f[VEC_RIP] != v->before.field[VEC_RIP] || f[VEC_ACTIVITY] != CPU_ACTIVE;
    return v->end != VEC_END_NOT_MODELLED && !waits && moves;
}

bool vec_run(struct vec_machine *m, const struct vec *v)
{
    static const enum engine order[] = {ENGINE_SLICES, ENGINE_QUEUE, ENGINE_PLAIN, ENGINE_BLOCKS};
    bool ok = true;
    for (unsigned i = 0; i < ENGINE_COUNT && ok; i++) {
        if (order[i] == ENGINE_BLOCKS && !blocks_end_there(v)) {
            break;
        }
        ok = run_engine(m, v, order[i]);
        unload(m);
    }
    return ok;
}
