/*
 * Descriptor tables and selectors: LGDT, LIDT, SGDT, SIDT, LLDT, SLDT, LTR, STR, LAR, LSL, VERR, VERW,
 * ARPL, and the far pointer loads LDS, LES, LSS, LFS, LGS.
 *
 * Source: AMD64 APM vol. 3, the pages of the instructions; vol. 2, "Segment Registers and Descriptor
 * Tables".
 * Deviations: none known.
 */

#include "cpu/control.h"
#include "cpu/flags.h"
#include "cpu/mem.h"
#include "cpu/segment.h"
#include "cpu/sys_insn.h"

/* ---- GDTR, IDTR ---- */

static enum flow load_table(struct cpu *cpu, const struct insn *insn, struct table_reg *table)
{
    unsigned base_bytes = cpu->mode == MODE_LONG64 ? 8 : 4;
    uint64_t limit;
    uint64_t base;
    lin_t a;
    if (!insn_address(cpu, insn, 2 + base_bytes, false, &a) || !mem_read(cpu, a, 2, &limit) ||
        !mem_read(cpu, lin(a.v + 2), base_bytes, &base)) {
        return FLOW_FAULT;
    }
    if (base_bytes == 8 && !lin_is_canonical(lin(base))) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    if (base_bytes == 4 && insn->operand_size_bytes == 2) {
        base &= 0xffffff;
    }
    *table = (struct table_reg){.base = base, .limit = (uint32_t)limit};
    return FLOW_NEXT;
}

static enum flow store_table(struct cpu *cpu, const struct insn *insn, const struct table_reg *table)
{
    unsigned base_bytes = cpu->mode == MODE_LONG64 ? 8 : 4;
    uint8_t image[10];
    lin_t a;
    store_le16(image, (uint16_t)table->limit);
    store_le64(image + 2, table->base);
    if (control_umip_faults(cpu) || !insn_address(cpu, insn, 2 + base_bytes, true, &a) ||
        !mem_write_bytes(cpu, a, image, 2 + base_bytes)) {
        return FLOW_FAULT;
    }
    return FLOW_NEXT;
}

enum flow exec_lgdt(struct cpu *cpu, const struct insn *insn)
{
    return load_table(cpu, insn, &cpu->gdtr);
}

enum flow exec_lidt(struct cpu *cpu, const struct insn *insn)
{
    return load_table(cpu, insn, &cpu->idtr);
}

enum flow exec_sgdt(struct cpu *cpu, const struct insn *insn)
{
    return store_table(cpu, insn, &cpu->gdtr);
}

enum flow exec_sidt(struct cpu *cpu, const struct insn *insn)
{
    return store_table(cpu, insn, &cpu->idtr);
}

/* ---- LDTR, TR ---- */

/* A selector operand: a register's low 16 bits or a word in memory. */
static bool read_selector(struct cpu *cpu, const struct insn *insn, unsigned n, uint16_t *out)
{
    uint64_t value;
    lin_t a;
    if (insn->op[n].kind == OPERAND_GPR) {
        *out = (uint16_t)cpu->gpr[insn->op[n].reg];
        return true;
    }
    if (!insn_address(cpu, insn, 2, false, &a) || !mem_read(cpu, a, 2, &value)) {
        return false;
    }
    *out = (uint16_t)value;
    return true;
}

/* A register takes the selector zero-extended to the operand size, memory always a word. */
static enum flow write_selector(struct cpu *cpu, const struct insn *insn, uint16_t selector)
{
    lin_t a;
    if (control_umip_faults(cpu)) {
        return FLOW_FAULT;
    }
    if (insn->op[0].kind == OPERAND_GPR) {
        gpr_write(cpu, insn->op[0].reg, selector, insn->op[0].size_bytes);
        return FLOW_NEXT;
    }
    return insn_address(cpu, insn, 2, true, &a) && mem_write(cpu, a, 2, selector) ? FLOW_NEXT : FLOW_FAULT;
}

/* Reads a system descriptor of the GDT, 16 bytes long in long mode; the type must be one of two. */
static bool read_system(struct cpu *cpu, uint16_t selector, unsigned type, unsigned other_type,
                        struct descriptor *d)
{
    if (selector & SELECTOR_TI) {
        return segment_fault(cpu, VECTOR_GP, SELECTOR_ERROR(selector));
    }
    if (!descriptor_read(cpu, selector, VECTOR_GP, d)) {
        return false;
    }
    unsigned attr = descriptor_attr(d);
    if ((attr & SEG_S) || (attr_type(attr) != type && attr_type(attr) != other_type)) {
        return segment_fault(cpu, VECTOR_GP, SELECTOR_ERROR(selector));
    }
    if (!(attr & SEG_P)) {
        return segment_fault(cpu, VECTOR_NP, SELECTOR_ERROR(selector));
    }
    return !in_long_mode(cpu) || descriptor_read_upper(cpu, selector, d);
}

/* The hidden part, with the 64-bit base of long mode; false: #GP, the base is not canonical. */
static bool system_segment(struct cpu *cpu, const struct descriptor *d, uint16_t selector,
                           struct segment *out)
{
    *out = descriptor_segment(d, selector);
    out->base |= d->raw_hi << 32;
    if (in_long_mode(cpu) && !lin_is_canonical(lin(out->base))) {
        return segment_fault(cpu, VECTOR_GP, SELECTOR_ERROR(selector));
    }
    return true;
}

enum flow exec_lldt(struct cpu *cpu, const struct insn *insn)
{
    uint16_t selector;
    struct descriptor d;
    struct segment ldt;
    if (!read_selector(cpu, insn, 0, &selector)) {
        return FLOW_FAULT;
    }
    if (SELECTOR_NULL(selector)) {
        cpu->ldtr = segment_null(selector);
        return FLOW_NEXT;
    }
    if (!read_system(cpu, selector, TYPE_LDT, TYPE_LDT, &d) || !system_segment(cpu, &d, selector, &ldt)) {
        return FLOW_FAULT;
    }
    cpu->ldtr = ldt;
    return FLOW_NEXT;
}

enum flow exec_ltr(struct cpu *cpu, const struct insn *insn)
{
    uint16_t selector;
    struct descriptor d;
    struct segment tss;
    unsigned other = in_long_mode(cpu) ? TYPE_TSS32 : TYPE_TSS16;
    if (!read_selector(cpu, insn, 0, &selector)) {
        return FLOW_FAULT;
    }
    if (SELECTOR_NULL(selector)) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    if (!read_system(cpu, selector, TYPE_TSS32, other, &d) || !system_segment(cpu, &d, selector, &tss) ||
        !descriptor_set_type_bits(cpu, &d, 2 /* busy */)) {
        return FLOW_FAULT;
    }
    tss.attr |= 2;
    cpu->tr = tss;
    return FLOW_NEXT;
}

enum flow exec_sldt(struct cpu *cpu, const struct insn *insn)
{
    return write_selector(cpu, insn, cpu->ldtr.selector);
}

enum flow exec_str(struct cpu *cpu, const struct insn *insn)
{
    return write_selector(cpu, insn, cpu->tr.selector);
}

/* ---- questions about selectors ---- */

static void set_zf(struct cpu *cpu, bool on)
{
    flags_change(cpu, RFLAGS_ZF, on ? RFLAGS_ZF : 0);
}

/* System types by bit number: what LAR and LSL accept, in legacy and in long mode. */
#define LAR_LEGACY \
    ((1u << 1) | (1u << 2) | (1u << 3) | (1u << 4) | (1u << 5) | (1u << 9) | (1u << 0xb) | (1u << 0xc))
#define LAR_LONG   ((1u << 2) | (1u << 9) | (1u << 0xb) | (1u << 0xc))
#define LSL_LEGACY ((1u << 1) | (1u << 2) | (1u << 3) | (1u << 9) | (1u << 0xb))
#define LSL_LONG   ((1u << 2) | (1u << 9) | (1u << 0xb))

/* A fault of descriptor_read and descriptor_read_upper that only means "no such descriptor" here. */
static bool query_not_found(const struct cpu *cpu, uint16_t selector)
{
    return cpu->fault.vector == VECTOR_GP && cpu->fault.error == SELECTOR_ERROR(selector);
}

/* Finds the descriptor of a selector without raising selector faults. found says whether it exists; false:
 * #PF. */
static bool query_descriptor(struct cpu *cpu, uint16_t selector, struct descriptor *d, bool *found)
{
    *found = false;
    if (SELECTOR_NULL(selector)) {
        return true;
    }
    cpu->fault = (struct fault){0};
    if (!descriptor_read(cpu, selector, VECTOR_GP, d)) {
        return query_not_found(cpu, selector);
    }
    *found = true;
    return true;
}

/* The upper half of a system descriptor of long mode must be there, with a zero type. False: #PF. */
static bool query_upper(struct cpu *cpu, uint16_t selector, struct descriptor *d, bool *valid)
{
    *valid = true;
    if (!in_long_mode(cpu) || (descriptor_attr(d) & SEG_S)) {
        return true;
    }
    *valid = descriptor_read_upper(cpu, selector, d);
    return *valid || query_not_found(cpu, selector);
}

/* May CPL and RPL see this descriptor at all? Conforming code shows itself to everybody. */
static bool query_visible(const struct cpu *cpu, uint16_t selector, unsigned attr)
{
    unsigned dpl = attr_dpl(attr);
    return attr_is_conforming(attr) || (dpl >= cpu->cpl && dpl >= (selector & SELECTOR_RPL));
}

static bool query(struct cpu *cpu, const struct insn *insn, unsigned n, unsigned system_types,
                  struct descriptor *d, bool *allowed)
{
    uint16_t selector;
    bool found;
    if (!read_selector(cpu, insn, n, &selector) || !query_descriptor(cpu, selector, d, &found)) {
        return false;
    }
    unsigned attr = found ? descriptor_attr(d) : 0;
    bool type_ok = (attr & SEG_S) || (system_types >> attr_type(attr) & 1);
    *allowed = found && type_ok && query_visible(cpu, selector, attr);
    return !*allowed || query_upper(cpu, selector, d, allowed);
}

enum flow exec_lar(struct cpu *cpu, const struct insn *insn)
{
    struct descriptor d;
    bool allowed;
    if (!query(cpu, insn, 1, in_long_mode(cpu) ? LAR_LONG : LAR_LEGACY, &d, &allowed)) {
        return FLOW_FAULT;
    }
    if (allowed) {
        gpr_write(cpu, insn->op[0].reg, d.raw >> 32 & 0x00ffff00, insn->op[0].size_bytes);
    }
    set_zf(cpu, allowed);
    return FLOW_NEXT;
}

enum flow exec_lsl(struct cpu *cpu, const struct insn *insn)
{
    struct descriptor d;
    bool allowed;
    if (!query(cpu, insn, 1, in_long_mode(cpu) ? LSL_LONG : LSL_LEGACY, &d, &allowed)) {
        return FLOW_FAULT;
    }
    if (allowed) {
        gpr_write(cpu, insn->op[0].reg, descriptor_limit(&d), insn->op[0].size_bytes);
    }
    set_zf(cpu, allowed);
    return FLOW_NEXT;
}

enum flow exec_verr(struct cpu *cpu, const struct insn *insn)
{
    struct descriptor d;
    bool allowed;
    if (!query(cpu, insn, 0, 0, &d, &allowed)) {
        return FLOW_FAULT;
    }
    unsigned attr = allowed ? descriptor_attr(&d) : 0;
    set_zf(cpu, allowed && (!attr_is_code(attr) || (attr & TYPE_READABLE)));
    return FLOW_NEXT;
}

enum flow exec_verw(struct cpu *cpu, const struct insn *insn)
{
    struct descriptor d;
    bool allowed;
    if (!query(cpu, insn, 0, 0, &d, &allowed)) {
        return FLOW_FAULT;
    }
    set_zf(cpu, allowed && attr_is_writable_data(descriptor_attr(&d)));
    return FLOW_NEXT;
}

/* Raises the RPL of the first selector to that of the second. */
enum flow exec_arpl(struct cpu *cpu, const struct insn *insn)
{
    uint64_t old;
    uint16_t source = (uint16_t)cpu->gpr[insn->op[1].reg];
    if (!insn_read(cpu, insn, 0, &old)) {
        return FLOW_FAULT;
    }
    bool raise = (old & SELECTOR_RPL) < (source & SELECTOR_RPL);
    uint64_t value = (old & ~(uint64_t)SELECTOR_RPL) | (source & SELECTOR_RPL);
    if (raise && !insn_write(cpu, insn, 0, value)) {
        return FLOW_FAULT;
    }
    set_zf(cpu, raise);
    return FLOW_NEXT;
}

/* ---- far pointer loads ---- */

static enum flow load_far_pointer(struct cpu *cpu, const struct insn *insn, enum seg_reg s)
{
    unsigned offset_bytes = insn->operand_size_bytes == 2 ? 2 : 4; /* as AMD's processors: no m16:64 */
    uint64_t offset;
    uint64_t selector;
    lin_t a;
    if (!insn_address(cpu, insn, offset_bytes, false, &a) || !mem_read(cpu, a, offset_bytes, &offset) ||
        !insn_address_part(cpu, insn, offset_bytes, 2, false, &a) || !mem_read(cpu, a, 2, &selector) ||
        !segment_load(cpu, s, (uint16_t)selector)) {
        return FLOW_FAULT;
    }
    gpr_write(cpu, insn->op[0].reg, offset, insn->operand_size_bytes);
    cpu_update_mode(cpu);
    return FLOW_NEXT;
}

enum flow exec_lds(struct cpu *cpu, const struct insn *insn)
{
    return load_far_pointer(cpu, insn, SEG_DS);
}

enum flow exec_les(struct cpu *cpu, const struct insn *insn)
{
    return load_far_pointer(cpu, insn, SEG_ES);
}

enum flow exec_lss(struct cpu *cpu, const struct insn *insn)
{
    return load_far_pointer(cpu, insn, SEG_SS);
}

enum flow exec_lfs(struct cpu *cpu, const struct insn *insn)
{
    return load_far_pointer(cpu, insn, SEG_FS);
}

enum flow exec_lgs(struct cpu *cpu, const struct insn *insn)
{
    return load_far_pointer(cpu, insn, SEG_GS);
}
