/*
 * Specialised handlers of moves: MOV, MOVZX, MOVSX, LEA, SETcc, CMOVcc, PUSH, POP, LEAVE and the sign
 * extensions of the accumulator. op_body.h explains the shapes.
 */

#include "cpu/op_body.h"
#include "cpu/op_table.h"

#define MOV(w)                                                \
    OP_HANDLER(op_mov_rr##w)                                  \
    {                                                         \
        op_set_reg(cpu, op->dst, op_reg(cpu, op->src, w), w); \
        OP_NEXT;                                              \
    }                                                         \
    OP_HANDLER(op_mov_ri##w)                                  \
    {                                                         \
        op_set_reg(cpu, op->dst, op->imm64 &bits_mask(w), w); \
        OP_NEXT;                                              \
    }                                                         \
    MOV_MEMORY(w, b)                                          \
    MOV_MEMORY(w, x)
#define MOV_MEMORY(w, ea)                                                                                    \
    OP_HANDLER(op_mov_rm_##ea##w)                                                                            \
    {                                                                                                        \
        OP_HOST_LOAD(p, op_address_##ea(cpu, op), w, op_generic) op_set_reg(cpu, op->dst, op_load(p, w), w); \
        OP_LOADED;                                                                                           \
    }                                                                                                        \
    OP_HANDLER(op_mov_mr_##ea##w)                                                                            \
    {                                                                                                        \
        OP_HOST_WRITE(p, op_address_##ea(cpu, op), w)                                                        \
        op_store(p, cpu->gpr[op->src], w);                                                                   \
        OP_STORED;                                                                                           \
    }                                                                                                        \
    OP_HANDLER(op_mov_mi_##ea##w)                                                                            \
    {                                                                                                        \
        OP_HOST_WRITE(p, op_address_##ea(cpu, op), w)                                                        \
        op_store(p, (uint64_t)(int64_t)op->imm, w);                                                          \
        OP_STORED;                                                                                           \
    }

MOV(8)
MOV(16)
MOV(32)
MOV(64)

#define MOV_ROW(w)                                                                                  \
    {                                                                                               \
        op_mov_rr##w, op_mov_ri##w, op_mov_rm_b##w, op_mov_rm_x##w, op_mov_mr_b##w, op_mov_mr_x##w, \
            op_mov_mi_b##w, op_mov_mi_x##w                                                          \
    }

op_fn *op_find_mov(enum op_shape shape, enum op_width w)
{
    static op_fn *const table[WIDTH_COUNT][SHAPE_COUNT] = {MOV_ROW(8), MOV_ROW(16), MOV_ROW(32), MOV_ROW(64)};
    return table[w][shape];
}

/* ---- extension: from w bits, with a sign to `to` bits ---- */

#define EXTEND(name, w, value)                \
    OP_HANDLER(op_##name##_rr)                \
    {                                         \
        uint64_t v = op_reg(cpu, op->src, w); \
        cpu->gpr[op->dst] = (value);          \
        OP_NEXT;                              \
    }                                         \
    EXTEND_MEMORY(name, w, value, b)          \
    EXTEND_MEMORY(name, w, value, x)
#define EXTEND_MEMORY(name, w, value, ea)            \
    OP_HANDLER(op_##name##_rm_##ea)                  \
    {                                                \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w) \
        uint64_t v = op_load(p, w);                  \
        cpu->gpr[op->dst] = (value);                 \
        OP_LOADED;                                   \
    }

EXTEND(zero8, 8, v)
EXTEND(zero16, 16, v)
EXTEND(sign8_32, 8, (uint32_t)bits_sext(v, 8))
EXTEND(sign16_32, 16, (uint32_t)bits_sext(v, 16))
EXTEND(sign8_64, 8, bits_sext(v, 8))
EXTEND(sign16_64, 16, bits_sext(v, 16))
EXTEND(sign32_64, 32, bits_sext(v, 32))

OP_HANDLER(op_zero_high)
{
    cpu->gpr[op->dst] = cpu->gpr[op->src] >> 8 & 0xff;
    OP_NEXT;
}

op_fn *op_find_zero_high(void)
{
    return op_zero_high;
}

#define EXTEND_ROW(name)                                                                              \
    {                                                                                                 \
        [SHAPE_RR] = op_##name##_rr, [SHAPE_RM_B] = op_##name##_rm_b, [SHAPE_RM_X] = op_##name##_rm_x \
    }

op_fn *op_find_extend(bool sign, enum op_shape shape, enum op_width from, enum op_width to)
{
    static op_fn *const zero[WIDTH_COUNT][SHAPE_COUNT] = {
        [WIDTH_8] = EXTEND_ROW(zero8),
        [WIDTH_16] = EXTEND_ROW(zero16),
    };
    static op_fn *const to_32[WIDTH_COUNT][SHAPE_COUNT] = {
        [WIDTH_8] = EXTEND_ROW(sign8_32),
        [WIDTH_16] = EXTEND_ROW(sign16_32),
    };
    static op_fn *const to_64[WIDTH_COUNT][SHAPE_COUNT] = {
        [WIDTH_8] = EXTEND_ROW(sign8_64),
        [WIDTH_16] = EXTEND_ROW(sign16_64),
        [WIDTH_32] = EXTEND_ROW(sign32_64),
    };
    if (to != WIDTH_32 && to != WIDTH_64) {
        return NULL;
    }
    if (!sign) {
        return zero[from][shape];
    }
    return to == WIDTH_32 ? to_32[from][shape] : to_64[from][shape];
}

/* ---- LEA ---- */

#define LEA(ea, w)                                                   \
    OP_HANDLER(op_lea_##ea##w)                                       \
    {                                                                \
        cpu->gpr[op->dst] = op_address_##ea(cpu, op) & bits_mask(w); \
        OP_NEXT;                                                     \
    }

LEA(b, 32)
LEA(x, 32)
LEA(b, 64)
LEA(x, 64)

op_fn *op_find_lea(bool index, enum op_width w)
{
    static op_fn *const table[WIDTH_COUNT][2] = {
        [WIDTH_32] = {op_lea_b32, op_lea_x32},
        [WIDTH_64] = {op_lea_b64, op_lea_x64},
    };
    return table[w][index];
}

/* ---- conditions ---- */

#define EACH_CC(DO) \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)

#define SETCC(cc)                                              \
    OP_HANDLER(op_setcc_##cc)                                  \
    {                                                          \
        op_set_reg(cpu, op->dst, flags_condition(cpu, cc), 8); \
        OP_NEXT;                                               \
    }
/* By a mask: as in the guest, nothing is to be predicted. */
#define CMOV_WIDTH(cc, w)                                       \
    OP_HANDLER(op_cmov##w##_##cc)                               \
    {                                                           \
        uint64_t a = op_reg(cpu, op->dst, w);                   \
        uint64_t b = op_reg(cpu, op->src, w);                   \
        uint64_t take = 0 - (uint64_t)flags_condition(cpu, cc); \
        cpu->gpr[op->dst] = a ^ ((a ^ b) & take);               \
        OP_NEXT;                                                \
    }
#define CMOV(cc) CMOV_WIDTH(cc, 32) CMOV_WIDTH(cc, 64)

EACH_CC(SETCC)
EACH_CC(CMOV)

#define SETCC_ENTRY(cc) op_setcc_##cc,
#define CMOV_ENTRY(cc)  {op_cmov32_##cc, op_cmov64_##cc},

op_fn *op_find_setcc(unsigned cc)
{
    static op_fn *const table[16] = {EACH_CC(SETCC_ENTRY)};
    return table[cc];
}

op_fn *op_find_cmov(unsigned cc, enum op_width w)
{
    static op_fn *const table[16][2] = {EACH_CC(CMOV_ENTRY)};
    return w == WIDTH_32 || w == WIDTH_64 ? table[cc][w == WIDTH_64] : NULL;
}

/* ---- the accumulator, the stack ---- */

const struct op *op_nop(struct cpu *cpu, const struct op *op)
{
    OP_NEXT;
}

const struct op *op_cdqe(struct cpu *cpu, const struct op *op)
{
    cpu->gpr[RAX] = bits_sext(cpu->gpr[RAX], 32);
    OP_NEXT;
}

const struct op *op_cdq(struct cpu *cpu, const struct op *op)
{
    cpu->gpr[RDX] = cpu->gpr[RAX] & BIT(31) ? UINT32_MAX : 0;
    OP_NEXT;
}

const struct op *op_cqo(struct cpu *cpu, const struct op *op)
{
    cpu->gpr[RDX] = cpu->gpr[RAX] & BIT(63) ? UINT64_MAX : 0;
    OP_NEXT;
}

const struct op *op_push_r(struct cpu *cpu, const struct op *op)
{
    uint64_t top = cpu->gpr[RSP] - 8;
    OP_HOST_WRITE(p, top, 64)
    op_store(p, cpu->gpr[op->src], 64);
    cpu->gpr[RSP] = top;
    OP_STORED;
}

const struct op *op_push_i(struct cpu *cpu, const struct op *op)
{
    uint64_t top = cpu->gpr[RSP] - 8;
    OP_HOST_WRITE(p, top, 64)
    op_store(p, (uint64_t)(int64_t)op->imm, 64);
    cpu->gpr[RSP] = top;
    OP_STORED;
}

const struct op *op_pop_r(struct cpu *cpu, const struct op *op)
{
    OP_HOST_READ(p, cpu->gpr[RSP], 64)
    uint64_t v = op_load(p, 64);
    cpu->gpr[RSP] += 8;
    cpu->gpr[op->dst] = v;
    OP_LOADED;
}

const struct op *op_leave_frame(struct cpu *cpu, const struct op *op)
{
    uint64_t frame = cpu->gpr[RBP];
    OP_HOST_READ(p, frame, 64)
    cpu->gpr[RBP] = op_load(p, 64);
    cpu->gpr[RSP] = frame + 8;
    OP_LOADED;
}
