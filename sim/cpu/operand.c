/*
 * Operands of the decoded instruction: effective addresses, reads, writes, read-modify-writes.
 * Source: APM vol. 1, "Memory Addressing"; APM vol. 3, "Instruction Encoding".
 */

#include "base/check.h"
#include "cpu/insn.h"
#include "cpu/segment.h"

uint64_t insn_offset(const struct cpu *cpu, const struct insn *insn)
{
    uint64_t a = (uint64_t)insn->disp;
    if (insn->mem_base == REG_RIP) {
        a += cpu->rip + insn->length;
    } else if (insn->mem_base != REG_NONE) {
        a += cpu->gpr[insn->mem_base];
    }
    if (insn->mem_index != REG_NONE) {
        a += cpu->gpr[insn->mem_index] * insn->mem_scale;
    }
    return a & bits_size_mask(insn->address_size_bytes);
}

bool insn_address(struct cpu *cpu, const struct insn *insn, unsigned size_bytes, bool write, lin_t *out)
{
    return segment_linear(cpu, (enum seg_reg)insn->mem_seg, insn_offset(cpu, insn), size_bytes, write, out);
}

bool insn_address_part(struct cpu *cpu, const struct insn *insn, unsigned from_bytes, unsigned size_bytes,
                       bool write, lin_t *out)
{
    uint64_t offset = (insn_offset(cpu, insn) + from_bytes) & bits_size_mask(insn->address_size_bytes);
    return segment_linear(cpu, (enum seg_reg)insn->mem_seg, offset, size_bytes, write, out);
}

bool insn_read(struct cpu *cpu, const struct insn *insn, unsigned n, uint64_t *out)
{
    const struct operand *op = &insn->op[n];
    lin_t a;
    switch (op->kind) {
    case OPERAND_GPR:
        *out = gpr_read(cpu, op->reg, op->size_bytes);
        return true;
    case OPERAND_HIGH8:
        *out = cpu->gpr[op->reg] >> 8 & 0xff;
        return true;
    case OPERAND_IMM:
        *out = insn->imm & bits_size_mask(op->size_bytes);
        return true;
    case OPERAND_MEM:
        return insn_address(cpu, insn, op->size_bytes, false, &a) && mem_read(cpu, a, op->size_bytes, out);
    default:
        CHECK(false, "operand %u of %s is no integer", n, insn_rows[insn->row].name);
    }
}

static void register_write(struct cpu *cpu, const struct operand *op, uint64_t value)
{
    if (op->kind == OPERAND_HIGH8) {
        cpu->gpr[op->reg] = (cpu->gpr[op->reg] & ~UINT64_C(0xff00)) | (value & 0xff) << 8;
    } else {
        gpr_write(cpu, op->reg, value, op->size_bytes);
    }
}

bool insn_write(struct cpu *cpu, const struct insn *insn, unsigned n, uint64_t value)
{
    const struct operand *op = &insn->op[n];
    lin_t a;
    if (op->kind == OPERAND_MEM) {
        return insn_address(cpu, insn, op->size_bytes, true, &a) &&
               mem_write(cpu, a, op->size_bytes, value & bits_size_mask(op->size_bytes));
    }
    register_write(cpu, op, value);
    return true;
}

bool insn_rmw_begin(struct cpu *cpu, const struct insn *insn, unsigned n, struct insn_rmw *rmw)
{
    const struct operand *op = &insn->op[n];
    lin_t a;
    if (op->kind != OPERAND_MEM) {
        return insn_read(cpu, insn, n, &rmw->old);
    }
    bool locked = (insn->prefixes & PREFIX_LOCK) != 0;
    if (!insn_address(cpu, insn, op->size_bytes, true, &a) ||
        !mem_rmw_begin(cpu, a, op->size_bytes, locked, &rmw->memory)) {
        return false;
    }
    rmw->old = rmw->memory.old;
    return true;
}

void insn_rmw_commit(struct cpu *cpu, const struct insn *insn, unsigned n, const struct insn_rmw *rmw,
                     uint64_t value)
{
    const struct operand *op = &insn->op[n];
    if (op->kind == OPERAND_MEM) {
        mem_rmw_commit(cpu, &rmw->memory, value & bits_size_mask(op->size_bytes), 0);
    } else {
        register_write(cpu, op, value);
    }
}
