/*
 * The simulator's side of the instruction oracle.
 *
 * Physical memory:  0x1000 GDT   0x2000 IDT   0x3000 TSS   0x4000 page tables   0x20000 handlers, an HLT for each
 * vector   0x30000 stack of level 0   0x100000 and on: the pages of the case, in the order of their addresses.
 * The first 2 MiB are mapped for the supervisor at KERNEL.
 */

#include "insn_machine.h"

#include "apic/lapic.h"
#include "core/bus.h"
#include "cpu/block.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/mem.h"
#include "cpu/segment.h"
#include "cpu/x87_image.h"
#include "insn_values.h"
#include "mmu/walk.h"
#include "run_alone.h"

#include <stdlib.h>
#include <string.h>

#define KERNEL       UINT64_C(0xffff800000000000)
#define RAM_BYTES    0x400000u
#define GDT_AT       0x1000u
#define IDT_AT       0x2000u
#define TSS_AT       0x3000u
#define TABLES_AT    0x4000u
#define HANDLERS_AT  0x20000u
#define STACK_TOP    0x31000u
#define PAGES_AT     0x100000u
#define GDT_BYTES    0x80u
#define TSS_SELECTOR 0x40u
#define CASE_CYCLES  2000000u

struct insn_machine {
    struct bus bus;
    struct event_queue *events;
    struct lapic lapic;
    struct block_cache *blocks;
    struct cpuid_model model;
    struct cpu cpu;
    uint64_t next_table, next_page;
    uint64_t code, memory[CASE_REGIONS]; /* physical */
    unsigned text_at, text_bytes;
};

/* The descriptors of the host's kernel, which LAR and LSL see: user code of 32 bits, data, code of 64 bits. */
static const uint64_t gdt[GDT_BYTES / 8] = {
    [1] = UINT64_C(0x00cf9b000000ffff),  [2] = UINT64_C(0x00af9b000000ffff),
    [3] = UINT64_C(0x00cf93000000ffff),  [4] = UINT64_C(0x00cffb000000ffff),
    [5] = UINT64_C(0x00cff3000000ffff),  [6] = UINT64_C(0x00affb000000ffff),
    [15] = UINT64_C(0x0040f50000000000),
};

/* ---- making it ---- */

static void poke(struct insn_machine *m, uint64_t at, uint64_t value)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    bus_load(&m->bus, phys(at), bytes, 8);
}

static uint64_t peek(const struct insn_machine *m, uint64_t at)
{
    return load_le64(ram_at(&m->bus.ram, phys(at)));
}

static void map_page(struct insn_machine *m, uint64_t a, uint64_t physical, uint64_t rights, unsigned level)
{
    uint64_t table = TABLES_AT;
    for (unsigned l = 4;; l--) {
        uint64_t at = table + 8 * (a >> (3 + 9 * l) & 0x1ff);
        if (l == level) {
            poke(m, at, physical | rights | PTE_P | PTE_A | PTE_D);
            return;
        }
        if (!(peek(m, at) & PTE_P)) {
            m->next_table += CASE_PAGE;
            poke(m, at, m->next_table | PTE_P | PTE_W | PTE_U);
        }
        table = peek(m, at) & PTE_ADDRESS;
    }
}

/* Maps user pages; their physical address. */
static uint64_t map_user(struct insn_machine *m, uint64_t a, unsigned bytes, uint64_t rights)
{
    uint64_t first = m->next_page;
    for (unsigned i = 0; i < bytes; i += (unsigned)CASE_PAGE) {
        map_page(m, a + i, m->next_page, rights | PTE_U, 1);
        m->next_page += CASE_PAGE;
    }
    return first;
}

static void map_case(struct insn_machine *m)
{
    uint8_t page[CASE_PAGE];
    m->code = map_user(m, CASE_CODE_AT, CASE_CODE_BYTES, 0);
    uint64_t land = map_user(m, CASE_LAND_AT, (unsigned)CASE_PAGE, 0);
    memset(page, CASE_INT3, sizeof page);
    bus_load(&m->bus, phys(m->code), page, sizeof page);
    bus_load(&m->bus, phys(m->code + CASE_PAGE), page, sizeof page);
    bus_load(&m->bus, phys(land), page, sizeof page);
    value_memory(page, sizeof page, 1);
    bus_load(&m->bus, phys(map_user(m, CASE_READ_AT, sizeof page, PTE_XD)), page, sizeof page);
    value_memory(page, sizeof page, 2);
    bus_load(&m->bus, phys(map_user(m, CASE_READ2_AT, sizeof page, PTE_XD)), page, sizeof page);
    for (unsigned i = 0; i < CASE_REGIONS; i++) {
        m->memory[i] = map_user(m, case_regions[i].at, case_regions[i].bytes, PTE_W | PTE_XD);
    }
}

/* The tables of the processor. INT3 and INTO may be called from user mode. */
static void put_tables(struct insn_machine *m)
{
    for (unsigned i = 0; i < GDT_BYTES / 8; i++) {
        poke(m, GDT_AT + 8 * i, gdt[i]);
    }
    poke(m, TSS_AT + 4, KERNEL + STACK_TOP);
    poke(m, TSS_AT + 0x60, UINT64_C(0xffff000000000000)); /* no I/O bitmap */
    uint64_t tss = KERNEL + TSS_AT;
    poke(m, GDT_AT + TSS_SELECTOR,
         UINT64_C(0x00008b0000000067) | (tss & 0xffffff) << 16 | (tss >> 24 & 0xff) << 56);
    poke(m, GDT_AT + TSS_SELECTOR + 8, tss >> 32);
    for (unsigned v = 0; v < 256; v++) {
        uint64_t handler = KERNEL + HANDLERS_AT + 16 * v;
        uint64_t level = v == VECTOR_BP || v == VECTOR_OF ? 3 : 0;
        poke(m, IDT_AT + 16 * v,
             (handler & 0xffff) | UINT64_C(0x10) << 16 | (UINT64_C(0x8e) | level << 5) << 40 |
                 (handler >> 16 & 0xffff) << 48);
        poke(m, IDT_AT + 16 * v + 8, handler >> 32);
        poke(m, HANDLERS_AT + 16 * v, 0xf4);
    }
}

static void special_write(void *target, phys_t a, unsigned size_bytes)
{
    struct insn_machine *m = target;
    block_cache_invalidate(m->blocks, a, size_bytes);
}

static void drop_write_pointers(void *target)
{
    struct insn_machine *m = target;
    cpu_drop_write_pointers(&m->cpu);
}

static void set_up_cpu(struct insn_machine *m, uint32_t tsc_aux)
{
    struct cpu *cpu = &m->cpu;
    cpu_reset(cpu);
    cpu->drop_all_write_pointers = drop_write_pointers;
    cpu->machine_target = m;
    cpu->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_WP | CR0_MP | CR0_AM;
    cpu->cr3 = TABLES_AT;
    cpu->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_FSGSBASE | CR4_OSXSAVE | CR4_UMIP |
               CR4_SMEP | CR4_SMAP | CR4_DE;
    cpu->efer = EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE;
    cpu->xcr0 = XSTATE_SUPPORTED;
    cpu->msrs.tsc_aux = tsc_aux;
    cpu->gdtr = (struct table_reg){KERNEL + GDT_AT, GDT_BYTES - 1};
    cpu->idtr = (struct table_reg){KERNEL + IDT_AT, 0xfff};
    cpu->ldtr = segment_null(0);
    cpu->tr = (struct segment){
        .base = KERNEL + TSS_AT, .limit = 0x67, .selector = TSS_SELECTOR, .attr = SEG_P | TYPE_TSS32_BUSY};
    mem_flush_all(cpu);
}

struct insn_machine *insn_machine_open(uint32_t tsc_aux)
{
    static const struct lapic_signals no_signals = {0};
    struct ram_range range = {.base = {0}, .size_bytes = RAM_BYTES};
    struct insn_machine *m = calloc(1, sizeof *m);
    if (!m) {
        return NULL;
    }
    bus_init(&m->bus);
    if (!ram_init(&m->bus.ram, &range, 1, NULL) || !cpuid_model_init(&m->model, NULL, 1, NULL)) {
        free(m);
        return NULL;
    }
    m->bus.on_special_write = special_write;
    m->bus.on_special_write_target = m;
    m->events = event_queue_create();
    struct lapic_config lapic = {.bsp = true, .x2apic = true, .tsc_deadline = true, .bus_hz = LAPIC_BUS_HZ};
    lapic_init(&m->lapic, &lapic, &no_signals, m->events);
    m->blocks = block_cache_create(&m->bus.ram);
    struct cpu_config config = {.bus = &m->bus,
                                .lapic = &m->lapic,
                                .blocks = m->blocks,
                                .costs = &cost_fast,
                                .cpuid = &m->model,
                                .seed = 1};
    cpu_init(&m->cpu, &config);
    m->next_table = TABLES_AT;
    m->next_page = PAGES_AT;
    put_tables(m);
    map_page(m, KERNEL, 0, PTE_W | PTE_PS, 2);
    map_case(m);
    set_up_cpu(m, tsc_aux);
    return m;
}

void insn_machine_close(struct insn_machine *m)
{
    cpu_deinit(&m->cpu);
    block_cache_destroy(m->blocks);
    event_queue_destroy(m->events);
    bus_deinit(&m->bus);
    free(m);
}

/* ---- running ---- */

/* What loading a selector of the table leaves, with another base for FS and GS. */
static struct segment loaded(uint16_t selector, uint64_t base)
{
    if (SELECTOR_NULL(selector)) {
        struct segment s = segment_null(selector);
        s.base = base;
        return s;
    }
    struct descriptor d = {.raw = gdt[selector >> 3]};
    struct segment s = descriptor_segment(&d, selector);
    s.base = base;
    return s;
}

static struct fx_state fx_of(struct cpu *cpu)
{
    return (struct fx_state){
        .x87 = &cpu->x87, .xmm = cpu->xmm, .mxcsr = &cpu->mxcsr, .xmm_count = 16, .wide = true};
}

static void load_registers(struct insn_machine *m, const struct insn_case *c)
{
    const struct insn_state *in = &c->in;
    struct cpu *cpu = &m->cpu;
    struct fx_state fx = fx_of(cpu);
    memcpy(cpu->gpr, in->gpr, sizeof in->gpr);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        uint64_t base = i == SEG_FS ? in->fs_base : i == SEG_GS ? in->gs_base : 0;
        cpu->seg[i] = loaded(in->selector[i], base);
    }
    cpu->rip = in->rip;
    cpu->cpl = 3;
    cpu_set_rflags(cpu, in->rflags);
    cpu_update_mode(cpu);
    fx_load_x87(&fx, in->fx);
    fx_load_xmm(&fx, in->fx);
    cpu->mxcsr = load_le32(in->fx + FX_MXCSR);
    cpu->activity = CPU_ACTIVE;
    cpu->shadow = 0;
    cpu->pending_db = 0;
    cpu->cr2 = 0;
    cpu->single_step_blocks = c->number & 1;
    cpu->stores.capacity = c->number & MACHINE_SERIES ? STORE_QUEUE_MAX : 0;
    cpu->stores.drain_cycles = 40;
    if (c->number % MACHINE_SERIES == 0) {
        mem_flush_all(cpu); /* no host pointer may outlive the capacity that allowed it */
        mem_drop_host_entries(cpu);
    }
}

static void load_memory(struct insn_machine *m, const struct insn_case *c)
{
    const uint8_t *from = c->in.memory;
    uint8_t old[CASE_TEXT_MAX + 15];
    memset(old, CASE_INT3, sizeof old);
    bus_load(&m->bus, phys(m->code + m->text_at), old, m->text_bytes);
    m->text_at = (unsigned)(c->at - CASE_CODE_AT);
    m->text_bytes = CASE_CODE_BYTES - m->text_at < c->bytes ? CASE_CODE_BYTES - m->text_at : c->bytes;
    bus_load(&m->bus, phys(m->code + m->text_at), c->text, m->text_bytes);
    for (unsigned i = 0; i < CASE_REGIONS; i++) {
        bus_load(&m->bus, phys(m->memory[i]), from, case_regions[i].bytes);
        from += case_regions[i].bytes;
    }
}

static void save_frame(struct insn_machine *m, struct insn_state *out)
{
    uint64_t handler = m->cpu.rip - 1 - KERNEL - HANDLERS_AT;
    uint64_t at = m->cpu.gpr[RSP] - KERNEL;
    out->vector = (uint16_t)(handler / 16);
    out->error = 0;
    if (STACK_TOP - at == 48) {
        out->error = (uint32_t)peek(m, at);
        at += 8;
    }
    out->rip = peek(m, at);
    out->selector[SEG_CS] = (uint16_t)peek(m, at + 8);
    out->rflags = peek(m, at + 16);
    out->gpr[RSP] = peek(m, at + 24);
    out->selector[SEG_SS] = (uint16_t)peek(m, at + 32);
}

static void save_state(struct insn_machine *m, struct insn_state *out)
{
    struct cpu *cpu = &m->cpu;
    struct fx_state fx = fx_of(cpu);
    uint8_t area[FX_AREA_BYTES] = {0};
    uint8_t *to = out->memory;
    mem_drain(cpu);
    memcpy(out->gpr, cpu->gpr, sizeof out->gpr);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        out->selector[i] = cpu->seg[i].selector;
    }
    out->rip = cpu->rip;
    out->rflags = cpu_rflags(cpu);
    out->fs_base = cpu->seg[SEG_FS].base;
    out->gs_base = cpu->seg[SEG_GS].base;
    fx_build_x87(&fx, area);
    fx_build_mxcsr(&fx, area);
    fx_build_xmm(&fx, area);
    memcpy(out->fx, area, CASE_FX_BYTES);
    for (unsigned i = 0; i < CASE_REGIONS; i++) {
        bus_peek(&m->bus, phys(m->memory[i]), to, case_regions[i].bytes);
        to += case_regions[i].bytes;
    }
}

void insn_machine_run(struct insn_machine *m, const struct insn_case *c, struct insn_state *out)
{
    struct cpu *cpu = &m->cpu;
    load_memory(m, c);
    load_registers(m, c);
    uint64_t deadline = cpu_now(cpu) + CASE_CYCLES;
    enum cpu_stop stop;
    do {
        stop = run_alone(cpu, deadline);
    } while (stop == CPU_STOP_BREAK && cpu->activity == CPU_ACTIVE);
    save_state(m, out);
    out->error = 0;
    out->cr2 = 0;
    if (cpu->activity == CPU_HALTED) {
        save_frame(m, out);
        out->cr2 = out->vector == VECTOR_PF ? cpu->cr2 : 0;
    } else {
        out->vector = stop == CPU_STOP_NOT_MODELLED ? MACHINE_NOT_MODELLED
                      : stop == CPU_STOP_SHUTDOWN   ? MACHINE_SHUTDOWN
                                                    : MACHINE_HANGS;
    }
}

const char *machine_stop_text(const struct insn_machine *m)
{
    return m->cpu.stop_text;
}
