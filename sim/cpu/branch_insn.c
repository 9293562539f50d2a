/*
 * Near transfers: JMP, Jcc, CALL, RET, LOOP, JCXZ. Source: APM vol. 3; AMD's rule that a 66 prefix makes a
 * near branch of 64-bit mode a 16-bit one.
 */

#include "cpu/int_insn.h"
#include "cpu/mem_internal.h"
#include "cpu/segment.h"

bool branch_check(struct cpu *cpu, uint64_t target)
{
    bool ok = cpu->mode == MODE_LONG64 ? lin_is_canonical(lin(target)) : target <= cpu->seg[SEG_CS].limit;
    if (!ok) {
        cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    return ok;
}

enum flow branch_to(struct cpu *cpu, uint64_t target)
{
    if (!branch_check(cpu, target)) {
        return FLOW_FAULT;
    }
    cpu->rip = target;
    return FLOW_JUMP;
}

static uint64_t relative_target(const struct cpu *cpu, const struct insn *insn)
{
    return (cpu->rip + insn->length + insn->imm) & bits_size_mask(insn->operand_size_bytes);
}

/* The target of a relative or indirect near branch. */
static bool near_target(struct cpu *cpu, const struct insn *insn, uint64_t *out)
{
    if (insn->op[0].kind == OPERAND_REL) {
        *out = relative_target(cpu, insn);
        return true;
    }
    return insn_read(cpu, insn, 0, out);
}

enum flow exec_jmp(struct cpu *cpu, const struct insn *insn)
{
    uint64_t target;
    return near_target(cpu, insn, &target) ? branch_to(cpu, target) : FLOW_FAULT;
}

enum flow exec_jcc(struct cpu *cpu, const struct insn *insn)
{
    return flags_condition(cpu, insn->opcode & 15) ? branch_to(cpu, relative_target(cpu, insn)) : FLOW_NEXT;
}

/* The stack is looked at before the target is. */
static bool probe_push(struct cpu *cpu, unsigned size_bytes)
{
    struct stack_frame f = frame_current(cpu);
    lin_t a;
    frame_adjust(&f, -(int64_t)size_bytes);
    if (!segment_linear(cpu, SEG_SS, f.rsp & bits_size_mask(f.width_bytes), size_bytes, true, &a)) {
        return false;
    }
    if (mem_checks_alignment(cpu) && a.v % size_bytes != 0) {
        cpu_fault_code(cpu, VECTOR_AC, 0);
        return false;
    }
    return mem_probe_write(cpu, a, size_bytes);
}

enum flow exec_call(struct cpu *cpu, const struct insn *insn)
{
    uint64_t target, next = insn_next_rip(cpu, insn);
    unsigned size = insn->operand_size_bytes;
    if (!near_target(cpu, insn, &target) || !probe_push(cpu, size) || !branch_check(cpu, target) ||
        !stack_push(cpu, next & bits_size_mask(size), size)) {
        return FLOW_FAULT;
    }
    cpu->rip = target;
    return FLOW_JUMP;
}

enum flow exec_ret(struct cpu *cpu, const struct insn *insn)
{
    uint64_t target, rsp = cpu->gpr[RSP];
    if (!stack_pop(cpu, insn->operand_size_bytes, &target)) {
        return FLOW_FAULT;
    }
    if (!branch_check(cpu, target)) {
        cpu->gpr[RSP] = rsp;
        return FLOW_FAULT;
    }
    if (insn->operand_count > 0) {
        stack_adjust(cpu, (int64_t)(insn->imm & 0xffff));
    }
    cpu->rip = target;
    return FLOW_JUMP;
}

/* LOOP counts in rCX of the address size; no flags change. */
static enum flow loop(struct cpu *cpu, const struct insn *insn, bool condition)
{
    unsigned size = insn->address_size_bytes;
    uint64_t count = (cpu->gpr[RCX] - 1) & bits_size_mask(size);
    bool taken = count != 0 && condition;
    if (taken && !branch_check(cpu, relative_target(cpu, insn))) {
        return FLOW_FAULT;
    }
    gpr_write(cpu, RCX, count, size);
    return taken ? branch_to(cpu, relative_target(cpu, insn)) : FLOW_NEXT;
}

enum flow exec_loop(struct cpu *cpu, const struct insn *insn)
{
    return loop(cpu, insn, true);
}

/* The reference silicon lets a repeat prefix choose the condition, whatever the opcode says. */
static bool loop_condition(const struct cpu *cpu, const struct insn *insn, bool equal)
{
    bool wants = insn->prefixes & PREFIX_REP ? true : insn->prefixes & PREFIX_REPNE ? false : equal;
    return flags_zf(cpu) == wants;
}

enum flow exec_loope(struct cpu *cpu, const struct insn *insn)
{
    return loop(cpu, insn, loop_condition(cpu, insn, true));
}

enum flow exec_loopne(struct cpu *cpu, const struct insn *insn)
{
    return loop(cpu, insn, loop_condition(cpu, insn, false));
}

enum flow exec_jcxz(struct cpu *cpu, const struct insn *insn)
{
    bool zero = gpr_read(cpu, RCX, insn->address_size_bytes) == 0;
    return zero ? branch_to(cpu, relative_target(cpu, insn)) : FLOW_NEXT;
}
