/*
 * Specialised handlers of arithmetic and logic. Bodies are in sem.h; op_body.h explains the shapes. Each
 * exists with flags (_f) and, where it writes something else, without.
 */

#include "cpu/op_body.h"
#include "cpu/op_table.h"

#define ALU_FORMS(name, sem, w, fl, suffix)                                                             \
    OP_HANDLER(op_##name##_rr##w##suffix)                                                               \
    {                                                                                                   \
        op_set_reg(cpu, op->dst, sem(cpu, op_reg(cpu, op->dst, w), op_reg(cpu, op->src, w), w, fl), w); \
        OP_NEXT;                                                                                        \
    }                                                                                                   \
    OP_HANDLER(op_##name##_ri##w##suffix)                                                               \
    {                                                                                                   \
        uint64_t b = (uint64_t)(int64_t)op->imm & bits_mask(w);                                         \
        op_set_reg(cpu, op->dst, sem(cpu, op_reg(cpu, op->dst, w), b, w, fl), w);                       \
        OP_NEXT;                                                                                        \
    }                                                                                                   \
    ALU_MEMORY(name, sem, w, fl, suffix, b)                                                             \
    ALU_MEMORY(name, sem, w, fl, suffix, x)

#define ALU_MEMORY(name, sem, w, fl, suffix, ea)                                              \
    OP_HANDLER(op_##name##_rm_##ea##w##suffix)                                                \
    {                                                                                         \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w)                                          \
        op_set_reg(cpu, op->dst, sem(cpu, op_reg(cpu, op->dst, w), op_load(p, w), w, fl), w); \
        OP_LOADED;                                                                            \
    }                                                                                         \
    OP_HANDLER(op_##name##_mr_##ea##w##suffix)                                                \
    {                                                                                         \
        OP_HOST_WRITE(p, op_address_##ea(cpu, op), w)                                         \
        op_store(p, sem(cpu, op_load(p, w), op_reg(cpu, op->src, w), w, fl), w);              \
        OP_UPDATED;                                                                           \
    }                                                                                         \
    OP_HANDLER(op_##name##_mi_##ea##w##suffix)                                                \
    {                                                                                         \
        uint64_t b = (uint64_t)(int64_t)op->imm & bits_mask(w);                               \
        OP_HOST_WRITE(p, op_address_##ea(cpu, op), w)                                         \
        op_store(p, sem(cpu, op_load(p, w), b, w, fl), w);                                    \
        OP_UPDATED;                                                                           \
    }

/* CMP and TEST: nothing but flags is written. */
#define COMPARE_FORMS(name, sem, w)                                                           \
    OP_HANDLER(op_##name##_rr##w)                                                             \
    {                                                                                         \
        sem(cpu, op_reg(cpu, op->dst, w), op_reg(cpu, op->src, w), w, true);                  \
        OP_NEXT;                                                                              \
    }                                                                                         \
    OP_HANDLER(op_##name##_ri##w)                                                             \
    {                                                                                         \
        sem(cpu, op_reg(cpu, op->dst, w), (uint64_t)(int64_t)op->imm &bits_mask(w), w, true); \
        OP_NEXT;                                                                              \
    }                                                                                         \
    COMPARE_MEMORY(name, sem, w, b)                                                           \
    COMPARE_MEMORY(name, sem, w, x)

#define COMPARE_MEMORY(name, sem, w, ea)                                            \
    OP_HANDLER(op_##name##_rm_##ea##w)                                              \
    {                                                                               \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w)                                \
        sem(cpu, op_reg(cpu, op->dst, w), op_load(p, w), w, true);                  \
        OP_LOADED;                                                                  \
    }                                                                               \
    OP_HANDLER(op_##name##_mr_##ea##w)                                              \
    {                                                                               \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w)                                \
        sem(cpu, op_load(p, w), op_reg(cpu, op->src, w), w, true);                  \
        OP_LOADED;                                                                  \
    }                                                                               \
    OP_HANDLER(op_##name##_mi_##ea##w)                                              \
    {                                                                               \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w)                                \
        sem(cpu, op_load(p, w), (uint64_t)(int64_t)op->imm &bits_mask(w), w, true); \
        OP_LOADED;                                                                  \
    }

#define EACH_WIDTH(DO, name, sem) DO(name, sem, 8) DO(name, sem, 32) DO(name, sem, 64)
#define ALU_BOTH(name, sem, w)    ALU_FORMS(name, sem, w, false, ) ALU_FORMS(name, sem, w, true, _f)

EACH_WIDTH(ALU_BOTH, add, sem_add)
EACH_WIDTH(ALU_BOTH, or, sem_or)
EACH_WIDTH(ALU_BOTH, adc, sem_adc)
EACH_WIDTH(ALU_BOTH, sbb, sem_sbb)
EACH_WIDTH(ALU_BOTH, and, sem_and)
EACH_WIDTH(ALU_BOTH, sub, sem_sub)
EACH_WIDTH(ALU_BOTH, xor, sem_xor)
EACH_WIDTH(COMPARE_FORMS, cmp, sem_sub)
EACH_WIDTH(COMPARE_FORMS, test, sem_and)

#define SHAPES(name, w, suffix)                                                                    \
    {                                                                                              \
        op_##name##_rr##w##suffix, op_##name##_ri##w##suffix, op_##name##_rm_b##w##suffix,         \
            op_##name##_rm_x##w##suffix, op_##name##_mr_b##w##suffix, op_##name##_mr_x##w##suffix, \
            op_##name##_mi_b##w##suffix, op_##name##_mi_x##w##suffix                               \
    }
#define ALU_ROW(name)                                            \
    {                                                            \
        [WIDTH_8] = {SHAPES(name, 8, ), SHAPES(name, 8, _f)},    \
        [WIDTH_32] = {SHAPES(name, 32, ), SHAPES(name, 32, _f)}, \
        [WIDTH_64] = {SHAPES(name, 64, ), SHAPES(name, 64, _f)}, \
    }
#define COMPARE_ROW(name)                                      \
    {                                                          \
        [WIDTH_8] = {SHAPES(name, 8, ), SHAPES(name, 8, )},    \
        [WIDTH_32] = {SHAPES(name, 32, ), SHAPES(name, 32, )}, \
        [WIDTH_64] = {SHAPES(name, 64, ), SHAPES(name, 64, )}, \
    }

op_fn *op_find_alu(enum op_alu alu, enum op_shape shape, enum op_width w, bool flags)
{
    static op_fn *const table[ALU_COUNT][WIDTH_COUNT][2][SHAPE_COUNT] = {
        [ALU_ADD] = ALU_ROW(add), [ALU_OR] = ALU_ROW(or),       [ALU_ADC] = ALU_ROW(adc),
        [ALU_SBB] = ALU_ROW(sbb), [ALU_AND] = ALU_ROW(and),     [ALU_SUB] = ALU_ROW(sub),
        [ALU_XOR] = ALU_ROW(xor), [ALU_CMP] = COMPARE_ROW(cmp), [ALU_TEST] = COMPARE_ROW(test),
    };
    return table[alu][w][flags][shape];
}

/* ---- AH, CH, DH, BH with an immediate ---- */

#define HIGH(name, sem)                                                              \
    OP_HANDLER(op_##name##_high)                                                     \
    {                                                                                \
        uint64_t whole = cpu->gpr[op->dst];                                          \
        uint64_t r = sem(cpu, whole >> 8 & 0xff, (uint64_t)op->imm & 0xff, 8, true); \
        cpu->gpr[op->dst] = (whole & ~UINT64_C(0xff00)) | r << 8;                    \
        OP_NEXT;                                                                     \
    }
#define HIGH_COMPARE(name, sem)                                                     \
    OP_HANDLER(op_##name##_high)                                                    \
    {                                                                               \
        sem(cpu, cpu->gpr[op->dst] >> 8 & 0xff, (uint64_t)op->imm & 0xff, 8, true); \
        OP_NEXT;                                                                    \
    }

HIGH(add, sem_add)
HIGH(or, sem_or)
HIGH(and, sem_and)
HIGH(sub, sem_sub)
HIGH(xor, sem_xor)
HIGH_COMPARE(cmp, sem_sub)
HIGH_COMPARE(test, sem_and)

op_fn *op_find_alu_high(enum op_alu alu)
{
    static op_fn *const table[ALU_COUNT] = {
        [ALU_ADD] = op_add_high, [ALU_OR] = op_or_high,   [ALU_AND] = op_and_high,   [ALU_SUB] = op_sub_high,
        [ALU_XOR] = op_xor_high, [ALU_CMP] = op_cmp_high, [ALU_TEST] = op_test_high,
    };
    return table[alu];
}

/* ---- one operand ---- */

#define UNARY(name, w, fl, suffix)                                                    \
    OP_HANDLER(op_##name##_r##w##suffix)                                              \
    {                                                                                 \
        op_set_reg(cpu, op->dst, sem_##name(cpu, op_reg(cpu, op->dst, w), w, fl), w); \
        OP_NEXT;                                                                      \
    }
#define UNARY_WIDTHS(name)    \
    UNARY(name, 8, false, )   \
    UNARY(name, 8, true, _f)  \
    UNARY(name, 32, false, )  \
    UNARY(name, 32, true, _f) \
    UNARY(name, 64, false, )  \
    UNARY(name, 64, true, _f)

UNARY_WIDTHS(inc)
UNARY_WIDTHS(dec)
UNARY_WIDTHS(neg)
UNARY_WIDTHS(not )

#define UNARY_ROW(name)                                                                                    \
    {                                                                                                      \
        [WIDTH_8] = {op_##name##_r8, op_##name##_r8_f}, [WIDTH_32] = {op_##name##_r32, op_##name##_r32_f}, \
        [WIDTH_64] = {op_##name##_r64, op_##name##_r64_f},                                                 \
    }

op_fn *op_find_unary(enum op_unary unary, enum op_width w, bool flags)
{
    static op_fn *const table[UNARY_COUNT][WIDTH_COUNT][2] = {
        [UNARY_INC] = UNARY_ROW(inc),
        [UNARY_DEC] = UNARY_ROW(dec),
        [UNARY_NEG] = UNARY_ROW(neg),
        [UNARY_NOT] = UNARY_ROW(not ),
    };
    return table[unary][w][flags];
}

/* Of memory, always with flags. */
#define UNARY_MEMORY(name, w, ea)                                \
    OP_HANDLER(op_##name##_m_##ea##w)                            \
    {                                                            \
        OP_HOST_WRITE(p, op_address_##ea(cpu, op), w)            \
        op_store(p, sem_##name(cpu, op_load(p, w), w, true), w); \
        OP_UPDATED;                                              \
    }
#define UNARY_MEMORIES(name) \
    UNARY_MEMORY(name, 8, b) \
    UNARY_MEMORY(name, 8, x) \
    UNARY_MEMORY(name, 32, b) UNARY_MEMORY(name, 32, x) UNARY_MEMORY(name, 64, b) UNARY_MEMORY(name, 64, x)

UNARY_MEMORIES(inc)
UNARY_MEMORIES(dec)
UNARY_MEMORIES(neg)
UNARY_MEMORIES(not )

#define UNARY_MEMORY_ROW(name)                               \
    {                                                        \
        [WIDTH_8] = {op_##name##_m_b8, op_##name##_m_x8},    \
        [WIDTH_32] = {op_##name##_m_b32, op_##name##_m_x32}, \
        [WIDTH_64] = {op_##name##_m_b64, op_##name##_m_x64}, \
    }

op_fn *op_find_unary_memory(enum op_unary unary, enum op_width w, bool index)
{
    static op_fn *const table[UNARY_COUNT][WIDTH_COUNT][2] = {
        [UNARY_INC] = UNARY_MEMORY_ROW(inc),
        [UNARY_DEC] = UNARY_MEMORY_ROW(dec),
        [UNARY_NEG] = UNARY_MEMORY_ROW(neg),
        [UNARY_NOT] = UNARY_MEMORY_ROW(not ),
    };
    return table[unary][w][index];
}

/* ---- shifts and products ---- */

#define SHIFT(name, w, fl, suffix)                                                                   \
    OP_HANDLER(op_##name##_ri##w##suffix)                                                            \
    {                                                                                                \
        uint64_t n = (uint64_t)op->imm & (w - 1);                                                    \
        op_set_reg(cpu, op->dst, sem_##name(cpu, op_reg(cpu, op->dst, w), n, w, fl), w);             \
        OP_NEXT;                                                                                     \
    }                                                                                                \
    OP_HANDLER(op_##name##_rc##w##suffix)                                                            \
    {                                                                                                \
        op_set_reg(cpu, op->dst, sem_##name(cpu, op_reg(cpu, op->dst, w), cpu->gpr[RCX], w, fl), w); \
        OP_NEXT;                                                                                     \
    }
#define SHIFT_WIDTHS(name)    \
    SHIFT(name, 32, false, )  \
    SHIFT(name, 32, true, _f) \
    SHIFT(name, 64, false, )  \
    SHIFT(name, 64, true, _f)

SHIFT_WIDTHS(shl)
SHIFT_WIDTHS(shr)
SHIFT_WIDTHS(sar)
SHIFT_WIDTHS(rol)
SHIFT_WIDTHS(ror)

#define SHIFT_ROW(name)                                                                                \
    {                                                                                                  \
        [WIDTH_32] = {{op_##name##_ri32, op_##name##_ri32_f}, {op_##name##_rc32, op_##name##_rc32_f}}, \
        [WIDTH_64] = {{op_##name##_ri64, op_##name##_ri64_f}, {op_##name##_rc64, op_##name##_rc64_f}}, \
    }

op_fn *op_find_shift(enum op_shift shift, bool by_cl, enum op_width w, bool flags)
{
    static op_fn *const table[SHIFT_COUNT][WIDTH_COUNT][2][2] = {
        [SHIFT_SHL] = SHIFT_ROW(shl), [SHIFT_SHR] = SHIFT_ROW(shr), [SHIFT_SAR] = SHIFT_ROW(sar),
        [SHIFT_ROL] = SHIFT_ROW(rol), [SHIFT_ROR] = SHIFT_ROW(ror),
    };
    return table[shift][w][by_cl][flags];
}

/* IMUL with two operands, or three (the product of src and the immediate). */
#define IMUL(w, fl, suffix)                                                                                  \
    OP_HANDLER(op_imul_rr##w##suffix)                                                                        \
    {                                                                                                        \
        op_set_reg(cpu, op->dst, sem_imul(cpu, op_reg(cpu, op->dst, w), op_reg(cpu, op->src, w), w, fl), w); \
        OP_NEXT;                                                                                             \
    }                                                                                                        \
    OP_HANDLER(op_imul_rri##w##suffix)                                                                       \
    {                                                                                                        \
        uint64_t b = (uint64_t)(int64_t)op->imm & bits_mask(w);                                              \
        op_set_reg(cpu, op->dst, sem_imul(cpu, op_reg(cpu, op->src, w), b, w, fl), w);                       \
        OP_NEXT;                                                                                             \
    }                                                                                                        \
    IMUL_MEMORY(w, fl, suffix, b)                                                                            \
    IMUL_MEMORY(w, fl, suffix, x)
#define IMUL_MEMORY(w, fl, suffix, ea)                                                             \
    OP_HANDLER(op_imul_rm_##ea##w##suffix)                                                         \
    {                                                                                              \
        OP_HOST_READ(p, op_address_##ea(cpu, op), w)                                               \
        op_set_reg(cpu, op->dst, sem_imul(cpu, op_reg(cpu, op->dst, w), op_load(p, w), w, fl), w); \
        OP_LOADED;                                                                                 \
    }

IMUL(32, false, )
IMUL(32, true, _f)
IMUL(64, false, )
IMUL(64, true, _f)

op_fn *op_find_imul(enum op_shape shape, bool three, enum op_width w, bool flags)
{
    static op_fn *const table[2][2][SHAPE_COUNT] = {
        {{[SHAPE_RR] = op_imul_rr32, [SHAPE_RM_B] = op_imul_rm_b32, [SHAPE_RM_X] = op_imul_rm_x32},
         {[SHAPE_RR] = op_imul_rr32_f, [SHAPE_RM_B] = op_imul_rm_b32_f, [SHAPE_RM_X] = op_imul_rm_x32_f}},
        {{[SHAPE_RR] = op_imul_rr64, [SHAPE_RM_B] = op_imul_rm_b64, [SHAPE_RM_X] = op_imul_rm_x64},
         {[SHAPE_RR] = op_imul_rr64_f, [SHAPE_RM_B] = op_imul_rm_b64_f, [SHAPE_RM_X] = op_imul_rm_x64_f}},
    };
    static op_fn *const threes[2][2] = {{op_imul_rri32, op_imul_rri32_f}, {op_imul_rri64, op_imul_rri64_f}};
    if (w != WIDTH_32 && w != WIDTH_64) {
        return NULL;
    }
    if (three) {
        return shape == SHAPE_RR ? threes[w == WIDTH_64][flags] : NULL;
    }
    return table[w == WIDTH_64][flags][shape];
}
