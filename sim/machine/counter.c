/* Counters and the observer of trace points. */

#include "base/check.h"
#include "machine/machine.h"

#include <stddef.h>
#include <string.h>

#include "counters.inc"

struct counter_row {
    const char *name, *help;
    bool per_cpu;
};

static const struct counter_row rows[COUNTER_TRACE_FIRST] = {
#define COUNTER(id, name, per_cpu, help) [COUNTER_##id] = {name, help, per_cpu},
#include "machine/counter.def"
#undef COUNTER
#define TIMING_COUNTER(id, name, help) \
    [(int)COUNTER_TIMING_FIRST + (int)TIMING_COUNT_##id] = {name, help, true},
#include "timing/counter.def"
#undef TIMING_COUNTER
};

static bool is_timing(enum sim_counter c)
{
    return c >= COUNTER_TIMING_FIRST && c <= COUNTER_TIMING_LAST;
}

static bool is_trace(enum sim_counter c)
{
    CHECK(c < COUNTER_COUNT, "counter %d", (int)c);
    return c >= COUNTER_TRACE_FIRST;
}

static const struct trace_row *row_of_trace(enum sim_counter c)
{
    return trace_row((enum trace_point)(c - COUNTER_TRACE_FIRST));
}

const char *sim_counter_name(enum sim_counter c)
{
    return is_trace(c) ? row_of_trace(c)->name : rows[c].name;
}

const char *sim_counter_help(enum sim_counter c)
{
    return is_trace(c) ? row_of_trace(c)->help : rows[c].help;
}

bool sim_counter_is_per_cpu(enum sim_counter c)
{
    return is_trace(c) || rows[c].per_cpu;
}

int sim_counter_find(const char *name)
{
    const struct counters_entry *found = counters_find(name, strlen(name));
    return found ? found->value : -1;
}

static uint64_t of_cpu(const struct sim *s, unsigned number, enum sim_counter c)
{
    const struct cpu *cpu = &s->cpus[number];
    if (is_timing(c)) {
        return cpu->timing ? cpu->timing->counters[c - COUNTER_TIMING_FIRST] : 0;
    }
    switch ((int)c) {
    case COUNTER_CYCLES:
        return cpu_now(cpu);
    case COUNTER_INSTRUCTIONS:
        return cpu->retired;
    case COUNTER_MASKED:
        return cpu_masked_cycles(cpu);
    case COUNTER_FALSE_SHARING:
        return s->sharing ? sharing_count(s->sharing, number) : 0;
    default:
        return cpu->trace.count[c - COUNTER_TRACE_FIRST];
    }
}

static uint64_t of_disks(const struct sim *s, enum sim_counter c)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->config.disk_count; i++) {
        const struct virtio_blk *d = &s->board.disks[i];
        sum += c == COUNTER_DISK_REQUESTS       ? d->requests
               : c == COUNTER_DISK_SECTORS_READ ? d->sectors_read
                                                : d->sectors_written;
    }
    return sum;
}

static uint64_t of_machine(const struct sim *s, enum sim_counter c)
{
    switch ((int)c) {
    case COUNTER_CYCLES:
        return sim_cycles(s);
    case COUNTER_EVENTS:
        return s->events_fired;
    case COUNTER_APIC_MESSAGES:
        return apic_bus_next_delivery(&s->apic_bus);
    case COUNTER_DISK_REQUESTS:
    case COUNTER_DISK_SECTORS_READ:
    case COUNTER_DISK_SECTORS_WRITTEN:
        return of_disks(s, c);
    default:
        return ram_touched_bytes(&s->bus.ram);
    }
}

uint64_t sim_counter(const struct sim *s, enum sim_counter c, unsigned cpu)
{
    if (cpu != SIM_ALL_CPUS) {
        CHECK(cpu < s->config.cpus && sim_counter_is_per_cpu(c), "counter %s of cpu %u", sim_counter_name(c),
              cpu);
        return of_cpu(s, cpu, c);
    }
    if (c == COUNTER_CYCLES || !sim_counter_is_per_cpu(c)) {
        return of_machine(s, c);
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->config.cpus; i++) {
        sum += of_cpu(s, i, c);
    }
    return sum;
}

const uint64_t *sim_timing_counters(const struct sim *s, unsigned cpu)
{
    return s->model ? s->cpus[cpu].timing->counters : NULL;
}

void sim_on_trace(struct sim *s, uint32_t wanted, trace_fn *fn, void *target)
{
    for (unsigned i = 0; i < s->config.cpus; i++) {
        struct trace *t = &s->cpus[i].trace;
        t->wanted = fn ? wanted : 0;
        t->fn = fn;
        t->target = target;
    }
}
