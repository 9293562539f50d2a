/*
 * Effects: the only way in which anything outside changes a guest. Each is checked, applied at the current
 * boundary, stamped with its position and kept, so that a replay needs nothing but the log.
 */

#include "machine/machine.h"

#include "base/check.h"
#include "cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#define REGISTER_RIP      16u
#define REGISTER_RFLAGS   17u
#define VECTOR_NMI_EFFECT 256u
/* What a driver may change in RFLAGS. */
#define RFLAGS_WRITABLE (RFLAGS_STATUS | RFLAGS_DF | RFLAGS_IF | RFLAGS_TF | RFLAGS_AC)

static const char *const effect_names[EFFECT_KIND_COUNT] = {
#define EFFECT(kind, name, a0, a1, a2, a3, comment) [EFFECT_##kind] = name,
#include "machine/effect.def"
#undef EFFECT
};

const char *sim_effect_name(enum effect_kind kind)
{
    return effect_names[kind];
}

static bool apply_serial(struct sim *s, const struct effect *f, struct error *e)
{
    if (f->arg[0] >= SIM_SERIAL_PORTS) {
        return error_set(e, "there is no serial port %llu", (unsigned long long)f->arg[0]);
    }
    struct uart16550 *u = &s->board.uarts[f->arg[0]];
    if (f->byte_count > uart_room(u)) {
        return error_set(e, "serial port %llu: %u bytes are already on its line",
                         (unsigned long long)f->arg[0], UART_HOST_BYTES - uart_room(u));
    }
    for (uint32_t i = 0; i < f->byte_count; i++) {
        uart_receive(u, f->bytes[i], s->now_cycles);
    }
    return true;
}

static bool apply_register(struct sim *s, const struct effect *f, struct error *e)
{
    struct cpu *cpu = &s->cpus[f->cpu];
    if (f->arg[0] < GPR_COUNT) {
        cpu->gpr[f->arg[0]] = f->arg[1];
    } else if (f->arg[0] == REGISTER_RIP) {
        cpu->rip = f->arg[1];
        cpu->fetch.valid = false;
    } else if (f->arg[0] == REGISTER_RFLAGS) {
        cpu_set_rflags(cpu, (cpu_rflags(cpu) & ~RFLAGS_WRITABLE) | (f->arg[1] & RFLAGS_WRITABLE));
        cpu_update_mode(cpu);
    } else {
        return error_set(e, "there is no register %llu", (unsigned long long)f->arg[0]);
    }
    return true;
}

static bool apply_memory(struct sim *s, const struct effect *f, struct error *e)
{
    return bus_load(&s->bus, phys(f->arg[0]), f->bytes, f->byte_count) ||
           error_set(e, "physical 0x%llx, %llu bytes: not RAM", (unsigned long long)f->arg[0],
                     (unsigned long long)f->byte_count);
}

static bool apply_stall(struct sim *s, const struct effect *f, struct error *e)
{
    if (s->stall_count == STALLS_MAX) {
        return error_set(e, "more than %u stalls armed", STALLS_MAX);
    }
    s->stalls[s->stall_count++] = (struct stall){f->cpu, f->arg[0], f->arg[1]};
    hooks_update(s, f->cpu);
    return true;
}

static bool vector_exists(uint64_t vector, struct error *e)
{
    return (vector >= 16 && vector <= VECTOR_NMI_EFFECT) ||
           error_set(e, "interrupt vector %llu: 16 to 255, or 256 for NMI", (unsigned long long)vector);
}

static bool apply_interrupt(struct sim *s, const struct effect *f, struct error *e)
{
    if (!vector_exists(f->arg[0], e)) {
        return false;
    }
    struct apic_message m = {.vector = (uint8_t)f->arg[0],
                             .delivery = f->arg[0] == VECTOR_NMI_EFFECT ? APIC_NMI : APIC_FIXED};
    lapic_deliver(&s->lapics[f->cpu], &m, s->now_cycles);
    return true;
}

static bool apply_range(struct sim *s, const struct effect *f, struct error *e)
{
    if (!vector_exists(f->arg[2], e)) {
        return false;
    }
    s->ranges[f->cpu] = (struct interrupt_range){
        .armed = f->arg[0] <= f->arg[1],
        .first = f->arg[0],
        .last = f->arg[1],
        .vector = (uint16_t)f->arg[2],
    };
    s->interrupted_count = 0; /* somebody of them may never come back */
    hooks_update(s, f->cpu);
    return true;
}

static bool apply_ipi_fault(struct sim *s, const struct effect *f, bool lost, struct error *e)
{
    struct apic_bus_fault fault = {apic_bus_next_delivery(&s->apic_bus) + f->arg[0], lost ? 0 : f->arg[1],
                                   lost};
    return apic_bus_add_fault(&s->apic_bus, &fault) || error_set(e, "too many interrupt message faults");
}

static bool apply(struct sim *s, const struct effect *f, struct error *e)
{
    switch ((enum effect_kind)f->kind) {
    case EFFECT_SERIAL_INPUT:
        return apply_serial(s, f, e);
    case EFFECT_REGISTER:
        return apply_register(s, f, e);
    case EFFECT_MEMORY:
        return apply_memory(s, f, e);
    case EFFECT_STALL:
        return apply_stall(s, f, e);
    case EFFECT_INTERRUPT:
        return apply_interrupt(s, f, e);
    case EFFECT_INTERRUPT_RANGE:
        return apply_range(s, f, e);
    case EFFECT_IPI_DELAY:
    case EFFECT_IPI_LOSS:
        return apply_ipi_fault(s, f, f->kind == EFFECT_IPI_LOSS, e);
    case EFFECT_KIND_COUNT:
        break;
    }
    return error_set(e, "there is no effect %u", f->kind);
}

static void log_append(struct effect_log *log, const struct effect *f)
{
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? log->capacity * 2 : 64;
        log->effects = realloc(log->effects, log->capacity * sizeof *log->effects);
        CHECK(log->effects, "out of memory: %zu effects", log->capacity);
    }
    log->effects[log->count++] = *f;
}

bool sim_effect(struct sim *s, const struct effect *effect, struct error *e)
{
    if (effect->cpu >= s->config.cpus) {
        return error_set(e, "there is no cpu %u", effect->cpu);
    }
    if (effect->byte_count > EFFECT_BYTES_MAX) {
        return error_set(e, "an effect of %u bytes: at most %u", effect->byte_count, EFFECT_BYTES_MAX);
    }
    if (s->running) {
        return error_set(e, "an effect inside an instruction of vCPU %u", s->running->number);
    }
    struct effect f = *effect;
    f.at_cycles = s->now_cycles;
    f.position = sim_position(s);
    if (!apply(s, &f, e)) {
        return false;
    }
    log_append(&s->log, &f);
    return true;
}

size_t sim_effect_count(const struct sim *s)
{
    return s->log.count;
}

const struct effect *sim_effect_get(const struct sim *s, size_t n)
{
    CHECK(n < s->log.count, "effect %zu of %zu", n, s->log.count);
    return &s->log.effects[n];
}

bool sim_serial_send(struct sim *s, unsigned port, const void *bytes, size_t size, struct error *e)
{
    for (size_t done = 0; done < size;) {
        size_t n = size - done < EFFECT_BYTES_MAX ? size - done : EFFECT_BYTES_MAX;
        struct effect f = {.kind = EFFECT_SERIAL_INPUT, .arg = {port}, .byte_count = (uint32_t)n};
        memcpy(f.bytes, (const uint8_t *)bytes + done, n);
        if (!sim_effect(s, &f, e)) {
            return false;
        }
        done += n;
    }
    return true;
}
