/*
 * The SSE float operations against the host CPU: same operand bits and MXCSR, same result bits, same MXCSR
 * after, trapping or not. The host is an x86-64, which is the best oracle there is.
 */

#define _GNU_SOURCE /* the register file in a signal's context */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ucontext.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/rng.h"
#include "cpu/fp.h"
#include "host_vendor.h"

#define CASES 40000

/* What the host did: result bits, MXCSR, and whether it raised #XM (the result then means nothing). */
struct outcome {
    uint64_t result;
    uint32_t mxcsr;
    bool trapped;
};

static volatile sig_atomic_t trap_seen;
static volatile uint32_t trap_mxcsr;

/* Notes MXCSR at the trap and masks everything, so that the instruction completes when restarted. */
static void on_sigfpe(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    struct _libc_fpstate *state = ((ucontext_t *)context)->uc_mcontext.fpregs;
    trap_seen = 1;
    trap_mxcsr = state->mxcsr;
    state->mxcsr |= MXCSR_MASKS;
}

/* Inside each test, because the framework sets its own handler before one. */
static void install_handler(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO};
    action.sa_sigaction = on_sigfpe;
    assert_int_equal(sigaction(SIGFPE, &action, NULL), 0);
}

static struct outcome outcome_of(uint64_t result, uint32_t after)
{
    struct outcome o = {result, trap_seen ? trap_mxcsr : after, trap_seen != 0};
    return o;
}

/* Host functions: operands and result travel through integer registers, MXCSR is in force for one
 * instruction. */
typedef struct outcome host_fn(uint64_t a, uint64_t b, uint32_t mxcsr);

#define HOST_X(name, text)                                                                                  \
    static struct outcome host_##name(uint64_t a, uint64_t b, uint32_t mxcsr)                               \
    {                                                                                                       \
        uint64_t r;                                                                                         \
        uint32_t usual = MXCSR_RESET, after;                                                                \
        trap_seen = 0;                                                                                      \
        __asm__ volatile("movq %2, %%xmm0; movq %3, %%xmm1; ldmxcsr %4; " text "; stmxcsr %1; ldmxcsr %5; " \
                         "movq %%xmm0, %0"                                                                  \
                         : "=&r"(r), "=m"(after)                                                            \
                         : "r"(a), "r"(b), "m"(mxcsr), "m"(usual)                                           \
                         : "xmm0", "xmm1", "memory");                                                       \
        return outcome_of(r, after);                                                                        \
    }
/* The same with the first operand and the result in RAX. */
#define HOST_R(name, text)                                                                                   \
    static struct outcome host_##name(uint64_t a, uint64_t b, uint32_t mxcsr)                                \
    {                                                                                                        \
        uint64_t r = a;                                                                                      \
        uint32_t usual = MXCSR_RESET, after;                                                                 \
        (void)b;                                                                                             \
        trap_seen = 0;                                                                                       \
        __asm__ volatile("movq %%rax, %%xmm0; movq %2, %%xmm1; ldmxcsr %3; " text "; stmxcsr %1; ldmxcsr %4" \
                         : "+a"(r), "=m"(after)                                                              \
                         : "r"(b), "m"(mxcsr), "m"(usual)                                                    \
                         : "xmm0", "xmm1", "memory", "cc");                                                  \
        return outcome_of(r, after);                                                                         \
    }
/* The result is what RFLAGS holds; the red zone is stepped over. */
#define HOST_C(name, text)                                                                         \
    HOST_R(name, "leaq -128(%%rsp), %%rsp; " text "; pushfq; popq %%rax; leaq 128(%%rsp), %%rsp; " \
                 "andl $0x8d5, %%eax")

HOST_X(addss, "addss %%xmm1, %%xmm0")
HOST_X(subss, "subss %%xmm1, %%xmm0")
HOST_X(mulss, "mulss %%xmm1, %%xmm0")
HOST_X(divss, "divss %%xmm1, %%xmm0")
HOST_X(sqrtss, "sqrtss %%xmm0, %%xmm0")
HOST_X(minss, "minss %%xmm1, %%xmm0")
HOST_X(maxss, "maxss %%xmm1, %%xmm0")
HOST_X(addsd, "addsd %%xmm1, %%xmm0")
HOST_X(subsd, "subsd %%xmm1, %%xmm0")
HOST_X(mulsd, "mulsd %%xmm1, %%xmm0")
HOST_X(divsd, "divsd %%xmm1, %%xmm0")
HOST_X(sqrtsd, "sqrtsd %%xmm0, %%xmm0")
HOST_X(minsd, "minsd %%xmm1, %%xmm0")
HOST_X(maxsd, "maxsd %%xmm1, %%xmm0")
HOST_X(cvtss2sd, "cvtss2sd %%xmm0, %%xmm0")
HOST_X(cvtsd2ss, "cvtsd2ss %%xmm0, %%xmm0")
HOST_R(cvtss2si, "cvtss2si %%xmm0, %%eax")
HOST_R(cvtss2siq, "cvtss2si %%xmm0, %%rax")
HOST_R(cvttss2si, "cvttss2si %%xmm0, %%eax")
HOST_R(cvttss2siq, "cvttss2si %%xmm0, %%rax")
HOST_R(cvtsd2si, "cvtsd2si %%xmm0, %%eax")
HOST_R(cvtsd2siq, "cvtsd2si %%xmm0, %%rax")
HOST_R(cvttsd2si, "cvttsd2si %%xmm0, %%eax")
HOST_R(cvttsd2siq, "cvttsd2si %%xmm0, %%rax")
HOST_R(cvtsi2ss, "cvtsi2ssl %%eax, %%xmm0; movd %%xmm0, %%eax")
HOST_R(cvtsi2ssq, "cvtsi2ssq %%rax, %%xmm0; movd %%xmm0, %%eax")
HOST_R(cvtsi2sd, "cvtsi2sdl %%eax, %%xmm0; movq %%xmm0, %%rax")
HOST_R(cvtsi2sdq, "cvtsi2sdq %%rax, %%xmm0; movq %%xmm0, %%rax")
HOST_C(comiss, "comiss %%xmm1, %%xmm0")
HOST_C(ucomiss, "ucomiss %%xmm1, %%xmm0")
HOST_C(comisd, "comisd %%xmm1, %%xmm0")
HOST_C(ucomisd, "ucomisd %%xmm1, %%xmm0")

#define HOST_CMP(n)                                   \
    HOST_X(cmpss##n, "cmpss $" #n ", %%xmm1, %%xmm0") \
    HOST_X(cmpsd##n, "cmpsd $" #n ", %%xmm1, %%xmm0")
HOST_CMP(0)
HOST_CMP(1)
HOST_CMP(2)
HOST_CMP(3)
HOST_CMP(4)
HOST_CMP(5)
HOST_CMP(6)
HOST_CMP(7)

#define HOST_ROUND(n)                                     \
    HOST_X(roundss##n, "roundss $" #n ", %%xmm0, %%xmm0") \
    HOST_X(roundsd##n, "roundsd $" #n ", %%xmm0, %%xmm0")
HOST_ROUND(0)
HOST_ROUND(1)
HOST_ROUND(2)
HOST_ROUND(3)
HOST_ROUND(4)
HOST_ROUND(8)
HOST_ROUND(11)
HOST_ROUND(12)

/* Ours, in the same shape. */
typedef uint64_t our_fn(struct fp_env *e, uint64_t a, uint64_t b);

#define OURS(name, expression)                                           \
    static uint64_t our_##name(struct fp_env *e, uint64_t a, uint64_t b) \
    {                                                                    \
        (void)b;                                                         \
        return (expression);                                             \
    }
#define A32 ((uint32_t)a)
#define B32 ((uint32_t)b)
OURS(addss, fp_f32_add(e, A32, B32))
OURS(subss, fp_f32_sub(e, A32, B32))
OURS(mulss, fp_f32_mul(e, A32, B32))
OURS(divss, fp_f32_div(e, A32, B32))
OURS(sqrtss, fp_f32_sqrt(e, A32))
OURS(minss, fp_f32_min(e, A32, B32))
OURS(maxss, fp_f32_max(e, A32, B32))
OURS(addsd, fp_f64_add(e, a, b))
OURS(subsd, fp_f64_sub(e, a, b))
OURS(mulsd, fp_f64_mul(e, a, b))
OURS(divsd, fp_f64_div(e, a, b))
OURS(sqrtsd, fp_f64_sqrt(e, a))
OURS(minsd, fp_f64_min(e, a, b))
OURS(maxsd, fp_f64_max(e, a, b))
OURS(cvtss2sd, fp_f32_to_f64(e, A32))
OURS(cvtsd2ss, fp_f64_to_f32(e, a))
OURS(cvtss2si, fp_f32_to_i32(e, A32, false))
OURS(cvtss2siq, fp_f32_to_i64(e, A32, false))
OURS(cvttss2si, fp_f32_to_i32(e, A32, true))
OURS(cvttss2siq, fp_f32_to_i64(e, A32, true))
OURS(cvtsd2si, fp_f64_to_i32(e, a, false))
OURS(cvtsd2siq, fp_f64_to_i64(e, a, false))
OURS(cvttsd2si, fp_f64_to_i32(e, a, true))
OURS(cvttsd2siq, fp_f64_to_i64(e, a, true))
OURS(cvtsi2ss, fp_i32_to_f32(e, A32))
OURS(cvtsi2ssq, fp_i64_to_f32(e, a))
OURS(cvtsi2sd, fp_i32_to_f64(e, A32))
OURS(cvtsi2sdq, fp_i64_to_f64(e, a))
OURS(comiss, fp_f32_compare(e, A32, B32, true))
OURS(ucomiss, fp_f32_compare(e, A32, B32, false))
OURS(comisd, fp_f64_compare(e, a, b, true))
OURS(ucomisd, fp_f64_compare(e, a, b, false))
#define OUR_CMP(n)                                              \
    OURS(cmpss##n, fp_f32_cmp(e, A32, B32, n) ? UINT32_MAX : 0) \
    OURS(cmpsd##n, fp_f64_cmp(e, a, b, n) ? UINT64_MAX : 0)
OUR_CMP(0)
OUR_CMP(1)
OUR_CMP(2)
OUR_CMP(3)
OUR_CMP(4)
OUR_CMP(5)
OUR_CMP(6)
OUR_CMP(7)
#define OUR_ROUND(n)                          \
    OURS(roundss##n, fp_f32_round(e, A32, n)) \
    OURS(roundsd##n, fp_f64_round(e, a, n))
OUR_ROUND(0)
OUR_ROUND(1)
OUR_ROUND(2)
OUR_ROUND(3)
OUR_ROUND(4)
OUR_ROUND(8)
OUR_ROUND(11)
OUR_ROUND(12)

/* How operands are made, and how many bits of the result count. */
enum shape { F32, F64, INTEGER };

struct op {
    const char *name;
    host_fn *host;
    our_fn *ours;
    enum shape operands;
    unsigned result_bits;
};

#define OP(name, shape, bits)                       \
    {                                               \
#name, host_##name, our_##name, shape, bits \
    }
#define PAIR(ss, sd) OP(ss, F32, 32), OP(sd, F64, 64)

static const struct op arithmetic_ops[] = {
    PAIR(addss, addsd),   PAIR(subss, subsd), PAIR(mulss, mulsd), PAIR(divss, divsd),
    PAIR(sqrtss, sqrtsd), PAIR(minss, minsd), PAIR(maxss, maxsd),
};
static const struct op conversion_ops[] = {
    OP(cvtss2sd, F32, 64),     OP(cvtsd2ss, F64, 32),      OP(cvtss2si, F32, 32),
    OP(cvtss2siq, F32, 64),    OP(cvttss2si, F32, 32),     OP(cvttss2siq, F32, 64),
    OP(cvtsd2si, F64, 32),     OP(cvtsd2siq, F64, 64),     OP(cvttsd2si, F64, 32),
    OP(cvttsd2siq, F64, 64),   OP(cvtsi2ss, INTEGER, 32),  OP(cvtsi2ssq, INTEGER, 32),
    OP(cvtsi2sd, INTEGER, 64), OP(cvtsi2sdq, INTEGER, 64),
};
static const struct op compare_ops[] = {
    OP(comiss, F32, 64),  OP(ucomiss, F32, 64), OP(comisd, F64, 64),  OP(ucomisd, F64, 64),
    PAIR(cmpss0, cmpsd0), PAIR(cmpss1, cmpsd1), PAIR(cmpss2, cmpsd2), PAIR(cmpss3, cmpsd3),
    PAIR(cmpss4, cmpsd4), PAIR(cmpss5, cmpsd5), PAIR(cmpss6, cmpsd6), PAIR(cmpss7, cmpsd7),
};
static const struct op round_ops[] = {
    PAIR(roundss0, roundsd0),   PAIR(roundss1, roundsd1),   PAIR(roundss2, roundsd2),
    PAIR(roundss3, roundsd3),   PAIR(roundss4, roundsd4),   PAIR(roundss8, roundsd8),
    PAIR(roundss11, roundsd11), PAIR(roundss12, roundsd12),
};

static const uint32_t special_f32[] = {
    0x00000000, 0x00000001, 0x00000002, 0x00400000, 0x007fffff, 0x00800000, 0x00800001, 0x00ffffff,
    0x01000000, 0x33800000, 0x3effffff, 0x3f000000, 0x3f7fffff, 0x3f800000, 0x3f800001, 0x3fc00000,
    0x40000000, 0x40200000, 0x4affffff, 0x4b000000, 0x4b7fffff, 0x4effffff, 0x4f000000, 0x4f800000,
    0x5effffff, 0x5f000000, 0x7effffff, 0x7f000000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fa00000,
    0x7fbfffff, 0x7fc00000, 0x7fc00001, 0x7fffffff,
};
static const uint64_t special_f64[] = {
    0x0000000000000000, 0x0000000000000001, 0x0008000000000000, 0x000fffffffffffff, 0x0010000000000000,
    0x0010000000000001, 0x001fffffffffffff, 0x36a0000000000000, 0x380fffffffffffff, 0x3810000000000000,
    0x380fffffe0000000, 0x380fffffefffffff, 0x380ffffff0000000, 0x3690000000000000, 0x3690000000000001,
    0x3fdfffffffffffff, 0x3fe0000000000000, 0x3ff0000000000000, 0x3ff0000000000001, 0x3ff8000000000000,
    0x4004000000000000, 0x41dfffffffc00000, 0x41dfffffffe00000, 0x41e0000000000000, 0x41e0000000100000,
    0x41e0000000200000, 0x432fffffffffffff, 0x4330000000000000, 0x43dfffffffffffff, 0x43e0000000000000,
    0x43e0000000000001, 0x47efffffe0000000, 0x47efffffefffffff, 0x47effffff0000000, 0x7fe0000000000000,
    0x7fefffffffffffff, 0x7ff0000000000000, 0x7ff0000000000001, 0x7ff4000000000000, 0x7ff8000000000000,
    0x7ff8000000000001, 0x7fffffffffffffff,
};
static const uint64_t special_integer[] = {
    0,
    1,
    0x7fffff,
    0xffffff,
    0x1000001,
    0x1000003,
    0x7fffffff,
    0x80000000,
    0xffffffff,
    0x1fffffffffffff,
    0x20000000000001,
    0x20000000000003,
    0x7fffffffffffffff,
    0x8000000000000000,
    0xffffffffffffffff,
    0x7fffffbfffffffff,
    0x7fffffc000000000,
    0x7ffffffffffffdff,
};

/* Random bits with the exponent kept near that of other, so that sums cancel and products reach the limits.
 */
static uint64_t random_operand(struct rng *r, enum shape shape, uint64_t other)
{
    uint64_t v = rng_next(r);
    unsigned way = (unsigned)rng_below(r, 5);
    switch (shape) {
    case F32: {
        uint32_t w = (uint32_t)v;
        if (way == 0) {
            w = special_f32[v % (sizeof special_f32 / sizeof *special_f32)] ^
                (uint32_t)(v >> 32 & 0x80000000);
        } else if (way == 1) {
            w = (w & 0x807fffff) | (((uint32_t)other >> 23) + (uint32_t)(v >> 32) % 5 - 2) << 23;
        } else if (way == 2) {
            w = (w & 0x807fffff) | (uint32_t)(127 + rng_below(r, 66) - 2) << 23;
        } else if (way == 3) {
            w &= 0xffff0000;
        }
        return w | rng_next(r) << 32;
    }
    case F64:
        if (way == 0) {
            return special_f64[v % (sizeof special_f64 / sizeof *special_f64)] ^ (v & BIT(63));
        }
        if (way == 1) {
            return (v & ~(UINT64_C(0x7ff) << 52)) | ((other >> 52) + rng_below(r, 5) - 2) << 52;
        }
        if (way == 2) {
            return (v & ~(UINT64_C(0x7ff) << 52)) | (1023 - 140 + rng_below(r, 280)) << 52;
        }
        return way == 3 ? v & ~(BIT(36) - 1) : v;
    case INTEGER:
    default:
        if (way == 0) {
            return special_integer[v % (sizeof special_integer / sizeof *special_integer)];
        }
        return (uint64_t)((int64_t)v >> rng_below(r, 64));
    }
}

/* All modes; most cases masked (fast to run), with PE sticky in half of them so that both paths are met. */
static uint32_t random_mxcsr(struct rng *r, bool unmasked)
{
    uint32_t m = (uint32_t)rng_next(r) & (MXCSR_DAZ | MXCSR_FTZ | MXCSR_RC | FP_PE);
    if (rng_below(r, 3) == 0) {
        m &= ~(uint32_t)MXCSR_RC;
    }
    if (rng_below(r, 2) == 0) {
        m &= ~(uint32_t)(MXCSR_DAZ | MXCSR_FTZ);
    }
    return m | (unmasked ? (uint32_t)rng_next(r) & MXCSR_MASKS : MXCSR_MASKS);
}

static void compare_case(const struct op *op, uint64_t a, uint64_t b, uint32_t mxcsr)
{
    struct fp_env e = fp_env_from_mxcsr(mxcsr);
    uint32_t after = mxcsr;
    uint64_t mask = bits_mask(op->result_bits);
    uint64_t ours = op->ours(&e, a, b) & mask;
    bool trapped = fp_env_finish(&e, &after);
    struct outcome host = op->host(a, b, mxcsr);
    bool same = after == host.mxcsr && trapped == host.trapped && (trapped || ours == (host.result & mask));
    if (!same) {
        fail_msg("%s a=%016llx b=%016llx mxcsr=%04x: ours %016llx %04x trap %d, host %016llx %04x trap %d",
                 op->name, (unsigned long long)a, (unsigned long long)b, mxcsr, (unsigned long long)ours,
                 after, trapped, (unsigned long long)(host.result & mask), host.mxcsr, host.trapped);
    }
}

static void compare_randomly(const struct op *ops, size_t count)
{
    install_handler();
    for (size_t i = 0; i < count; i++) {
        struct rng r;
        rng_init(&r, 1, i);
        for (unsigned n = 0; n < CASES; n++) {
            uint64_t a = random_operand(&r, ops[i].operands, 0x3ff8000040100000);
            uint64_t b = random_operand(&r, ops[i].operands, a);
            compare_case(&ops[i], a, b, random_mxcsr(&r, n % 8 == 0));
        }
    }
}

#define COMPARE_RANDOMLY(ops) compare_randomly(ops, sizeof ops / sizeof *ops)

static void sse_arithmetic_equals_the_host_bit_for_bit(void **state)
{
    (void)state;
    COMPARE_RANDOMLY(arithmetic_ops);
}

static void sse_conversions_equal_the_host_bit_for_bit(void **state)
{
    (void)state;
    COMPARE_RANDOMLY(conversion_ops);
}

static void sse_comparisons_equal_the_host_in_result_and_flags(void **state)
{
    (void)state;
    COMPARE_RANDOMLY(compare_ops);
}

static void sse_round_equals_the_host_for_every_immediate(void **state)
{
    (void)state;
    COMPARE_RANDOMLY(round_ops);
}

static void sse_arithmetic_equals_the_host_on_every_pair_of_special_values(void **state)
{
    (void)state;
    static const uint32_t modes[] = {0x1f80, 0x1fa0, 0x3f80, 0x5f80, 0x7f80, 0x9f80, 0x9fc0, 0x1fc0};
    for (size_t i = 0; i < sizeof arithmetic_ops / sizeof *arithmetic_ops; i++) {
        const struct op *op = &arithmetic_ops[i];
        bool narrow = op->operands == F32;
        size_t count =
            narrow ? sizeof special_f32 / sizeof *special_f32 : sizeof special_f64 / sizeof *special_f64;
        for (size_t n = 0; n < count * count * 8; n++) {
            size_t x = n / 8 / count, y = n / 8 % count;
            uint64_t a = narrow ? special_f32[x] : special_f64[x],
                     b = narrow ? special_f32[y] : special_f64[y];
            compare_case(op, a, n & 1 ? b ^ (narrow ? BIT(31) : BIT(63)) : b, modes[n % 8]);
        }
    }
}

struct vector4 {
    uint32_t lane[4];
};

#define HOST_PACKED(name, text)                                                                     \
    static bool host_##name(const struct vector4 *a, const struct vector4 *b, uint32_t mxcsr,       \
                            struct vector4 *out, uint32_t *after)                                   \
    {                                                                                               \
        uint32_t usual = MXCSR_RESET;                                                               \
        trap_seen = 0;                                                                              \
        __asm__ volatile("movups %2, %%xmm0; movups %3, %%xmm1; ldmxcsr %4; " text "; stmxcsr %1; " \
                         "ldmxcsr %5; movups %%xmm0, %0"                                            \
                         : "=m"(*out), "=m"(*after)                                                 \
                         : "m"(*a), "m"(*b), "m"(mxcsr), "m"(usual)                                 \
                         : "xmm0", "xmm1");                                                         \
        *after = trap_seen ? trap_mxcsr : *after;                                                   \
        return trap_seen != 0;                                                                      \
    }
HOST_PACKED(dpps, "dpps $0xff, %%xmm1, %%xmm0")
HOST_PACKED(addps, "addps %%xmm1, %%xmm0")
HOST_PACKED(dppd, "dppd $0x31, %%xmm1, %%xmm0")

typedef bool host_packed_fn(const struct vector4 *a, const struct vector4 *b, uint32_t mxcsr,
                            struct vector4 *out, uint32_t *after);

static void ours_dpps(struct fp_env *e, const struct vector4 *a, const struct vector4 *b, struct vector4 *out)
{
    out->lane[0] = fp_f32_dot4(e, a->lane, b->lane, 15);
}

static void ours_addps(struct fp_env *e, const struct vector4 *a, const struct vector4 *b,
                       struct vector4 *out)
{
    for (unsigned i = 0; i < 4; i++) {
        out->lane[i] = fp_f32_add(e, a->lane[i], b->lane[i]);
    }
}

static void ours_dppd(struct fp_env *e, const struct vector4 *a, const struct vector4 *b, struct vector4 *out)
{
    uint64_t x[2], y[2], sum;
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    sum = fp_f64_dot2(e, x, y, 3);
    memcpy(out, &sum, sizeof sum);
}

typedef void ours_packed_fn(struct fp_env *e, const struct vector4 *a, const struct vector4 *b,
                            struct vector4 *out);

typedef bool same_fn(const struct vector4 *a, const struct vector4 *b);

static bool same_all(const struct vector4 *a, const struct vector4 *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static bool same_dpps(const struct vector4 *a, const struct vector4 *b)
{
    return same_dot_f32(a->lane[0], b->lane[0]);
}

static bool same_dppd(const struct vector4 *a, const struct vector4 *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return same_dot_f64(x, y);
}

static void compare_packed(host_packed_fn *host, ours_packed_fn *ours, same_fn *same, enum shape shape,
                           unsigned seed)
{
    install_handler();
    struct rng r;
    rng_init(&r, 2, seed);
    for (unsigned n = 0; n < CASES; n++) {
        struct vector4 a, b, h, o = {{0}};
        for (unsigned i = 0; i < 4; i += shape == F32 ? 1 : 2) {
            uint64_t x = random_operand(&r, shape, UINT64_C(0x3ff800003fc00000));
            uint64_t y = random_operand(&r, shape, x);
            memcpy(&a.lane[i], &x, shape == F32 ? 4 : 8);
            memcpy(&b.lane[i], &y, shape == F32 ? 4 : 8);
        }
        uint32_t mxcsr = random_mxcsr(&r, n % 8 == 0), after, ours_after = mxcsr;
        struct fp_env e = fp_env_from_mxcsr(mxcsr);
        ours(&e, &a, &b, &o);
        bool trapped = fp_env_finish(&e, &ours_after), host_trapped = host(&a, &b, mxcsr, &h, &after);
        if (ours_after != after || trapped != host_trapped || (!trapped && !same(&o, &h))) {
            fail_msg("case %u mxcsr %04x: %08x %04x %d, host %08x %04x %d (%08x*%08x %08x*%08x %08x*%08x "
                     "%08x*%08x)",
                     n, mxcsr, o.lane[0], ours_after, trapped, h.lane[0], after, host_trapped, a.lane[0],
                     b.lane[0], a.lane[1], b.lane[1], a.lane[2], b.lane[2], a.lane[3], b.lane[3]);
        }
    }
}

static void packed_flags_of_all_elements_are_merged_like_on_the_host(void **state)
{
    (void)state;
    compare_packed(host_addps, ours_addps, same_all, F32, 4);
}

static void dot_products_equal_the_host(void **state)
{
    (void)state;
    compare_packed(host_dpps, ours_dpps, same_dpps, F32, 1);
    compare_packed(host_dppd, ours_dppd, same_dppd, F64, 2);
}

/* |got * x - 1| or |got * sqrt(x) - 1| against the architectural bound; this file may use host doubles. */
static void check_bound(uint32_t x, bool root)
{
    uint32_t got_bits = root ? fp_f32_rsqrt(x) : fp_f32_rcp(x);
    float xf, got;
    memcpy(&xf, &x, 4);
    memcpy(&got, &got_bits, 4);
    double square = root ? (double)got * got * xf : (double)got * xf;
    double error = square - 1; /* for the root twice the relative error */
    double bound = 1.0 / 8192 * (root ? 2.001 : 1.001);
    if (got_bits == 0) { /* a result below the normal range */
        assert_true(!root && xf > 8e37F);
        return;
    }
    if (error > bound || error < -bound) {
        fail_msg("%s(%08x) = %08x is off by %g", root ? "rsqrt" : "rcp", x, got_bits, error);
    }
}

static void approximations_stay_within_half_their_bound(void **state)
{
    (void)state;
    for (uint32_t x = 0x00800000; x < 0x7f800000; x += 0x1234) {
        check_bound(x, false);
        check_bound(x, true);
    }
}

static void approximations_treat_special_values_as_the_manual_lists(void **state)
{
    (void)state;
    assert_int_equal(fp_f32_rcp(0x80000000), 0xff800000);
    assert_int_equal(fp_f32_rcp(0x00000001), 0x7f800000);
    assert_int_equal(fp_f32_rcp(0xff800000), 0x80000000);
    assert_int_equal(fp_f32_rcp(0x7f800001), 0x7fc00001);
    assert_int_equal(fp_f32_rcp(0x3f800000), 0x3f800000);
    assert_int_equal(fp_f32_rsqrt(0x80000000), 0xff800000);
    assert_int_equal(fp_f32_rsqrt(0xbf800000), 0xffc00000);
    assert_int_equal(fp_f32_rsqrt(0x7f800000), 0);
    assert_int_equal(fp_f32_rsqrt(0x40800000), 0x3f000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sse_arithmetic_equals_the_host_bit_for_bit),
        cmocka_unit_test(sse_arithmetic_equals_the_host_on_every_pair_of_special_values),
        cmocka_unit_test(sse_conversions_equal_the_host_bit_for_bit),
        cmocka_unit_test(sse_comparisons_equal_the_host_in_result_and_flags),
        cmocka_unit_test(sse_round_equals_the_host_for_every_immediate),
        cmocka_unit_test(packed_flags_of_all_elements_are_merged_like_on_the_host),
        cmocka_unit_test(dot_products_equal_the_host),
        cmocka_unit_test(approximations_stay_within_half_their_bound),
        cmocka_unit_test(approximations_treat_special_values_as_the_manual_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
