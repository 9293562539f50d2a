/*
 * Execution of the SSE conversions: between XMM elements, from and to general registers, from and to MMX
 * registers.
 *
 * Source: AMD64 APM volume 4, "CVT..." pages; volume 5 for the MMX forms.
 *
 * Deviations: none. An MMX form enters MMX mode (TOP, tags) even when it then ends in #XM, as the hardware
 * does.
 */
#include "cpu/simd_exec.h"

/* Between XMM registers: `count` elements of which element i is `value`; what lies above in r is `rest` of d.
 */
#define EXEC_CONVERT(name, lane, count, rest, value)                \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn) \
    {                                                               \
        union xmm spill;                                            \
        const union xmm *s;                                         \
        SIMD_TRY(simd_source_x(cpu, insn, &spill, &s));             \
        union xmm *d = simd_target_x(cpu, insn), r = rest;          \
        struct fp_env e = fp_env_from_mxcsr(cpu->mxcsr);            \
        for (unsigned i = 0; i < (count); i++) {                    \
            r.lane[i] = (value);                                    \
        }                                                           \
        SIMD_TRY(simd_float_finish(cpu, &e));                       \
        *d = r;                                                     \
        return FLOW_NEXT;                                           \
    }

#define ZEROS xmm_make(0, 0)
#define KEPT  (*d)

EXEC_CONVERT(cvtdq2ps, u32, 4, ZEROS, fp_i32_to_f32(&e, s->u32[i]))
EXEC_CONVERT(cvtps2dq, u32, 4, ZEROS, fp_f32_to_i32(&e, s->u32[i], false))
EXEC_CONVERT(cvttps2dq, u32, 4, ZEROS, fp_f32_to_i32(&e, s->u32[i], true))
EXEC_CONVERT(cvtpd2dq, u32, 2, ZEROS, fp_f64_to_i32(&e, s->u64[i], false))
EXEC_CONVERT(cvttpd2dq, u32, 2, ZEROS, fp_f64_to_i32(&e, s->u64[i], true))
EXEC_CONVERT(cvtpd2ps, u32, 2, ZEROS, fp_f64_to_f32(&e, s->u64[i]))
EXEC_CONVERT(cvtdq2pd, u64, 2, ZEROS, fp_i32_to_f64(&e, s->u32[i]))
EXEC_CONVERT(cvtps2pd, u64, 2, ZEROS, fp_f32_to_f64(&e, s->u32[i]))
EXEC_CONVERT(cvtss2sd, u64, 1, KEPT, fp_f32_to_f64(&e, s->u32[i]))
EXEC_CONVERT(cvtsd2ss, u32, 1, KEPT, fp_f64_to_f32(&e, s->u64[i]))

/* CVTSI2SS, CVTSI2SD xmm, r/m32 or r/m64. */
#define EXEC_FROM_GPR(name, lane, to)                                                          \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn)                            \
    {                                                                                          \
        uint64_t v;                                                                            \
        SIMD_TRY(simd_check_x(cpu));                                                           \
        if (!insn_read(cpu, insn, 1, &v)) {                                                    \
            return FLOW_FAULT;                                                                 \
        }                                                                                      \
        struct fp_env e = fp_env_from_mxcsr(cpu->mxcsr);                                       \
        bool wide = insn->op[1].size_bytes == 8;                                               \
        SIMD_TYPE_OF(lane) r = wide ? fp_i64_to_##to(&e, v) : fp_i32_to_##to(&e, (uint32_t)v); \
        SIMD_TRY(simd_float_finish(cpu, &e));                                                  \
        simd_target_x(cpu, insn)->lane[0] = r;                                                 \
        return FLOW_NEXT;                                                                      \
    }

#define SIMD_TYPE_OF(lane) __typeof__((union xmm){0}.lane[0])

EXEC_FROM_GPR(cvtsi2ss, u32, f32)
EXEC_FROM_GPR(cvtsi2sd, u64, f64)

/* CVTx2SI, CVTTx2SI r32 or r64, xmm/m. */
#define EXEC_TO_GPR(name, lane, from, truncate)                           \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn)       \
    {                                                                     \
        union xmm spill;                                                  \
        const union xmm *s;                                               \
        SIMD_TRY(simd_source_x(cpu, insn, &spill, &s));                   \
        struct fp_env e = fp_env_from_mxcsr(cpu->mxcsr);                  \
        bool wide = insn->op[0].size_bytes == 8;                          \
        uint64_t r = wide ? fp_##from##_to_i64(&e, s->lane[0], truncate)  \
                          : fp_##from##_to_i32(&e, s->lane[0], truncate); \
        SIMD_TRY(simd_float_finish(cpu, &e));                             \
        gpr_write(cpu, insn->op[0].reg, r, 8);                            \
        return FLOW_NEXT;                                                 \
    }

EXEC_TO_GPR(cvtss2si, u32, f32, false)
EXEC_TO_GPR(cvttss2si, u32, f32, true)
EXEC_TO_GPR(cvtsd2si, u64, f64, false)
EXEC_TO_GPR(cvttsd2si, u64, f64, true)

/* The source of CVTPI2PS and CVTPI2PD. Only a register is an MMX use: with memory there is no #MF and no
 * change to the x87 state (seen on the hardware; the manual is silent). */
static enum flow source_from_mmx(struct cpu *cpu, const struct insn *insn, union mmx *out)
{
    SIMD_TRY(simd_check_x(cpu));
    if (insn->op[1].kind == OPERAND_MM) {
        return simd_source_m(cpu, insn, out);
    }
    union xmm wide;
    SIMD_TRY(simd_load(cpu, insn, 1, false, &wide));
    *out = mmx_make(wide.u64[0]);
    return FLOW_NEXT;
}

/* CVTPI2PS, CVTPI2PD xmm, mm/m64: the upper half stays with PS. */
#define EXEC_FROM_MMX(name, lane, rest, value)                      \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn) \
    {                                                               \
        union mmx s;                                                \
        SIMD_TRY(source_from_mmx(cpu, insn, &s));                   \
        union xmm *d = simd_target_x(cpu, insn), r = rest;          \
        struct fp_env e = fp_env_from_mxcsr(cpu->mxcsr);            \
        for (unsigned i = 0; i < 2; i++) {                          \
            r.lane[i] = (value);                                    \
        }                                                           \
        if (insn->op[1].kind == OPERAND_MM) {                       \
            x87_mmx_begin(&cpu->x87);                               \
        }                                                           \
        SIMD_TRY(simd_float_finish(cpu, &e));                       \
        *d = r;                                                     \
        return FLOW_NEXT;                                           \
    }

EXEC_FROM_MMX(cvtpi2ps, u32, KEPT, fp_i32_to_f32(&e, s.u32[i]))
EXEC_FROM_MMX(cvtpi2pd, u64, ZEROS, fp_i32_to_f64(&e, s.u32[i]))

/* CVTx2PI, CVTTx2PI mm, xmm/m. */
#define EXEC_TO_MMX(name, value)                                    \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn) \
    {                                                               \
        union xmm spill;                                            \
        const union xmm *s;                                         \
        SIMD_TRY(simd_check_both(cpu));                             \
        SIMD_TRY(simd_source_x(cpu, insn, &spill, &s));             \
        union mmx r;                                                \
        struct fp_env e = fp_env_from_mxcsr(cpu->mxcsr);            \
        for (unsigned i = 0; i < 2; i++) {                          \
            r.u32[i] = (value);                                     \
        }                                                           \
        x87_mmx_begin(&cpu->x87);                                   \
        SIMD_TRY(simd_float_finish(cpu, &e));                       \
        simd_write_m(cpu, insn, r.u64[0]);                          \
        return FLOW_NEXT;                                           \
    }

EXEC_TO_MMX(cvtps2pi, fp_f32_to_i32(&e, s->u32[i], false))
EXEC_TO_MMX(cvttps2pi, fp_f32_to_i32(&e, s->u32[i], true))
EXEC_TO_MMX(cvtpd2pi, fp_f64_to_i32(&e, s->u64[i], false))
EXEC_TO_MMX(cvttpd2pi, fp_f64_to_i32(&e, s->u64[i], true))
