#ifndef ORRERY_CPU_OP_TABLE_H
#define ORRERY_CPU_OP_TABLE_H

/* Lookup of specialised handlers by meaning and shape. NULL: there is none, use op_generic. */

#include "cpu/op.h"
#include "cpu/op_instance.h"

enum op_shape {
    SHAPE_RR,
    SHAPE_RI,
    SHAPE_RM_B,
    SHAPE_RM_X,
    SHAPE_MR_B,
    SHAPE_MR_X,
    SHAPE_MI_B,
    SHAPE_MI_X,
    SHAPE_COUNT
};
enum op_width { WIDTH_8, WIDTH_16, WIDTH_32, WIDTH_64, WIDTH_COUNT };

enum op_alu {
    ALU_ADD,
    ALU_OR,
    ALU_ADC,
    ALU_SBB,
    ALU_AND,
    ALU_SUB,
    ALU_XOR,
    ALU_CMP,
    ALU_TEST, /* two operands */
    ALU_COUNT
};
enum op_unary { UNARY_INC, UNARY_DEC, UNARY_NEG, UNARY_NOT, UNARY_COUNT };
enum op_shift { SHIFT_SHL, SHIFT_SHR, SHIFT_SAR, SHIFT_ROL, SHIFT_ROR, SHIFT_COUNT };

op_fn *op_find_alu(enum op_alu alu, enum op_shape shape, enum op_width w, bool flags);
/* AH, CH, DH or BH (dst 0 to 3) with an immediate; with flags. */
op_fn *op_find_alu_high(enum op_alu alu);
op_fn *op_find_unary(enum op_unary unary, enum op_width w, bool flags);
/* Of [base + disp] or [base + index * scale + disp]; with flags. */
op_fn *op_find_unary_memory(enum op_unary unary, enum op_width w, bool index);
op_fn *op_find_shift(enum op_shift shift, bool by_cl, enum op_width w, bool flags);
op_fn *op_find_imul(enum op_shape shape, bool three, enum op_width w, bool flags);
op_fn *op_find_mov(enum op_shape shape, enum op_width w);
/* MOVZX and MOVSX from width `from`; to 64 bits (sign only) or 32. */
op_fn *op_find_extend(bool sign, enum op_shape shape, enum op_width from, enum op_width to);
/* MOVZX of AH, CH, DH or BH (src 0 to 3) to 32 bits. */
op_fn *op_find_zero_high(void);
op_fn *op_find_lea(bool index, enum op_width w);
op_fn *op_find_setcc(unsigned cc);
op_fn *op_find_cmov(unsigned cc, enum op_width w);

/* An operation that is followed by a conditional jump (op + 1) and its fall-through (op + 2). */
op_fn *op_find_fused(enum op_alu alu, enum op_shape shape, enum op_width w, unsigned cc);
op_fn *op_find_fused_unary(enum op_unary unary, enum op_width w, unsigned cc);

/* A comparison that is fused with the jump after it. */
struct op_compare {
    enum op_alu alu;
    enum op_shape shape;
    enum op_width width;
    unsigned cc;
};

/* For op, whose own handler is chosen, when c, which is op + 1, compares what op makes. */
op_fn *op_find_compared(const struct op *op, const struct op_compare *c);

/* The handler of op and op + 1 together, whose own handlers are chosen, when op + 1 goes on with what op makes. */
op_fn *op_find_pair(const struct op *op);

/* The same when the two have nothing to do with each other. */
op_fn *op_find_neighbours(const struct op *op);

/* REP MOVS, or REP STOS, with 64-bit addresses. */
op_fn *op_find_rep(bool movs, enum op_width w);

op_fn *op_find_jcc(unsigned cc);
op_fn op_nop, op_cdqe, op_cdq, op_cqo;
op_fn op_push_r, op_push_i, op_pop_r, op_leave_frame;
op_fn op_jmp, op_call, op_ret, op_jmp_r, op_call_r, op_jmp_m_b, op_jmp_m_x, op_call_m_b, op_call_m_x;

#endif
