/*
 * Control registers: MOV CRn, CLTS, LMSW, SMSW, XGETBV, XSETBV, and the write to EFER.
 *
 * Source: AMD64 APM vol. 2, "System Resources" and "Initializing Long Mode" ("Long-Mode Consistency
 * Checks"); vol. 3, the pages of the instructions.
 * Deviations: CR4.VME, PVI, PKE, LA57 and CET do not exist (CPUID says so), so setting them is #GP(0); LOCK
 * MOV CR0 is not an alias of CR8 (CPUID AltMovCr8 = 0). Real mode with a 32-bit code segment, which goes on decoding 32-bit
 * code until a far jump, is not modelled. The check of a 16-bit TSS is from the Intel SDM (vol. 3A, "Initializing IA-32e
 * Mode").
 */

#include "cpu/control.h"

#include "apic/lapic.h"
#include "cpu/cpuid.h"
#include "cpu/mem.h"
#include "cpu/segment.h"
#include "cpu/sys_insn.h"

#define CR0_WRITABLE (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)
#define CR3_PCID     UINT64_C(0xfff)
#define CR3_NOFLUSH  BIT(63)
#define XCR0_X87     BIT(0)
#define XCR0_SSE     BIT(1)

static enum flow gp0(struct cpu *cpu)
{
    return cpu_fault_code(cpu, VECTOR_GP, 0);
}

/* ---- CR0 and EFER: the mode of the machine ---- */

static bool cr0_valid(const struct cpu *cpu, uint64_t value)
{
    if ((value >> 32) || ((value & CR0_PG) && !(value & CR0_PE)) || ((value & CR0_NW) && !(value & CR0_CD))) {
        return false;
    }
    bool sets_pg = (value & CR0_PG) && !(cpu->cr0 & CR0_PG);
    bool clears_pg = !(value & CR0_PG) && (cpu->cr0 & CR0_PG);
    bool cs_long = (cpu->seg[SEG_CS].attr & SEG_L) != 0;
    bool tss16 = (cpu->tr.attr & SEG_P) && attr_type(cpu->tr.attr) == TYPE_TSS16_BUSY;
    if (sets_pg && (cpu->efer & EFER_LME) && (!(cpu->cr4 & CR4_PAE) || cs_long || tss16)) {
        return false;
    }
    return !(clears_pg && ((cpu->cr4 & CR4_PCIDE) || (cpu->mode == MODE_LONG64)));
}

/* Legacy PAE paging keeps four PDPTEs in registers, which some writes load anew. False: #GP(0). */
static bool load_pdptes(struct cpu *cpu, uint64_t cr0, uint64_t cr3, uint64_t cr4)
{
    bool pae_paging = (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(cpu->efer & EFER_LME);
    return !pae_paging || mem_load_pdptes(cpu, cr3);
}

enum flow control_write_cr0(struct cpu *cpu, uint64_t value)
{
    if (!cr0_valid(cpu, value)) {
        return gp0(cpu);
    }
    value = (value & CR0_WRITABLE) | CR0_ET;
    uint64_t changed = value ^ cpu->cr0;
    if ((changed & CR0_PE) && !(value & CR0_PE) && (cpu->seg[SEG_CS].attr & SEG_DB)) {
        return cpu_not_modelled(cpu, "real mode with a 32-bit code segment");
    }
    if ((changed & (CR0_PG | CR0_CD | CR0_NW)) && !load_pdptes(cpu, value, cpu->cr3, cpu->cr4)) {
        return FLOW_FAULT;
    }
    cpu->cr0 = value;
    if (changed & CR0_PG) {
        bool active = (value & CR0_PG) && (cpu->efer & EFER_LME);
        cpu->efer = active ? cpu->efer | EFER_LMA : cpu->efer & ~EFER_LMA;
    }
    if (changed & (CR0_PG | CR0_PE)) {
        mem_flush_all(cpu);
    } else if (changed & (CR0_WP | CR0_AM)) {
        mem_drop_host_entries(cpu);
    }
    cpu_update_mode(cpu);
    return FLOW_NEXT;
}

/* Bits 7..1 are RAZ: ignored. LMA must be written as it stands. */
enum flow control_write_efer(struct cpu *cpu, uint64_t value)
{
    const uint64_t writable = EFER_SCE | EFER_LME | EFER_NXE;
    const uint64_t ignored = UINT64_C(0xfe);
    uint64_t changed = value ^ cpu->efer;
    bool lme_changes = (changed & EFER_LME) != 0;
    if ((value & ~(writable | ignored | EFER_LMA)) || (changed & EFER_LMA) ||
        (lme_changes && (cpu->cr0 & CR0_PG))) {
        return gp0(cpu);
    }
    cpu->efer = (value & writable) | (cpu->efer & EFER_LMA);
    if (changed & EFER_NXE) {
        mem_flush_all(cpu);
    }
    cpu_update_mode(cpu);
    return FLOW_NEXT;
}

/* ---- CR3, CR4, CR8 ---- */

static enum flow write_cr3(struct cpu *cpu, uint64_t value)
{
    bool pcide = (cpu->cr4 & CR4_PCIDE) != 0;
    bool keep = pcide && (value & CR3_NOFLUSH);
    uint64_t address = pcide ? value & ~CR3_NOFLUSH : value;
    if (address & ~bits_mask(PHYS_BITS)) {
        return gp0(cpu);
    }
    if (!load_pdptes(cpu, cpu->cr0, address, cpu->cr4)) {
        return FLOW_FAULT;
    }
    cpu->cr3 = address;
    mem_cr3_written(cpu, keep);
    return FLOW_NEXT;
}

/* Bits of CR4 that exist by CPUID. */
static uint64_t cr4_writable(const struct cpu *cpu)
{
    static const struct {
        uint64_t bit;
        enum cpuid_feature feature;
    } optional[] = {
        {CR4_PGE, FEATURE_PGE},    {CR4_UMIP, FEATURE_UMIP},     {CR4_FSGSBASE, FEATURE_FSGSBASE},
        {CR4_PCIDE, FEATURE_PCID}, {CR4_OSXSAVE, FEATURE_XSAVE}, {CR4_SMEP, FEATURE_SMEP},
        {CR4_SMAP, FEATURE_SMAP},
    };
    uint64_t mask = CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    for (unsigned i = 0; i < sizeof optional / sizeof optional[0]; i++) {
        mask |= cpuid_has(cpu, optional[i].feature) ? optional[i].bit : 0;
    }
    return mask;
}

static bool cr4_valid(const struct cpu *cpu, uint64_t value)
{
    bool long_mode = (cpu->efer & EFER_LMA) != 0;
    bool sets_pcide = (value & CR4_PCIDE) && !(cpu->cr4 & CR4_PCIDE);
    if ((value & ~cr4_writable(cpu)) || (long_mode && !(value & CR4_PAE))) {
        return false;
    }
    return !sets_pcide || (long_mode && (cpu->cr3 & CR3_PCID) == 0);
}

static enum flow write_cr4(struct cpu *cpu, uint64_t value)
{
    if (!cr4_valid(cpu, value)) {
        return gp0(cpu);
    }
    uint64_t changed = value ^ cpu->cr4;
    bool reloads = (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) != 0;
    if (reloads && !load_pdptes(cpu, cpu->cr0, cpu->cr3, value)) {
        return FLOW_FAULT;
    }
    cpu->cr4 = value;
    if (changed & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP)) {
        mem_flush_all(cpu);
    } else if (changed & CR4_SMAP) {
        mem_drop_host_entries(cpu);
    }
    cpu_update_mode(cpu);
    return FLOW_NEXT;
}

static enum flow write_cr8(struct cpu *cpu, uint64_t value)
{
    if (value > 15) {
        return gp0(cpu);
    }
    lapic_set_cr8(cpu->lapic, (unsigned)value, cpu_now(cpu));
    cpu_request_break(cpu); /* a lower priority may let an interrupt through */
    return FLOW_NEXT;
}

static enum flow write_control(struct cpu *cpu, unsigned number, uint64_t value)
{
    switch (number) {
    case 0:
        return control_write_cr0(cpu, value);
    case 2:
        cpu->cr2 = value;
        return FLOW_NEXT;
    case 3:
        return write_cr3(cpu, value);
    case 4:
        return write_cr4(cpu, value);
    default:
        return write_cr8(cpu, value);
    }
}

static uint64_t read_control(const struct cpu *cpu, unsigned number)
{
    switch (number) {
    case 0:
        return cpu->cr0;
    case 2:
        return cpu->cr2;
    case 3:
        return cpu->cr3;
    case 4:
        return cpu->cr4;
    default:
        return lapic_cr8(cpu->lapic);
    }
}

static bool control_exists(unsigned number)
{
    return number == 0 || (number >= 2 && number <= 4) || number == 8;
}

enum flow exec_mov_cr(struct cpu *cpu, const struct insn *insn)
{
    bool write = insn->op[0].kind == OPERAND_CR;
    unsigned number = write ? insn->op[0].reg : insn->op[1].reg;
    unsigned gpr = write ? insn->op[1].reg : insn->op[0].reg;
    unsigned size_bytes = cpu->mode == MODE_LONG64 ? 8 : 4; /* the operand-size prefix does not count */
    if (!control_exists(number)) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    if (cpu->cpl != 0) {
        return gp0(cpu);
    }
    if (write) {
        return write_control(cpu, number, gpr_read(cpu, gpr, size_bytes));
    }
    gpr_write(cpu, gpr, read_control(cpu, number), size_bytes);
    return FLOW_NEXT;
}

enum flow exec_clts(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    cpu->cr0 &= ~CR0_TS;
    return FLOW_NEXT;
}

/* The low four bits; PE can be set, not cleared. */
enum flow exec_lmsw(struct cpu *cpu, const struct insn *insn)
{
    uint64_t value;
    if (!insn_read(cpu, insn, 0, &value)) {
        return FLOW_FAULT;
    }
    const uint64_t mask = CR0_PE | CR0_MP | CR0_EM | CR0_TS;
    uint64_t keep_pe = cpu->cr0 & CR0_PE;
    return control_write_cr0(cpu, (cpu->cr0 & ~mask) | (value & mask) | keep_pe);
}

bool control_umip_faults(struct cpu *cpu)
{
    if (!(cpu->cr4 & CR4_UMIP) || cpu->cpl == 0) {
        return false;
    }
    cpu_fault_code(cpu, VECTOR_GP, 0);
    return true;
}

enum flow exec_smsw(struct cpu *cpu, const struct insn *insn)
{
    if (control_umip_faults(cpu) || !insn_write(cpu, insn, 0, cpu->cr0)) {
        return FLOW_FAULT;
    }
    return FLOW_NEXT;
}

/* ---- XCR0 ---- */

enum flow exec_xgetbv(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    if ((uint32_t)cpu->gpr[RCX] != 0) {
        return gp0(cpu);
    }
    gpr_write(cpu, RAX, cpu->xcr0, 4);
    gpr_write(cpu, RDX, cpu->xcr0 >> 32, 4);
    return FLOW_NEXT;
}

enum flow exec_xsetbv(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    uint64_t value = cpu->gpr[RDX] << 32 | (uint32_t)cpu->gpr[RAX];
    bool valid = (uint32_t)cpu->gpr[RCX] == 0 && (value & XCR0_X87) && !(value & ~(XCR0_X87 | XCR0_SSE));
    if (cpu->cpl != 0 || !valid) {
        return gp0(cpu);
    }
    cpu->xcr0 = value;
    return FLOW_NEXT;
}
