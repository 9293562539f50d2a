/*
 * x87 arithmetic on values: operands, NaN rules, rounding with its exceptions, and the exact operations.
 *
 * Source: AMD64 APM volume 1, "x87 Floating-Point Exceptions", "NaN Results"; Intel SDM volume 1, "Rules for
 * Handling NaNs", "x87 FPU Floating-Point Exception Conditions". Deviations: none known. Precision control
 * acts on add, subtract, multiply, divide and square root only, and leaves the range of the exponent alone.
 */

#include "cpu/x87_num.h"

#include <stddef.h>

#include "base/bits.h"

#define QUIET_BIT BIT(62)

struct x87_operand f80_operand(struct f80 v)
{
    struct x87_operand o = {.n = {.class_of = FP_ZERO, .sign = v.sign_exponent >> 15}};
    unsigned exponent = v.sign_exponent & 0x7fffu;
    bool integer = v.significand >> 63;
    o.n.significand = v.significand;
    if (exponent != 0 && !integer) {
        o.unsupported = true;
    } else if (exponent == 0x7fff) {
        uint64_t fraction = v.significand << 1;
        o.n.class_of = fraction == 0 ? FP_INF : v.significand & QUIET_BIT ? FP_QNAN : FP_SNAN;
    } else if (exponent != 0) {
        o.n.class_of = FP_FINITE;
        o.n.exponent = (int32_t)exponent - F80_BIAS;
    } else if (v.significand != 0) {
        int shift = __builtin_clzll(v.significand);
        o.n.class_of = FP_FINITE;
        o.n.denormal = true;
        o.n.exponent = 1 - F80_BIAS - shift;
        o.n.significand = v.significand << shift;
    }
    return o;
}

struct x87_operand x87_operand_f32(uint32_t v)
{
    return (struct x87_operand){.n = fp_unpack_f32(v)};
}

struct x87_operand x87_operand_f64(uint64_t v)
{
    return (struct x87_operand){.n = fp_unpack_f64(v)};
}

struct x87_operand x87_operand_integer(int64_t v)
{
    struct x87_operand o = {.n = {.class_of = FP_ZERO, .sign = v < 0}};
    uint64_t magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v;
    if (magnitude != 0) {
        int shift = __builtin_clzll(magnitude);
        o.n.class_of = FP_FINITE;
        o.n.exponent = 63 - shift;
        o.n.significand = magnitude << shift;
    }
    return o;
}

struct f80 f80_pack(const struct fp_rounded *r)
{
    unsigned exponent = 0;
    uint64_t significand = r->significand;
    if (r->class_of >= FP_INF) {
        exponent = 0x7fff;
        significand |= BIT(63);
    } else if (significand >> 63) {
        exponent = (unsigned)(r->exponent + F80_BIAS);
    }
    return (struct f80){significand, (uint16_t)(exponent | (r->sign ? 0x8000u : 0))};
}

struct f80 f80_quiet(const struct fp_num *n)
{
    return (struct f80){n->significand | QUIET_BIT, (uint16_t)(n->sign ? 0xffff : 0x7fff)};
}

struct x87_outcome x87_invalid(const struct x87_env *env)
{
    return (struct x87_outcome){.value = F80_DEFAULT_NAN, .raised = FP_IE, .blocked = !(env->masks & FP_IE)};
}

/* The NaN that two NaNs give: a QNaN wins over an SNaN, else the larger significand, else the positive one.
 */
static const struct fp_num *choose_nan(const struct fp_num *a, const struct fp_num *b)
{
    if (!fp_is_nan(a) || !fp_is_nan(b)) {
        return fp_is_nan(a) ? a : b;
    }
    if (a->class_of != b->class_of) {
        return a->class_of == FP_QNAN ? a : b;
    }
    if (a->significand != b->significand) {
        return a->significand > b->significand ? a : b;
    }
    return a->sign ? b : a;
}

bool x87_nan_outcome(const struct x87_env *env, const struct x87_operand *a, const struct x87_operand *b,
                     struct x87_outcome *out)
{
    const struct x87_operand *second = b ? b : a;
    if (a->unsupported || second->unsupported) {
        *out = x87_invalid(env);
        return true;
    }
    if (!fp_is_nan(&a->n) && !fp_is_nan(&second->n)) {
        return false;
    }
    bool signalling = a->n.class_of == FP_SNAN || second->n.class_of == FP_SNAN;
    *out = signalling ? x87_invalid(env) : (struct x87_outcome){.raised = 0};
    out->value = f80_quiet(choose_nan(&a->n, &second->n));
    return true;
}

bool x87_denormal(const struct x87_env *env, const struct x87_operand *a, const struct x87_operand *b,
                  struct x87_outcome *out)
{
    if (a->n.denormal || (b && b->n.denormal)) {
        out->raised |= FP_DE;
        out->blocked = !(env->masks & FP_DE);
    }
    return out->blocked;
}

/* FSCALE can leave even the adjusted range of an unmasked response: infinity or zero is delivered, inexact.
 */
static void wrap_is_not_enough(struct fp_rounded *r)
{
    r->class_of = r->exponent > 0 ? FP_INF : FP_ZERO;
    r->up = r->class_of == FP_INF;
    r->inexact = true;
    r->significand = 0;
}

void x87_deliver(const struct x87_env *env, const struct fp_wide *w, int precision, struct x87_outcome *out)
{
    struct fp_format format = {precision, 1 - F80_BIAS, F80_BIAS};
    struct fp_rounded r = fp_round(w, &format, env->rounding);
    if (r.tiny && !(env->masks & FP_UE)) {
        out->raised |= FP_UE;
        r = fp_round_unbounded(w, precision, env->rounding);
        r.exponent += F80_WRAP;
    } else if (r.tiny && r.inexact) {
        out->raised |= FP_UE;
    } else if (r.overflow) {
        out->raised |= FP_OE;
        if (!(env->masks & FP_OE)) {
            r = fp_round_unbounded(w, precision, env->rounding);
            r.exponent -= F80_WRAP;
        }
    }
    if (r.class_of == FP_FINITE && (r.exponent < 1 - F80_BIAS || r.exponent > F80_BIAS)) {
        wrap_is_not_enough(&r);
    }
    if (r.inexact) {
        out->raised |= FP_PE;
    }
    out->up = r.up;
    out->value = f80_pack(&r);
}

static void sum(const struct x87_env *env, const struct x87_operand *a, const struct x87_operand *b,
                struct x87_outcome *out)
{
    bool a_infinite = a->n.class_of == FP_INF, b_infinite = b->n.class_of == FP_INF;
    if (a_infinite && b_infinite && a->n.sign != b->n.sign) {
        *out = x87_invalid(env);
    } else if (x87_denormal(env, a, b, out)) {
        return;
    } else if (a_infinite || b_infinite) {
        out->value = f80_infinity(a_infinite ? a->n.sign : b->n.sign);
    } else {
        struct fp_wide w = fp_core_add(&a->n, &b->n, env->rounding);
        x87_deliver(env, &w, env->precision, out);
    }
}

static void product(const struct x87_env *env, const struct x87_operand *a, const struct x87_operand *b,
                    struct x87_outcome *out)
{
    bool sign = a->n.sign != b->n.sign;
    bool infinite = a->n.class_of == FP_INF || b->n.class_of == FP_INF;
    bool any_zero = a->n.class_of == FP_ZERO || b->n.class_of == FP_ZERO;
    if (infinite && any_zero) {
        *out = x87_invalid(env);
    } else if (x87_denormal(env, a, b, out)) {
        return;
    } else if (infinite || any_zero) {
        out->value = infinite ? f80_infinity(sign) : f80_zero(sign);
    } else {
        struct fp_wide w = fp_core_mul(&a->n, &b->n);
        x87_deliver(env, &w, env->precision, out);
    }
}

static void quotient(const struct x87_env *env, const struct x87_operand *a, const struct x87_operand *b,
                     struct x87_outcome *out)
{
    bool sign = a->n.sign != b->n.sign;
    if (a->n.class_of == b->n.class_of && a->n.class_of != FP_FINITE) {
        *out = x87_invalid(env);
    } else if (b->n.class_of == FP_ZERO && a->n.class_of == FP_FINITE) {
        *out = (struct x87_outcome){
            .value = f80_infinity(sign), .raised = FP_ZE, .blocked = !(env->masks & FP_ZE)};
    } else if (x87_denormal(env, a, b, out)) {
        return;
    } else if (a->n.class_of == FP_INF || b->n.class_of == FP_ZERO) {
        out->value = f80_infinity(sign);
    } else if (a->n.class_of == FP_ZERO || b->n.class_of == FP_INF) {
        out->value = f80_zero(sign);
    } else {
        struct fp_wide w = fp_core_div(&a->n, &b->n);
        x87_deliver(env, &w, env->precision, out);
    }
}

struct x87_outcome x87_binary(const struct x87_env *env, enum x87_op op, struct x87_operand a,
                              struct x87_operand b)
{
    struct x87_outcome out = {.raised = 0};
    if (x87_nan_outcome(env, &a, &b, &out)) {
        return out;
    }
    switch (op) {
    case X87_MUL:
        product(env, &a, &b, &out);
        break;
    case X87_SUB:
        b.n.sign = !b.n.sign;
        sum(env, &a, &b, &out);
        break;
    case X87_SUBR:
        a.n.sign = !a.n.sign;
        sum(env, &b, &a, &out);
        break;
    case X87_DIV:
        quotient(env, &a, &b, &out);
        break;
    case X87_DIVR:
        quotient(env, &b, &a, &out);
        break;
    case X87_ADD:
    default:
        sum(env, &a, &b, &out);
        break;
    }
    return out;
}

struct x87_outcome x87_square_root(const struct x87_env *env, struct x87_operand a)
{
    struct x87_outcome out = {.raised = 0};
    if (x87_nan_outcome(env, &a, NULL, &out)) {
        return out;
    }
    if (a.n.class_of == FP_ZERO) {
        return x87_exact(f80_zero(a.n.sign));
    }
    if (a.n.sign) {
        return x87_invalid(env);
    }
    if (x87_denormal(env, &a, NULL, &out)) {
        return out;
    }
    if (a.n.class_of == FP_INF) {
        return x87_exact(f80_infinity(false));
    }
    struct fp_wide w = fp_core_sqrt(&a.n);
    x87_deliver(env, &w, env->precision, &out);
    return out;
}
