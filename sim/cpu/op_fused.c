/*
 * Specialised handlers of an arithmetic operation fused with the conditional jump after it: op is the
 * arithmetic, op + 1 the jump, op + 2 the link of its fall-through. The operation pointer stays on the
 * arithmetic, so that a fault in its memory access is exact; the plain way of it dispatches the jump's own
 * handler next. The flags are stored as if nothing had been fused, since the next block may read them.
 */

#include "cpu/op_body.h"
#include "cpu/op_table.h"

/* The formatter never settles on the column of these backslashes. */
/* clang-format off */
/* Conditions by the low bits of the opcode; parity and overflow are not worth fusing. */
#define EACH_CC(DO, ...)                                                                            \
    DO(2, __VA_ARGS__)                                                                              \
    DO(3, __VA_ARGS__)                                                                              \
    DO(4, __VA_ARGS__)                                                                              \
    DO(5, __VA_ARGS__)                                                                              \
    DO(6, __VA_ARGS__) DO(7, __VA_ARGS__) DO(8, __VA_ARGS__) DO(9, __VA_ARGS__) DO(12, __VA_ARGS__) \
        DO(13, __VA_ARGS__) DO(14, __VA_ARGS__) DO(15, __VA_ARGS__)
/* clang-format on */

/* The condition after a - b, without going through the flags. */
static inline bool condition_of_difference(uint64_t a, uint64_t b, unsigned w, unsigned cc)
{
    int64_t sa = (int64_t)bits_sext(a, w), sb = (int64_t)bits_sext(b, w);
    switch (cc) {
    case 2:
        return a < b;
    case 3:
        return a >= b;
    case 4:
        return a == b;
    case 5:
        return a != b;
    case 6:
        return a <= b;
    case 7:
        return a > b;
    case 8:
        return ((a - b) >> (w - 1) & 1) != 0;
    case 9:
        return ((a - b) >> (w - 1) & 1) == 0;
    case 12:
        return sa < sb;
    case 13:
        return sa >= sb;
    case 14:
        return sa <= sb;
    default:
        return sa > sb;
    }
}

#define JUMP(condition)        \
    if (condition) {           \
        OP_ENTER_LINK(op + 1); \
    }                          \
    OP_ENTER_LINK(op + 2);

#define BY_DIFFERENCE(cc, w) condition_of_difference(a, b, w, cc)
#define BY_FLAGS(cc, w)      flags_condition(cpu, cc)

/* a and b are the operands; the result goes nowhere, or to dst. */
#define WRITE_NONE(w, r) (void)(r)
#define WRITE_DST(w, r)  op_set_reg(cpu, op->dst, (r), w)

#define REG_REG(cc, name, sem, w, write, condition)                        \
    OP_HANDLER(op_##name##_rr##w##_##cc)                                   \
    {                                                                      \
        uint64_t a = op_reg(cpu, op->dst, w), b = op_reg(cpu, op->src, w); \
        write(w, sem(cpu, a, b, w, true));                                 \
        JUMP(condition(cc, w))                                             \
    }
#define REG_IMM(cc, name, sem, w, write, condition)                                          \
    OP_HANDLER(op_##name##_ri##w##_##cc)                                                     \
    {                                                                                        \
        uint64_t a = op_reg(cpu, op->dst, w), b = (uint64_t)(int64_t)op->imm & bits_mask(w); \
        write(w, sem(cpu, a, b, w, true));                                                   \
        JUMP(condition(cc, w))                                                               \
    }
#define REG_MEM(cc, name, sem, w, ea, condition)                 \
    OP_HANDLER(op_##name##_rm_##ea##w##_##cc)                    \
    {                                                            \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w)             \
        uint64_t a = op_reg(cpu, op->dst, w), b = op_load(p, w); \
        sem(cpu, a, b, w, true);                                 \
        JUMP(condition(cc, w))                                   \
    }
#define MEM_REG(cc, name, sem, w, ea, condition)                 \
    OP_HANDLER(op_##name##_mr_##ea##w##_##cc)                    \
    {                                                            \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w)             \
        uint64_t a = op_load(p, w), b = op_reg(cpu, op->src, w); \
        sem(cpu, a, b, w, true);                                 \
        JUMP(condition(cc, w))                                   \
    }
#define MEM_IMM(cc, name, sem, w, ea, condition)                                   \
    OP_HANDLER(op_##name##_mi_##ea##w##_##cc)                                      \
    {                                                                              \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w)                               \
        uint64_t a = op_load(p, w), b = (uint64_t)(int64_t)op->imm & bits_mask(w); \
        sem(cpu, a, b, w, true);                                                   \
        JUMP(condition(cc, w))                                                     \
    }
#define ONE_REG(cc, name, sem, w)                                                \
    OP_HANDLER(op_##name##_r##w##_##cc)                                          \
    {                                                                            \
        op_set_reg(cpu, op->dst, sem(cpu, op_reg(cpu, op->dst, w), w, true), w); \
        JUMP(flags_condition(cpu, cc))                                           \
    }

#define REGISTERS(name, sem, w, write, condition)    \
    EACH_CC(REG_REG, name, sem, w, write, condition) \
    EACH_CC(REG_IMM, name, sem, w, write, condition)
#define MEMORY(name, sem, w, condition)          \
    EACH_CC(REG_MEM, name, sem, w, b, condition) \
    EACH_CC(REG_MEM, name, sem, w, x, condition) \
    EACH_CC(MEM_REG, name, sem, w, b, condition) \
    EACH_CC(MEM_REG, name, sem, w, x, condition) \
    EACH_CC(MEM_IMM, name, sem, w, b, condition) \
    EACH_CC(MEM_IMM, name, sem, w, x, condition)

#define COMPARE(name, sem, w, condition)           \
    REGISTERS(name, sem, w, WRITE_NONE, condition) \
    MEMORY(name, sem, w, condition)

COMPARE(cmp, sem_sub, 8, BY_DIFFERENCE)
COMPARE(cmp, sem_sub, 32, BY_DIFFERENCE)
COMPARE(cmp, sem_sub, 64, BY_DIFFERENCE)
COMPARE(test, sem_and, 8, BY_FLAGS)
COMPARE(test, sem_and, 32, BY_FLAGS)
COMPARE(test, sem_and, 64, BY_FLAGS)
REGISTERS(sub, sem_sub, 32, WRITE_DST, BY_DIFFERENCE)
REGISTERS(sub, sem_sub, 64, WRITE_DST, BY_DIFFERENCE)
REGISTERS(add, sem_add, 32, WRITE_DST, BY_FLAGS)
REGISTERS(add, sem_add, 64, WRITE_DST, BY_FLAGS)
REGISTERS(and, sem_and, 32, WRITE_DST, BY_FLAGS)
REGISTERS(and, sem_and, 64, WRITE_DST, BY_FLAGS)
EACH_CC(ONE_REG, inc, sem_inc, 32)
EACH_CC(ONE_REG, inc, sem_inc, 64)
EACH_CC(ONE_REG, dec, sem_dec, 32)
EACH_CC(ONE_REG, dec, sem_dec, 64)

/* A load into a register whose value is compared at once: op is the load, op + 1 the fused comparison. */
#define LOAD_COMPARE(cc, ea, w)                                           \
    OP_HANDLER(op_load_##ea##w##_cmp_##cc)                                \
    {                                                                     \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w)                      \
        uint64_t v = op_load(p, w);                                       \
        op_set_reg(cpu, op->dst, v, w);                                   \
        op++;                                                             \
        uint64_t a = op->dst == op[-1].dst ? v : op_reg(cpu, op->dst, w); \
        uint64_t b = op->src == op[-1].dst ? v : op_reg(cpu, op->src, w); \
        sem_sub(cpu, a, b, w, true);                                      \
        JUMP(BY_DIFFERENCE(cc, w))                                        \
    }
EACH_CC(LOAD_COMPARE, b, 32)
EACH_CC(LOAD_COMPARE, x, 32)
EACH_CC(LOAD_COMPARE, b, 64)
EACH_CC(LOAD_COMPARE, x, 64)

/* A row: handlers by condition. */
#define ENTRY(cc, name) [cc] = op_##name##_##cc,
#define ROW(name)            \
    {                        \
        EACH_CC(ENTRY, name) \
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

op_fn *op_find_load_compare(bool index, enum op_width w, unsigned cc)
{
#define LOAD_ENTRY(cc, ea, w) [cc] = op_load_##ea##w##_cmp_##cc,
    static op_fn *const table[2][2][16] = {
        {{EACH_CC(LOAD_ENTRY, b, 32)}, {EACH_CC(LOAD_ENTRY, x, 32)}},
        {{EACH_CC(LOAD_ENTRY, b, 64)}, {EACH_CC(LOAD_ENTRY, x, 64)}},
    };
    return table[w == WIDTH_64][index][cc];
}
