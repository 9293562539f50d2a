/*
 * Far JMP, CALL and RET, direct and through call gates.
 *
 * Source: AMD64 APM vol. 3, JMP (Far), CALL (Far), RET (Far) (pseudo code); vol. 2, "Control Transfers
 * Between Privilege Levels" and "Legacy Task Management".
 * Deviations: task switches (task gates, TSS selectors) are not modelled. As on AMD processors a far
 * pointer in memory has an offset of at most 32 bits: REX.W selects the operand size 8 for what is pushed,
 * never m16:64.
 */

#include "cpu/exception.h"
#include "cpu/mem.h"
#include "cpu/segment.h"
#include "cpu/sys_insn.h"

enum far_kind { FAR_JMP, FAR_CALL };

/* What the transfer will commit. */
struct far_target {
    struct segment cs;
    unsigned level;
    uint64_t rip;
    struct stack_frame stack;
    bool set_ss;
};

/* The far pointer of the instruction: selector and offset. */
static bool far_pointer(struct cpu *cpu, const struct insn *insn, uint16_t *selector, uint64_t *offset)
{
    if (insn->op[0].kind == OPERAND_FAR) {
        *selector = (uint16_t)insn->imm2;
        *offset = insn->imm & bits_size_mask(insn->operand_size_bytes);
        return true;
    }
    unsigned offset_bytes = insn->operand_size_bytes == 2 ? 2 : 4;
    uint64_t value;
    lin_t a;
    if (!insn_address(cpu, insn, offset_bytes, false, &a) || !mem_read(cpu, a, offset_bytes, offset) ||
        !insn_address_part(cpu, insn, offset_bytes, 2, false, &a) || !mem_read(cpu, a, 2, &value)) {
        return false;
    }
    *selector = (uint16_t)value;
    return true;
}

static enum flow far_commit(struct cpu *cpu, const struct far_target *t)
{
    cpu->seg[SEG_CS] = t->cs;
    cpu->rip = t->rip;
    cpu->gpr[RSP] = t->stack.rsp;
    if (t->set_ss) {
        cpu->seg[SEG_SS] = t->stack.ss;
    }
    cpu->cpl = (uint8_t)t->level;
    cpu_update_mode(cpu);
    return FLOW_JUMP;
}

static bool push_return(struct cpu *cpu, const struct insn *insn, struct far_target *t, unsigned size_bytes)
{
    return frame_push(cpu, &t->stack, cpu->seg[SEG_CS].selector, size_bytes) &&
           frame_push(cpu, &t->stack, insn_next_rip(cpu, insn), size_bytes);
}

static enum flow far_real(struct cpu *cpu, const struct insn *insn, enum far_kind kind, uint16_t selector,
                          uint64_t offset)
{
    struct far_target t = {.cs = cpu->seg[SEG_CS], .rip = offset, .stack = frame_current(cpu)};
    t.cs.selector = selector;
    t.cs.base = (uint64_t)selector << 4;
    if ((kind == FAR_CALL && !push_return(cpu, insn, &t, insn->operand_size_bytes)) ||
        !segment_check_rip(cpu, &t.cs, t.rip)) {
        return FLOW_FAULT;
    }
    return far_commit(cpu, &t);
}

static enum flow far_direct(struct cpu *cpu, const struct insn *insn, enum far_kind kind, uint16_t selector,
                            uint64_t offset, const struct descriptor *d)
{
    struct far_target t = {.level = cpu->cpl, .rip = offset, .stack = frame_current(cpu)};
    if (!segment_read_code(cpu, selector, d, &t.cs)) {
        return FLOW_FAULT;
    }
    if (cpu->mode == MODE_LONG64 && !(t.cs.attr & SEG_L)) { /* the stack is used as the callee will */
        t.stack = frame_inner(&cpu->seg[SEG_SS], (uint32_t)cpu->gpr[RSP], false);
        t.stack.system = false;
        t.stack.error = 0;
    }
    if ((kind == FAR_CALL && !push_return(cpu, insn, &t, insn->operand_size_bytes)) ||
        !segment_check_rip(cpu, &t.cs, t.rip)) {
        return FLOW_FAULT;
    }
    return far_commit(cpu, &t);
}

/* ---- call gates ---- */

/*  Call gate:        | offset 31:16 | P DPL 0 type | 000 count(4:0) | selector | offset 15:0 |
 *  long mode adds:   | reserved, type 0 | offset 63:32 | */
struct call_gate {
    uint16_t selector;
    uint64_t offset;
    unsigned size_bytes; /* of a stack slot: 2, 4, 8 */
    unsigned count;      /* parameters to copy */
};

static bool gate_read(struct cpu *cpu, uint16_t selector, struct descriptor *d, struct call_gate *out)
{
    unsigned type = attr_type(descriptor_attr(d));
    if (in_long_mode(cpu) && !descriptor_read_upper(cpu, selector, d)) {
        return false;
    }
    out->selector = (uint16_t)(d->raw >> 16);
    out->offset = bits_get(d->raw, 15, 0);
    out->size_bytes = 2;
    out->count = (unsigned)bits_get(d->raw, 36, 32);
    if (type == TYPE_CALL_GATE32) {
        out->offset |= bits_get(d->raw, 63, 48) << 16;
        out->size_bytes = 4;
    }
    if (in_long_mode(cpu)) {
        out->offset |= (d->raw_hi & UINT32_MAX) << 32;
        out->size_bytes = 8;
        out->count = 0;
    }
    return true;
}

/* Copies the parameters of the caller's stack, the one pushed first at the highest address. */
static bool copy_parameters(struct cpu *cpu, struct stack_frame *to, unsigned count, unsigned size_bytes)
{
    struct stack_frame from = frame_current(cpu);
    uint64_t values[31];
    for (unsigned i = 0; i < count; i++) {
        if (!frame_pop(cpu, &from, size_bytes, &values[i])) {
            return false;
        }
    }
    for (unsigned i = count; i > 0; i--) {
        if (!frame_push(cpu, to, values[i - 1], size_bytes)) {
            return false;
        }
    }
    return true;
}

/* Switches to the inner stack and pushes the old one and the parameters. */
static bool gate_switch_stack(struct cpu *cpu, const struct call_gate *gate, struct far_target *t)
{
    struct segment ss = segment_null((uint16_t)t->level);
    uint64_t rsp;
    bool ok =
        in_long_mode(cpu) ? tss_read_rsp(cpu, t->level, 0, &rsp) : tss_read_stack(cpu, t->level, &ss, &rsp);
    if (!ok) {
        return false;
    }
    t->stack = frame_inner(&ss, rsp, in_long_mode(cpu));
    if (in_long_mode(cpu)) {
        t->stack.error = 0;
    }
    t->set_ss = true;
    return frame_push(cpu, &t->stack, cpu->seg[SEG_SS].selector, gate->size_bytes) &&
           frame_push(cpu, &t->stack, cpu->gpr[RSP], gate->size_bytes) &&
           copy_parameters(cpu, &t->stack, gate->count, gate->size_bytes);
}

static enum flow far_gate(struct cpu *cpu, const struct insn *insn, enum far_kind kind, uint16_t selector,
                          struct descriptor *d)
{
    struct call_gate gate;
    struct far_target t = {.stack = frame_current(cpu)};
    if (!gate_read(cpu, selector, d, &gate) ||
        !gate_read_code(cpu, gate.selector, kind == FAR_JMP, &t.cs, &t.level)) {
        return FLOW_FAULT;
    }
    t.rip = gate.offset;
    if (in_long_mode(cpu)) {
        t.stack.width_bytes = 8;
    }
    if (kind == FAR_CALL) {
        if ((t.level < cpu->cpl && !gate_switch_stack(cpu, &gate, &t)) ||
            !push_return(cpu, insn, &t, gate.size_bytes)) {
            return FLOW_FAULT;
        }
    }
    if (!segment_check_rip(cpu, &t.cs, t.rip)) {
        return FLOW_FAULT;
    }
    return far_commit(cpu, &t);
}

/* Types of system descriptors that a far transfer may name. */
static bool far_type_valid(const struct cpu *cpu, unsigned type)
{
    if (type == TYPE_CALL_GATE32) {
        return true;
    }
    return !in_long_mode(cpu) &&
           (type == TYPE_CALL_GATE16 || type == TYPE_TASK_GATE || type == TYPE_TSS16 || type == TYPE_TSS32);
}

static enum flow far_system(struct cpu *cpu, const struct insn *insn, enum far_kind kind, uint16_t selector,
                            struct descriptor *d)
{
    unsigned attr = descriptor_attr(d);
    unsigned type = attr_type(attr);
    unsigned dpl = attr_dpl(attr);
    if (!far_type_valid(cpu, type) || dpl < cpu->cpl || dpl < (selector & SELECTOR_RPL)) {
        return cpu_fault_code(cpu, VECTOR_GP, SELECTOR_ERROR(selector));
    }
    if (!(attr & SEG_P)) {
        return cpu_fault_code(cpu, VECTOR_NP, SELECTOR_ERROR(selector));
    }
    if (type != TYPE_CALL_GATE16 && type != TYPE_CALL_GATE32) {
        return cpu_not_modelled(cpu, "far transfer to a task (hardware task switch)");
    }
    return far_gate(cpu, insn, kind, selector, d);
}

static enum flow far_transfer(struct cpu *cpu, const struct insn *insn, enum far_kind kind)
{
    uint16_t selector;
    uint64_t offset;
    struct descriptor d;
    if (!far_pointer(cpu, insn, &selector, &offset)) {
        return FLOW_FAULT;
    }
    if (cpu->mode == MODE_REAL) {
        return far_real(cpu, insn, kind, selector, offset);
    }
    if (SELECTOR_NULL(selector)) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    if (!descriptor_read(cpu, selector, VECTOR_GP, &d)) {
        return FLOW_FAULT;
    }
    if (descriptor_attr(&d) & SEG_S) {
        return far_direct(cpu, insn, kind, selector, offset, &d);
    }
    return far_system(cpu, insn, kind, selector, &d);
}

enum flow exec_jmp_far(struct cpu *cpu, const struct insn *insn)
{
    return far_transfer(cpu, insn, FAR_JMP);
}

enum flow exec_call_far(struct cpu *cpu, const struct insn *insn)
{
    return far_transfer(cpu, insn, FAR_CALL);
}

/* ---- RET ---- */

static enum flow ret_real(struct cpu *cpu, struct far_target *t, uint16_t selector, unsigned drop_bytes)
{
    t->cs = cpu->seg[SEG_CS];
    t->cs.selector = selector;
    t->cs.base = (uint64_t)selector << 4;
    if (!segment_check_rip(cpu, &t->cs, t->rip)) {
        return FLOW_FAULT;
    }
    frame_adjust(&t->stack, drop_bytes);
    return far_commit(cpu, t);
}

static enum flow ret_protected(struct cpu *cpu, struct far_target *t, uint16_t selector, unsigned drop_bytes,
                               unsigned size_bytes)
{
    if (!segment_read_code_return(cpu, selector, &t->cs)) {
        return FLOW_FAULT;
    }
    t->level = t->cs.selector & SELECTOR_RPL;
    frame_adjust(&t->stack, drop_bytes);
    bool outer = t->level != cpu->cpl;
    if (!segment_check_rip(cpu, &t->cs, t->rip)) {
        return FLOW_FAULT;
    }
    if (outer) {
        struct stack_frame to;
        if (!far_return_stack(cpu, &t->stack, &t->cs, size_bytes, &to)) {
            return FLOW_FAULT;
        }
        frame_adjust(&to, drop_bytes);
        t->stack = to;
        t->set_ss = true;
    }
    far_commit(cpu, t);
    if (outer) {
        segment_drop_inner(cpu);
    }
    return FLOW_JUMP;
}

/* The reference silicon reads CS before the offset, and SS before RSP. */
enum flow exec_ret_far(struct cpu *cpu, const struct insn *insn)
{
    unsigned size_bytes = insn->operand_size_bytes;
    unsigned drop_bytes = insn->op[0].kind == OPERAND_IMM ? (uint16_t)insn->imm : 0;
    struct far_target t = {.stack = frame_current(cpu)};
    uint64_t selector;
    if (!frame_peek(cpu, &t.stack, size_bytes, size_bytes, &selector) ||
        !frame_pop(cpu, &t.stack, size_bytes, &t.rip) || !frame_pop(cpu, &t.stack, size_bytes, &selector)) {
        return FLOW_FAULT;
    }
    if (cpu->mode == MODE_REAL) {
        return ret_real(cpu, &t, (uint16_t)selector, drop_bytes);
    }
    /* The outer stack is read before the selector is checked. */
    uint64_t word;
    if ((selector & SELECTOR_RPL) != cpu->cpl &&
        (!frame_peek(cpu, &t.stack, drop_bytes + size_bytes, size_bytes, &word) ||
         !frame_peek(cpu, &t.stack, drop_bytes, size_bytes, &word))) {
        return FLOW_FAULT;
    }
    return ret_protected(cpu, &t, (uint16_t)selector, drop_bytes, size_bytes);
}
