/*
 * System instructions that need no file of their own: debug registers, HLT, MONITOR, MWAIT, TLB and cache
 * maintenance, SWAPGS and the FS/GS bases, time, random numbers, CPUID, IF and AC, software interrupts.
 *
 * Source: AMD64 APM vol. 3, "System Instruction Reference"; vol. 2, "Software-Debug Resources".
 * Deviations: WBINVD and INVD find no cache to write back or lose; MWAIT
 * has no extensions (CPUID 5: no interrupt break-event), so ECX must be 0.
 */

#include "base/check.h"
#include "cpu/cpuid.h"
#include "cpu/debug_regs.h"
#include "cpu/exception.h"
#include "cpu/flags.h"
#include "cpu/mem.h"
#include "cpu/msr.h"
#include "cpu/segment.h"
#include "cpu/sys_insn.h"

#include "apic/lapic.h"

static enum flow gp0(struct cpu *cpu)
{
    return cpu_fault_code(cpu, VECTOR_GP, 0);
}

static enum flow ud(struct cpu *cpu)
{
    return cpu_fault(cpu, VECTOR_UD);
}

/* RSM: there is no system-management mode to return from. */
enum flow exec_absent(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    return ud(cpu);
}

/* ---- debug registers ---- */

static uint64_t read_debug(const struct cpu *cpu, unsigned number)
{
    return number < 4 ? cpu->dr[number] : number == 6 ? cpu->dr6 | DR6_ONES : cpu->dr7 | DR7_ONES;
}

static enum flow write_debug(struct cpu *cpu, unsigned number, uint64_t value)
{
    if (number >= 4 && (value >> 32)) {
        return gp0(cpu);
    }
    if (number < 4) {
        cpu->dr[number] = value;
    } else if (number == 6) {
        cpu->dr6 = (value & DR6_WRITABLE) | DR6_ONES;
    } else {
        cpu->dr7 = (value & DR7_WRITABLE) | DR7_ONES;
    }
    mem_drop_host_entries(cpu); /* watched accesses must take the slow path from now on */
    cpu_update_mode(cpu);
    return FLOW_NEXT;
}

static enum flow general_detect(struct cpu *cpu)
{
    cpu_fault(cpu, VECTOR_DB);
    cpu->fault.dr6 = DR6_BD;
    return FLOW_FAULT;
}

enum flow exec_mov_dr(struct cpu *cpu, const struct insn *insn)
{
    bool write = insn->op[0].kind == OPERAND_DR;
    unsigned number = write ? insn->op[0].reg : insn->op[1].reg;
    unsigned gpr = write ? insn->op[1].reg : insn->op[0].reg;
    unsigned size_bytes = cpu->mode == MODE_LONG64 ? 8 : 4;
    if (number > 7) {
        return ud(cpu);
    }
    if (cpu->cpl != 0) {
        return gp0(cpu);
    }
    if ((number == 4 || number == 5) && (cpu->cr4 & CR4_DE)) {
        return ud(cpu);
    }
    if (cpu->dr7 & DR7_GD) {
        return general_detect(cpu);
    }
    number = number == 4 || number == 5 ? number + 2 : number; /* aliases while CR4.DE is clear */
    if (write) {
        return write_debug(cpu, number, gpr_read(cpu, gpr, size_bytes));
    }
    gpr_write(cpu, gpr, read_debug(cpu, number), size_bytes);
    return FLOW_NEXT;
}

/* ---- waiting ---- */

static enum flow wait_in(struct cpu *cpu, enum cpu_activity activity)
{
    trace_hit(&cpu->trace, TRACE_HALT, cpu_now(cpu), cpu->rip, 0, 0, 0);
    cpu->activity = (uint8_t)activity;
    cpu_request_break(cpu);
    return FLOW_NEXT;
}

enum flow exec_hlt(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    return wait_in(cpu, CPU_HALTED);
}

enum flow exec_monitor(struct cpu *cpu, const struct insn *insn)
{
    lin_t a;
    uint64_t offset = gpr_read(cpu, RAX, insn->address_size_bytes);
    if (!cpuid_has(cpu, FEATURE_MONITOR) || cpu->cpl != 0) {
        return ud(cpu);
    }
    if ((uint32_t)cpu->gpr[RCX] != 0) {
        return gp0(cpu);
    }
    if (!segment_linear(cpu, (enum seg_reg)insn->mem_seg, offset, 1, false, &a) || !mem_monitor(cpu, a)) {
        return FLOW_FAULT;
    }
    return FLOW_NEXT;
}

enum flow exec_mwait(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (!cpuid_has(cpu, FEATURE_MONITOR) || cpu->cpl != 0) {
        return ud(cpu);
    }
    if ((uint32_t)cpu->gpr[RCX] != 0) {
        return gp0(cpu);
    }
    return cpu->monitor_armed ? wait_in(cpu, CPU_MWAIT) : FLOW_NEXT;
}

/* ---- TLB and caches ---- */

/* No limit, type or canonical check: the operand is an address, not an access. */
enum flow exec_invlpg(struct cpu *cpu, const struct insn *insn)
{
    uint64_t offset = insn_offset(cpu, insn);
    uint64_t base = cpu->seg[insn->mem_seg].base;
    if (cpu->mode != MODE_LONG64) {
        mem_invlpg(cpu, lin((uint32_t)(base + offset)));
        return FLOW_NEXT;
    }
    lin_t a = lin(offset + (insn->mem_seg == SEG_FS || insn->mem_seg == SEG_GS ? base : 0));
    if (lin_is_canonical(a)) {
        mem_invlpg(cpu, a);
    }
    return FLOW_NEXT;
}

/*  Descriptor in memory:  | linear address 127..64 | reserved 63..12 | PCID 11..0 |  */
static bool invpcid_valid(const struct cpu *cpu, uint64_t type, uint64_t pcid, uint64_t address)
{
    if (type > INVPCID_ALL || (pcid >> 12)) {
        return false;
    }
    if (type == INVPCID_ADDRESS && !lin_is_canonical(lin(address))) {
        return false;
    }
    return type > INVPCID_SINGLE || pcid == 0 || (cpu->cr4 & CR4_PCIDE);
}

enum flow exec_invpcid(struct cpu *cpu, const struct insn *insn)
{
    uint64_t type = gpr_read(cpu, insn->op[0].reg, cpu->mode == MODE_LONG64 ? 8 : 4);
    uint64_t pcid;
    uint64_t address;
    lin_t a;
    if (!cpuid_has(cpu, FEATURE_INVPCID)) {
        return ud(cpu);
    }
    if (cpu->cpl != 0) {
        return gp0(cpu);
    }
    if (!insn_address(cpu, insn, 16, false, &a) || !mem_read(cpu, a, 8, &pcid) ||
        !mem_read(cpu, lin(a.v + 8), 8, &address)) {
        return FLOW_FAULT;
    }
    if (!invpcid_valid(cpu, type, pcid, address)) {
        return gp0(cpu);
    }
    mem_invpcid(cpu, (enum invpcid_type)type, (uint16_t)pcid, lin(address));
    return FLOW_NEXT;
}

/* ---- bases of FS and GS ---- */

enum flow exec_swapgs(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (cpu->mode != MODE_LONG64) {
        return ud(cpu);
    }
    if (cpu->cpl != 0) {
        return gp0(cpu);
    }
    uint64_t base = cpu->seg[SEG_GS].base;
    cpu->seg[SEG_GS].base = cpu->msrs.kernel_gs_base;
    cpu->msrs.kernel_gs_base = base;
    return FLOW_NEXT;
}

static bool fsgsbase_enabled(const struct cpu *cpu)
{
    return cpu->mode == MODE_LONG64 && (cpu->cr4 & CR4_FSGSBASE);
}

static enum flow read_base(struct cpu *cpu, const struct insn *insn, enum seg_reg s)
{
    if (!fsgsbase_enabled(cpu)) {
        return ud(cpu);
    }
    gpr_write(cpu, insn->op[0].reg, cpu->seg[s].base, insn->op[0].size_bytes);
    return FLOW_NEXT;
}

static enum flow write_base(struct cpu *cpu, const struct insn *insn, enum seg_reg s)
{
    uint64_t value = gpr_read(cpu, insn->op[0].reg, insn->op[0].size_bytes);
    if (!fsgsbase_enabled(cpu)) {
        return ud(cpu);
    }
    if (!lin_is_canonical(lin(value))) {
        return gp0(cpu);
    }
    cpu->seg[s].base = value;
    return FLOW_NEXT;
}

enum flow exec_rdfsbase(struct cpu *cpu, const struct insn *insn)
{
    return read_base(cpu, insn, SEG_FS);
}

enum flow exec_rdgsbase(struct cpu *cpu, const struct insn *insn)
{
    return read_base(cpu, insn, SEG_GS);
}

enum flow exec_wrfsbase(struct cpu *cpu, const struct insn *insn)
{
    return write_base(cpu, insn, SEG_FS);
}

enum flow exec_wrgsbase(struct cpu *cpu, const struct insn *insn)
{
    return write_base(cpu, insn, SEG_GS);
}

/* ---- time, counters, random numbers, identification ---- */

static bool tsc_forbidden(const struct cpu *cpu)
{
    return (cpu->cr4 & CR4_TSD) && cpu->cpl != 0;
}

static void write_edx_eax(struct cpu *cpu, uint64_t value)
{
    gpr_write(cpu, RAX, value, 4);
    gpr_write(cpu, RDX, value >> 32, 4);
}

enum flow exec_rdtsc(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (tsc_forbidden(cpu)) {
        return gp0(cpu);
    }
    write_edx_eax(cpu, msr_tsc(cpu));
    return FLOW_NEXT;
}

enum flow exec_rdtscp(struct cpu *cpu, const struct insn *insn)
{
    if (!cpuid_has(cpu, FEATURE_RDTSCP)) {
        return ud(cpu);
    }
    enum flow flow = exec_rdtsc(cpu, insn);
    if (flow == FLOW_NEXT) {
        gpr_write(cpu, RCX, cpu->msrs.tsc_aux, 4);
    }
    return flow;
}

enum flow exec_rdpid(struct cpu *cpu, const struct insn *insn)
{
    if (!cpuid_has(cpu, FEATURE_RDPID)) {
        return ud(cpu);
    }
    gpr_write(cpu, insn->op[0].reg, cpu->msrs.tsc_aux, cpu->mode == MODE_LONG64 ? 8 : 4);
    return FLOW_NEXT;
}

enum flow exec_rdpmc(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    uint32_t counter = (uint32_t)cpu->gpr[RCX];
    if (counter >= PERF_COUNTERS || (cpu->cpl != 0 && !(cpu->cr4 & CR4_PCE))) {
        return gp0(cpu);
    }
    write_edx_eax(cpu, cpu->msrs.perf_ctr[counter]);
    return FLOW_NEXT;
}

static enum flow random_number(struct cpu *cpu, const struct insn *insn, enum cpuid_feature feature)
{
    if (!cpuid_has(cpu, feature)) {
        return ud(cpu);
    }
    gpr_write(cpu, insn->op[0].reg, rng_next(&cpu->random), insn->op[0].size_bytes);
    flags_set(cpu, RFLAGS_CF);
    return FLOW_NEXT;
}

enum flow exec_rdrand(struct cpu *cpu, const struct insn *insn)
{
    return random_number(cpu, insn, FEATURE_RDRAND);
}

enum flow exec_rdseed(struct cpu *cpu, const struct insn *insn)
{
    return random_number(cpu, insn, FEATURE_RDSEED);
}

enum flow exec_cpuid(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    struct cpuid_values v = cpuid_query(cpu, (uint32_t)cpu->gpr[RAX], (uint32_t)cpu->gpr[RCX]);
    gpr_write(cpu, RAX, v.eax, 4);
    gpr_write(cpu, RBX, v.ebx, 4);
    gpr_write(cpu, RCX, v.ecx, 4);
    gpr_write(cpu, RDX, v.edx, 4);
    return FLOW_NEXT;
}

/* ---- IF, AC ---- */

static bool iopl_forbids(const struct cpu *cpu)
{
    return cpu->cpl > bits_get(cpu->rflags, 13, 12);
}

enum flow exec_cli(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (iopl_forbids(cpu)) {
        return gp0(cpu);
    }
    cpu->rflags &= ~RFLAGS_IF;
    cpu_note_masked(cpu);
    return FLOW_NEXT;
}

/* The shadow covers one instruction, and only when IF was clear. */
enum flow exec_sti(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (iopl_forbids(cpu)) {
        return gp0(cpu);
    }
    if (!(cpu->rflags & RFLAGS_IF)) {
        cpu->rflags |= RFLAGS_IF;
        cpu_note_masked(cpu);
        cpu->shadow |= SHADOW_STI;
    }
    return FLOW_NEXT;
}

static enum flow set_ac(struct cpu *cpu, uint64_t ac)
{
    if (!cpuid_has(cpu, FEATURE_SMAP) || cpu->cpl != 0) {
        return ud(cpu);
    }
    cpu->rflags = (cpu->rflags & ~RFLAGS_AC) | ac;
    cpu_update_mode(cpu);
    return FLOW_NEXT;
}

enum flow exec_clac(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    return set_ac(cpu, 0);
}

enum flow exec_stac(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    return set_ac(cpu, RFLAGS_AC);
}

/* ---- software interrupts ---- */

static enum flow soft_interrupt(struct cpu *cpu, uint8_t vector)
{
    cpu->fault = (struct fault){.vector = vector, .soft = true};
    return FLOW_FAULT;
}

enum flow exec_int(struct cpu *cpu, const struct insn *insn)
{
    return soft_interrupt(cpu, (uint8_t)insn->imm);
}

enum flow exec_int3(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    return soft_interrupt(cpu, VECTOR_BP);
}

enum flow exec_into(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    return flags_of(cpu) ? soft_interrupt(cpu, VECTOR_OF) : FLOW_NEXT;
}

enum flow exec_int1(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    cpu->fault = (struct fault){.vector = VECTOR_DB, .soft = true, .int1 = true};
    return FLOW_FAULT;
}
