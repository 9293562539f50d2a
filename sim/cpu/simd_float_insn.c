/*
 * Execution of SSE floating-point arithmetic, comparison, rounding and dot products on the operations of
 * fp.h.
 *
 * Every function computes all its elements into a temporary, ends the floating-point work (flags, #XM), and
 * only then writes the destination. Scalar forms leave the upper part of the destination alone.
 *
 * Source: AMD64 APM volume 4, the page of each mnemonic; volume 1, "SSE Floating-Point Exceptions".
 *
 * Deviations: RCPxx and RSQRTxx as fp.h says.
 */
#include "cpu/flags.h"
#include "cpu/simd_exec.h"

enum { F32_LANES = 4, F64_LANES = 2 };

/* One body for all forms: `count` elements, element i being `value`, an expression of
 *   d, s    the old destination and the source;  e: the environment;  imm: the immediate byte */
#define EXEC_FLOAT(name, lane, count, value)                        \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn) \
    {                                                               \
        union xmm spill;                                            \
        const union xmm *s;                                         \
        SIMD_TRY(simd_source_x(cpu, insn, &spill, &s));             \
        union xmm *d = simd_target_x(cpu, insn), r = *d;            \
        struct fp_env e = fp_env_from_mxcsr(cpu->mxcsr);            \
        const unsigned imm = simd_imm8(insn);                       \
        (void)imm;                                                  \
        for (unsigned i = 0; i < (count); i++) {                    \
            r.lane[i] = (value);                                    \
        }                                                           \
        SIMD_TRY(simd_float_finish(cpu, &e));                       \
        *d = r;                                                     \
        return FLOW_NEXT;                                           \
    }

#define EXEC_ALL_FORMS(name, value_f32, value_f64)  \
    EXEC_FLOAT(name##ps, u32, F32_LANES, value_f32) \
    EXEC_FLOAT(name##pd, u64, F64_LANES, value_f64) \
    EXEC_FLOAT(name##ss, u32, 1, value_f32)         \
    EXEC_FLOAT(name##sd, u64, 1, value_f64)

#define EXEC_BINARY(name) \
    EXEC_ALL_FORMS(name, fp_f32_##name(&e, d->u32[i], s->u32[i]), fp_f64_##name(&e, d->u64[i], s->u64[i]))

EXEC_BINARY(add)
EXEC_BINARY(sub)
EXEC_BINARY(mul)
EXEC_BINARY(div)
EXEC_BINARY(min)
EXEC_BINARY(max)
EXEC_ALL_FORMS(sqrt, fp_f32_sqrt(&e, s->u32[i]), fp_f64_sqrt(&e, s->u64[i]))
EXEC_ALL_FORMS(round, fp_f32_round(&e, s->u32[i], imm), fp_f64_round(&e, s->u64[i], imm))

/* CMPxx: a mask of ones where the predicate in imm8[2:0] holds. CMPSD is exec_cmpsd_x: the string instruction
 * has the name too. */
EXEC_FLOAT(cmpps, u32, F32_LANES, fp_f32_cmp(&e, d->u32[i], s->u32[i], imm & 7) ? UINT32_MAX : 0)
EXEC_FLOAT(cmppd, u64, F64_LANES, fp_f64_cmp(&e, d->u64[i], s->u64[i], imm & 7) ? UINT64_MAX : 0)
EXEC_FLOAT(cmpss, u32, 1, fp_f32_cmp(&e, d->u32[i], s->u32[i], imm & 7) ? UINT32_MAX : 0)
EXEC_FLOAT(cmpsd_x, u64, 1, fp_f64_cmp(&e, d->u64[i], s->u64[i], imm & 7) ? UINT64_MAX : 0)

/* The reciprocal approximations raise nothing; the environment stays as it was made. */
EXEC_FLOAT(rcpps, u32, F32_LANES, fp_f32_rcp(s->u32[i]))
EXEC_FLOAT(rcpss, u32, 1, fp_f32_rcp(s->u32[i]))
EXEC_FLOAT(rsqrtps, u32, F32_LANES, fp_f32_rsqrt(s->u32[i]))
EXEC_FLOAT(rsqrtss, u32, 1, fp_f32_rsqrt(s->u32[i]))

/* Even elements subtract, odd ones add. */
EXEC_FLOAT(addsubps, u32, F32_LANES,
           i % 2 ? fp_f32_add(&e, d->u32[i], s->u32[i]) : fp_f32_sub(&e, d->u32[i], s->u32[i]))
EXEC_FLOAT(addsubpd, u64, F64_LANES,
           i % 2 ? fp_f64_add(&e, d->u64[i], s->u64[i]) : fp_f64_sub(&e, d->u64[i], s->u64[i]))

/* Neighbours of the destination make the lower half of the result, those of the source the upper one. */
static const uint32_t *pair_f32(const union xmm *d, const union xmm *s, unsigned i)
{
    return &(i < 2 ? d : s)->u32[2 * (i % 2)];
}

static const uint64_t *pair_f64(const union xmm *d, const union xmm *s, unsigned i)
{
    return (i < 1 ? d : s)->u64;
}

EXEC_FLOAT(haddps, u32, F32_LANES, fp_f32_add(&e, pair_f32(d, s, i)[0], pair_f32(d, s, i)[1]))
EXEC_FLOAT(haddpd, u64, F64_LANES, fp_f64_add(&e, pair_f64(d, s, i)[0], pair_f64(d, s, i)[1]))
EXEC_FLOAT(hsubps, u32, F32_LANES, fp_f32_sub(&e, pair_f32(d, s, i)[0], pair_f32(d, s, i)[1]))
EXEC_FLOAT(hsubpd, u64, F64_LANES, fp_f64_sub(&e, pair_f64(d, s, i)[0], pair_f64(d, s, i)[1]))

/* Dot products: imm8[7:4] selects the products, imm8[3:0] the elements that receive the sum; the others
 * become 0. */
enum flow exec_dpps(struct cpu *cpu, const struct insn *insn)
{
    union xmm spill, r;
    const union xmm *s;
    SIMD_TRY(simd_source_x(cpu, insn, &spill, &s));
    struct fp_env e = fp_env_from_mxcsr(cpu->mxcsr);
    uint32_t sum = fp_f32_dot4(&e, simd_target_x(cpu, insn)->u32, s->u32, simd_imm8(insn) >> 4);
    SIMD_TRY(simd_float_finish(cpu, &e));
    for (unsigned i = 0; i < F32_LANES; i++) {
        r.u32[i] = (insn->imm >> i) & 1 ? sum : 0;
    }
    *simd_target_x(cpu, insn) = r;
    return FLOW_NEXT;
}

enum flow exec_dppd(struct cpu *cpu, const struct insn *insn)
{
    union xmm spill, r;
    const union xmm *s;
    SIMD_TRY(simd_source_x(cpu, insn, &spill, &s));
    struct fp_env e = fp_env_from_mxcsr(cpu->mxcsr);
    uint64_t sum = fp_f64_dot2(&e, simd_target_x(cpu, insn)->u64, s->u64, (simd_imm8(insn) >> 4) & 3);
    SIMD_TRY(simd_float_finish(cpu, &e));
    for (unsigned i = 0; i < F64_LANES; i++) {
        r.u64[i] = (insn->imm >> i) & 1 ? sum : 0;
    }
    *simd_target_x(cpu, insn) = r;
    return FLOW_NEXT;
}

/* COMISx and UCOMISx: ZF, PF and CF tell the order; OF, AF and SF are cleared. */
#define EXEC_COMPARE(name, width, lane, signalling)                                              \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn)                              \
    {                                                                                            \
        union xmm spill;                                                                         \
        const union xmm *s;                                                                      \
        SIMD_TRY(simd_source_x(cpu, insn, &spill, &s));                                          \
        struct fp_env e = fp_env_from_mxcsr(cpu->mxcsr);                                         \
        enum fp_order order =                                                                    \
            fp_##width##_compare(&e, simd_target_x(cpu, insn)->lane[0], s->lane[0], signalling); \
        SIMD_TRY(simd_float_finish(cpu, &e));                                                    \
        flags_set(cpu, order);                                                                   \
        return FLOW_NEXT;                                                                        \
    }

EXEC_COMPARE(comiss, f32, u32, true)
EXEC_COMPARE(comisd, f64, u64, true)
EXEC_COMPARE(ucomiss, f32, u32, false)
EXEC_COMPARE(ucomisd, f64, u64, false)
