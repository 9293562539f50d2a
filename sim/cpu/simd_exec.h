#ifndef ORRERY_CPU_SIMD_EXEC_H
#define ORRERY_CPU_SIMD_EXEC_H

/*
 * What the execution functions of the MMX and SSE families share: availability checks, operands, results, and
 * the declarations of all of them.
 *
 * Order of faults: #UD and #NM of the register file, then #MF of a pending x87 exception (MMX only), then the
 * memory operand (#SS, #GP, alignment #GP, #PF), then the arithmetic (#XM). Registers change only after all
 * of these.
 *
 * Source: AMD64 APM volume 4, "Exceptions" tables; volume 5, same; volume 2, "System-Control Registers".
 */

#include "cpu/fp.h"
#include "cpu/insn.h"
#include "cpu/xmm.h"

/* Leaves the calling execution function unless the expression, an enum flow, is FLOW_NEXT. */
#define SIMD_TRY(expression)                           \
    do {                                               \
        enum flow flow_ = (expression);                \
        if (__builtin_expect(flow_ != FLOW_NEXT, 0)) { \
            return flow_;                              \
        }                                              \
    } while (0)

/* #UD, #NM or #MF as the state asks; only for a state that the checks below have refused. */
enum flow simd_unavailable(struct cpu *cpu, bool needs_osfxsr);

/* Memory operand n, zero-extended to 16 bytes; an `aligned` operand of 16 bytes off its boundary is #GP(0).
 */
enum flow simd_load(struct cpu *cpu, const struct insn *insn, unsigned n, bool aligned, union xmm *out);
/* Stores size_bytes (1, 2, 4, 8 or 16) from the bottom of the value to the memory operand. */
enum flow simd_store(struct cpu *cpu, const struct insn *insn, unsigned size_bytes, bool aligned,
                     const union xmm *value);

/* Ends floating-point work: flags into MXCSR; #XM, or #UD without CR4.OSXMMEXCPT, when an unmasked one is
 * raised. */
enum flow simd_float_finish(struct cpu *cpu, const struct fp_env *e);

/* May an instruction on XMM registers (or MXCSR) execute? */
static inline enum flow simd_check_x(struct cpu *cpu)
{
    bool ready = (cpu->cr0 & (CR0_EM | CR0_TS)) == 0 && (cpu->cr4 & CR4_OSFXSR) != 0;
    return __builtin_expect(ready, 1) ? FLOW_NEXT : simd_unavailable(cpu, true);
}

/* May an instruction on MMX registers execute? */
static inline enum flow simd_check_m(struct cpu *cpu)
{
    bool ready = (cpu->cr0 & (CR0_EM | CR0_TS)) == 0 && !x87_pending(&cpu->x87);
    return __builtin_expect(ready, 1) ? FLOW_NEXT : simd_unavailable(cpu, false);
}

/* May an instruction on both files execute? */
static inline enum flow simd_check_both(struct cpu *cpu)
{
    SIMD_TRY(simd_check_x(cpu));
    return simd_check_m(cpu);
}

/* The source operand 1 of an XMM instruction: *out points to the register, or to *spill after an aligned
 * load. */
static inline enum flow simd_source_x(struct cpu *cpu, const struct insn *insn, union xmm *spill,
                                      const union xmm **out)
{
    SIMD_TRY(simd_check_x(cpu));
    if (insn->op[1].kind == OPERAND_XMM) {
        *out = &cpu->xmm[insn->op[1].reg];
        return FLOW_NEXT;
    }
    *out = spill;
    return simd_load(cpu, insn, 1, true, spill);
}

/* The source operand 1 of an MMX instruction. */
static inline enum flow simd_source_m(struct cpu *cpu, const struct insn *insn, union mmx *out)
{
    SIMD_TRY(simd_check_m(cpu));
    if (insn->op[1].kind == OPERAND_MM) {
        *out = mmx_make(x87_mmx_read(&cpu->x87, insn->op[1].reg));
        return FLOW_NEXT;
    }
    union xmm wide;
    SIMD_TRY(simd_load(cpu, insn, 1, false, &wide));
    *out = mmx_make(wide.u64[0]);
    return FLOW_NEXT;
}

/* The destination register, operand 0, of an XMM instruction. */
static inline union xmm *simd_target_x(struct cpu *cpu, const struct insn *insn)
{
    return &cpu->xmm[insn->op[0].reg];
}

/* The destination register of an MMX instruction: its value before, and its new value, which enters MMX mode.
 */
static inline union mmx simd_target_m(const struct cpu *cpu, const struct insn *insn)
{
    return mmx_make(x87_mmx_read(&cpu->x87, insn->op[0].reg));
}

static inline void simd_write_m(struct cpu *cpu, const struct insn *insn, uint64_t value)
{
    x87_mmx_begin(&cpu->x87);
    x87_mmx_write(&cpu->x87, insn->op[0].reg, value);
}

/* The immediate byte. */
static inline unsigned simd_imm8(const struct insn *insn)
{
    return (unsigned)(insn->imm & 0xff);
}

/* The execution functions. */
#define INSN(mnemonic, exec, cost, flags, undefined)    exec_fn exec;
#define INSN_0F(mnemonic, exec, cost, flags, undefined) exec_fn exec;
#include "cpu/insn_sse.def"
#undef INSN
#undef INSN_0F

#endif
