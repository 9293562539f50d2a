/*
 * The x87 register stack: push, pop, stack faults, loads, stores and moves.
 *
 * Source: AMD64 APM volume 1, "x87 Stack Pointer", "x87 Stack Fault (SF)"; volume 5, FLD, FST, FILD, FIST,
 * FBLD, FBSTP, FXCH, FCMOVcc. Deviations: none known.
 */

#include "cpu/x87_stack.h"

#include <string.h>

#include "base/bits.h"

struct x87_env x87_env_of(const struct x87_state *x)
{
    /* PC: 0 single, 1 reserved (extended, as the hardware does), 2 double, 3 extended */
    static const uint8_t precisions[4] = {24, 64, 53, 64};
    return (struct x87_env){.rounding = (uint8_t)((x->fcw & FCW_RC) >> 10),
                            .precision = precisions[(x->fcw & FCW_PC) >> 8],
                            .masks = (uint8_t)(x->fcw & FP_ALL)};
}

static unsigned physical(const struct x87_state *x, unsigned i)
{
    return (x87_top(x) + i) & 7;
}

struct f80 x87_st(const struct x87_state *x, unsigned i)
{
    unsigned n = physical(x, i);
    return (struct f80){x->significand[n], x->sign_exponent[n]};
}

struct x87_operand x87_st_operand(const struct x87_state *x, unsigned i)
{
    struct x87_operand o = f80_operand(x87_st(x, i));
    o.empty = !(x->in_use >> physical(x, i) & 1);
    return o;
}

void x87_set(struct x87_state *x, unsigned i, struct f80 v)
{
    unsigned n = physical(x, i);
    x->significand[n] = v.significand;
    x->sign_exponent[n] = v.sign_exponent;
    x->in_use |= (uint8_t)(1u << n);
}

void x87_update_summary(struct x87_state *x)
{
    bool pending = (x->fsw & ~(unsigned)x->fcw & FP_ALL) != 0;
    x->fsw = (uint16_t)((x->fsw & ~(FSW_ES | FSW_B)) | (pending ? FSW_ES | FSW_B : 0));
}

void x87_raise(struct x87_state *x, unsigned flags)
{
    x->fsw = (uint16_t)(x->fsw | flags);
    x87_update_summary(x);
}

void x87_set_c1(struct x87_state *x, bool on)
{
    x->fsw = (uint16_t)((x->fsw & ~FSW_C1) | (on ? FSW_C1 : 0));
}

void x87_move_top(struct x87_state *x, int by)
{
    unsigned top = (x87_top(x) + (unsigned)by) & 7;
    x->fsw = (uint16_t)((x->fsw & ~FSW_TOP) | top << FSW_TOP_SHIFT);
}

void x87_step_top(struct x87_state *x, int by)
{
    x87_set_c1(x, false);
    x87_move_top(x, by);
}

void x87_free(struct x87_state *x, unsigned i)
{
    x87_set_c1(x, false);
    x->in_use = (uint8_t)(x->in_use & ~(1u << physical(x, i)));
}

void x87_pop(struct x87_state *x)
{
    x->in_use = (uint8_t)(x->in_use & ~(1u << physical(x, 0)));
    x87_move_top(x, 1);
}

void x87_push(struct x87_state *x, struct f80 v)
{
    x87_move_top(x, -1);
    x87_set(x, 0, v);
}

bool x87_underflow(struct x87_state *x)
{
    x87_set_c1(x, false);
    x87_raise(x, FP_IE | FSW_SF);
    return (x->fcw & FP_IE) != 0;
}

bool x87_overflow(struct x87_state *x)
{
    x87_set_c1(x, true);
    x87_raise(x, FP_IE | FSW_SF);
    return (x->fcw & FP_IE) != 0;
}

bool x87_push_would_overflow(const struct x87_state *x)
{
    return x->in_use >> physical(x, 7) & 1;
}

void x87_clear_exceptions(struct x87_state *x)
{
    x->fsw = (uint16_t)(x->fsw & ~(FSW_B | FSW_ES | FSW_SF | FP_ALL));
}

/* ---- loads ---- */

static void load(struct x87_state *x, struct x87_outcome o)
{
    if (x87_push_would_overflow(x)) {
        if (x87_overflow(x)) {
            x87_push(x, F80_DEFAULT_NAN);
        }
        return;
    }
    x87_set_c1(x, false);
    x87_raise(x, o.raised);
    if (!o.blocked) {
        x87_push(x, o.value);
    }
}

/* A float or double to extended: exact, but for SNaNs. A denormal is reported and loaded even when DE is
 * unmasked. */
static struct x87_outcome widened(const struct x87_state *x, struct x87_operand a)
{
    struct x87_env env = x87_env_of(x);
    struct x87_outcome o = {.raised = 0};
    if (x87_nan_outcome(&env, &a, NULL, &o)) {
        return o;
    }
    x87_denormal(&env, &a, NULL, &o);
    o.blocked = false;
    struct fp_rounded r = {.class_of = a.n.class_of, .sign = a.n.sign};
    if (a.n.class_of == FP_FINITE) {
        r.exponent = a.n.exponent;
        r.significand = a.n.significand;
    }
    o.value = f80_pack(&r);
    return o;
}

void x87_load_f32(struct x87_state *x, uint32_t v)
{
    load(x, widened(x, x87_operand_f32(v)));
}

void x87_load_f64(struct x87_state *x, uint64_t v)
{
    load(x, widened(x, x87_operand_f64(v)));
}

void x87_load_f80(struct x87_state *x, struct f80 v)
{
    load(x, x87_exact(v));
}

void x87_load_integer(struct x87_state *x, int64_t v)
{
    load(x, widened(x, x87_operand_integer(v)));
}

void x87_load_decimal(struct x87_state *x, const uint8_t decimal[10])
{
    uint64_t magnitude = 0;
    for (unsigned i = 9; i-- > 0;) {
        magnitude = magnitude * 100 + (decimal[i] >> 4) * 10u + (decimal[i] & 15);
    }
    struct x87_operand o = x87_operand_integer((int64_t)magnitude);
    o.n.sign = decimal[9] >> 7;
    load(x, widened(x, o));
}

void x87_load_register(struct x87_state *x, unsigned i)
{
    if (x87_st_operand(x, i).empty) {
        if (x87_underflow(x)) {
            x87_push(x, F80_DEFAULT_NAN);
        }
        return;
    }
    load(x, x87_exact(x87_st(x, i)));
}

void x87_load_constant(struct x87_state *x, enum x87_constant c)
{
    /* The value truncated to 64 bits, and whether the rest is above one half (to nearest rounds up). */
    static const struct {
        struct f80 truncated;
        bool nearest_up;
    } constants[] = {
        [X87_ONE] = {{UINT64_C(0x8000000000000000), 0x3fff}, false},
        [X87_LOG2_10] = {{UINT64_C(0xd49a784bcd1b8afe), 0x4000}, false},
        [X87_LOG2_E] = {{UINT64_C(0xb8aa3b295c17f0bb), 0x3fff}, true},
        [X87_PI] = {{UINT64_C(0xc90fdaa22168c234), 0x4000}, true},
        [X87_LOG10_2] = {{UINT64_C(0x9a209a84fbcff798), 0x3ffd}, true},
        [X87_LN_2] = {{UINT64_C(0xb17217f7d1cf79ab), 0x3ffe}, true},
        [X87_ZERO] = {{0, 0}, false},
    };
    struct f80 v = constants[c].truncated;
    unsigned rounding = x87_env_of(x).rounding;
    bool exact = c == X87_ONE || c == X87_ZERO;
    if (!exact && (rounding == FP_RUP || (rounding == FP_RNE && constants[c].nearest_up))) {
        v.significand++;
    }
    load(x, x87_exact(v));
}

/* ---- stores ---- */

/* Ends a store of ST(0); false: nothing is stored. */
static bool finish_store(struct x87_state *x, const struct x87_stored *s, bool pop)
{
    x87_set_c1(x, s->up);
    x87_raise(x, s->raised);
    if (s->blocked) {
        return false;
    }
    if (pop) {
        x87_pop(x);
    }
    return true;
}

/* ST(0) is empty: true when the masked response stores an indefinite value. */
static bool store_empty(struct x87_state *x, bool pop)
{
    bool masked = x87_underflow(x);
    if (masked && pop) {
        x87_pop(x);
    }
    return masked;
}

bool x87_store_f32(struct x87_state *x, bool pop, uint32_t *out)
{
    struct x87_operand a = x87_st_operand(x, 0);
    struct x87_env env = x87_env_of(x);
    if (a.empty) {
        *out = FP_F32_DEFAULT_NAN;
        return store_empty(x, pop);
    }
    struct x87_stored s = x87_to_f32(&env, a);
    *out = (uint32_t)s.bits;
    return finish_store(x, &s, pop);
}

bool x87_store_f64(struct x87_state *x, bool pop, uint64_t *out)
{
    struct x87_operand a = x87_st_operand(x, 0);
    struct x87_env env = x87_env_of(x);
    if (a.empty) {
        *out = FP_F64_DEFAULT_NAN;
        return store_empty(x, pop);
    }
    struct x87_stored s = x87_to_f64(&env, a);
    *out = s.bits;
    return finish_store(x, &s, pop);
}

bool x87_store_f80(struct x87_state *x, struct f80 *out)
{
    if (x87_st_operand(x, 0).empty) {
        *out = F80_DEFAULT_NAN;
        return store_empty(x, true);
    }
    *out = x87_st(x, 0);
    struct x87_stored s = {.raised = 0};
    return finish_store(x, &s, true);
}

bool x87_store_integer(struct x87_state *x, unsigned width, bool truncate, bool pop, uint64_t *out)
{
    struct x87_operand a = x87_st_operand(x, 0);
    struct x87_env env = x87_env_of(x);
    if (a.empty) {
        *out = BIT(width - 1);
        return store_empty(x, pop);
    }
    struct x87_stored s = x87_to_integer(&env, a, width, truncate);
    *out = s.bits;
    return finish_store(x, &s, pop);
}

static void decimal_indefinite(uint8_t decimal[10])
{
    static const uint8_t indefinite[10] = {0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff};
    memcpy(decimal, indefinite, sizeof indefinite);
}

bool x87_store_decimal(struct x87_state *x, uint8_t decimal[10])
{
    struct x87_operand a = x87_st_operand(x, 0);
    struct x87_env env = x87_env_of(x);
    decimal_indefinite(decimal);
    if (a.empty) {
        return store_empty(x, true);
    }
    struct x87_stored s = x87_to_decimal(&env, a);
    if (!(s.raised & FP_IE)) {
        uint64_t rest = s.bits;
        for (unsigned i = 0; i < 9; i++, rest /= 100) {
            decimal[i] = (uint8_t)(rest / 10 % 10 << 4 | rest % 10);
        }
        decimal[9] = a.n.sign ? 0x80 : 0;
    }
    return finish_store(x, &s, true);
}

void x87_store_register(struct x87_state *x, unsigned i, bool pop)
{
    if (x87_st_operand(x, 0).empty) {
        if (x87_underflow(x)) {
            x87_set(x, i, F80_DEFAULT_NAN);
            if (pop) {
                x87_pop(x);
            }
        }
        return;
    }
    x87_set_c1(x, false);
    x87_set(x, i, x87_st(x, 0));
    if (pop) {
        x87_pop(x);
    }
}

void x87_store_register_unchecked(struct x87_state *x, unsigned i)
{
    x87_set_c1(x, false);
    if (!x87_st_operand(x, 0).empty) {
        x87_set(x, i, x87_st(x, 0));
    }
    x87_pop(x);
}

/* ---- moves ---- */

void x87_exchange(struct x87_state *x, unsigned i)
{
    bool empty0 = x87_st_operand(x, 0).empty, empty_i = x87_st_operand(x, i).empty;
    if (empty0 || empty_i) {
        if (!x87_underflow(x)) {
            return;
        }
        if (empty0) {
            x87_set(x, 0, F80_DEFAULT_NAN);
        }
        if (empty_i) {
            x87_set(x, i, F80_DEFAULT_NAN);
        }
    }
    x87_set_c1(x, false);
    struct f80 v = x87_st(x, 0);
    x87_set(x, 0, x87_st(x, i));
    x87_set(x, i, v);
}

void x87_move_if(struct x87_state *x, unsigned i, bool condition)
{
    if (x87_st_operand(x, 0).empty || x87_st_operand(x, i).empty) {
        if (x87_underflow(x)) {
            x87_set(x, 0, F80_DEFAULT_NAN);
        }
        return;
    }
    if (condition) {
        x87_set(x, 0, x87_st(x, i));
    }
}
