#ifndef ORRERY_CPU_FP_H
#define ORRERY_CPU_FP_H

/*
 * IEEE 754 binary32 and binary64 arithmetic as SSE defines it, on bit patterns. Pure functions of their
 * arguments: the result depends on no host floating-point state, compiler or CPU.
 *
 * Use, for one instruction of any number of elements:
 *
 *     struct fp_env e = fp_env_from_mxcsr(cpu->mxcsr);
 *     r[i] = fp_f32_add(&e, a[i], b[i]);                  (each element, into a temporary)
 *     if (fp_env_finish(&e, &cpu->mxcsr)) raise #XM (or #UD when CR4.OSXMMEXCPT=0), write no destination
 *     else write r to the destination
 *
 * In each two-operand function a is the first source (the destination of the two-operand form), b the second.
 * Source: AMD64 APM volume 1, "SSE Floating-Point Exceptions"; Intel SDM volume 1, "Handling SIMD
 * Floating-Point Exceptions" and "Operating on SNaNs and QNaNs".
 */

#include <stdbool.h>
#include <stdint.h>

/* Rounding, in the encoding of MXCSR.RC, of FCW.RC and of the immediate of ROUNDxx. */
enum fp_rounding { FP_RNE = 0, FP_RDN = 1, FP_RUP = 2, FP_RTZ = 3 };

/* Exception flags, in the bit order of MXCSR and of FSW; masks use the same order. */
#define FP_IE  0x01u
#define FP_DE  0x02u
#define FP_ZE  0x04u
#define FP_OE  0x08u
#define FP_UE  0x10u
#define FP_PE  0x20u
#define FP_ALL 0x3fu

/* Fields of MXCSR. A write that sets a bit outside MXCSR_WRITABLE is #GP(0). */
#define MXCSR_DAZ      0x0040u
#define MXCSR_MASKS    0x1f80u
#define MXCSR_RC       0x6000u
#define MXCSR_FTZ      0x8000u
#define MXCSR_WRITABLE 0xffffu
#define MXCSR_RESET    0x1f80u

#define FP_F32_DEFAULT_NAN UINT32_C(0xffc00000)
#define FP_F64_DEFAULT_NAN UINT64_C(0xfff8000000000000)

/* What an operation runs under, and the exceptions that it adds to raised. */
struct fp_env {
    uint8_t rounding; /* enum fp_rounding */
    uint8_t daz;      /* 1: denormal operands are zeros of their sign */
    uint8_t ftz;      /* 1: tiny results become zeros of their sign, when underflow is masked */
    uint8_t masks;    /* FP_xx set: that exception is masked */
    uint8_t sticky;   /* flags already set before the instruction, or by an earlier stage of it */
    uint8_t raised;   /* flags that the elements computed so far raise */
};

/* The environment that MXCSR describes, nothing raised. */
static inline struct fp_env fp_env_from_mxcsr(uint32_t mxcsr)
{
    return (struct fp_env){
        .rounding = (uint8_t)((mxcsr & MXCSR_RC) >> 13),
        .daz = (mxcsr & MXCSR_DAZ) != 0,
        .ftz = (mxcsr & MXCSR_FTZ) != 0,
        .masks = (uint8_t)((mxcsr & MXCSR_MASKS) >> 7),
        .sticky = (uint8_t)(mxcsr & FP_ALL),
        .raised = 0,
    };
}

/* Ends an instruction: sets the flags in *mxcsr. True when an unmasked exception is raised: the caller
 * delivers #XM and leaves the destination unchanged. When an exception found before the computation (IE, DE,
 * ZE) is unmasked, those found after it (OE, UE, PE) are not reported. */
bool fp_env_finish(const struct fp_env *e, uint32_t *mxcsr);

uint32_t fp_f32_add(struct fp_env *e, uint32_t a, uint32_t b);
uint32_t fp_f32_sub(struct fp_env *e, uint32_t a, uint32_t b);
uint32_t fp_f32_mul(struct fp_env *e, uint32_t a, uint32_t b);
uint32_t fp_f32_div(struct fp_env *e, uint32_t a, uint32_t b);
uint32_t fp_f32_sqrt(struct fp_env *e, uint32_t a);
uint64_t fp_f64_add(struct fp_env *e, uint64_t a, uint64_t b);
uint64_t fp_f64_sub(struct fp_env *e, uint64_t a, uint64_t b);
uint64_t fp_f64_mul(struct fp_env *e, uint64_t a, uint64_t b);
uint64_t fp_f64_div(struct fp_env *e, uint64_t a, uint64_t b);
uint64_t fp_f64_sqrt(struct fp_env *e, uint64_t a);

/* MINxx, MAXxx: b when both are zeros or either is a NaN (any NaN raises IE). */
uint32_t fp_f32_min(struct fp_env *e, uint32_t a, uint32_t b);
uint32_t fp_f32_max(struct fp_env *e, uint32_t a, uint32_t b);
uint64_t fp_f64_min(struct fp_env *e, uint64_t a, uint64_t b);
uint64_t fp_f64_max(struct fp_env *e, uint64_t a, uint64_t b);

/* CMPxx: whether predicate (imm8[2:0]: EQ LT LE UNORD NEQ NLT NLE ORD) holds; the caller widens it to a mask
 * of ones. LT, LE, NLT and NLE raise IE on any NaN, the others on an SNaN. */
bool fp_f32_cmp(struct fp_env *e, uint32_t a, uint32_t b, unsigned predicate);
bool fp_f64_cmp(struct fp_env *e, uint64_t a, uint64_t b, unsigned predicate);

/* The value is ZF, PF and CF as COMISx leaves them at their places in RFLAGS (OF, AF and SF are cleared). */
enum fp_order { FP_GREATER = 0x00, FP_LESS = 0x01, FP_EQUAL = 0x40, FP_UNORDERED = 0x45 };

/* COMISx (signalling: IE on any NaN) and UCOMISx (IE on an SNaN). When fp_env_finish reports an unmasked
 * exception RFLAGS stays unchanged. */
enum fp_order fp_f32_compare(struct fp_env *e, uint32_t a, uint32_t b, bool signalling);
enum fp_order fp_f64_compare(struct fp_env *e, uint64_t a, uint64_t b, bool signalling);

/* To integers, in two's complement: CVTx2SI, CVTPx2DQ under the environment's rounding, CVTTx with truncate.
 * A NaN and a value out of range give the integer indefinite (only the sign bit set) and IE. */
uint32_t fp_f32_to_i32(struct fp_env *e, uint32_t a, bool truncate);
uint64_t fp_f32_to_i64(struct fp_env *e, uint32_t a, bool truncate);
uint32_t fp_f64_to_i32(struct fp_env *e, uint64_t a, bool truncate);
uint64_t fp_f64_to_i64(struct fp_env *e, uint64_t a, bool truncate);

/* From two's-complement integers. */
uint32_t fp_i32_to_f32(struct fp_env *e, uint32_t a);
uint32_t fp_i64_to_f32(struct fp_env *e, uint64_t a);
uint64_t fp_i32_to_f64(struct fp_env *e, uint32_t a);
uint64_t fp_i64_to_f64(struct fp_env *e, uint64_t a);

uint64_t fp_f32_to_f64(struct fp_env *e, uint32_t a);
uint32_t fp_f64_to_f32(struct fp_env *e, uint64_t a);

/* ROUNDxx. imm8[1:0] rounding, imm8[2] use the environment's instead, imm8[3] suppress PE. */
uint32_t fp_f32_round(struct fp_env *e, uint32_t a, unsigned imm8);
uint64_t fp_f64_round(struct fp_env *e, uint64_t a, unsigned imm8);

/* RCPxx, RSQRTxx: our own definition. The result is the exact value rounded to 12 fraction bits (to nearest,
 * ties to even); relative error at most 2^-13, inside the architectural 1.5*2^-12. Denormal operands count
 * as zeros, tiny results become zeros; raises nothing. */
uint32_t fp_f32_rcp(uint32_t a);
uint32_t fp_f32_rsqrt(uint32_t a);

/* The sum of a dot product, before the broadcast: product i is taken when bit i of select (imm8[7:4], or
 * imm8[5:4] for two elements) is set, else it is +0. DPPS adds (0+1)+(2+3). When a stage raises an unmasked
 * exception the later ones are not run. */
uint32_t fp_f32_dot4(struct fp_env *e, const uint32_t a[4], const uint32_t b[4], unsigned select);
uint64_t fp_f64_dot2(struct fp_env *e, const uint64_t a[2], const uint64_t b[2], unsigned select);

#endif
