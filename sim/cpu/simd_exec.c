/*
 * The cold parts that MMX and SSE execution functions share: refusals, memory operands, #XM.
 *
 * Source: AMD64 APM volume 2, "#NM, Device-Not-Available Exception", "#MF", "#XF SIMD Floating-Point
 * Exception"; volume 1, "Data Alignment".
 *
 * Deviations: with CR0.NE = 0 a pending x87 exception is not modelled (the external FERR#/IGNNE# protocol).
 */
#include "cpu/simd_exec.h"
#include "cpu/mem.h"

enum { ALIGNED_BYTES = 16 };

enum flow simd_unavailable(struct cpu *cpu, bool needs_osfxsr)
{
    if ((cpu->cr0 & CR0_EM) != 0 || (needs_osfxsr && (cpu->cr4 & CR4_OSFXSR) == 0)) {
        return cpu_fault(cpu, VECTOR_UD);
    }
    if ((cpu->cr0 & CR0_TS) != 0) {
        return cpu_fault(cpu, VECTOR_NM);
    }
    if ((cpu->cr0 & CR0_NE) == 0) {
        return cpu_not_modelled(cpu, "x87 exception reported through FERR# (CR0.NE = 0)");
    }
    return cpu_fault(cpu, VECTOR_MF);
}

/* The linear address of the memory operand, checked for alignment where the instruction asks for it: #GP, even for an
 * address that is not canonical either and in SS, where that would be #SS. */
static enum flow address(struct cpu *cpu, const struct insn *insn, unsigned size_bytes, bool write,
                         bool aligned, lin_t *out)
{
    bool valid = insn_address(cpu, insn, size_bytes, write, out);
    bool no_base = cpu->mode == MODE_LONG64 && insn->mem_seg < SEG_FS;
    uint64_t base = no_base ? 0 : cpu->seg[insn->mem_seg].base;
    uint64_t a = valid ? out->v : base + insn_offset(cpu, insn);
    if (aligned && size_bytes == ALIGNED_BYTES && a % ALIGNED_BYTES != 0) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    return valid ? FLOW_NEXT : FLOW_FAULT;
}

enum flow simd_load(struct cpu *cpu, const struct insn *insn, unsigned n, bool aligned, union xmm *out)
{
    unsigned size_bytes = insn->op[n].size_bytes;
    lin_t a;
    SIMD_TRY(address(cpu, insn, size_bytes, false, aligned, &a));
    if (size_bytes == sizeof *out) {
        return mem_read_bytes(cpu, a, out, sizeof *out) ? FLOW_NEXT : FLOW_FAULT;
    }
    *out = xmm_make(0, 0);
    return mem_read(cpu, a, size_bytes, &out->u64[0]) ? FLOW_NEXT : FLOW_FAULT;
}

enum flow simd_store(struct cpu *cpu, const struct insn *insn, unsigned size_bytes, bool aligned,
                     const union xmm *value)
{
    lin_t a;
    SIMD_TRY(address(cpu, insn, size_bytes, true, aligned, &a));
    bool done = size_bytes == sizeof *value
                    ? mem_write_bytes(cpu, a, value, sizeof *value)
                    : mem_write(cpu, a, size_bytes, value->u64[0] & bits_size_mask(size_bytes));
    return done ? FLOW_NEXT : FLOW_FAULT;
}

enum flow simd_float_finish(struct cpu *cpu, const struct fp_env *e)
{
    if (!fp_env_finish(e, &cpu->mxcsr)) {
        return FLOW_NEXT;
    }
    return cpu_fault(cpu, (cpu->cr4 & CR4_OSXMMEXCPT) != 0 ? VECTOR_XM : VECTOR_UD);
}
