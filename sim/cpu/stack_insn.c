/*
 * The stack: PUSH, POP, PUSHA, POPA, PUSHF, POPF, ENTER, LEAVE. Source: APM vol. 3.
 * Every instruction that moves the stack pointer more than once restores it when a later access faults.
 */

#include "cpu/int_insn.h"
#include "cpu/mem_internal.h"
#include "cpu/segment.h"

enum flow exec_push(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    if (insn->op[0].kind == OPERAND_SEG) {
        v = cpu->seg[insn->op[0].reg].selector;
    } else if (!insn_read(cpu, insn, 0, &v)) {
        return FLOW_FAULT;
    }
    return stack_push(cpu, v, insn->operand_size_bytes) ? FLOW_NEXT : FLOW_FAULT;
}

/* A destination in memory is addressed with the stack pointer as it is after the pop. */
enum flow exec_pop(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v, rsp = cpu->gpr[RSP];
    if (!stack_pop(cpu, insn->operand_size_bytes, &v)) {
        return FLOW_FAULT;
    }
    if (!insn_write(cpu, insn, 0, v)) {
        cpu->gpr[RSP] = rsp;
        return FLOW_FAULT;
    }
    return FLOW_NEXT;
}

enum flow exec_pop_segment(struct cpu *cpu, const struct insn *insn)
{
    enum seg_reg s = (enum seg_reg)insn->op[0].reg;
    uint64_t selector, rsp = cpu->gpr[RSP];
    if (!stack_pop(cpu, insn->operand_size_bytes, &selector)) {
        return FLOW_FAULT;
    }
    if (!segment_load(cpu, s, (uint16_t)selector)) {
        cpu->gpr[RSP] = rsp;
        return FLOW_FAULT;
    }
    if (s == SEG_SS) {
        cpu->shadow |= SHADOW_MOV_SS;
    }
    cpu_update_mode(cpu);
    return FLOW_NEXT;
}

/* Order of PUSHA: AX CX DX BX, the SP before it, BP SI DI. */
enum flow exec_pusha(struct cpu *cpu, const struct insn *insn)
{
    uint64_t rsp = cpu->gpr[RSP];
    for (unsigned r = RAX; r <= RDI; r++) {
        uint64_t v = r == RSP ? rsp : cpu->gpr[r];
        if (!stack_push(cpu, v & bits_size_mask(insn->operand_size_bytes), insn->operand_size_bytes)) {
            cpu->gpr[RSP] = rsp;
            return FLOW_FAULT;
        }
    }
    return FLOW_NEXT;
}

enum flow exec_popa(struct cpu *cpu, const struct insn *insn)
{
    uint64_t rsp = cpu->gpr[RSP], v[8];
    for (unsigned r = 8; r-- > 0;) {
        if (!stack_pop(cpu, insn->operand_size_bytes, &v[r])) {
            cpu->gpr[RSP] = rsp;
            return FLOW_FAULT;
        }
    }
    for (unsigned r = RAX; r <= RDI; r++) {
        if (r != RSP) {
            gpr_write(cpu, r, v[r], insn->operand_size_bytes);
        }
    }
    return FLOW_NEXT;
}

/* RF and VM read as zero. */
enum flow exec_pushf(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v = cpu_rflags(cpu) & ~(RFLAGS_RF | RFLAGS_VM);
    v &= bits_size_mask(insn->operand_size_bytes);
    return stack_push(cpu, v, insn->operand_size_bytes) ? FLOW_NEXT : FLOW_FAULT;
}

/* What POPF may change: IOPL needs CPL 0, IF needs CPL <= IOPL; VM, VIF and VIP stay, RF is cleared. */
static uint64_t popf_mask(const struct cpu *cpu, unsigned size)
{
    uint64_t mask = RFLAGS_STATUS | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID;
    uint64_t iopl = bits_get(cpu->rflags, 13, 12);
    if (cpu->cpl == 0) {
        mask |= RFLAGS_IOPL;
    }
    if (cpu->cpl <= iopl) {
        mask |= RFLAGS_IF;
    }
    return (mask & bits_size_mask(size)) | RFLAGS_RF;
}

enum flow exec_popf(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    if (!stack_pop(cpu, insn->operand_size_bytes, &v)) {
        return FLOW_FAULT;
    }
    uint64_t mask = popf_mask(cpu, insn->operand_size_bytes);
    cpu_set_rflags(cpu, (cpu_rflags(cpu) & ~mask) | (v & mask & ~RFLAGS_RF));
    return FLOW_NEXT;
}

/* The frame pointers of the outer levels, from the old frame to the new. */
static bool enter_copy_levels(struct cpu *cpu, unsigned size, unsigned levels, uint64_t frame)
{
    unsigned width = segment_stack_bytes(cpu);
    for (unsigned i = 1; i < levels; i++) {
        lin_t a;
        uint64_t v, at = (cpu->gpr[RBP] - (uint64_t)i * size) & bits_size_mask(width);
        if (!segment_linear(cpu, SEG_SS, at, size, false, &a) || !mem_read(cpu, a, size, &v) ||
            !stack_push(cpu, v, size)) {
            return false;
        }
    }
    return levels == 0 || stack_push(cpu, frame & bits_size_mask(size), size);
}

/* May a place on the stack be accessed? */
static bool enter_probe(struct cpu *cpu, uint64_t at, unsigned size, bool write)
{
    lin_t a;
    if (!segment_linear(cpu, SEG_SS, at & bits_size_mask(segment_stack_bytes(cpu)), size, write, &a)) {
        return false;
    }
    if (mem_checks_alignment(cpu) && a.v % size != 0) {
        cpu_fault_code(cpu, VECTOR_AC, 0);
        return false;
    }
    return write ? mem_probe_write(cpu, a, size) : mem_probe_read(cpu, a, size);
}

/* All that can fault, in the order of the accesses, before anything is pushed: a store in the queue stays. The last is the new
 * top of stack, for writing, as the manual asks. */
static bool enter_check(struct cpu *cpu, unsigned size, unsigned levels, uint64_t bytes)
{
    uint64_t rsp = cpu->gpr[RSP] - size;
    if (!enter_probe(cpu, rsp, size, true)) {
        return false;
    }
    for (unsigned i = 1; i <= levels; i++) {
        rsp -= size;
        bool last = i == levels; /* the new frame's own pointer */
        if ((!last && !enter_probe(cpu, cpu->gpr[RBP] - (uint64_t)i * size, size, false)) ||
            !enter_probe(cpu, rsp, size, true)) {
            return false;
        }
    }
    return enter_probe(cpu, rsp - bytes, size, true);
}

static bool enter_frame(struct cpu *cpu, unsigned size, unsigned levels, uint64_t bytes, uint64_t *frame)
{
    if (!enter_check(cpu, size, levels, bytes) || !stack_push(cpu, gpr_read(cpu, RBP, size), size)) {
        return false;
    }
    *frame = cpu->gpr[RSP];
    if (!enter_copy_levels(cpu, size, levels, *frame)) {
        return false;
    }
    stack_adjust(cpu, -(int64_t)bytes);
    return true;
}

enum flow exec_enter(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->operand_size_bytes;
    uint64_t rsp = cpu->gpr[RSP], frame;
    if (!enter_frame(cpu, size, insn->imm2 & 31, insn->imm & 0xffff, &frame)) {
        cpu->gpr[RSP] = rsp;
        return FLOW_FAULT;
    }
    gpr_write(cpu, RBP, frame, size);
    return FLOW_NEXT;
}

enum flow exec_leave(struct cpu *cpu, const struct insn *insn)
{
    uint64_t rsp = cpu->gpr[RSP], v;
    gpr_write(cpu, RSP, cpu->gpr[RBP], segment_stack_bytes(cpu));
    if (!stack_pop(cpu, insn->operand_size_bytes, &v)) {
        cpu->gpr[RSP] = rsp;
        return FLOW_FAULT;
    }
    gpr_write(cpu, RBP, v, insn->operand_size_bytes);
    return FLOW_NEXT;
}
