/*
 * The x87 instructions against the host CPU: the same registers, control, status and tag word, operand bytes
 * and RFLAGS before; the same after, in every precision and rounding mode, masked or not. The host is an
 * x86-64, which is the best oracle there is. Transcendental results are our own definition: those are held to
 * a bound instead.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/rng.h"
#include "cpu/x87_ops.h"

#define CASES 20000

/* Everything that an instruction may read or change. image is FXSAVE's, memory its operand. */
struct scene {
    _Alignas(16) uint8_t image[512];
    uint8_t memory[16];
    uint64_t rflags;
};

typedef void host_fn(struct scene *s);
typedef void our_fn(struct x87_state *x, struct scene *s);

/* The host's turn: load the state, run one instruction (rdx is the operand), take the state out. */
#define HOST(name, text)                                                                                  \
    static void host_##name(struct scene *s)                                                              \
    {                                                                                                     \
        __asm__ volatile("leaq -128(%%rsp), %%rsp; fxrstor64 (%0); pushq (%2); popfq; " text "; pushfq; " \
                         "popq (%2); fxsave64 (%0); fninit; leaq 128(%%rsp), %%rsp"                       \
                         :                                                                                \
                         : "r"(s->image), "d"(s->memory), "b"(&s->rflags)                                 \
                         : "memory", "cc");                                                               \
    }

/* An instruction: its name, its text for the host, and what ours does. */
#define INSN(name, text, ...)                                    \
    HOST(name, text)                                             \
    static void our_##name(struct x87_state *x, struct scene *s) \
    {                                                            \
        (void)x;                                                 \
        (void)s;                                                 \
        __VA_ARGS__;                                             \
    }

static struct x87_operand memory_f32(const struct scene *s)
{
    return x87_operand_f32(load_le32(s->memory));
}

static struct x87_operand memory_f64(const struct scene *s)
{
    return x87_operand_f64(load_le64(s->memory));
}

static struct x87_operand memory_i16(const struct scene *s)
{
    return x87_operand_integer((int16_t)load_le16(s->memory));
}

static struct x87_operand memory_i32(const struct scene *s)
{
    return x87_operand_integer((int32_t)load_le32(s->memory));
}

static struct f80 memory_f80(const struct scene *s)
{
    return (struct f80){load_le64(s->memory), load_le16(s->memory + 8)};
}

static void store_f32(struct x87_state *x, struct scene *s, bool pop)
{
    uint32_t v;
    if (x87_store_f32(x, pop, &v)) {
        store_le32(s->memory, v);
    }
}

static void store_f64(struct x87_state *x, struct scene *s, bool pop)
{
    uint64_t v;
    if (x87_store_f64(x, pop, &v)) {
        store_le64(s->memory, v);
    }
}

static void store_f80(struct x87_state *x, struct scene *s)
{
    struct f80 v;
    if (x87_store_f80(x, &v)) {
        store_le64(s->memory, v.significand);
        store_le16(s->memory + 8, v.sign_exponent);
    }
}

static void store_integer(struct x87_state *x, struct scene *s, unsigned width, bool truncate, bool pop)
{
    uint64_t v;
    if (x87_store_integer(x, width, truncate, pop, &v)) {
        store_le(s->memory, v, width / 8);
    }
}

static void store_decimal(struct x87_state *x, struct scene *s)
{
    uint8_t v[10];
    if (x87_store_decimal(x, v)) {
        memcpy(s->memory, v, sizeof v);
    }
}

static void compare_flags(struct x87_state *x, struct scene *s, unsigned i, bool quiet, bool pop)
{
    s->rflags = (s->rflags & ~UINT64_C(0x8d5)) | (uint64_t)x87_compare_flags(x, i, quiet, pop);
}

#define ARITHMETIC(name, op, suffix)                                                          \
    INSN(name##_f32, #name "s (%%rdx)", x87_arithmetic(x, op, 0, memory_f32(s), false))       \
    INSN(name##_f64, #name "l (%%rdx)", x87_arithmetic(x, op, 0, memory_f64(s), false))       \
    INSN(name##_i16, "fi" suffix "s (%%rdx)", x87_arithmetic(x, op, 0, memory_i16(s), false)) \
    INSN(name##_i32, "fi" suffix "l (%%rdx)", x87_arithmetic(x, op, 0, memory_i32(s), false))
ARITHMETIC(fadd, X87_ADD, "add")
ARITHMETIC(fmul, X87_MUL, "mul")
ARITHMETIC(fsub, X87_SUB, "sub")
ARITHMETIC(fsubr, X87_SUBR, "subr")
ARITHMETIC(fdiv, X87_DIV, "div")
ARITHMETIC(fdivr, X87_DIVR, "divr")

/* Register forms by their bytes, because assemblers disagree about the names of reversed ones. */
#define ARITHMETIC_ST(name, op, reg, swapped)                                                               \
    INSN(name##_st0, ".byte 0xd8, 0xc1 + 8 * " #reg, x87_arithmetic(x, op, 0, x87_st_operand(x, 1), false)) \
    INSN(name##_st2, ".byte 0xdc, 0xc2 + 8 * " #swapped,                                                    \
         x87_arithmetic(x, op, 2, x87_st_operand(x, 0), false))                                             \
    INSN(name##_pop, ".byte 0xde, 0xc1 + 8 * " #swapped, x87_arithmetic(x, op, 1, x87_st_operand(x, 0), true))
ARITHMETIC_ST(fadd, X87_ADD, 0, 0)
ARITHMETIC_ST(fmul, X87_MUL, 1, 1)
ARITHMETIC_ST(fsub, X87_SUB, 4, 5)
ARITHMETIC_ST(fsubr, X87_SUBR, 5, 4)
ARITHMETIC_ST(fdiv, X87_DIV, 6, 7)
ARITHMETIC_ST(fdivr, X87_DIVR, 7, 6)

INSN(fsqrt, "fsqrt", x87_square_root_st(x))
INSN(frndint, "frndint", x87_round_st(x))
INSN(fscale, "fscale", x87_scale_st(x))
INSN(fxtract, "fxtract", x87_extract_st(x))
INSN(fprem, "fprem", x87_remainder_st(x, false))
INSN(fprem1, "fprem1", x87_remainder_st(x, true))
INSN(fabs, "fabs", x87_absolute(x))
INSN(fchs, "fchs", x87_change_sign(x))

INSN(fld_f32, "flds (%%rdx)", x87_load_f32(x, load_le32(s->memory)))
INSN(fld_f64, "fldl (%%rdx)", x87_load_f64(x, load_le64(s->memory)))
INSN(fld_f80, "fldt (%%rdx)", x87_load_f80(x, memory_f80(s)))
INSN(fld_st3, "fld %%st(3)", x87_load_register(x, 3))
INSN(fild_i16, "filds (%%rdx)", x87_load_integer(x, (int16_t)load_le16(s->memory)))
INSN(fild_i32, "fildl (%%rdx)", x87_load_integer(x, (int32_t)load_le32(s->memory)))
INSN(fild_i64, "fildll (%%rdx)", x87_load_integer(x, (int64_t)load_le64(s->memory)))
INSN(fld1, "fld1", x87_load_constant(x, X87_ONE))
INSN(fldl2t, "fldl2t", x87_load_constant(x, X87_LOG2_10))
INSN(fldl2e, "fldl2e", x87_load_constant(x, X87_LOG2_E))
INSN(fldpi, "fldpi", x87_load_constant(x, X87_PI))
INSN(fldlg2, "fldlg2", x87_load_constant(x, X87_LOG10_2))
INSN(fldln2, "fldln2", x87_load_constant(x, X87_LN_2))
INSN(fldz, "fldz", x87_load_constant(x, X87_ZERO))

INSN(fst_f32, "fsts (%%rdx)", store_f32(x, s, false))
INSN(fstp_f32, "fstps (%%rdx)", store_f32(x, s, true))
INSN(fst_f64, "fstl (%%rdx)", store_f64(x, s, false))
INSN(fstp_f64, "fstpl (%%rdx)", store_f64(x, s, true))
INSN(fstp_f80, "fstpt (%%rdx)", store_f80(x, s))
INSN(fst_st4, "fst %%st(4)", x87_store_register(x, 4, false))
INSN(fstp_st2, "fstp %%st(2)", x87_store_register(x, 2, true))
INSN(fstp_st0, "fstp %%st(0)", x87_store_register(x, 0, true))
INSN(fist_i16, "fists (%%rdx)", store_integer(x, s, 16, false, false))
INSN(fist_i32, "fistl (%%rdx)", store_integer(x, s, 32, false, false))
INSN(fistp_i16, "fistps (%%rdx)", store_integer(x, s, 16, false, true))
INSN(fistp_i32, "fistpl (%%rdx)", store_integer(x, s, 32, false, true))
INSN(fistp_i64, "fistpll (%%rdx)", store_integer(x, s, 64, false, true))
INSN(fisttp_i16, "fisttps (%%rdx)", store_integer(x, s, 16, true, true))
INSN(fisttp_i32, "fisttpl (%%rdx)", store_integer(x, s, 32, true, true))
INSN(fisttp_i64, "fisttpll (%%rdx)", store_integer(x, s, 64, true, true))
INSN(fbstp, "fbstp (%%rdx)", store_decimal(x, s))
INSN(fbld, "fbld (%%rdx)", x87_load_decimal(x, s->memory))

INSN(fcom_f32, "fcoms (%%rdx)", x87_compare(x, memory_f32(s), false, 0))
INSN(fcomp_f64, "fcompl (%%rdx)", x87_compare(x, memory_f64(s), false, 1))
INSN(ficom_i16, "ficoms (%%rdx)", x87_compare(x, memory_i16(s), false, 0))
INSN(ficomp_i32, "ficompl (%%rdx)", x87_compare(x, memory_i32(s), false, 1))
INSN(fcom_st1, "fcom %%st(1)", x87_compare(x, x87_st_operand(x, 1), false, 0))
INSN(fcompp, "fcompp", x87_compare(x, x87_st_operand(x, 1), false, 2))
INSN(fucom_st1, "fucom %%st(1)", x87_compare(x, x87_st_operand(x, 1), true, 0))
INSN(fucomp_st3, "fucomp %%st(3)", x87_compare(x, x87_st_operand(x, 3), true, 1))
INSN(fucompp, "fucompp", x87_compare(x, x87_st_operand(x, 1), true, 2))
INSN(ftst, "ftst", x87_compare(x, x87_operand_integer(0), false, 0))
INSN(fxam, "fxam", x87_examine(x))
INSN(fcomi, "fcomi %%st(1), %%st", compare_flags(x, s, 1, false, false))
INSN(fcomip, "fcomip %%st(2), %%st", compare_flags(x, s, 2, false, true))
INSN(fucomi, "fucomi %%st(1), %%st", compare_flags(x, s, 1, true, false))
INSN(fucomip, "fucomip %%st(2), %%st", compare_flags(x, s, 2, true, true))

INSN(fxch, "fxch %%st(1)", x87_exchange(x, 1))
INSN(fcmovb, "fcmovb %%st(1), %%st", x87_move_if(x, 1, s->rflags & 1))
INSN(fcmovnu, "fcmovnu %%st(2), %%st", x87_move_if(x, 2, !(s->rflags & 4)))
INSN(ffree, "ffree %%st(3)", x87_free(x, 3))
INSN(fincstp, "fincstp", x87_step_top(x, 1))
INSN(fdecstp, "fdecstp", x87_step_top(x, -1))
INSN(fnclex, "fnclex", x87_clear_exceptions(x))
INSN(fninit, "fninit", x87_init(x))

INSN(f2xm1, "f2xm1", x87_f2xm1_st(x))
INSN(fsin, "fsin", x87_sine_cosine_st(x, X87_SIN))
INSN(fcos, "fcos", x87_sine_cosine_st(x, X87_COS))
INSN(fptan, "fptan", x87_tangent_st(x))
INSN(fsincos, "fsincos", x87_sincos_st(x))
INSN(fpatan, "fpatan", x87_function2_st(x, X87_PATAN))
INSN(fyl2x, "fyl2x", x87_function2_st(x, X87_YL2X))
INSN(fyl2xp1, "fyl2xp1", x87_function2_st(x, X87_YL2XP1))

/* What the operand bytes are. */
enum operand { NO_MEMORY, MEMORY_F32, MEMORY_F64, MEMORY_F80, MEMORY_INTEGER, MEMORY_DECIMAL };

struct op {
    const char *name;
    host_fn *host;
    our_fn *ours;
    enum operand memory;
};

#define OP(name, memory)                       \
    {                                          \
#name, host_##name, our_##name, memory \
    }
#define ARITHMETIC_OPS(name)                                                                  \
    OP(name##_f32, MEMORY_F32), OP(name##_f64, MEMORY_F64), OP(name##_i16, MEMORY_INTEGER),   \
        OP(name##_i32, MEMORY_INTEGER), OP(name##_st0, NO_MEMORY), OP(name##_st2, NO_MEMORY), \
        OP(name##_pop, NO_MEMORY)

static const struct op arithmetic_ops[] = {
    ARITHMETIC_OPS(fadd),  ARITHMETIC_OPS(fmul),   ARITHMETIC_OPS(fsub), ARITHMETIC_OPS(fsubr),
    ARITHMETIC_OPS(fdiv),  ARITHMETIC_OPS(fdivr),  OP(fsqrt, NO_MEMORY), OP(frndint, NO_MEMORY),
    OP(fscale, NO_MEMORY), OP(fxtract, NO_MEMORY), OP(fabs, NO_MEMORY),  OP(fchs, NO_MEMORY),
};
static const struct op remainder_ops[] = {OP(fprem, NO_MEMORY), OP(fprem1, NO_MEMORY)};
static const struct op load_ops[] = {
    OP(fld_f32, MEMORY_F32),      OP(fld_f64, MEMORY_F64),      OP(fld_f80, MEMORY_F80),
    OP(fld_st3, NO_MEMORY),       OP(fild_i16, MEMORY_INTEGER), OP(fild_i32, MEMORY_INTEGER),
    OP(fild_i64, MEMORY_INTEGER), OP(fld1, NO_MEMORY),          OP(fldl2t, NO_MEMORY),
    OP(fldl2e, NO_MEMORY),        OP(fldpi, NO_MEMORY),         OP(fldlg2, NO_MEMORY),
    OP(fldln2, NO_MEMORY),        OP(fldz, NO_MEMORY),          OP(fbld, MEMORY_DECIMAL),
};
static const struct op store_ops[] = {
    OP(fst_f32, NO_MEMORY),   OP(fstp_f32, NO_MEMORY),   OP(fst_f64, NO_MEMORY),    OP(fstp_f64, NO_MEMORY),
    OP(fstp_f80, NO_MEMORY),  OP(fst_st4, NO_MEMORY),    OP(fstp_st2, NO_MEMORY),   OP(fstp_st0, NO_MEMORY),
    OP(fist_i16, NO_MEMORY),  OP(fist_i32, NO_MEMORY),   OP(fistp_i16, NO_MEMORY),  OP(fistp_i32, NO_MEMORY),
    OP(fistp_i64, NO_MEMORY), OP(fisttp_i16, NO_MEMORY), OP(fisttp_i32, NO_MEMORY), OP(fisttp_i64, NO_MEMORY),
    OP(fbstp, NO_MEMORY),
};
static const struct op compare_ops[] = {
    OP(fcom_f32, MEMORY_F32),      OP(fcomp_f64, MEMORY_F64),
    OP(ficom_i16, MEMORY_INTEGER), OP(ficomp_i32, MEMORY_INTEGER),
    OP(fcom_st1, NO_MEMORY),       OP(fcompp, NO_MEMORY),
    OP(fucom_st1, NO_MEMORY),      OP(fucomp_st3, NO_MEMORY),
    OP(fucompp, NO_MEMORY),        OP(ftst, NO_MEMORY),
    OP(fxam, NO_MEMORY),           OP(fcomi, NO_MEMORY),
    OP(fcomip, NO_MEMORY),         OP(fucomi, NO_MEMORY),
    OP(fucomip, NO_MEMORY),
};
static const struct op move_ops[] = {
    OP(fxch, NO_MEMORY),    OP(fcmovb, NO_MEMORY),  OP(fcmovnu, NO_MEMORY), OP(ffree, NO_MEMORY),
    OP(fincstp, NO_MEMORY), OP(fdecstp, NO_MEMORY), OP(fnclex, NO_MEMORY),  OP(fninit, NO_MEMORY),
};
static const struct op transcendental_ops[] = {
    OP(f2xm1, NO_MEMORY),   OP(fsin, NO_MEMORY),   OP(fcos, NO_MEMORY),  OP(fptan, NO_MEMORY),
    OP(fsincos, NO_MEMORY), OP(fpatan, NO_MEMORY), OP(fyl2x, NO_MEMORY), OP(fyl2xp1, NO_MEMORY),
};

/* ---- operands ---- */

static const struct f80 special_f80[] = {
    {0, 0},
    {1, 0},
    {0x7fffffffffffffff, 0},
    {0x4000000000000000, 0},
    {0x8000000000000000, 0},
    {0xffffffffffffffff, 0},
    {0x8000000000000000, 1},
    {0x8000000000000001, 1},
    {0xffffffffffffffff, 1},
    {0x8000000000000000, 0x3fff},
    {0x8000000000000001, 0x3fff},
    {0xc000000000000000, 0x3fff},
    {0x8000000000000000, 0x4000},
    {0xa000000000000000, 0x4000},
    {0x8000000000000000, 0x3ffe},
    {0xffffffffffffffff, 0x3ffe},
    {0xfffe000000000000, 0x400d},
    {0x8000000000000000, 0x400e},
    {0xfffffffe00000000, 0x401d},
    {0x8000000000000000, 0x401e},
    {0xffffffffffffffff, 0x403d},
    {0xfffffffffffffffe, 0x403d},
    {0x8000000000000000, 0x403e},
    {0xde0b6b3a763fffff, 0x403a},
    {0xde0b6b3a76400000, 0x403a},
    {0xffffff0000000000, 0x407e},
    {0xffffff8000000000, 0x407e},
    {0xfffffffffffff800, 0x43fe},
    {0xfffffffffffffc00, 0x43fe},
    {0x8000000000000000, 0x3f81},
    {0xffffffffffffffff, 0x3f80},
    {0x8000000000000000, 0x3f6a},
    {0x8000000000000000, 0x3f69},
    {0x8000000000000000, 0x3c01},
    {0xffffffffffffffff, 0x3c00},
    {0x8000000000000000, 0x3bcd},
    {0xffffffffffffffff, 0x7ffe},
    {0x8000000000000000, 0x7ffe},
    {0x8000000000000000, 0x7fff},
    {0x8000000000000001, 0x7fff},
    {0xbfffffffffffffff, 0x7fff},
    {0xc000000000000000, 0x7fff},
    {0xc000000000000001, 0x7fff},
    {0xffffffffffffffff, 0x7fff},
    {0x0000000000000000, 0x7fff},
    {0x4000000000000000, 0x7fff},
    {0x7fffffffffffffff, 0x7fff},
    {0x0000000000000000, 0x3fff},
    {0x7fffffffffffffff, 0x3fff},
    {0x4000000000000000, 0x7ffe},
};

static struct f80 random_f80(struct rng *r, struct f80 other)
{
    struct f80 v = {rng_next(r) | BIT(63), (uint16_t)rng_next(r)};
    switch (rng_below(r, 8)) {
    case 0:
        v = special_f80[rng_below(r, sizeof special_f80 / sizeof *special_f80)];
        v.sign_exponent ^= (uint16_t)(rng_next(r) & 0x8000);
        return v;
    case 1:
    case 2:
        v.sign_exponent = (uint16_t)(other.sign_exponent + rng_below(r, 7) - 3);
        break;
    case 3:
        v.sign_exponent = (uint16_t)((v.sign_exponent & 0x8000) | (0x3fff + rng_below(r, 140) - 70));
        break;
    case 4:
        v.significand &= ~bits_mask((unsigned)rng_below(r, 63));
        v.sign_exponent = (uint16_t)((v.sign_exponent & 0x8000) | (0x3fff + rng_below(r, 70)));
        break;
    case 5:
        v.sign_exponent =
            (uint16_t)((v.sign_exponent & 0x8000) | (other.sign_exponent + rng_below(r, 80)) % 0x7fff);
        break;
    case 6: /* at either end of the range, subnormals included */
        v.sign_exponent = (uint16_t)((v.sign_exponent & 0x8000) |
                                     (rng_below(r, 2) ? rng_below(r, 70) : 0x7ffe - rng_below(r, 70)));
        if ((v.sign_exponent & 0x7fff) == 0) {
            v.significand >>= rng_below(r, 64);
        }
        break;
    default:
        break;
    }
    return v;
}

/* The f32 or f64 nearest in spirit: the top bits of an extended value, or random. */
static void random_memory(struct rng *r, enum operand kind, uint8_t *p)
{
    static const uint32_t edges_f32[] = {0,          1,          0x7fffff,   0x800000,
                                         0x3f800000, 0x7f7fffff, 0x7f800000, 0x7f800001,
                                         0x7fbfffff, 0x7fc00000, 0x7fffffff};
    static const uint64_t edges_f64[] = {0,
                                         1,
                                         0xfffffffffffff,
                                         0x10000000000000,
                                         0x3ff0000000000000,
                                         0x7fefffffffffffff,
                                         0x7ff0000000000000,
                                         0x7ff0000000000001,
                                         0x7ff7ffffffffffff,
                                         0x7ff8000000000000,
                                         0x7fffffffffffffff};
    uint64_t v = rng_next(r), w = rng_next(r);
    bool edge = rng_below(r, 3) == 0;
    store_le64(p, v);
    store_le64(p + 8, w);
    if (kind == MEMORY_F32 && edge) {
        store_le32(p, edges_f32[v % 11] | (uint32_t)(w & 0x80000000));
    } else if (kind == MEMORY_F64 && edge) {
        store_le64(p, edges_f64[v % 11] | (w & BIT(63)));
    } else if (kind == MEMORY_F80) {
        struct f80 x = random_f80(r, special_f80[9]);
        store_le64(p, x.significand);
        store_le16(p + 8, x.sign_exponent);
    } else if (kind == MEMORY_INTEGER && edge) {
        store_le64(p, (uint64_t)((int64_t)v >> rng_below(r, 64)));
    } else if (kind == MEMORY_DECIMAL) {
        for (unsigned i = 0; i < 9; i++) {
            p[i] = (uint8_t)(rng_below(r, 10) << 4 | rng_below(r, 10));
        }
    }
}

/* A legal image: no exception pending, random everything else. */
static void random_scene(struct rng *r, const struct op *op, struct scene *s)
{
    memset(s, 0, sizeof *s);
    uint16_t masks = rng_below(r, 3) == 0 ? (uint16_t)(rng_next(r) & 0x3f) : 0x3f;
    uint16_t fcw = (uint16_t)((rng_next(r) & 0x0f00) | masks | FCW_ONE);
    if (rng_below(r, 3) == 0) {
        fcw |= 0x300;
    }
    uint16_t fsw = (uint16_t)(rng_next(r) & (FSW_CC | FSW_TOP | FSW_SF | masks));
    store_le16(s->image, fcw);
    store_le16(s->image + 2, fsw);
    s->image[4] = (uint8_t)(rng_below(r, 4) == 0 ? rng_next(r) : rng_next(r) | rng_next(r) | rng_next(r));
    if (op->memory != NO_MEMORY && rng_below(r, 4) != 0) { /* mostly room to push, and ST(0) there */
        s->image[4] = (uint8_t)(1u << (fsw >> 11 & 7));
    }
    store_le32(s->image + 24, 0x1f80);
    struct f80 v = special_f80[9];
    for (unsigned i = 0; i < 8; i++) {
        v = random_f80(r, v);
        store_le64(s->image + 32 + (size_t)i * 16, v.significand);
        store_le16(s->image + 40 + (size_t)i * 16, v.sign_exponent);
    }
    random_memory(r, op->memory, s->memory);
    s->rflags = (rng_next(r) & 0x8d5) | 0x202;
}

static void state_from_image(struct x87_state *x, const uint8_t *image)
{
    memset(x, 0, sizeof *x);
    x->fcw = load_le16(image);
    x->fsw = load_le16(image + 2);
    x->in_use = image[4];
    for (unsigned i = 0; i < 8; i++) {
        unsigned n = (x87_top(x) + i) & 7;
        x->significand[n] = load_le64(image + 32 + (size_t)i * 16);
        x->sign_exponent[n] = load_le16(image + 40 + (size_t)i * 16);
    }
}

static void print_state(const char *who, const struct x87_state *x, const struct scene *s)
{
    print_error("%s fcw %04x fsw %04x in use %02x rflags %04x memory %04x%016llx\n", who, x->fcw, x->fsw,
                x->in_use, (unsigned)(s->rflags & 0x8d5), load_le16(s->memory + 8),
                (unsigned long long)load_le64(s->memory));
    for (unsigned i = 0; i < 8; i++) {
        struct f80 v = x87_st(x, i);
        print_error("  st%u %04x %016llx\n", i, v.sign_exponent, (unsigned long long)v.significand);
    }
}

static bool registers_equal(const struct x87_state *a, const struct x87_state *b)
{
    return memcmp(a->significand, b->significand, sizeof a->significand) == 0 &&
           memcmp(a->sign_exponent, b->sign_exponent, sizeof a->sign_exponent) == 0;
}

static void compare_case(const struct op *op, struct scene *s)
{
    struct scene before = *s, ours = *s;
    struct x87_state start, x, host;
    state_from_image(&start, s->image);
    x = start;
    op->ours(&x, &ours);
    op->host(s);
    state_from_image(&host, s->image);
    bool same = x.fcw == host.fcw && x.fsw == host.fsw && x.in_use == host.in_use &&
                ((ours.rflags ^ s->rflags) & 0x8d5) == 0 &&
                memcmp(ours.memory, s->memory, sizeof s->memory) == 0;
    if (!same || !registers_equal(&x, &host)) {
        print_state("before", &start, &before);
        print_state("ours", &x, &ours);
        print_state("host", &host, s);
        fail_msg("%s differs", op->name);
    }
}

static void compare_randomly(const struct op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct rng r;
        rng_init(&r, 3, i);
        for (unsigned n = 0; n < CASES; n++) {
            struct scene s;
            random_scene(&r, &ops[i], &s);
            compare_case(&ops[i], &s);
        }
    }
}

#define COMPARE_RANDOMLY(ops) compare_randomly(ops, sizeof ops / sizeof *ops)

static void x87_arithmetic_equals_the_host_bit_for_bit(void **state)
{
    (void)state;
    COMPARE_RANDOMLY(arithmetic_ops);
}

static void x87_remainders_equal_the_host_in_value_and_quotient_bits(void **state)
{
    (void)state;
    COMPARE_RANDOMLY(remainder_ops);
}

static void x87_loads_and_constants_equal_the_host(void **state)
{
    (void)state;
    COMPARE_RANDOMLY(load_ops);
}

static void x87_stores_equal_the_host_in_memory_and_flags(void **state)
{
    (void)state;
    COMPARE_RANDOMLY(store_ops);
}

static void x87_comparisons_equal_the_host(void **state)
{
    (void)state;
    COMPARE_RANDOMLY(compare_ops);
}

static void x87_moves_and_stack_control_equal_the_host(void **state)
{
    (void)state;
    COMPARE_RANDOMLY(move_ops);
}

/* ---- transcendental functions ---- */

static bool is_plain(struct f80 v)
{
    unsigned exponent = v.sign_exponent & 0x7fffu;
    return exponent != 0 && exponent != 0x7fff && v.significand >> 63;
}

/* Equal, or both ordinary numbers within units in the last place of each other (also across a power of two).
 */
static bool close_values(struct f80 a, struct f80 b, uint64_t units)
{
    uint64_t d = a.significand - b.significand;
    if (a.sign_exponent == b.sign_exponent) {
        return d == 0 || (is_plain(a) && (d <= units || -d <= units));
    }
    return is_plain(a) && is_plain(b) && ((a.sign_exponent ^ b.sign_exponent) & 0x8000) == 0 &&
           (a.significand < BIT(63) + units || b.significand < BIT(63) + units) &&
           (a.significand > -units || b.significand > -units);
}

/* Values to the bound, everything else exactly but for C1 and PE, which follow the last bit. */
static void compare_closely(const struct op *op, struct scene *s)
{
    struct scene before = *s, ours = *s;
    struct x87_state start, x, host;
    state_from_image(&start, s->image);
    x = start;
    op->ours(&x, &ours);
    op->host(s);
    state_from_image(&host, s->image);
    bool same = ((x.fsw ^ host.fsw) & (0xffff & ~(FSW_C1 | FP_PE))) == 0 && x.in_use == host.in_use;
    for (unsigned i = 0; i < 8; i++) {
        same = same && close_values(x87_st(&x, i), x87_st(&host, i), 2);
    }
    if (!same) {
        print_state("before", &start, &before);
        print_state("ours", &x, &ours);
        print_state("host", &host, s);
        fail_msg("%s differs", op->name);
    }
}

/* Two operands where every implementation must be accurate: 2^-16 <= |x| < 3/4 (FYL2XP1: below 1/4), any y.
 */
static void ordinary_scene(struct rng *r, const struct op *op, struct scene *s)
{
    bool small = strcmp(op->name, "fyl2xp1") == 0, positive = strcmp(op->name, "fyl2x") == 0;
    memset(s, 0, sizeof *s);
    store_le16(s->image, (uint16_t)(FCW_INIT | (rng_next(r) & FCW_RC)));
    store_le16(s->image + 2, 0x1000); /* TOP = 2 */
    s->image[4] = 0x0c;
    store_le32(s->image + 24, 0x1f80);
    uint64_t bits = rng_next(r) | BIT(63);
    unsigned exponent = 0x3ffd - (unsigned)rng_below(r, 16) - (small ? 1 : 0);
    store_le64(s->image + 32, bits);
    store_le16(s->image + 40, (uint16_t)(exponent | (positive ? 0 : rng_next(r) & 0x8000)));
    store_le64(s->image + 48, rng_next(r) | BIT(63));
    store_le16(s->image + 56, (uint16_t)((0x3fff - 30 + rng_below(r, 60)) | (rng_next(r) & 0x8000)));
}

static void transcendental_functions_are_within_two_units_of_the_host(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof transcendental_ops / sizeof *transcendental_ops; i++) {
        struct rng r;
        rng_init(&r, 4, i);
        for (unsigned n = 0; n < CASES / 4; n++) {
            struct scene s;
            ordinary_scene(&r, &transcendental_ops[i], &s);
            compare_closely(&transcendental_ops[i], &s);
        }
    }
}

/* Zeros, infinities, NaNs, unsupported values, empty registers: no approximation is involved. */
static void transcendental_functions_treat_special_values_like_the_host(void **state)
{
    (void)state;
    static const struct f80 values[] = {
        {0, 0},
        {0, 0x8000},
        {0x8000000000000000, 0x7fff},
        {0x8000000000000000, 0xffff},
        {0x8000000000000001, 0x7fff},
        {0xc000000000000000, 0x7fff},
        {0xffffffffffffffff, 0xffff},
        {0x4000000000000000, 0x7fff},
        {0x8000000000000000, 0x3fff},
        {0x8000000000000000, 0xbfff},
        {0x8000000000000000, 0x403e},
        {0x4000000000000000, 0},
        {0x8000000000000000, 0x7ffe},
    };
    size_t count = sizeof values / sizeof *values;
    for (size_t i = 0; i < sizeof transcendental_ops / sizeof *transcendental_ops; i++) {
        const struct op *op = &transcendental_ops[i];
        for (size_t n = 0; n < count * count * 6; n++) {
            static const uint8_t in_use[6] = {0x0c, 0x0c, 0x00, 0x04, 0x08, 0xff};
            struct scene s = {.rflags = 0x202};
            struct f80 a = values[n / 6 / count], b = values[n / 6 % count];
            bool outside =
                (i == 0 || i == 7) && is_plain(a) && (a.sign_exponent & 0x7fff) >= 0x3fff; /* undefined */
            if (outside) {
                continue;
            }
            store_le16(s.image, n % 6 == 1 ? 0x360 : 0x37f);
            store_le16(s.image + 2, 0x1000);
            s.image[4] = in_use[n % 6];
            store_le32(s.image + 24, 0x1f80);
            store_le64(s.image + 32, a.significand);
            store_le16(s.image + 40, a.sign_exponent);
            store_le64(s.image + 48, b.significand);
            store_le16(s.image + 56, b.sign_exponent);
            compare_closely(op, &s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x87_arithmetic_equals_the_host_bit_for_bit),
        cmocka_unit_test(x87_remainders_equal_the_host_in_value_and_quotient_bits),
        cmocka_unit_test(x87_loads_and_constants_equal_the_host),
        cmocka_unit_test(x87_stores_equal_the_host_in_memory_and_flags),
        cmocka_unit_test(x87_comparisons_equal_the_host),
        cmocka_unit_test(x87_moves_and_stack_control_equal_the_host),
        cmocka_unit_test(transcendental_functions_are_within_two_units_of_the_host),
        cmocka_unit_test(transcendental_functions_treat_special_values_like_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
