/*
 * Moves: MOV, MOVZX, MOVSX, MOVSXD, MOVBE, MOVNTI, XCHG, BSWAP, CMOVcc, SETcc, LEA, XLAT, LAHF, SAHF, and MOV
 * of segment registers. Source: APM vol. 3. Deviations: BSWAP of a 16-bit register, undefined in the manual,
 * gives 0 as the hardware does.
 */

#include "cpu/int_insn.h"
#include "cpu/segment.h"

static enum flow moved(struct cpu *cpu, const struct insn *insn, uint64_t value)
{
    return insn_write(cpu, insn, 0, value) ? FLOW_NEXT : FLOW_FAULT;
}

enum flow exec_mov(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    if (insn->op[1].kind == OPERAND_SEG) {
        /* A register takes the selector zero-extended to the operand size, memory takes 16 bits. */
        return moved(cpu, insn, cpu->seg[insn->op[1].reg].selector);
    }
    return insn_read(cpu, insn, 1, &v) ? moved(cpu, insn, v) : FLOW_FAULT;
}

/* MOV to a segment register; CS is no destination. A load of SS holds interrupts and debug traps off for one
 * more instruction. */
enum flow exec_mov_segment(struct cpu *cpu, const struct insn *insn)
{
    uint64_t selector;
    enum seg_reg s = (enum seg_reg)insn->op[0].reg;
    if (s == SEG_CS) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    if (!insn_read(cpu, insn, 1, &selector) || !segment_load(cpu, s, (uint16_t)selector)) {
        return FLOW_FAULT;
    }
    if (s == SEG_SS) {
        cpu->shadow |= SHADOW_MOV_SS;
    }
    cpu_update_mode(cpu);
    return FLOW_NEXT;
}

enum flow exec_movzx(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    return insn_read(cpu, insn, 1, &v) ? moved(cpu, insn, v) : FLOW_FAULT;
}

enum flow exec_movsx(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    return insn_read(cpu, insn, 1, &v) ? moved(cpu, insn, bits_sext(v, insn_bits(insn, 1))) : FLOW_FAULT;
}

enum flow exec_movbe(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    return insn_read(cpu, insn, 1, &v) ? moved(cpu, insn, sem_bswap(v, insn_bits(insn, 0))) : FLOW_FAULT;
}

enum flow exec_bswap(struct cpu *cpu, const struct insn *insn)
{
    unsigned w = insn_bits(insn, 0);
    uint64_t v = gpr_read(cpu, insn->op[0].reg, w / 8);
    return moved(cpu, insn, w == 16 ? 0 : sem_bswap(v, w));
}

/* XCHG with memory is locked with or without the prefix. */
enum flow exec_xchg(struct cpu *cpu, const struct insn *insn)
{
    struct insn locked = *insn;
    unsigned destination = insn->op[1].kind == OPERAND_MEM ? 1 : 0;
    struct insn_rmw rmw;
    uint64_t b;
    locked.prefixes |= PREFIX_LOCK;
    if (!insn_read(cpu, insn, 1 - destination, &b) || !insn_rmw_begin(cpu, &locked, destination, &rmw)) {
        return FLOW_FAULT;
    }
    insn_rmw_commit(cpu, &locked, destination, &rmw, b);
    insn_write(cpu, insn, 1 - destination, rmw.old);
    return FLOW_NEXT;
}

/* The source is read, and may fault, whatever the condition; a 32-bit destination is zero-extended even then.
 */
enum flow exec_cmovcc(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    if (!insn_read(cpu, insn, 1, &v)) {
        return FLOW_FAULT;
    }
    if (!flags_condition(cpu, insn->opcode & 15)) {
        v = gpr_read(cpu, insn->op[0].reg, insn->op[0].size_bytes);
    }
    return moved(cpu, insn, v);
}

enum flow exec_setcc(struct cpu *cpu, const struct insn *insn)
{
    return moved(cpu, insn, flags_condition(cpu, insn->opcode & 15));
}

enum flow exec_lea(struct cpu *cpu, const struct insn *insn)
{
    return moved(cpu, insn, insn_offset(cpu, insn));
}

enum flow exec_xlat(struct cpu *cpu, const struct insn *insn)
{
    lin_t a;
    uint64_t v;
    uint64_t offset = (cpu->gpr[RBX] + (cpu->gpr[RAX] & 0xff)) & bits_size_mask(insn->address_size_bytes);
    if (!segment_linear(cpu, (enum seg_reg)insn->mem_seg, offset, 1, false, &a) || !mem_read(cpu, a, 1, &v)) {
        return FLOW_FAULT;
    }
    gpr_write(cpu, RAX, v, 1);
    return FLOW_NEXT;
}

/* AH = SF ZF 0 AF 0 PF 1 CF */
enum flow exec_lahf(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    uint64_t ah = (flags_get(cpu) & 0xff) | RFLAGS_ONE;
    cpu->gpr[RAX] = (cpu->gpr[RAX] & ~UINT64_C(0xff00)) | ah << 8;
    return FLOW_NEXT;
}

enum flow exec_sahf(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    flags_change(cpu, RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF | RFLAGS_CF, cpu->gpr[RAX] >> 8);
    return FLOW_NEXT;
}
