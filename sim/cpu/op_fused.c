/*
 * Specialised handlers of an arithmetic operation fused with the conditional jump after it: op is the
 * arithmetic, op + 1 the jump, op + 2 the link of its fall-through. The operation pointer stays on the
 * arithmetic, so that a fault in its memory access is exact; the plain way of it dispatches the jump's own
 * handler next. The flags are stored as if nothing had been fused, since the next block may read them.
 */

#include "cpu/op_body.h"
#include "cpu/op_table.h"

/* a and b are the operands; the result goes nowhere, or to dst. */
#define WRITE_NONE(w, r) (void)(r)
#define WRITE_DST(w, r)  op_set_reg(cpu, op->dst, (r), w)

#define REG_REG(cc, name, sem, w, write)                                   \
    OP_HANDLER(op_##name##_rr##w##_##cc)                                   \
    {                                                                      \
        uint64_t a = op_reg(cpu, op->dst, w), b = op_reg(cpu, op->src, w); \
        write(w, sem(cpu, a, b, w, true));                                 \
        OP_JUMP_IF(cc)                                                     \
    }
#define REG_IMM(cc, name, sem, w, write)                                                     \
    OP_HANDLER(op_##name##_ri##w##_##cc)                                                     \
    {                                                                                        \
        uint64_t a = op_reg(cpu, op->dst, w), b = (uint64_t)(int64_t)op->imm & bits_mask(w); \
        write(w, sem(cpu, a, b, w, true));                                                   \
        OP_JUMP_IF(cc)                                                                       \
    }
#define REG_MEM(cc, name, sem, w, ea)                            \
    OP_HANDLER(op_##name##_rm_##ea##w##_##cc)                    \
    {                                                            \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w)             \
        uint64_t a = op_reg(cpu, op->dst, w), b = op_load(p, w); \
        sem(cpu, a, b, w, true);                                 \
        OP_JUMP_IF(cc)                                           \
    }
#define MEM_REG(cc, name, sem, w, ea)                            \
    OP_HANDLER(op_##name##_mr_##ea##w##_##cc)                    \
    {                                                            \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w)             \
        uint64_t a = op_load(p, w), b = op_reg(cpu, op->src, w); \
        sem(cpu, a, b, w, true);                                 \
        OP_JUMP_IF(cc)                                           \
    }
#define MEM_IMM(cc, name, sem, w, ea)                                              \
    OP_HANDLER(op_##name##_mi_##ea##w##_##cc)                                      \
    {                                                                              \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w)                               \
        uint64_t a = op_load(p, w), b = (uint64_t)(int64_t)op->imm & bits_mask(w); \
        sem(cpu, a, b, w, true);                                                   \
        OP_JUMP_IF(cc)                                                             \
    }
#define ONE_REG(cc, name, sem, w)                                                \
    OP_HANDLER(op_##name##_r##w##_##cc)                                          \
    {                                                                            \
        op_set_reg(cpu, op->dst, sem(cpu, op_reg(cpu, op->dst, w), w, true), w); \
        OP_JUMP_IF(cc)                                                           \
    }

#define REGISTERS(name, sem, w, write)          \
    EACH_FUSED_CC(REG_REG, name, sem, w, write) \
    EACH_FUSED_CC(REG_IMM, name, sem, w, write)
#define MEMORY(name, sem, w)                \
    EACH_FUSED_CC(REG_MEM, name, sem, w, b) \
    EACH_FUSED_CC(REG_MEM, name, sem, w, x) \
    EACH_FUSED_CC(MEM_REG, name, sem, w, b) \
    EACH_FUSED_CC(MEM_REG, name, sem, w, x) \
    EACH_FUSED_CC(MEM_IMM, name, sem, w, b) \
    EACH_FUSED_CC(MEM_IMM, name, sem, w, x)

#define COMPARE(name, sem, w)           \
    REGISTERS(name, sem, w, WRITE_NONE) \
    MEMORY(name, sem, w)

COMPARE(cmp, sem_sub, 8)
COMPARE(cmp, sem_sub, 32)
COMPARE(cmp, sem_sub, 64)
COMPARE(test, sem_and, 8)
COMPARE(test, sem_and, 32)
COMPARE(test, sem_and, 64)
REGISTERS(sub, sem_sub, 32, WRITE_DST)
REGISTERS(sub, sem_sub, 64, WRITE_DST)
REGISTERS(add, sem_add, 32, WRITE_DST)
REGISTERS(add, sem_add, 64, WRITE_DST)
REGISTERS(and, sem_and, 32, WRITE_DST)
REGISTERS(and, sem_and, 64, WRITE_DST)
EACH_FUSED_CC(ONE_REG, inc, sem_inc, 32)
EACH_FUSED_CC(ONE_REG, inc, sem_inc, 64)
EACH_FUSED_CC(ONE_REG, dec, sem_dec, 32)
EACH_FUSED_CC(ONE_REG, dec, sem_dec, 64)

/* A row: handlers by condition. */
#define ENTRY(cc, name) [cc] = op_##name##_##cc,
#define ROW(name)                  \
    {                              \
        EACH_FUSED_CC(ENTRY, name) \
    }

#define COMPARE_ROWS(name, w)                                                                                \
    {                                                                                                        \
        ROW(name##_rr##w), ROW(name##_ri##w), ROW(name##_rm_b##w), ROW(name##_rm_x##w), ROW(name##_mr_b##w), \
            ROW(name##_mr_x##w), ROW(name##_mi_b##w), ROW(name##_mi_x##w)                                    \
    }
#define REGISTER_ROWS(name, w)                                         \
    {                                                                  \
        [SHAPE_RR] = ROW(name##_rr##w), [SHAPE_RI] = ROW(name##_ri##w) \
    }

op_fn *op_find_fused(enum op_alu alu, enum op_shape shape, enum op_width w, unsigned cc)
{
    static op_fn *const table[ALU_COUNT][WIDTH_COUNT][SHAPE_COUNT][16] = {
        [ALU_CMP] = {[WIDTH_8] = COMPARE_ROWS(cmp, 8),
                     [WIDTH_32] = COMPARE_ROWS(cmp, 32),
                     [WIDTH_64] = COMPARE_ROWS(cmp, 64)},
        [ALU_TEST] = {[WIDTH_8] = COMPARE_ROWS(test, 8),
                      [WIDTH_32] = COMPARE_ROWS(test, 32),
                      [WIDTH_64] = COMPARE_ROWS(test, 64)},
        [ALU_SUB] = {[WIDTH_32] = REGISTER_ROWS(sub, 32), [WIDTH_64] = REGISTER_ROWS(sub, 64)},
        [ALU_ADD] = {[WIDTH_32] = REGISTER_ROWS(add, 32), [WIDTH_64] = REGISTER_ROWS(add, 64)},
        [ALU_AND] = {[WIDTH_32] = REGISTER_ROWS(and, 32), [WIDTH_64] = REGISTER_ROWS(and, 64)},
    };
    return table[alu][w][shape][cc];
}

op_fn *op_find_fused_unary(enum op_unary unary, enum op_width w, unsigned cc)
{
    static op_fn *const table[UNARY_COUNT][WIDTH_COUNT][16] = {
        [UNARY_INC] = {[WIDTH_32] = ROW(inc_r32), [WIDTH_64] = ROW(inc_r64)},
        [UNARY_DEC] = {[WIDTH_32] = ROW(dec_r32), [WIDTH_64] = ROW(dec_r64)},
    };
    return table[unary][w][cc];
}
