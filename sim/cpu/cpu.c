/*
 * The vCPU as a whole: reset, INIT and SIPI, the derived modes, the clock, the list of its state.
 *
 * Source: APM vol. 2, "Processor Initialization State", "Multiple-Processor Initialization"; SDM vol. 3A,
 * "Processor State After Power-up, Reset, or INIT".
 * Deviations: virtual-8086 mode does not exist (loading RFLAGS.VM is not modelled).
 */

#include "cpu/cpu.h"
#include "base/check.h"
#include "cpu/block.h"
#include "cpu/cpuid.h"
#include "cpu/debug_regs.h"
#include "cpu/flags.h"
#include "cpu/mem.h"
#include "cpu/msr.h"
#include "cpu/pending.h"
#include "cpu/timed.h"

#include <stdio.h>

#define CR0_RESET   (CR0_CD | CR0_NW | CR0_ET)
#define MXCSR_RESET UINT32_C(0x1f80)
#define XCR0_RESET  UINT64_C(1)

void cpu_init(struct cpu *cpu, const struct cpu_config *config)
{
    CHECK(config->store_capacity <= STORE_QUEUE_MAX, "store capacity %u", config->store_capacity);
    memset(cpu, 0, sizeof *cpu);
    cpu->number = config->number;
    cpu->bus = config->bus;
    cpu->lapic = config->lapic;
    cpu->blocks = config->blocks;
    cpu->costs = config->costs;
    cpu->timing = config->timing;
    cpu->access_waits = true;
    cpu->cpuid = config->cpuid;
    cpu->stores.capacity = config->store_capacity;
    cpu->store_room = config->store_capacity != 0 ? config->store_capacity - TIMED_ROOM_STORES : UINT32_MAX;
    cpu->stores.drain_cycles = config->drain_cycles;
    rng_init(&cpu->random, config->seed, config->number);
    block_cache_add_cpu(cpu->blocks, cpu);
    cpu_reset(cpu);
}

void cpu_deinit(struct cpu *cpu)
{
    block_cache_remove_cpu(cpu->blocks, cpu);
}

/* ---- reset ---- */

static struct segment reset_segment(uint16_t type_and_s)
{
    return (struct segment){
        .base = 0, .limit = 0xffff, .selector = 0, .attr = (uint16_t)(type_and_s | SEG_P)};
}

static void reset_segments(struct cpu *cpu)
{
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        cpu->seg[s] = reset_segment(SEG_S | 3);
    }
    cpu->seg[SEG_CS] = reset_segment(SEG_S | 11);
    cpu->seg[SEG_CS].selector = 0xf000;
    cpu->seg[SEG_CS].base = 0xffff0000;
    cpu->ldtr = reset_segment(2);
    cpu->tr = reset_segment(11);
    cpu->gdtr = (struct table_reg){0, 0xffff};
    cpu->idtr = (struct table_reg){0, 0xffff};
}

/* What RESET and INIT have in common. */
static void reset_common(struct cpu *cpu)
{
    memset(cpu->gpr, 0, sizeof cpu->gpr);
    cpu->gpr[RDX] = cpuid_query(cpu, 1, 0).eax;
    cpu->rip = 0xfff0;
    cpu_set_rflags(cpu, RFLAGS_ONE);
    reset_segments(cpu);
    cpu->cr0 = CR0_RESET;
    cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->efer = 0;
    memset(cpu->dr, 0, sizeof cpu->dr);
    cpu->dr6 = DR6_ONES;
    cpu->dr7 = DR7_ONES;
    cpu->cpl = 0;
    cpu->activity = CPU_ACTIVE;
    cpu->shadow = 0;
    cpu->nmi_blocked = cpu->nmi_pending = cpu->init_pending = false;
    cpu->sipi_vector = 0;
    cpu->pending_db = 0;
    cpu->monitor_armed = false;
    cpu->probe_passed = false;
    mem_flush_all(cpu);
    cpu_drop_code(cpu);
    cpu_update_mode(cpu);
}

void cpu_reset(struct cpu *cpu)
{
    uint64_t now = cpu_now(cpu);
    mem_init(cpu);
    reset_common(cpu);
    x87_reset(&cpu->x87);
    memset(cpu->xmm, 0, sizeof cpu->xmm);
    cpu->mxcsr = MXCSR_RESET;
    cpu->xcr0 = XCR0_RESET;
    cpu->retired = 0;
    cpu->stall_cycles = 0;
    msr_reset(cpu);
    cpu_set_clock(cpu, now);
}

/* INIT keeps CD and NW as they are, the FPU, the vector registers and most MSRs. */
void cpu_init_signal(struct cpu *cpu, bool bootstrap)
{
    uint64_t cache_bits = cpu->cr0 & (CR0_CD | CR0_NW);
    mem_drain(cpu);
    reset_common(cpu);
    cpu_settle_masked(cpu);
    cpu->cr0 = cache_bits | CR0_ET;
    if (!bootstrap) {
        cpu->activity = CPU_WAIT_FOR_SIPI;
    }
}

/* ---- waking ---- */

static bool start_up(struct cpu *cpu)
{
    uint64_t vector = cpu->sipi_vector & 0xff;
    if (cpu->sipi_vector == 0) {
        return false;
    }
    cpu->seg[SEG_CS].selector = (uint16_t)(vector << 8);
    cpu->seg[SEG_CS].base = vector << 12;
    cpu->rip = 0;
    cpu->sipi_vector = 0;
    return true;
}

static bool wakes(struct cpu *cpu)
{
    bool event = cpu->init_pending || cpu->pending_db != 0 || (cpu->nmi_pending && !cpu->nmi_blocked) ||
                 cpu_interrupt_waits(cpu);
    switch ((enum cpu_activity)cpu->activity) {
    case CPU_HALTED:
        return event;
    case CPU_MWAIT:
        return event || !cpu->monitor_armed;
    case CPU_WAIT_FOR_SIPI:
        return cpu->init_pending || start_up(cpu);
    case CPU_ACTIVE:
    case CPU_SHUTDOWN:
    default:
        return false;
    }
}

bool cpu_wake(struct cpu *cpu, uint64_t now_cycles)
{
    if (!wakes(cpu)) {
        return false;
    }
    if (cpu->activity == CPU_MWAIT) { /* whatever ended the wait, it takes a new MONITOR for another one */
        cpu->monitor_armed = false;
    }
    bool started = cpu->activity == CPU_WAIT_FOR_SIPI;
    cpu->activity = CPU_ACTIVE;
    if (cpu_now(cpu) < now_cycles) {
        cpu_set_clock(cpu, now_cycles);
    }
    cpu->masked_since = started ? cpu_now(cpu) : cpu->masked_since;
    timed_tell(cpu, TIMING_RECORD_WAKE, cpu_now(cpu));
    if (cpu->timing != NULL) {
        cpu_set_clock(cpu, cpu_now(cpu) + cpu->timing->shared->params.value[TIMING_wake_cycles]);
        timing_flush(cpu->timing, cpu_now(cpu));
    }
    return true;
}

void cpu_set_clock(struct cpu *cpu, uint64_t now_cycles)
{
    cpu->deadline_cycles = now_cycles;
    cpu->left_cycles = 0;
    cpu->refund_cycles = 0;
}

/* ---- flags and modes ---- */

uint64_t cpu_rflags(const struct cpu *cpu)
{
    return cpu->rflags | RFLAGS_ONE | flags_get(cpu);
}

void cpu_set_rflags(struct cpu *cpu, uint64_t rflags)
{
    flags_set(cpu, rflags);
    cpu->rflags = (rflags & ~RFLAGS_STATUS) | RFLAGS_ONE;
    cpu_note_masked(cpu);
    cpu_update_mode(cpu);
}

static enum cpu_mode current_mode(const struct cpu *cpu)
{
    if (!(cpu->cr0 & CR0_PE)) {
        return MODE_REAL;
    }
    if ((cpu->efer & EFER_LMA) && (cpu->seg[SEG_CS].attr & SEG_L)) {
        return MODE_LONG64;
    }
    return cpu->seg[SEG_CS].attr & SEG_DB ? MODE_PROT32 : MODE_PROT16;
}

static enum mem_mode current_mem_mode(const struct cpu *cpu)
{
    if (cpu->cpl == 3) {
        return MEM_USER;
    }
    return (cpu->cr4 & CR4_SMAP) && (cpu->rflags & RFLAGS_AC) ? MEM_SUPERVISOR_AC : MEM_SUPERVISOR;
}

void cpu_update_mode(struct cpu *cpu)
{
    unsigned user = cpu->cpl == 3;
    cpu->mode = (uint8_t)current_mode(cpu);
    cpu->mem_mode = (uint8_t)current_mem_mode(cpu);
    cpu->host = &cpu->host_tables[cpu->mem_mode];
    if (cpu->code != cpu->code_tables[user]) {
        cpu->code = cpu->code_tables[user];
        cpu->jumps = cpu->jump_tables[user];
        cpu->fetch = (struct fetch_latch){0}; /* it dies with the privilege it was checked for */
    }
    mem_mode_changed(cpu);
}

/* ---- accelerators ---- */

void cpu_drop_write_pointers(struct cpu *cpu)
{
    for (unsigned m = 0; m < MEM_MODE_COUNT; m++) {
        for (unsigned i = 0; i < HOST_ENTRIES; i++) {
            cpu->host_tables[m].write[i].tag = HOST_TAG_NONE;
        }
    }
}

void cpu_drop_write_page(struct cpu *cpu, phys_t page)
{
    uintptr_t host = (uintptr_t)ram_at(&cpu->bus->ram, page);
    for (unsigned m = 0; m < MEM_MODE_COUNT; m++) {
        uint64_t groups = cpu->tlb.host_groups[m];
        for (; groups != 0; groups &= groups - 1) {
            unsigned first = (unsigned)__builtin_ctzll(groups) * (HOST_ENTRIES / 64);
            for (unsigned i = first; i < first + HOST_ENTRIES / 64; i++) {
                struct host_entry *e = &cpu->host_tables[m].write[i];
                e->tag = e->addend + e->tag == host ? HOST_TAG_NONE : e->tag;
            }
        }
    }
}

void cpu_drop_code_page(struct cpu *cpu, uint64_t lin_page)
{
    unsigned slot = (lin_page >> PAGE_SHIFT) % CODE_ENTRIES;
    for (unsigned user = 0; user < 2; user++) {
        if (cpu->code_tables[user][slot].tag == lin_page) {
            cpu->code_tables[user][slot].tag = HOST_TAG_NONE;
            cpu->code_stamp++;
        }
    }
}

void cpu_drop_code(struct cpu *cpu)
{
    cpu->code_stamp++;
    for (unsigned user = 0; user < 2; user++) {
        for (unsigned i = 0; i < CODE_ENTRIES; i++) {
            cpu->code_tables[user][i].tag = HOST_TAG_NONE;
        }
    }
}

/* ---- results ---- */

enum flow cpu_fault(struct cpu *cpu, enum vector vector)
{
    cpu->fault = (struct fault){.vector = (uint8_t)vector};
    return FLOW_FAULT;
}

enum flow cpu_fault_code(struct cpu *cpu, enum vector vector, uint32_t error)
{
    cpu->fault = (struct fault){.vector = (uint8_t)vector, .has_error = true, .error = error};
    return FLOW_FAULT;
}

enum flow cpu_not_modelled(struct cpu *cpu, const char *what)
{
    snprintf(cpu->stop_text, sizeof cpu->stop_text, "%s", what);
    return FLOW_STOP;
}

/* ---- state ---- */

static void visit_segment(struct visitor *v, const char *name, unsigned index, struct segment *s)
{
    visit_enter(v, name, index);
    visit_u64(v, "base", &s->base);
    visit_u32(v, "limit", &s->limit);
    visit_u16(v, "selector", &s->selector);
    visit_u16(v, "attr", &s->attr);
    visit_leave(v);
}

static void visit_segments(struct cpu *cpu, struct visitor *v)
{
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        visit_segment(v, "seg", s, &cpu->seg[s]);
    }
    visit_segment(v, "ldtr", 0, &cpu->ldtr);
    visit_segment(v, "tr", 0, &cpu->tr);
    visit_u64(v, "gdtr.base", &cpu->gdtr.base);
    visit_u32(v, "gdtr.limit", &cpu->gdtr.limit);
    visit_u64(v, "idtr.base", &cpu->idtr.base);
    visit_u32(v, "idtr.limit", &cpu->idtr.limit);
}

static void visit_control(struct cpu *cpu, struct visitor *v)
{
    visit_u64(v, "cr0", &cpu->cr0);
    visit_u64(v, "cr2", &cpu->cr2);
    visit_u64(v, "cr3", &cpu->cr3);
    visit_u64(v, "cr4", &cpu->cr4);
    visit_u64(v, "efer", &cpu->efer);
    visit_u64(v, "xcr0", &cpu->xcr0);
    visit_array(v, "dr", cpu->dr, 8, 4);
    visit_u64(v, "dr6", &cpu->dr6);
    visit_u64(v, "dr7", &cpu->dr7);
    visit_choice(v, "cpl", &cpu->cpl, 3);
}

static void visit_msrs(struct cpu *cpu, struct visitor *v)
{
    /* All members are 64-bit words; msr.def tells which is which. */
    _Static_assert(sizeof(struct cpu_msrs) % 8 == 0, "words");
    visit_array(v, "msrs", &cpu->msrs, 8, sizeof cpu->msrs / 8);
    visit_array(v, "random", cpu->random.s, 8, 4);
}

static void visit_pending(struct cpu *cpu, struct visitor *v)
{
    visit_choice(v, "activity", &cpu->activity, CPU_SHUTDOWN);
    visit_choice(v, "shadow", &cpu->shadow, SHADOW_STI | SHADOW_MOV_SS);
    visit_bool(v, "nmi_blocked", &cpu->nmi_blocked);
    visit_bool(v, "nmi_pending", &cpu->nmi_pending);
    visit_bool(v, "init_pending", &cpu->init_pending);
    visit_u16(v, "sipi_vector", &cpu->sipi_vector);
    visit_u64(v, "pending_db", &cpu->pending_db);
    visit_bool(v, "monitor_armed", &cpu->monitor_armed);
    visit_u64(v, "monitor_line", &cpu->monitor_line.v);
}

static void visit_clock(struct cpu *cpu, struct visitor *v)
{
    uint64_t now = cpu_now(cpu);
    visit_u64(v, "clock", &now);
    visit_u64(v, "retired", &cpu->retired);
    visit_u64(v, "stall", &cpu->stall_cycles);
    if (v->loading) {
        cpu_set_clock(cpu, now);
    }
}

static void visit_rflags(struct cpu *cpu, struct visitor *v)
{
    uint64_t rflags = cpu_rflags(cpu);
    visit_u64(v, "rflags", &rflags);
    if (v->loading) {
        flags_set(cpu, rflags);
        cpu->rflags = (rflags & ~RFLAGS_STATUS) | RFLAGS_ONE;
    }
}

/* What hangs on state that was loaded; the fetch latch is state, and as good as it was when it was saved. */
static void derive(struct cpu *cpu)
{
    struct fetch_latch latch = cpu->fetch;
    struct ram *ram = &cpu->bus->ram;
    cpu_update_mode(cpu);
    cpu->fetch = latch;
    cpu->step_block = NULL;
    cpu->link_from = NULL;
    cpu->exit_insn = NULL;
    cpu->masked = !(cpu->rflags & RFLAGS_IF);
    cpu->masked_since = cpu_now(cpu);
    if (cpu->monitor_armed && ram_contains(ram, cpu->monitor_line, 1)) {
        ram->flags[cpu->monitor_line.v >> PAGE_SHIFT] |= PAGE_MONITOR;
    }
}

void cpu_visit(struct cpu *cpu, struct visitor *v)
{
    visit_array(v, "gpr", cpu->gpr, 8, GPR_COUNT);
    visit_u64(v, "rip", &cpu->rip);
    visit_rflags(cpu, v);
    visit_segments(cpu, v);
    visit_control(cpu, v);
    x87_visit(&cpu->x87, v);
    visit_array(v, "xmm", cpu->xmm, 8, 32);
    visit_u32(v, "mxcsr", &cpu->mxcsr);
    visit_msrs(cpu, v);
    visit_pending(cpu, v);
    mem_visit(cpu, v);
    if (v->level >= VISIT_MACHINE) {
        visit_clock(cpu, v);
    }
    if (v->loading) {
        derive(cpu);
    }
}
