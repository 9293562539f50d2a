/*
 * Execution of the MMX and SSE moves, stores with a hint or a mask, MXCSR, EMMS and the cache-line
 * instructions.
 *
 * Source: AMD64 APM volumes 4 and 5, the page of each mnemonic; volume 3, "CLFLUSH", "PREFETCHlevel".
 *
 * Deviations: non-temporal stores are ordinary stores, which is one of the orders that the manual allows; a
 * byte mask of zeros makes MASKMOVDQU and MASKMOVQ touch no memory at all (the manual leaves faults to the
 * implementation).
 */
#include "base/check.h"
#include "cpu/mem_internal.h"
#include "cpu/segment.h"
#include "cpu/simd_exec.h"
#include "cpu/simd_lanes.h"

/* Whole registers: MOVAPS and its kin between xmm and xmm/m128. */
static inline enum flow move_whole(struct cpu *cpu, const struct insn *insn, bool aligned)
{
    SIMD_TRY(simd_check_x(cpu));
    if (insn->op[0].kind == OPERAND_MEM) {
        return simd_store(cpu, insn, sizeof(union xmm), aligned, &cpu->xmm[insn->op[1].reg]);
    }
    if (insn->op[1].kind == OPERAND_XMM) {
        *simd_target_x(cpu, insn) = cpu->xmm[insn->op[1].reg];
        return FLOW_NEXT;
    }
    union xmm loaded;
    SIMD_TRY(simd_load(cpu, insn, 1, aligned, &loaded));
    *simd_target_x(cpu, insn) = loaded;
    return FLOW_NEXT;
}

/* MOVAPS, MOVAPD, MOVDQA, MOVNTPS, MOVNTPD, MOVNTDQ, MOVNTDQA. */
enum flow exec_movaps(struct cpu *cpu, const struct insn *insn)
{
    return move_whole(cpu, insn, true);
}

/* MOVUPS, MOVUPD, MOVDQU, LDDQU. */
enum flow exec_movups(struct cpu *cpu, const struct insn *insn)
{
    return move_whole(cpu, insn, false);
}

/* MOVSS and MOVSD: register to register keeps the rest of the destination, a load clears it. */
static inline enum flow move_scalar(struct cpu *cpu, const struct insn *insn, unsigned size_bytes)
{
    SIMD_TRY(simd_check_x(cpu));
    if (insn->op[0].kind == OPERAND_MEM) {
        return simd_store(cpu, insn, size_bytes, false, &cpu->xmm[insn->op[1].reg]);
    }
    if (insn->op[1].kind == OPERAND_XMM) {
        memcpy(simd_target_x(cpu, insn), &cpu->xmm[insn->op[1].reg], size_bytes);
        return FLOW_NEXT;
    }
    union xmm loaded;
    SIMD_TRY(simd_load(cpu, insn, 1, false, &loaded));
    *simd_target_x(cpu, insn) = loaded;
    return FLOW_NEXT;
}

/* MOVSS, MOVNTSS. */
enum flow exec_movss(struct cpu *cpu, const struct insn *insn)
{
    return move_scalar(cpu, insn, 4);
}

/* MOVSD, MOVNTSD; the string instruction has the name too. */
enum flow exec_movsd_x(struct cpu *cpu, const struct insn *insn)
{
    return move_scalar(cpu, insn, 8);
}

/* MOVLPS, MOVLPD, MOVHPS, MOVHPD: one half of a register from or to m64. */
static enum flow move_half(struct cpu *cpu, const struct insn *insn, unsigned half)
{
    SIMD_TRY(simd_check_x(cpu));
    union xmm value;
    if (insn->op[0].kind == OPERAND_MEM) {
        value = xmm_make(0, cpu->xmm[insn->op[1].reg].u64[half]);
        return simd_store(cpu, insn, 8, false, &value);
    }
    SIMD_TRY(simd_load(cpu, insn, 1, false, &value));
    simd_target_x(cpu, insn)->u64[half] = value.u64[0];
    return FLOW_NEXT;
}

/* MOVLPS, MOVLPD. */
enum flow exec_movlps(struct cpu *cpu, const struct insn *insn)
{
    return move_half(cpu, insn, 0);
}

/* MOVHPS, MOVHPD. */
enum flow exec_movhps(struct cpu *cpu, const struct insn *insn)
{
    return move_half(cpu, insn, 1);
}

enum flow exec_movhlps(struct cpu *cpu, const struct insn *insn)
{
    SIMD_TRY(simd_check_x(cpu));
    simd_target_x(cpu, insn)->u64[0] = cpu->xmm[insn->op[1].reg].u64[1];
    return FLOW_NEXT;
}

enum flow exec_movlhps(struct cpu *cpu, const struct insn *insn)
{
    SIMD_TRY(simd_check_x(cpu));
    simd_target_x(cpu, insn)->u64[1] = cpu->xmm[insn->op[1].reg].u64[0];
    return FLOW_NEXT;
}

/* The checks that an instruction on these register kinds needs. */
static enum flow check_kinds(struct cpu *cpu, const struct insn *insn)
{
    bool mmx = insn->op[0].kind == OPERAND_MM || insn->op[1].kind == OPERAND_MM;
    bool xmm = insn->op[0].kind == OPERAND_XMM || insn->op[1].kind == OPERAND_XMM;
    if (xmm) {
        SIMD_TRY(simd_check_x(cpu));
    }
    return mmx ? simd_check_m(cpu) : FLOW_NEXT;
}

/* MOVD, MOVQ, MOVDQ2Q, MOVQ2DQ, MOVNTQ: the low size_bytes of any kind of operand to another, zero-extended.
 */
static enum flow move_low(struct cpu *cpu, const struct insn *insn, unsigned size_bytes)
{
    uint64_t v;
    SIMD_TRY(check_kinds(cpu, insn));
    if (insn->op[1].kind == OPERAND_XMM) {
        v = cpu->xmm[insn->op[1].reg].u64[0];
    } else if (insn->op[1].kind == OPERAND_MM) {
        v = x87_mmx_read(&cpu->x87, insn->op[1].reg);
    } else if (!insn_read(cpu, insn, 1, &v)) {
        return FLOW_FAULT;
    }
    v &= bits_size_mask(size_bytes);
    if (insn->op[0].kind == OPERAND_MEM) {
        union xmm stored = xmm_make(0, v);
        SIMD_TRY(simd_store(cpu, insn, size_bytes, false, &stored));
    }
    if (insn->op[0].kind == OPERAND_MM || insn->op[1].kind == OPERAND_MM) {
        x87_mmx_begin(&cpu->x87);
    }
    if (insn->op[0].kind == OPERAND_XMM) {
        *simd_target_x(cpu, insn) = xmm_make(0, v);
    } else if (insn->op[0].kind == OPERAND_MM) {
        x87_mmx_write(&cpu->x87, insn->op[0].reg, v);
    } else if (insn->op[0].kind == OPERAND_GPR) {
        gpr_write(cpu, insn->op[0].reg, v, 8);
    }
    return FLOW_NEXT;
}

enum flow exec_movd(struct cpu *cpu, const struct insn *insn)
{
    return move_low(cpu, insn, 4);
}

enum flow exec_movq(struct cpu *cpu, const struct insn *insn)
{
    return move_low(cpu, insn, 8);
}

/* MOVNTI m32/m64, r: an integer store; it needs no vector state. */
enum flow exec_movnti(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    return insn_read(cpu, insn, 1, &v) && insn_write(cpu, insn, 0, v) ? FLOW_NEXT : FLOW_FAULT;
}

/* The address of eight bytes at [seg:rDI + at], which can be stored to, or false. */
static bool masked_target(struct cpu *cpu, const struct insn *insn, unsigned at, lin_t *out)
{
    uint64_t offset = (cpu->gpr[RDI] + at) & bits_size_mask(insn->address_size_bytes);
    if (!segment_linear(cpu, (enum seg_reg)insn->mem_seg, offset, 8, true, out)) {
        return false;
    }
    if (mem_checks_alignment(cpu) && out->v % 8 != 0) {
        cpu_fault_code(cpu, VECTOR_AC, 0);
        return false;
    }
    return mem_probe_write(cpu, *out, 8);
}

/* Stores the bytes of value whose bit of mask is set at [seg:rDI]. The reference silicon checks all of the operand, as
 * one or two stores of eight bytes, whatever the mask. */
static enum flow store_masked(struct cpu *cpu, const struct insn *insn, const uint8_t *value, uint32_t mask,
                              unsigned size_bytes)
{
    lin_t a[2];
    for (unsigned i = 0; i < size_bytes / 8; i++) {
        if (!masked_target(cpu, insn, 8 * i, &a[i])) {
            return FLOW_FAULT;
        }
    }
    for (unsigned i = 0; i < size_bytes; i++) {
        if ((mask >> i) & 1) {
            bool done = mem_write(cpu, lin(a[i / 8].v + i % 8), 1, value[i]);
            CHECK(done, "byte %u of a masked store faults after its probe", i);
        }
    }
    return FLOW_NEXT;
}

enum flow exec_maskmovdqu(struct cpu *cpu, const struct insn *insn)
{
    SIMD_TRY(simd_check_x(cpu));
    return store_masked(cpu, insn, simd_target_x(cpu, insn)->u8, simd_signs_b_x(&cpu->xmm[insn->op[1].reg]),
                        16);
}

enum flow exec_maskmovq(struct cpu *cpu, const struct insn *insn)
{
    union mmx mask;
    SIMD_TRY(simd_source_m(cpu, insn, &mask));
    union mmx value = simd_target_m(cpu, insn);
    x87_mmx_begin(&cpu->x87); /* the reference silicon does so even when the store faults */
    return store_masked(cpu, insn, value.u8, simd_signs_b_m(&mask), 8);
}

enum flow exec_ldmxcsr(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    SIMD_TRY(simd_check_x(cpu));
    if (!insn_read(cpu, insn, 0, &v)) {
        return FLOW_FAULT;
    }
    if ((v & ~(uint64_t)MXCSR_WRITABLE) != 0) {
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    cpu->mxcsr = (uint32_t)v;
    return FLOW_NEXT;
}

enum flow exec_stmxcsr(struct cpu *cpu, const struct insn *insn)
{
    SIMD_TRY(simd_check_x(cpu));
    return insn_write(cpu, insn, 0, cpu->mxcsr) ? FLOW_NEXT : FLOW_FAULT;
}

enum flow exec_emms(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    SIMD_TRY(simd_check_m(cpu));
    x87_emms(&cpu->x87);
    return FLOW_NEXT;
}

/* CLFLUSH m8: without a cache in the model it is the permission check of a byte load. */
enum flow exec_clflush(struct cpu *cpu, const struct insn *insn)
{
    lin_t a;
    return insn_address(cpu, insn, 1, false, &a) && mem_probe_read(cpu, a, 1) ? FLOW_NEXT : FLOW_FAULT;
}
