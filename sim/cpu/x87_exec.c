/*
 * The x87 arithmetic, compare and transcendental instructions on the register stack.
 *
 * Source: AMD64 APM volume 5, the pages of the instructions; Intel SDM volume 1, "x87 FPU Condition Code
 * Flags" (table "Condition Code Interpretation"). Deviations: none known.
 */

#include "cpu/x87_stack.h"

#include "base/bits.h"

/* Writes a computed value to ST(target); false: blocked. */
static bool finish(struct x87_state *x, unsigned target, const struct x87_outcome *o)
{
    x87_set_c1(x, o->up);
    x87_raise(x, o->raised);
    if (!o->blocked) {
        x87_set(x, target, o->value);
    }
    return !o->blocked;
}

/* ST(target) becomes the default NaN after a masked stack underflow; false: blocked. */
static bool finish_underflow(struct x87_state *x, unsigned target)
{
    if (!x87_underflow(x)) {
        return false;
    }
    x87_set(x, target, F80_DEFAULT_NAN);
    return true;
}

void x87_arithmetic(struct x87_state *x, enum x87_op op, unsigned target, struct x87_operand source, bool pop)
{
    struct x87_operand a = x87_st_operand(x, target);
    bool done;
    if (a.empty || source.empty) {
        done = finish_underflow(x, target);
    } else {
        struct x87_env env = x87_env_of(x);
        struct x87_outcome o = x87_binary(&env, op, a, source);
        done = finish(x, target, &o);
    }
    if (done && pop) {
        x87_pop(x);
    }
}

/* ---- comparison ---- */

static void set_condition(struct x87_state *x, unsigned condition)
{
    x->fsw = (uint16_t)((x->fsw & ~FSW_CC) | condition);
}

/* Orders two operands; false: blocked. */
static bool order_operands(struct x87_state *x, const struct x87_operand *a, const struct x87_operand *b,
                           bool quiet, enum fp_order *order)
{
    *order = FP_UNORDERED;
    if (a->empty || b->empty) {
        return x87_underflow(x);
    }
    bool signalling =
        a->unsupported || b->unsupported || a->n.class_of == FP_SNAN || b->n.class_of == FP_SNAN;
    bool nan = fp_is_nan(&a->n) || fp_is_nan(&b->n);
    if (signalling || (nan && !quiet)) {
        x87_raise(x, FP_IE);
        return (x->fcw & FP_IE) != 0;
    }
    if (nan) {
        return true;
    }
    *order = fp_core_compare(&a->n, &b->n);
    if (a->n.denormal || b->n.denormal) {
        x87_raise(x, FP_DE);
        return (x->fcw & FP_DE) != 0;
    }
    return true;
}

bool x87_compare(struct x87_state *x, struct x87_operand source, bool quiet, unsigned pops)
{
    struct x87_operand a = x87_st_operand(x, 0);
    enum fp_order order;
    bool done = order_operands(x, &a, &source, quiet, &order);
    /* ZF, PF, CF at bits 6, 2, 0 become C3, C2, C0 at bits 14, 10, 8. */
    set_condition(x, (unsigned)order << 8);
    for (unsigned i = 0; done && i < pops; i++) {
        x87_pop(x);
    }
    return done;
}

enum fp_order x87_compare_flags(struct x87_state *x, unsigned i, bool quiet, bool pop)
{
    struct x87_operand a = x87_st_operand(x, 0), b = x87_st_operand(x, i);
    enum fp_order order;
    bool done = order_operands(x, &a, &b, quiet, &order);
    if (done && pop) {
        x87_pop(x);
    }
    return order;
}

void x87_examine(struct x87_state *x)
{
    struct x87_operand a = x87_st_operand(x, 0);
    static const unsigned by_class[] = {
        [FP_ZERO] = FSW_C3, [FP_FINITE] = FSW_C2, [FP_INF] = FSW_C2 | FSW_C0,
        [FP_QNAN] = FSW_C0, [FP_SNAN] = FSW_C0,
    };
    unsigned condition = by_class[a.n.class_of];
    if (a.empty) {
        condition = FSW_C3 | FSW_C0;
    } else if (a.unsupported) {
        condition = 0;
    } else if (a.n.denormal) {
        condition = FSW_C3 | FSW_C2;
    }
    set_condition(x, condition | (a.n.sign ? FSW_C1 : 0));
}

/* ---- one operand ---- */

static void change(struct x87_state *x, uint16_t keep, uint16_t flip)
{
    if (x87_st_operand(x, 0).empty) {
        finish_underflow(x, 0);
        return;
    }
    struct f80 v = x87_st(x, 0);
    v.sign_exponent = (uint16_t)((v.sign_exponent & keep) ^ flip);
    x87_set_c1(x, false);
    x87_set(x, 0, v);
}

void x87_change_sign(struct x87_state *x)
{
    change(x, 0xffff, 0x8000);
}

void x87_absolute(struct x87_state *x)
{
    change(x, 0x7fff, 0);
}

void x87_square_root_st(struct x87_state *x)
{
    struct x87_operand a = x87_st_operand(x, 0);
    struct x87_env env = x87_env_of(x);
    struct x87_outcome o = x87_square_root(&env, a);
    if (a.empty) {
        finish_underflow(x, 0);
    } else {
        finish(x, 0, &o);
    }
}

void x87_round_st(struct x87_state *x)
{
    struct x87_operand a = x87_st_operand(x, 0);
    struct x87_env env = x87_env_of(x);
    struct x87_outcome o = x87_round_integral(&env, a, x87_st(x, 0));
    if (a.empty) {
        finish_underflow(x, 0);
    } else {
        finish(x, 0, &o);
    }
}

void x87_scale_st(struct x87_state *x)
{
    struct x87_operand a = x87_st_operand(x, 0), b = x87_st_operand(x, 1);
    struct x87_env env = x87_env_of(x);
    if (a.empty || b.empty) {
        finish_underflow(x, 0);
        return;
    }
    struct x87_outcome o = x87_scale(&env, a, b);
    finish(x, 0, &o);
}

/* Whether an instruction that replaces ST(0) and pushes can go on; handles both stack faults. */
static bool ready_to_push(struct x87_state *x)
{
    bool empty = x87_st_operand(x, 0).empty;
    if (!empty && !x87_push_would_overflow(x)) {
        return true;
    }
    if (empty ? x87_underflow(x) : x87_overflow(x)) {
        x87_set(x, 0, F80_DEFAULT_NAN);
        x87_push(x, F80_DEFAULT_NAN);
    }
    return false;
}

void x87_extract_st(struct x87_state *x)
{
    struct x87_env env = x87_env_of(x);
    struct f80 exponent;
    if (!ready_to_push(x)) {
        return;
    }
    struct x87_outcome o = x87_extract(&env, x87_st_operand(x, 0), &exponent);
    struct f80 significand = o.value;
    o.value = exponent;
    if (finish(x, 0, &o)) {
        x87_push(x, significand);
    }
}

void x87_remainder_st(struct x87_state *x, bool nearest)
{
    struct x87_operand a = x87_st_operand(x, 0), b = x87_st_operand(x, 1);
    struct x87_env env = x87_env_of(x);
    unsigned q = 0;
    bool partial = false;
    x->fsw = (uint16_t)(x->fsw & ~(FSW_C1 | FSW_C2));
    if (a.empty || b.empty) {
        finish_underflow(x, 0);
        return;
    }
    struct x87_outcome o = x87_remainder(&env, a, b, nearest, &q, &partial);
    o.up = false;
    finish(x, 0, &o);
    if (q != X87_NO_QUOTIENT) {
        set_condition(x, (partial ? FSW_C2 : 0) | (q & 4 ? FSW_C0 : 0) | (q & 2 ? FSW_C3 : 0) |
                             (q & 1 ? FSW_C1 : 0));
    }
}

/* ---- transcendental ---- */

void x87_f2xm1_st(struct x87_state *x)
{
    struct x87_operand a = x87_st_operand(x, 0);
    struct x87_env env = x87_env_of(x);
    bool out_of_range;
    if (a.empty) {
        finish_underflow(x, 0);
        return;
    }
    struct x87_outcome o = x87_function(&env, X87_F2XM1, a, &out_of_range);
    finish(x, 0, &o);
}

/* Sets or clears C2; true when ST(0) is out of range and stays. C1 is cleared. */
static bool out_of_range(struct x87_state *x, bool outside)
{
    x->fsw = (uint16_t)((x->fsw & ~(FSW_C1 | FSW_C2)) | (outside ? FSW_C2 : 0));
    return outside;
}

void x87_sine_cosine_st(struct x87_state *x, enum x87_function f)
{
    struct x87_operand a = x87_st_operand(x, 0);
    struct x87_env env = x87_env_of(x);
    bool outside = false;
    out_of_range(x, false);
    if (a.empty) {
        finish_underflow(x, 0);
        return;
    }
    struct x87_outcome o = x87_function(&env, f, a, &outside);
    if (!out_of_range(x, outside)) {
        finish(x, 0, &o);
    }
}

/* FPTAN and FSINCOS: ST(0) becomes first, then second is pushed. */
static void finish_two(struct x87_state *x, struct x87_outcome *first, const struct x87_outcome *second)
{
    first->raised |= second->raised;
    first->up = second->up;
    if (finish(x, 0, first)) {
        x87_push(x, second->value);
    }
}

void x87_tangent_st(struct x87_state *x)
{
    struct x87_operand a = x87_st_operand(x, 0);
    struct x87_env env = x87_env_of(x);
    bool outside = false;
    out_of_range(x, false);
    if (!ready_to_push(x)) {
        return;
    }
    struct x87_outcome o = x87_function(&env, X87_TAN, a, &outside);
    if (out_of_range(x, outside)) {
        return;
    }
    bool nan = a.unsupported || fp_is_nan(&a.n) || a.n.class_of == FP_INF;
    struct x87_outcome one = x87_exact(nan ? o.value : (struct f80){BIT(63), F80_BIAS});
    one.up = o.up;
    finish_two(x, &o, &one);
}

void x87_sincos_st(struct x87_state *x)
{
    struct x87_operand a = x87_st_operand(x, 0);
    struct x87_env env = x87_env_of(x);
    bool outside = false;
    out_of_range(x, false);
    if (!ready_to_push(x)) {
        return;
    }
    struct x87_outcome sine = x87_function(&env, X87_SIN, a, &outside);
    struct x87_outcome cosine = x87_function(&env, X87_COS, a, &outside);
    if (!out_of_range(x, outside)) {
        finish_two(x, &sine, &cosine);
    }
}

void x87_function2_st(struct x87_state *x, enum x87_function2 f)
{
    struct x87_operand a = x87_st_operand(x, 0), b = x87_st_operand(x, 1);
    struct x87_env env = x87_env_of(x);
    bool done;
    if (a.empty || b.empty) {
        done = finish_underflow(x, 1);
    } else {
        struct x87_outcome o = x87_function2(&env, f, a, b);
        done = finish(x, 1, &o);
    }
    if (done) {
        x87_pop(x);
    }
}
