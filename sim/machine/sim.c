/* Building a machine, loading it, looking into it. */

#define _POSIX_C_SOURCE 200809L

#include "machine/machine.h"

#include "base/alloc.h"
#include "base/check.h"
#include "core/clock.h"
#include "cpu/cpuid.h"
#include "cpu/mem.h"
#include "cpu/store_queue.h"
#include "cpu/x87_image.h"
#include "machine/boot.h"
#include "machine/firmware.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PHASE_CYCLES           64u  /* start phases are below this */
#define STREAM_PHASE           1u   /* random streams of the seed */
#define STREAM_RDRAND          16u  /* plus the vCPU number */
#define STORE_DRAIN_CYCLES     40u  /* tso: a store waits at most this long; assumed */
#define IPI_CYCLES             300u /* uncalibrated */
#define IOAPIC_CYCLES          300u /* uncalibrated */
#define DEFAULT_STORE_CAPACITY STORE_QUEUE_MAX

_Static_assert(SIM_TSC_HZ == CLOCK_TSC_HZ, "one rate, told to the layers above");
_Static_assert(SIM_CPUS_MAX <= BLOCK_CPUS_MAX && SIM_CPUS_MAX <= APIC_BUS_LAPICS_MAX,
               "block cache and interrupt bus have room for every vCPU");

static uint32_t store_capacity(const struct sim_config *c)
{
    bool tso = c->memory_model == MODEL_TSO || (c->memory_model == MODEL_DEFAULT && c->engine != ENGINE_FAST);
    uint32_t most = c->timing ? c->timing->value[TIMING_store_queue] : DEFAULT_STORE_CAPACITY;
    return !tso ? 0 : c->store_capacity ? c->store_capacity : most;
}

static void init_apics(struct sim *s)
{
    const uint32_t *v = s->timing ? s->timing->value : NULL;
    struct apic_bus_config bus = {v ? v[TIMING_ipi_cycles] : IPI_CYCLES,
                                  v ? v[TIMING_ioapic_cycles] : IOAPIC_CYCLES, APIC_BUS_QUEUE_MAX};
    apic_bus_init(&s->apic_bus, &bus, s->events);
    for (unsigned i = 0; i < s->config.cpus; i++) {
        struct lapic_config config = {
            .apic_id = i,
            .bsp = i == 0,
            .x2apic = cpuid_model_has(&s->cpuid, FEATURE_X2APIC),
            .tsc_deadline = cpuid_model_has(&s->cpuid, FEATURE_TSC_DEADLINE),
            .bus_hz = LAPIC_BUS_HZ,
        };
        struct lapic_signals signals = machine_lapic_signals;
        signals.target = s;
        signals.cpu = i;
        lapic_init(&s->lapics[i], &config, &signals, s->events);
        apic_bus_add_lapic(&s->apic_bus, &s->lapics[i]);
    }
    struct ioapic_config ioapic = {.id = IOAPIC_ID(s->config.cpus)};
    ioapic_init(&s->ioapic, &ioapic);
    apic_bus_add_ioapic(&s->apic_bus, &s->ioapic);
}

static const struct cost_table *costs_of(const struct sim_config *c)
{
    return c->engine == ENGINE_FAST ? &cost_fast : &cost_flat;
}

static void init_cpus(struct sim *s)
{
    struct rng phases;
    rng_init(&phases, s->config.seed, STREAM_PHASE);
    for (unsigned i = 0; i < s->config.cpus; i++) {
        struct cpu_config config = {
            .number = i,
            .bus = &s->bus,
            .lapic = &s->lapics[i],
            .blocks = s->blocks,
            .costs = costs_of(&s->config),
            .timing = s->model ? &s->model->cores[i] : NULL,
            .cpuid = &s->cpuid,
            .seed = s->config.seed ^ (UINT64_C(0x100000001b3) * (STREAM_RDRAND + i)),
            .store_capacity = store_capacity(&s->config),
            .drain_cycles = STORE_DRAIN_CYCLES,
        };
        struct cpu *cpu = &s->cpus[i];
        cpu_init(cpu, &config);
        cpu->drop_all_write_pointers = machine_drop_write_pointers;
        cpu->machine_target = s;
        cpu->trace.cpu = i;
        s->lapics[i].trace = &cpu->trace;
        cpu->single_step_blocks = s->config.single_step_blocks;
        cpu_reset(cpu);
        s->phases[i] = rng_below(&phases, PHASE_CYCLES);
        cpu_set_clock(cpu, s->phases[i]);
        cpu->masked_since = s->phases[i];
        if (i > 0) {
            cpu->activity = CPU_WAIT_FOR_SIPI;
        }
    }
}

/* The machine's own copy; what people called it is theirs, like the names of disks. */
static void copy_timing(struct sim *s, const struct timing_params *timing)
{
    s->config.machine = NULL;
    if (timing) {
        s->timing = alloc_zeroed(1, sizeof *s->timing);
        *s->timing = *timing;
        s->config.timing = s->timing;
        s->config.machine = s->timing->name;
    }
}

struct sim *sim_create(const struct sim_config *c, struct error *e)
{
    if (!sim_config_check(c, e)) {
        return NULL;
    }
    struct sim *s = alloc_zeroed(1, sizeof *s);
    s->config = *c;
    s->cpu_model = strdup(c->cpu_model ? c->cpu_model : "orrery");
    s->config.cpu_model = s->cpu_model;
    copy_timing(s, c->timing);
    memory_map_init(&s->map, c->memory_bytes, c->memory_limit_bytes);
    struct ram_range ranges[2];
    unsigned count = memory_map_ram(&s->map, ranges);
    bus_init(&s->bus);
    if (!cpuid_model_init(&s->cpuid, s->cpu_model, c->cpus, e) || !ram_init(&s->bus.ram, ranges, count, e) ||
        !board_open_disks(s, e)) {
        sim_destroy(s);
        return NULL;
    }
    s->bus.on_special_write = machine_special_write;
    s->bus.on_special_write_target = s;
    s->events = event_queue_create();
    s->blocks = block_cache_create(&s->bus.ram);
    if (c->translate && !s->timing) {
        block_cache_translate(s->blocks, costs_of(c), 0);
    }
    s->lapics = alloc_zeroed(c->cpus, sizeof *s->lapics);
    s->cpus = alloc_zeroed(c->cpus, sizeof *s->cpus);
    s->model = s->timing ? timing_create(s->timing, c->cpus, TLB_ENTRIES) : NULL;
    init_apics(s);
    init_cpus(s);
    board_init(s);
    memset(s->config.disks, 0, sizeof s->config.disks); /* the names are the caller's, as are the bytes */
    memset(s->config.disk_bytes, 0, sizeof s->config.disk_bytes);
    sim_on_progress(s, NULL, NULL);
    sim_on_cut(s, 0, NULL, NULL);
    return s;
}

void sim_destroy(struct sim *s)
{
    if (!s) {
        return;
    }
    for (unsigned i = 0; s->cpus && i < s->config.cpus; i++) {
        cpu_deinit(&s->cpus[i]);
    }
    if (s->blocks) {
        block_cache_destroy(s->blocks);
    }
    if (s->events) {
        event_queue_destroy(s->events);
    }
    board_deinit(s);
    bus_deinit(&s->bus);
    free(s->cpus);
    free(s->lapics);
    free(s->log.effects);
    free(s->cpu_model);
    timing_destroy(s->model);
    sharing_destroy(s->sharing);
    free(s->timing);
    free(s);
}

const struct sim_config *sim_get_config(const struct sim *s)
{
    return &s->config;
}

/* The state both boot protocols ask for: 32-bit protected mode, flat segments, paging and interrupts off. */
static void enter_protected(struct cpu *cpu, const struct boot_entry *entry)
{
    const struct segment data = {
        .limit = UINT32_MAX, .selector = 0x10, .attr = SEG_P | SEG_S | 0x3u | SEG_DB | SEG_G};
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        cpu->seg[i] = data;
    }
    cpu->seg[SEG_CS].selector = 0x08;
    cpu->seg[SEG_CS].attr = SEG_P | SEG_S | 0xbu | SEG_DB | SEG_G;
    cpu->tr = (struct segment){.limit = 0x67, .attr = SEG_P | 0xbu};
    cpu->cr0 = CR0_PE | CR0_ET;
    cpu->rip = entry->eip;
    cpu->gpr[RAX] = entry->eax;
    cpu->gpr[RBX] = entry->ebx;
    cpu_set_rflags(cpu, RFLAGS_ONE);
    cpu_update_mode(cpu);
}

bool sim_load(struct sim *s, const struct sim_image *image, struct error *e)
{
    struct boot_entry entry;
    if (!boot_load(&s->bus, &s->map, image, &entry, e)) {
        return false;
    }
    firmware_write_acpi(&s->bus, &s->config, &s->map);
    firmware_write_mp_table(&s->bus, &s->config);
    enter_protected(&s->cpus[0], &entry);
    return true;
}

const char *sim_stop_name(enum sim_stop stop)
{
    static const char *const names[] = {
        [SIM_RUNNING] = "running",
        [SIM_STOP_CYCLES] = "cycle limit",
        [SIM_STOP_ASKED] = "asked",
        [SIM_STOP_POWER_OFF] = "power-off",
        [SIM_STOP_RESET] = "reset",
        [SIM_STOP_DEBUG_EXIT] = "debug-exit",
        [SIM_STOP_TRIPLE_FAULT] = "triple fault",
        [SIM_STOP_NO_PROGRESS] = "no progress possible",
        [SIM_STOP_NOT_MODELLED] = "not modelled",
    };
    return names[stop];
}

uint32_t sim_exit_value(const struct sim *s)
{
    return s->exit_value;
}

const char *sim_stop_text(const struct sim *s)
{
    return s->stop_text;
}

unsigned sim_stop_cpu(const struct sim *s)
{
    return s->stop_cpu;
}

uint64_t sim_cycles(const struct sim *s)
{
    return s->now_cycles;
}

uint64_t sim_instructions(const struct sim *s)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->config.cpus; i++) {
        sum += s->cpus[i].retired;
    }
    return sum;
}

/* ---- looking ---- */

void sim_get_regs(const struct sim *s, unsigned cpu, struct sim_regs *r)
{
    const struct cpu *c = &s->cpus[cpu];
    *r = (struct sim_regs){
        .rip = c->rip,
        .linear_rip = cpu_linear_rip(c),
        .rflags = cpu_rflags(c),
        .cr0 = c->cr0,
        .cr2 = c->cr2,
        .cr3 = c->cr3,
        .cr4 = c->cr4,
        .cr8 = lapic_cr8(c->lapic),
        .efer = c->efer,
        .fs_base = c->seg[SEG_FS].base,
        .gs_base = c->seg[SEG_GS].base,
        .kernel_gs_base = c->msrs.kernel_gs_base,
        .cpl = c->cpl,
        .code_bits = c->mode == MODE_LONG64   ? 64
                     : c->mode == MODE_PROT32 ? 32
                                              : 16,
        .halted = c->activity != CPU_ACTIVE,
        .clock_cycles = cpu_now(c),
        .retired = c->retired,
    };
    memcpy(r->gpr, c->gpr, sizeof r->gpr);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        r->selector[i] = c->seg[i].selector;
    }
}

void sim_get_xmm(const struct sim *s, unsigned cpu, unsigned number, uint8_t bytes[SIM_XMM_BYTES])
{
    memcpy(bytes, s->cpus[cpu].xmm[number].u8, SIM_XMM_BYTES);
}

void sim_get_fp(const struct sim *s, unsigned cpu, struct sim_fp *out)
{
    _Static_assert(SIM_FSAVE_BYTES == X87_SAVE_MAX_BYTES, "one image");
    const struct cpu *c = &s->cpus[cpu];
    x87_save_build(&c->x87, (struct x87_env_form){.wide = true}, out->image);
    out->mxcsr = c->mxcsr;
}

bool sim_read_physical(const struct sim *s, phys_t a, void *bytes, size_t size)
{
    return bus_peek(&s->bus, a, bytes, size);
}

struct digest sim_disk_file(const struct sim *s, unsigned disk, uint64_t *size_bytes)
{
    CHECK(disk < s->config.disk_count, "disk %u of %u", disk, s->config.disk_count);
    const struct disk *d = &s->board.disks[disk].disk;
    *size_bytes = d->size_bytes;
    return d->base_digest;
}

bool sim_read_disk(const struct sim *s, unsigned disk, uint64_t offset, void *bytes, size_t size)
{
    if (disk >= s->config.disk_count) {
        return false;
    }
    const struct disk *d = &s->board.disks[disk].disk;
    if (offset > d->size_bytes || size > d->size_bytes - offset) {
        return false;
    }
    disk_read(d, offset, bytes, size);
    return true;
}

bool sim_translate(const struct sim *s, unsigned cpu, lin_t a, phys_t *out)
{
    return mem_peek_translate(&s->cpus[cpu], a, out);
}

bool sim_read_linear(const struct sim *s, unsigned cpu, lin_t a, void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        phys_t at;
        uint64_t here = a.v + done;
        size_t room = PAGE_SIZE_BYTES - (here & PAGE_MASK_BITS);
        size_t n = size - done < room ? size - done : room;
        if (!sim_translate(s, cpu, lin(here), &at) || !ram_contains(&s->bus.ram, at, n)) {
            return false;
        }
        store_queue_load_bytes(&s->cpus[cpu], at, (uint8_t *)bytes + done, (unsigned)n);
        done += n;
    }
    return true;
}

bool sim_next_stale(const struct sim *s, unsigned cpu, unsigned *index, struct sim_stale *out)
{
    struct mem_stale found;
    if (!mem_next_stale(&s->cpus[cpu], index, &found)) {
        return false;
    }
    *out = (struct sim_stale){found.linear, found.physical, BIT(found.page_shift), found.table};
    return true;
}

unsigned sim_disassemble(const struct sim *s, unsigned cpu, lin_t a, char *text, size_t size)
{
    uint8_t bytes[15];
    unsigned got = sizeof bytes;
    while (got > 0 && !sim_read_linear(s, cpu, a, bytes, got)) {
        got--;
    }
    enum cpu_mode mode = s->cpus[cpu].mode;
    ZydisMachineMode zydis_mode = mode == MODE_LONG64   ? ZYDIS_MACHINE_MODE_LONG_64
                                  : mode == MODE_PROT32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                                        : ZYDIS_MACHINE_MODE_LEGACY_16;
    ZydisDisassembledInstruction d;
    if (got == 0 || !ZYAN_SUCCESS(ZydisDisassembleIntel(zydis_mode, a.v, bytes, got, &d))) {
        snprintf(text, size, "(unreadable)");
        return 0;
    }
    snprintf(text, size, "%s", d.text);
    return d.info.length;
}

void sim_on_output(struct sim *s, sim_output_fn *fn, void *arg)
{
    s->on_output = fn;
    s->on_output_arg = arg;
}

int sim_probe_add(struct sim *s, lin_t a, sim_probe_fn *fn, void *arg)
{
    for (unsigned i = 0; i < PROBES_MAX; i++) {
        if (!s->probes[i].used) {
            if (!block_cache_probe_add(s->blocks, a)) {
                return -1;
            }
            s->probes[i] = (struct probe){true, a, fn, arg};
            s->probe_end = i < s->probe_end ? s->probe_end : i + 1;
            return (int)i;
        }
    }
    return -1;
}

void sim_probe_remove(struct sim *s, int id)
{
    CHECK(id >= 0 && (unsigned)id < PROBES_MAX && s->probes[id].used, "probe %d is not set", id);
    s->probes[id].used = false;
    block_cache_probe_remove(s->blocks, s->probes[id].address);
}

uint64_t sim_phase(const struct sim *s, unsigned cpu)
{
    return s->phases[cpu];
}
