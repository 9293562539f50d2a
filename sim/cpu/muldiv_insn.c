/*
 * MUL, IMUL, DIV, IDIV, MULX, and the decimal adjustments.
 * Source: APM vol. 3. Deviations: none. Undefined flags follow the hardware: MUL and IMUL keep them,
 * DIV and IDIV set AF, clear PF, ZF and SF and keep CF and OF.
 */

#include "cpu/int_insn.h"

/* The double-width register pair of an operand size: AX for bytes, else rDX:rAX. */
static u128_t pair_read(const struct cpu *cpu, unsigned size)
{
    if (size == 1) {
        return gpr_read(cpu, RAX, 2);
    }
    return (u128_t)gpr_read(cpu, RDX, size) << (8 * size) | gpr_read(cpu, RAX, size);
}

static void pair_write(struct cpu *cpu, unsigned size, uint64_t high, uint64_t low)
{
    if (size == 1) {
        gpr_write(cpu, RAX, (high & 0xff) << 8 | (low & 0xff), 2);
    } else {
        gpr_write(cpu, RAX, low, size);
        gpr_write(cpu, RDX, high, size);
    }
}

static void set_product_flags(struct cpu *cpu, bool significant)
{
    flags_change(cpu, RFLAGS_CF | RFLAGS_OF, significant ? RFLAGS_CF | RFLAGS_OF : 0);
}

enum flow exec_mul(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->op[0].size_bytes;
    uint64_t b;
    if (!insn_read(cpu, insn, 0, &b)) {
        return FLOW_FAULT;
    }
    u128_t p = u128_mul64(gpr_read(cpu, RAX, size), b);
    uint64_t high = (uint64_t)(p >> (8 * size));
    pair_write(cpu, size, high, (uint64_t)p);
    set_product_flags(cpu, high != 0);
    return FLOW_NEXT;
}

static enum flow imul_pair(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->op[0].size_bytes;
    uint64_t b;
    if (!insn_read(cpu, insn, 0, &b)) {
        return FLOW_FAULT;
    }
    s128_t p = s128_mul64((int64_t)bits_sext(cpu->gpr[RAX], 8 * size), (int64_t)bits_sext(b, 8 * size));
    pair_write(cpu, size, (uint64_t)(p >> (8 * size)), (uint64_t)p);
    set_product_flags(cpu, p != (int64_t)bits_sext((uint64_t)p, 8 * size));
    return FLOW_NEXT;
}

enum flow exec_imul(struct cpu *cpu, const struct insn *insn)
{
    if (insn->operand_count == 1) {
        return imul_pair(cpu, insn);
    }
    unsigned first = insn->operand_count == 3 ? 1 : 0;
    uint64_t a, b;
    if (!insn_read(cpu, insn, first, &a) || !insn_read(cpu, insn, first + 1, &b)) {
        return FLOW_FAULT;
    }
    insn_write(cpu, insn, 0, sem_imul(cpu, a, b, insn_bits(insn, 0), true));
    return FLOW_NEXT;
}

static enum flow divided(struct cpu *cpu, unsigned size, uint64_t remainder, uint64_t quotient)
{
    pair_write(cpu, size, remainder, quotient);
    flags_change(cpu, RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF, RFLAGS_AF);
    return FLOW_NEXT;
}

/* #DE when the divisor is 0 or the quotient does not fit. */
enum flow exec_div(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->op[0].size_bytes;
    uint64_t d;
    if (!insn_read(cpu, insn, 0, &d)) {
        return FLOW_FAULT;
    }
    u128_t n = pair_read(cpu, size);
    if (d == 0 || n / d > bits_size_mask(size)) {
        return cpu_fault(cpu, VECTOR_DE);
    }
    return divided(cpu, size, (uint64_t)(n % d), (uint64_t)(n / d));
}

enum flow exec_idiv(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->op[0].size_bytes, w = 8 * size;
    uint64_t v;
    if (!insn_read(cpu, insn, 0, &v)) {
        return FLOW_FAULT;
    }
    s128_t d = (int64_t)bits_sext(v, w);
    /* The dividend, sign-extended from 2 w bits. */
    s128_t n = (s128_t)(pair_read(cpu, size) << (128 - 2 * w)) >> (128 - 2 * w);
    bool lowest = u128_hi((u128_t)n) == BIT(63) && u128_lo((u128_t)n) == 0;
    if (d == 0 || (lowest && d == -1) || n / d != (int64_t)bits_sext((uint64_t)(n / d), w)) {
        return cpu_fault(cpu, VECTOR_DE);
    }
    return divided(cpu, size, (uint64_t)(n % d), (uint64_t)(n / d));
}

/* MULX high, low, source: rDX times source; no flags. One register twice keeps the high half. */
enum flow exec_mulx(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->op[0].size_bytes;
    uint64_t b;
    if (!insn_read(cpu, insn, 2, &b)) {
        return FLOW_FAULT;
    }
    u128_t p = u128_mul64(gpr_read(cpu, RDX, size), b);
    gpr_write(cpu, insn->op[1].reg, (uint64_t)p, size);
    gpr_write(cpu, insn->op[0].reg, (uint64_t)(p >> (8 * size)), size);
    return FLOW_NEXT;
}

/* ---- decimal adjustments ---- */

static void set_decimal_flags(struct cpu *cpu, uint8_t al, bool cf, bool af)
{
    flags_set_carry(cpu, cf, false, af);
    flags_result(cpu, al, 8);
}

/* AAA and AAS: AL and AH after an unpacked addition (+) or subtraction (-). Flags besides CF and AF keep. */
static void adjust_unpacked(struct cpu *cpu, int sign)
{
    uint64_t ax = gpr_read(cpu, RAX, 2);
    bool adjust = (ax & 15) > 9 || flags_af(cpu);
    if (adjust) {
        ax = sign > 0 ? ax + 0x106 : ax - 0x106;
    }
    gpr_write(cpu, RAX, ax & 0xff0f, 2);
    flags_change(cpu, RFLAGS_CF | RFLAGS_AF, adjust ? RFLAGS_CF | RFLAGS_AF : 0);
}

enum flow exec_aaa(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    adjust_unpacked(cpu, 1);
    return FLOW_NEXT;
}

enum flow exec_aas(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    adjust_unpacked(cpu, -1);
    return FLOW_NEXT;
}

enum flow exec_aam(struct cpu *cpu, const struct insn *insn)
{
    unsigned base = insn->imm & 0xff, al = cpu->gpr[RAX] & 0xff;
    if (base == 0) {
        return cpu_fault(cpu, VECTOR_DE);
    }
    gpr_write(cpu, RAX, (uint64_t)(al / base) << 8 | al % base, 2);
    set_decimal_flags(cpu, (uint8_t)(al % base), false, false);
    return FLOW_NEXT;
}

enum flow exec_aad(struct cpu *cpu, const struct insn *insn)
{
    uint64_t ax = gpr_read(cpu, RAX, 2);
    uint8_t al = (uint8_t)(ax + (ax >> 8) * (insn->imm & 0xff));
    gpr_write(cpu, RAX, al, 2);
    set_decimal_flags(cpu, al, false, false);
    return FLOW_NEXT;
}

/* DAA and DAS: 6 to the low digit, 0x60 to the high one. */
static void adjust_packed(struct cpu *cpu, int sign)
{
    uint8_t old = (uint8_t)cpu->gpr[RAX];
    bool low = (old & 15) > 9 || flags_af(cpu);
    bool high = old > 0x99 || flags_cf(cpu);
    int delta = (low ? 6 : 0) + (high ? 0x60 : 0);
    uint8_t al = (uint8_t)(old + sign * delta);
    bool borrow = sign < 0 && low && old < 6;
    gpr_write(cpu, RAX, al, 1);
    set_decimal_flags(cpu, al, high || borrow, low);
}

enum flow exec_daa(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    adjust_packed(cpu, 1);
    return FLOW_NEXT;
}

enum flow exec_das(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    adjust_packed(cpu, -1);
    return FLOW_NEXT;
}
