/*
 * Execution of the packed-integer, shuffle, blend and logic instructions: one function a row of
 * simd_lanes.def, and the few whose operands have another shape.
 *
 * Source: AMD64 APM volumes 4 and 5, the page of each mnemonic.
 *
 * Deviations: none.
 */
#include "cpu/flags.h"
#include "cpu/simd_exec.h"
#include "cpu/simd_lanes.h"

/* The shapes. M: mm, mm/m32/m64. X: xmm, xmm/m16..m128. `...` is what follows the two operands. */
#define DO_M(name, ...)                     \
    union mmx s;                            \
    SIMD_TRY(simd_source_m(cpu, insn, &s)); \
    union mmx d = simd_target_m(cpu, insn); \
    simd_##name##_m(&d, &s __VA_ARGS__);    \
    simd_write_m(cpu, insn, d.u64[0]);      \
    return FLOW_NEXT;

#define DO_X(name, ...)                                       \
    union xmm spill;                                          \
    const union xmm *s;                                       \
    SIMD_TRY(simd_source_x(cpu, insn, &spill, &s));           \
    simd_##name##_x(simd_target_x(cpu, insn), s __VA_ARGS__); \
    return FLOW_NEXT;

#define COMMA_IMM  , simd_imm8(insn)
#define COMMA_MASK , &cpu->xmm[0]
#define NOTHING

#define EXEC_X(name, more)                                          \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn) \
    {                                                               \
        DO_X(name, more)                                            \
    }
#define EXEC_M(name, more)                                          \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn) \
    {                                                               \
        DO_M(name, more)                                            \
    }
#define EXEC_MX(name, more)                                         \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn) \
    {                                                               \
        if (insn->op[0].kind == OPERAND_MM) {                       \
            DO_M(name, more)                                        \
        }                                                           \
        DO_X(name, more)                                            \
    }

/* The count of a shift: an immediate byte, or the low quadword of a register or of an aligned memory operand.
 */
static enum flow shift_count_x(struct cpu *cpu, const struct insn *insn, uint64_t *count)
{
    if (insn->op[1].kind == OPERAND_IMM) {
        *count = simd_imm8(insn);
        return simd_check_x(cpu);
    }
    union xmm spill;
    const union xmm *s;
    SIMD_TRY(simd_source_x(cpu, insn, &spill, &s));
    *count = s->u64[0];
    return FLOW_NEXT;
}

static enum flow shift_count_m(struct cpu *cpu, const struct insn *insn, uint64_t *count)
{
    if (insn->op[1].kind == OPERAND_IMM) {
        *count = simd_imm8(insn);
        return simd_check_m(cpu);
    }
    union mmx s;
    SIMD_TRY(simd_source_m(cpu, insn, &s));
    *count = s.u64[0];
    return FLOW_NEXT;
}

#define DO_SHIFT_X(name)                              \
    uint64_t count;                                   \
    SIMD_TRY(shift_count_x(cpu, insn, &count));       \
    simd_##name##_x(simd_target_x(cpu, insn), count); \
    return FLOW_NEXT;

#define DO_SHIFT_M(name)                        \
    uint64_t count;                             \
    SIMD_TRY(shift_count_m(cpu, insn, &count)); \
    union mmx d = simd_target_m(cpu, insn);     \
    simd_##name##_m(&d, count);                 \
    simd_write_m(cpu, insn, d.u64[0]);          \
    return FLOW_NEXT;

#define LANES_MX(name, lane, value) EXEC_MX(name, NOTHING)
#define LANES_X(name, lane, value)  EXEC_X(name, NOTHING)
#define IMM_MX(name, lane, value)   EXEC_MX(name, COMMA_IMM)
#define IMM_X(name, lane, value)    EXEC_X(name, COMMA_IMM)
#define IMM_M(name, lane, value)    EXEC_M(name, COMMA_IMM)
#define MASK_X(name, lane, value)   EXEC_X(name, COMMA_MASK)
#define COUNT_X(name, lane, value)                                  \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn) \
    {                                                               \
        DO_SHIFT_X(name)                                            \
    }
#define COUNT_MX(name, lane, value)                                 \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn) \
    {                                                               \
        if (insn->op[0].kind == OPERAND_MM) {                       \
            DO_SHIFT_M(name)                                        \
        }                                                           \
        DO_SHIFT_X(name)                                            \
    }
#include "cpu/simd_lanes.def"

/* INSERTPS xmm, xmm/m32, imm8: a memory source is lane 0 whatever imm8[7:6] says. */
enum flow exec_insertps(struct cpu *cpu, const struct insn *insn)
{
    union xmm spill;
    const union xmm *s;
    SIMD_TRY(simd_source_x(cpu, insn, &spill, &s));
    unsigned lane_mask = insn->op[1].kind == OPERAND_MEM ? 0x3f : 0xff;
    simd_insertps_x(simd_target_x(cpu, insn), s, simd_imm8(insn) & lane_mask);
    return FLOW_NEXT;
}

/* PTEST: ZF = no common bit, CF = no bit of the source outside the destination; the other status flags
 * cleared. */
enum flow exec_ptest(struct cpu *cpu, const struct insn *insn)
{
    union xmm spill;
    const union xmm *s;
    SIMD_TRY(simd_source_x(cpu, insn, &spill, &s));
    union xmm both = *simd_target_x(cpu, insn), rest = both;
    simd_pand_x(&both, s);
    simd_pandn_x(&rest, s);
    flags_set(cpu, ((both.u64[0] | both.u64[1]) == 0 ? RFLAGS_ZF : 0) |
                       ((rest.u64[0] | rest.u64[1]) == 0 ? RFLAGS_CF : 0));
    return FLOW_NEXT;
}

/* The sign masks write a 32-bit register, which clears its upper half. */
enum flow exec_pmovmskb(struct cpu *cpu, const struct insn *insn)
{
    uint32_t signs;
    if (insn->op[1].kind == OPERAND_MM) {
        union mmx s;
        SIMD_TRY(simd_source_m(cpu, insn, &s));
        x87_mmx_begin(&cpu->x87);
        signs = simd_signs_b_m(&s);
    } else {
        SIMD_TRY(simd_check_x(cpu));
        signs = simd_signs_b_x(&cpu->xmm[insn->op[1].reg]);
    }
    gpr_write(cpu, insn->op[0].reg, signs, 4);
    return FLOW_NEXT;
}

enum flow exec_movmskps(struct cpu *cpu, const struct insn *insn)
{
    SIMD_TRY(simd_check_x(cpu));
    gpr_write(cpu, insn->op[0].reg, simd_signs_d_x(&cpu->xmm[insn->op[1].reg]), 4);
    return FLOW_NEXT;
}

enum flow exec_movmskpd(struct cpu *cpu, const struct insn *insn)
{
    SIMD_TRY(simd_check_x(cpu));
    gpr_write(cpu, insn->op[0].reg, simd_signs_q_x(&cpu->xmm[insn->op[1].reg]), 4);
    return FLOW_NEXT;
}

/* Lane imm8 of an XMM or MMX register; PINSRx takes its new value from it, PEXTRx gives it. */
static void lane_set(union xmm *v, unsigned lane, unsigned size_bytes, uint64_t value)
{
    store_le(&v->u8[lane * size_bytes % sizeof *v], value, size_bytes);
}

static uint64_t lane_get(const union xmm *v, unsigned lane, unsigned size_bytes)
{
    return load_le(&v->u8[lane * size_bytes % sizeof *v], size_bytes);
}

/* PINSRB, PINSRW, PINSRD, PINSRQ xmm, r/m, imm8: of a register only the low size_bytes are used. */
static enum flow insert(struct cpu *cpu, const struct insn *insn, unsigned size_bytes)
{
    uint64_t value;
    SIMD_TRY(simd_check_x(cpu));
    if (!insn_read(cpu, insn, 1, &value)) {
        return FLOW_FAULT;
    }
    lane_set(simd_target_x(cpu, insn), simd_imm8(insn), size_bytes, value);
    return FLOW_NEXT;
}

/* PEXTRB, PEXTRW, PEXTRD, PEXTRQ, EXTRACTPS r/m, xmm, imm8: memory takes size_bytes, a register the value
 * extended with zeros to 64 bits. */
static enum flow extract(struct cpu *cpu, const struct insn *insn, unsigned size_bytes)
{
    SIMD_TRY(simd_check_x(cpu));
    uint64_t value = lane_get(&cpu->xmm[insn->op[1].reg], simd_imm8(insn), size_bytes);
    if (insn->op[0].kind == OPERAND_MEM) {
        union xmm stored = xmm_make(0, value);
        return simd_store(cpu, insn, size_bytes, false, &stored);
    }
    gpr_write(cpu, insn->op[0].reg, value, 8);
    return FLOW_NEXT;
}

static enum flow pinsrw_m(struct cpu *cpu, const struct insn *insn)
{
    uint64_t value;
    SIMD_TRY(simd_check_m(cpu));
    if (!insn_read(cpu, insn, 1, &value)) {
        return FLOW_FAULT;
    }
    union mmx d = simd_target_m(cpu, insn);
    d.u16[insn->imm & 3] = (uint16_t)value;
    simd_write_m(cpu, insn, d.u64[0]);
    return FLOW_NEXT;
}

static enum flow pextrw_m(struct cpu *cpu, const struct insn *insn)
{
    union mmx s;
    SIMD_TRY(simd_source_m(cpu, insn, &s));
    x87_mmx_begin(&cpu->x87);
    gpr_write(cpu, insn->op[0].reg, s.u16[insn->imm & 3], 8);
    return FLOW_NEXT;
}

enum flow exec_pinsrb(struct cpu *cpu, const struct insn *insn)
{
    return insert(cpu, insn, 1);
}

enum flow exec_pinsrw(struct cpu *cpu, const struct insn *insn)
{
    return insn->op[0].kind == OPERAND_MM ? pinsrw_m(cpu, insn) : insert(cpu, insn, 2);
}

enum flow exec_pinsrd(struct cpu *cpu, const struct insn *insn)
{
    return insert(cpu, insn, 4);
}

enum flow exec_pinsrq(struct cpu *cpu, const struct insn *insn)
{
    return insert(cpu, insn, 8);
}

enum flow exec_pextrb(struct cpu *cpu, const struct insn *insn)
{
    return extract(cpu, insn, 1);
}

enum flow exec_pextrw(struct cpu *cpu, const struct insn *insn)
{
    return insn->op[1].kind == OPERAND_MM ? pextrw_m(cpu, insn) : extract(cpu, insn, 2);
}

enum flow exec_pextrd(struct cpu *cpu, const struct insn *insn)
{
    return extract(cpu, insn, 4);
}

enum flow exec_pextrq(struct cpu *cpu, const struct insn *insn)
{
    return extract(cpu, insn, 8);
}

/* EXTRQ xmm, length, index and EXTRQ xmm, xmm (length in bits 5:0, index in 13:8): the upper half of the
 * register is undefined afterwards; we clear it, as the hardware does. */
enum flow exec_extrq(struct cpu *cpu, const struct insn *insn)
{
    SIMD_TRY(simd_check_x(cpu));
    union xmm *d = simd_target_x(cpu, insn);
    if (insn->op[1].kind == OPERAND_XMM) {
        const union xmm *s = &cpu->xmm[insn->op[1].reg];
        *d = xmm_make(0, simd_extrq(d->u64[0], s->u8[0], s->u8[1]));
    } else {
        *d = xmm_make(0, simd_extrq(d->u64[0], simd_imm8(insn), (unsigned)insn->imm2 & 0xff));
    }
    return FLOW_NEXT;
}

/* INSERTQ xmm, xmm, length, index and INSERTQ xmm, xmm (length and index in bits 69:64 and 77:72 of the
 * source). */
enum flow exec_insertq(struct cpu *cpu, const struct insn *insn)
{
    SIMD_TRY(simd_check_x(cpu));
    union xmm *d = simd_target_x(cpu, insn);
    union xmm s = cpu->xmm[insn->op[1].reg];
    bool immediate = insn->operand_count > 2 && insn->op[2].kind == OPERAND_IMM;
    unsigned length = immediate ? simd_imm8(insn) : s.u8[8];
    unsigned index = immediate ? (unsigned)insn->imm2 & 0xff : s.u8[9];
    *d = xmm_make(0, simd_insertq(d->u64[0], s.u64[0], length, index));
    return FLOW_NEXT;
}
