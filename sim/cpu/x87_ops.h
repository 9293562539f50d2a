#ifndef ORRERY_CPU_X87_OPS_H
#define ORRERY_CPU_X87_OPS_H

/*
 * The x87 instructions as functions on the register stack. They raise exceptions in the status word with the
 * masked or unmasked response; none touches memory or the CPU. An instruction that stores to memory works on
 * a copy of the state, so that a page fault leaves everything as it was.
 *
 * "blocked" below: an exception that is found before the computation is unmasked; then only the status word
 * changes.
 */

#include "cpu/x87.h"
#include "cpu/x87_num.h"

enum x87_constant { X87_ONE, X87_LOG2_10, X87_LOG2_E, X87_PI, X87_LOG10_2, X87_LN_2, X87_ZERO };

struct x87_env x87_env_of(const struct x87_state *x);
/* ST(i), and as an operand. */
struct f80 x87_st(const struct x87_state *x, unsigned i);
struct x87_operand x87_st_operand(const struct x87_state *x, unsigned i);
/* After the control or status word was written: derives ES and B. */
void x87_update_summary(struct x87_state *x);

/* Loads: push, with stack overflow. decimal is ten bytes of packed BCD. */
void x87_load_f32(struct x87_state *x, uint32_t v);
void x87_load_f64(struct x87_state *x, uint64_t v);
void x87_load_f80(struct x87_state *x, struct f80 v);
void x87_load_integer(struct x87_state *x, int64_t v);
void x87_load_decimal(struct x87_state *x, const uint8_t decimal[10]);
void x87_load_register(struct x87_state *x, unsigned i);
void x87_load_constant(struct x87_state *x, enum x87_constant c);

/* Stores of ST(0): true when *out is to be written to memory. */
bool x87_store_f32(struct x87_state *x, bool pop, uint32_t *out);
bool x87_store_f64(struct x87_state *x, bool pop, uint64_t *out);
bool x87_store_f80(struct x87_state *x, struct f80 *out); /* always pops */
bool x87_store_integer(struct x87_state *x, unsigned width, bool truncate, bool pop, uint64_t *out);
bool x87_store_decimal(struct x87_state *x, uint8_t decimal[10]); /* always pops */
void x87_store_register(struct x87_state *x, unsigned i, bool pop);
/* D9 D8+i (FSTPNCE): the same with a pop, but an empty ST(0) is no exception: it only pops. */
void x87_store_register_unchecked(struct x87_state *x, unsigned i);

/* ST(target) = ST(target) op source. */
void x87_arithmetic(struct x87_state *x, enum x87_op op, unsigned target, struct x87_operand source,
                    bool pop);

/* Compare ST(0) with source into C3 C2 C0; quiet: a QNaN raises nothing. Then pops. False: blocked. */
bool x87_compare(struct x87_state *x, struct x87_operand source, bool quiet, unsigned pops);
/* FCOMI, FUCOMI: ZF, PF and CF of RFLAGS, written even when blocked. C1 stays but for a stack fault. */
enum fp_order x87_compare_flags(struct x87_state *x, unsigned i, bool quiet, bool pop);
void x87_examine(struct x87_state *x);

void x87_exchange(struct x87_state *x, unsigned i);
void x87_move_if(struct x87_state *x, unsigned i, bool condition); /* FCMOVcc */
void x87_change_sign(struct x87_state *x);
void x87_absolute(struct x87_state *x);
void x87_square_root_st(struct x87_state *x);
void x87_round_st(struct x87_state *x);
void x87_scale_st(struct x87_state *x);
void x87_extract_st(struct x87_state *x);
void x87_remainder_st(struct x87_state *x, bool nearest);
void x87_f2xm1_st(struct x87_state *x);
void x87_sine_cosine_st(struct x87_state *x, enum x87_function f); /* FSIN, FCOS */
void x87_tangent_st(struct x87_state *x);                          /* FPTAN: pushes 1.0 */
void x87_sincos_st(struct x87_state *x);
void x87_function2_st(struct x87_state *x, enum x87_function2 f);

void x87_free(struct x87_state *x, unsigned i);
void x87_step_top(struct x87_state *x, int by); /* FINCSTP 1, FDECSTP -1 */
void x87_clear_exceptions(struct x87_state *x);

#endif
