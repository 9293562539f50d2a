/*
 * String instructions: MOVS, STOS, LODS, SCAS, CMPS. One call is one iteration; with a REP prefix it returns
 * FLOW_REPEAT until the count (or the comparison) ends it. A count of zero does nothing at all.
 * Source: APM vol. 3, "Repeat Prefixes".
 */

#include "cpu/int_insn.h"
#include "cpu/segment.h"

static bool source_linear(struct cpu *cpu, const struct insn *insn, unsigned size, lin_t *out)
{
    uint64_t offset = gpr_read(cpu, RSI, insn->address_size_bytes);
    return segment_linear(cpu, (enum seg_reg)insn->mem_seg, offset, size, false, out);
}

static bool source_read(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t *out)
{
    lin_t a;
    return source_linear(cpu, insn, size, &a) && mem_read(cpu, a, size, out);
}

/* The destination is always in ES. */
static bool destination_linear(struct cpu *cpu, const struct insn *insn, unsigned size, bool write,
                               lin_t *out)
{
    return segment_linear(cpu, SEG_ES, gpr_read(cpu, RDI, insn->address_size_bytes), size, write, out);
}

static bool destination_read(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t *out)
{
    lin_t a;
    return destination_linear(cpu, insn, size, false, &a) && mem_read(cpu, a, size, out);
}

static bool destination_write(struct cpu *cpu, const struct insn *insn, unsigned size, uint64_t value)
{
    lin_t a;
    return destination_linear(cpu, insn, size, true, &a) && mem_write(cpu, a, size, value);
}

/* Moves an index register on by one element. */
static void advance(struct cpu *cpu, const struct insn *insn, unsigned reg, unsigned size)
{
    uint64_t step = cpu->rflags & RFLAGS_DF ? 0 - (uint64_t)size : size;
    gpr_write(cpu, reg, cpu->gpr[reg] + step, insn->address_size_bytes);
}

static bool repeats(const struct insn *insn)
{
    return (insn->prefixes & (PREFIX_REP | PREFIX_REPNE)) != 0;
}

/* True when a repeated instruction has nothing to do. */
static bool count_is_zero(const struct cpu *cpu, const struct insn *insn)
{
    return repeats(insn) && gpr_read(cpu, RCX, insn->address_size_bytes) == 0;
}

/* One iteration is done: counts it; `go_on` is the verdict of a comparison. */
static enum flow iterated(struct cpu *cpu, const struct insn *insn, bool go_on)
{
    if (!repeats(insn)) {
        return FLOW_NEXT;
    }
    uint64_t left = cpu->gpr[RCX] - 1;
    gpr_write(cpu, RCX, left, insn->address_size_bytes);
    return go_on && gpr_read(cpu, RCX, insn->address_size_bytes) != 0 ? FLOW_REPEAT : FLOW_NEXT;
}

/* REPE goes on while equal, REPNE while not. */
static bool comparison_goes_on(const struct cpu *cpu, const struct insn *insn)
{
    return (insn->prefixes & PREFIX_REPNE) != 0 ? !flags_zf(cpu) : flags_zf(cpu);
}

enum flow exec_movs(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->operand_size_bytes;
    uint64_t v;
    if (count_is_zero(cpu, insn)) {
        return FLOW_NEXT;
    }
    if (!source_read(cpu, insn, size, &v) || !destination_write(cpu, insn, size, v)) {
        return FLOW_FAULT;
    }
    advance(cpu, insn, RSI, size);
    advance(cpu, insn, RDI, size);
    return iterated(cpu, insn, true);
}

enum flow exec_stos(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->operand_size_bytes;
    if (count_is_zero(cpu, insn)) {
        return FLOW_NEXT;
    }
    if (!destination_write(cpu, insn, size, gpr_read(cpu, RAX, size))) {
        return FLOW_FAULT;
    }
    advance(cpu, insn, RDI, size);
    return iterated(cpu, insn, true);
}

enum flow exec_lods(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->operand_size_bytes;
    uint64_t v;
    if (count_is_zero(cpu, insn)) {
        return FLOW_NEXT;
    }
    if (!source_read(cpu, insn, size, &v)) {
        return FLOW_FAULT;
    }
    gpr_write(cpu, RAX, v, size);
    advance(cpu, insn, RSI, size);
    return iterated(cpu, insn, true);
}

enum flow exec_scas(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->operand_size_bytes;
    uint64_t v;
    if (count_is_zero(cpu, insn)) {
        return FLOW_NEXT;
    }
    if (!destination_read(cpu, insn, size, &v)) {
        return FLOW_FAULT;
    }
    sem_sub(cpu, gpr_read(cpu, RAX, size), v, 8 * size, true);
    advance(cpu, insn, RDI, size);
    return iterated(cpu, insn, comparison_goes_on(cpu, insn));
}

enum flow exec_cmps(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->operand_size_bytes;
    uint64_t a, b;
    if (count_is_zero(cpu, insn)) {
        return FLOW_NEXT;
    }
    if (!source_read(cpu, insn, size, &a) || !destination_read(cpu, insn, size, &b)) {
        return FLOW_FAULT;
    }
    sem_sub(cpu, a, b, 8 * size, true);
    advance(cpu, insn, RSI, size);
    advance(cpu, insn, RDI, size);
    return iterated(cpu, insn, comparison_goes_on(cpu, insn));
}
