/*
 * Execution of PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM. Their memory operand may have any alignment.
 *
 * Source: AMD64 APM volume 4, the page of each mnemonic.
 *
 * Deviations: none.
 */
#include "cpu/flags.h"
#include "cpu/simd_exec.h"
#include "cpu/simd_string.h"

static enum flow source(struct cpu *cpu, const struct insn *insn, union xmm *out)
{
    SIMD_TRY(simd_check_x(cpu));
    if (insn->op[1].kind == OPERAND_MEM) {
        return simd_load(cpu, insn, 1, false, out);
    }
    *out = cpu->xmm[insn->op[1].reg];
    return FLOW_NEXT;
}

/* A length register: 32 bits, or 64 with REX.W. */
static int64_t length(const struct cpu *cpu, const struct insn *insn, enum gpr reg)
{
    bool wide = (insn->prefixes & PREFIX_REX_W) != 0;
    return (int64_t)(wide ? cpu->gpr[reg] : bits_sext(cpu->gpr[reg], 32));
}

static void set_flags(struct cpu *cpu, const struct simd_string *r)
{
    flags_set(cpu, (r->cf ? RFLAGS_CF : 0) | (r->zf ? RFLAGS_ZF : 0) | (r->sf ? RFLAGS_SF : 0) |
                       (r->of ? RFLAGS_OF : 0));
}

static enum flow compare(struct cpu *cpu, const struct insn *insn, bool explicit_lengths, bool mask)
{
    union xmm s;
    SIMD_TRY(source(cpu, insn, &s));
    const union xmm *d = &cpu->xmm[insn->op[0].reg];
    unsigned imm = simd_imm8(insn);
    struct simd_string r =
        explicit_lengths ? simd_string_explicit(d, &s, imm, length(cpu, insn, RAX), length(cpu, insn, RDX))
                         : simd_string_implicit(d, &s, imm);
    if (mask) {
        cpu->xmm[0] = simd_string_mask(&r, imm);
    } else {
        gpr_write(cpu, RCX, simd_string_index(&r, imm), 8);
    }
    set_flags(cpu, &r);
    return FLOW_NEXT;
}

enum flow exec_pcmpestri(struct cpu *cpu, const struct insn *insn)
{
    return compare(cpu, insn, true, false);
}

enum flow exec_pcmpestrm(struct cpu *cpu, const struct insn *insn)
{
    return compare(cpu, insn, true, true);
}

enum flow exec_pcmpistri(struct cpu *cpu, const struct insn *insn)
{
    return compare(cpu, insn, false, false);
}

enum flow exec_pcmpistrm(struct cpu *cpu, const struct insn *insn)
{
    return compare(cpu, insn, false, true);
}
