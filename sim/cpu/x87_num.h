#ifndef ORRERY_CPU_X87_NUM_H
#define ORRERY_CPU_X87_NUM_H

/*
 * Extended-precision values and what an x87 computation gives, before the register stack comes into it.
 * Everything here is a pure function of its arguments.
 */

#include "cpu/fp_core.h"

/* A value as it lies in a register or in ten bytes of memory. */
struct f80 {
    uint64_t significand;
    uint16_t sign_exponent;
};

#define F80_BIAS        16383
#define F80_WRAP        24576 /* exponent adjustment of unmasked overflow and underflow */
#define F80_DEFAULT_NAN ((struct f80){UINT64_C(0xc000000000000000), 0xffff})

/* How to compute: from the control word. masks is in the order of fp.h, set = masked. */
struct x87_env {
    uint8_t rounding;  /* enum fp_rounding */
    uint8_t precision; /* bits: 24, 53 or 64 */
    uint8_t masks;
};

/* A source operand, unpacked. unsupported: unnormals, pseudo-infinities and pseudo-NaNs. */
struct x87_operand {
    bool empty, unsupported;
    struct fp_num n;
};

/* What a computation gives. blocked: an exception found before it is unmasked, so there is no result. */
struct x87_outcome {
    struct f80 value;
    uint8_t raised; /* FP_xx */
    bool up;        /* C1: the magnitude was rounded up */
    bool blocked;
};

struct x87_operand f80_operand(struct f80 v);
struct x87_operand x87_operand_f32(uint32_t v);
struct x87_operand x87_operand_f64(uint64_t v);
struct x87_operand x87_operand_integer(int64_t v);
struct f80 f80_pack(const struct fp_rounded *r);
/* The NaN n made quiet. */
struct f80 f80_quiet(const struct fp_num *n);

static inline struct f80 f80_infinity(bool sign)
{
    return (struct f80){UINT64_C(1) << 63, (uint16_t)(sign ? 0xffff : 0x7fff)};
}

static inline struct f80 f80_zero(bool sign)
{
    return (struct f80){0, (uint16_t)(sign ? 0x8000 : 0)};
}

/* An outcome that raises nothing. */
static inline struct x87_outcome x87_exact(struct f80 v)
{
    return (struct x87_outcome){.value = v};
}

/* IE; the default NaN when it is masked. */
struct x87_outcome x87_invalid(const struct x87_env *env);
/* When a (and b, or NULL) holds an unsupported value or a NaN: true, and *out by the x87 rules (the larger
 * significand, a QNaN before an SNaN, the positive one when equal). */
bool x87_nan_outcome(const struct x87_env *env, const struct x87_operand *a, const struct x87_operand *b,
                     struct x87_outcome *out);
/* DE when a or b (or NULL) is a denormal; true when that blocks. */
bool x87_denormal(const struct x87_env *env, const struct x87_operand *a, const struct x87_operand *b,
                  struct x87_outcome *out);
/* Adds the rounded w to *out, with OE, UE, PE and their unmasked responses. */
void x87_deliver(const struct x87_env *env, const struct fp_wide *w, int precision, struct x87_outcome *out);

enum x87_op { X87_ADD, X87_MUL, X87_SUB, X87_SUBR, X87_DIV, X87_DIVR };

struct x87_outcome x87_binary(const struct x87_env *env, enum x87_op op, struct x87_operand a,
                              struct x87_operand b);
struct x87_outcome x87_square_root(const struct x87_env *env, struct x87_operand a);
struct x87_outcome x87_round_integral(const struct x87_env *env, struct x87_operand a, struct f80 original);
struct x87_outcome x87_scale(const struct x87_env *env, struct x87_operand a, struct x87_operand b);

#define X87_NO_QUOTIENT 8u

/* FPREM (nearest false) and FPREM1. *quotient: its low three bits, X87_NO_QUOTIENT when the operands are
 * invalid or NaNs; *partial: the reduction is incomplete. */
struct x87_outcome x87_remainder(const struct x87_env *env, struct x87_operand a, struct x87_operand b,
                                 bool nearest, unsigned *quotient, bool *partial);

/* FXTRACT: the significand is the outcome, the exponent comes in *exponent. */
struct x87_outcome x87_extract(const struct x87_env *env, struct x87_operand a, struct f80 *exponent);

/* Conversions to the formats of memory. integer: width 16, 32 or 64; two's complement, zero-extended. */
struct x87_stored {
    uint64_t bits;
    uint8_t raised;
    bool up;
    bool blocked; /* no store, no pop */
};

struct x87_stored x87_to_f32(const struct x87_env *env, struct x87_operand a);
struct x87_stored x87_to_f64(const struct x87_env *env, struct x87_operand a);
struct x87_stored x87_to_integer(const struct x87_env *env, struct x87_operand a, unsigned width,
                                 bool truncate);
/* FBSTP: bits is the magnitude (at most 18 digits); indefinite when IE is raised. */
struct x87_stored x87_to_decimal(const struct x87_env *env, struct x87_operand a);

/* Transcendental functions. out_of_range (C2) is for an argument of magnitude 2^63 or more. */
enum x87_function { X87_F2XM1, X87_SIN, X87_COS, X87_TAN };
enum x87_function2 { X87_YL2X, X87_YL2XP1, X87_PATAN };

struct x87_outcome x87_function(const struct x87_env *env, enum x87_function f, struct x87_operand a,
                                bool *out_of_range);
/* x is ST(0), y is ST(1). */
struct x87_outcome x87_function2(const struct x87_env *env, enum x87_function2 f, struct x87_operand x,
                                 struct x87_operand y);

#endif
