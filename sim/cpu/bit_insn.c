/*
 * Bit instructions: SHLD, SHRD, BT family, bit scans and counts, BMI1, BMI2, CRC32.
 * Source: APM vol. 3. Deviations: none known beyond the choices for undefined flags in insn_int.def.
 */

#include "cpu/int_insn.h"
#include "cpu/segment.h"

/* ---- double shifts ---- */

/* SHLD of w bits: the w bits at the top of a:b shifted left by n. A 16-bit operand takes counts to 31; what
 * comes in after b is b again (undefined by the manual). */
static uint64_t shld(struct cpu *cpu, uint64_t a, uint64_t b, unsigned n, unsigned w)
{
    u128_t v = w == 16 ? (u128_t)a << 32 | b << 16 | b : (u128_t)a << w | b;
    unsigned total = w == 16 ? 48 : 2 * w;
    uint64_t r = sem_mask((uint64_t)(v << n >> (total - w)), w);
    bool cf = n <= w && (v >> (total - n) & 1) != 0; /* undefined beyond: as the reference silicon has it */
    flags_set_carry(cpu, cf, cf != (r >> (w - 1) & 1), true);
    flags_result(cpu, r, w);
    return r;
}

static uint64_t shrd(struct cpu *cpu, uint64_t a, uint64_t b, unsigned n, unsigned w)
{
    u128_t v = w == 16 ? (u128_t)b << 32 | b << 16 | a : (u128_t)b << w | a;
    uint64_t r = sem_mask((uint64_t)(v >> n), w);
    bool cf = n <= w && (v >> (n - 1) & 1) != 0;
    flags_set_carry(cpu, cf, ((r ^ r << 1) >> (w - 1) & 1) != 0, true);
    flags_result(cpu, r, w);
    return r;
}

static enum flow double_shift(struct cpu *cpu, const struct insn *insn, bool left)
{
    struct insn_rmw rmw;
    uint64_t b, count;
    if (!insn_read(cpu, insn, 1, &b) || !insn_read(cpu, insn, 2, &count) ||
        !insn_rmw_begin(cpu, insn, 0, &rmw)) {
        return FLOW_FAULT;
    }
    unsigned w = insn_bits(insn, 0), n = sem_count(count, w);
    uint64_t r = rmw.old;
    if (n != 0) {
        r = left ? shld(cpu, r, b, n, w) : shrd(cpu, r, b, n, w);
    }
    insn_rmw_commit(cpu, insn, 0, &rmw, r);
    return FLOW_NEXT;
}

enum flow exec_shld(struct cpu *cpu, const struct insn *insn)
{
    return double_shift(cpu, insn, true);
}

enum flow exec_shrd(struct cpu *cpu, const struct insn *insn)
{
    return double_shift(cpu, insn, false);
}

/* ---- bit test ---- */

enum bit_change { BIT_KEEP, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

static uint64_t bit_changed(uint64_t v, uint64_t bit, enum bit_change change)
{
    switch (change) {
    case BIT_SET:
        return v | bit;
    case BIT_RESET:
        return v & ~bit;
    case BIT_COMPLEMENT:
        return v ^ bit;
    case BIT_KEEP:
    default:
        return v;
    }
}

/* A register bit offset into memory is signed and reaches beyond the operand: the address moves by whole
 * operands. */
static bool bit_address(struct cpu *cpu, const struct insn *insn, uint64_t offset, bool write, lin_t *out)
{
    unsigned size = insn->op[0].size_bytes;
    int64_t index = (int64_t)bits_sext(offset, 8 * size) >> (size == 8 ? 6 : size == 4 ? 5 : 4);
    uint64_t a = insn_offset(cpu, insn) + (uint64_t)index * size;
    return segment_linear(cpu, (enum seg_reg)insn->mem_seg, a & bits_size_mask(insn->address_size_bytes),
                          size, write, out);
}

static enum flow bit_memory(struct cpu *cpu, const struct insn *insn, uint64_t offset, enum bit_change change)
{
    unsigned size = insn->op[0].size_bytes;
    uint64_t bit = BIT(offset & (8 * size - 1));
    uint64_t reach = insn->op[1].kind == OPERAND_GPR ? offset : 0;
    struct mem_rmw rmw;
    uint64_t old;
    lin_t a;
    if (!bit_address(cpu, insn, reach, change != BIT_KEEP, &a)) {
        return FLOW_FAULT;
    }
    if (change == BIT_KEEP) {
        if (!mem_read(cpu, a, size, &old)) {
            return FLOW_FAULT;
        }
    } else {
        if (!mem_rmw_begin(cpu, a, size, (insn->prefixes & PREFIX_LOCK) != 0, &rmw)) {
            return FLOW_FAULT;
        }
        old = rmw.old;
        mem_rmw_commit(cpu, &rmw, bit_changed(old, bit, change), 0);
    }
    flags_set_cf(cpu, (old & bit) != 0);
    return FLOW_NEXT;
}

static enum flow bit_test(struct cpu *cpu, const struct insn *insn, enum bit_change change)
{
    uint64_t old, offset;
    if (!insn_read(cpu, insn, 1, &offset)) {
        return FLOW_FAULT;
    }
    if (insn->op[0].kind == OPERAND_MEM) {
        return bit_memory(cpu, insn, offset, change);
    }
    unsigned size = insn->op[0].size_bytes;
    uint64_t bit = BIT(offset & (8 * size - 1));
    old = gpr_read(cpu, insn->op[0].reg, size);
    flags_set_cf(cpu, (old & bit) != 0);
    if (change != BIT_KEEP) {
        gpr_write(cpu, insn->op[0].reg, bit_changed(old, bit, change), size);
    }
    return FLOW_NEXT;
}

enum flow exec_bt(struct cpu *cpu, const struct insn *insn)
{
    return bit_test(cpu, insn, BIT_KEEP);
}

enum flow exec_bts(struct cpu *cpu, const struct insn *insn)
{
    return bit_test(cpu, insn, BIT_SET);
}

enum flow exec_btr(struct cpu *cpu, const struct insn *insn)
{
    return bit_test(cpu, insn, BIT_RESET);
}

enum flow exec_btc(struct cpu *cpu, const struct insn *insn)
{
    return bit_test(cpu, insn, BIT_COMPLEMENT);
}

/* ---- scans and counts ---- */

static unsigned leading_zeros(uint64_t v, unsigned w)
{
    return v == 0 ? w : (unsigned)__builtin_clzll(v) - (64 - w);
}

static unsigned trailing_zeros(uint64_t v, unsigned w)
{
    return v == 0 ? w : (unsigned)__builtin_ctzll(v);
}

/* BSF, BSR of 0: ZF is set and the destination keeps its value, all 64 bits of it (AMD documents that). */
static enum flow bit_scan(struct cpu *cpu, const struct insn *insn, bool forward)
{
    uint64_t v;
    unsigned w = insn_bits(insn, 0);
    if (!insn_read(cpu, insn, 1, &v)) {
        return FLOW_FAULT;
    }
    unsigned n = forward ? trailing_zeros(v, w) : w - 1 - leading_zeros(v, w);
    flags_set(cpu, v == 0 ? RFLAGS_ZF | RFLAGS_PF : __builtin_parity(n) ? 0 : RFLAGS_PF);
    if (v != 0) {
        insn_write(cpu, insn, 0, n);
    }
    return FLOW_NEXT;
}

enum flow exec_bsf(struct cpu *cpu, const struct insn *insn)
{
    return bit_scan(cpu, insn, true);
}

enum flow exec_bsr(struct cpu *cpu, const struct insn *insn)
{
    return bit_scan(cpu, insn, false);
}

static enum flow zero_count(struct cpu *cpu, const struct insn *insn, unsigned (*count)(uint64_t, unsigned))
{
    uint64_t v;
    if (!insn_read(cpu, insn, 1, &v)) {
        return FLOW_FAULT;
    }
    unsigned n = count(v, insn_bits(insn, 0));
    flags_change(cpu, RFLAGS_STATUS & ~RFLAGS_OF, (v == 0 ? RFLAGS_CF : 0) | (n == 0 ? RFLAGS_ZF : 0));
    insn_write(cpu, insn, 0, n);
    return FLOW_NEXT;
}

enum flow exec_lzcnt(struct cpu *cpu, const struct insn *insn)
{
    return zero_count(cpu, insn, leading_zeros);
}

enum flow exec_tzcnt(struct cpu *cpu, const struct insn *insn)
{
    return zero_count(cpu, insn, trailing_zeros);
}

enum flow exec_popcnt(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    if (!insn_read(cpu, insn, 1, &v)) {
        return FLOW_FAULT;
    }
    flags_set(cpu, v == 0 ? RFLAGS_ZF : 0);
    insn_write(cpu, insn, 0, (uint64_t)__builtin_popcountll(v));
    return FLOW_NEXT;
}

/* CRC-32C, reflected polynomial 82f63b78; the destination's upper half is cleared. */
enum flow exec_crc32(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    if (!insn_read(cpu, insn, 1, &v)) {
        return FLOW_FAULT;
    }
    uint64_t crc = (uint32_t)cpu->gpr[insn->op[0].reg];
    for (unsigned i = 0; i < insn_bits(insn, 1); i++) {
        uint64_t odd = (crc ^ v >> i) & 1;
        crc = crc >> 1 ^ (odd ? UINT64_C(0x82f63b78) : 0);
    }
    cpu->gpr[insn->op[0].reg] = crc;
    return FLOW_NEXT;
}

/* ---- BMI1 ---- */

/* ZF and SF of the result, CF as given, OF and AF 0; PF (undefined) follows the result. */
static enum flow bmi_result(struct cpu *cpu, const struct insn *insn, uint64_t r, bool cf)
{
    unsigned w = insn_bits(insn, 0);
    flags_result(cpu, r, w);
    flags_set_carry(cpu, cf, false, false);
    insn_write(cpu, insn, 0, sem_mask(r, w));
    return FLOW_NEXT;
}

enum flow exec_andn(struct cpu *cpu, const struct insn *insn)
{
    uint64_t a, b;
    if (!insn_read(cpu, insn, 1, &a) || !insn_read(cpu, insn, 2, &b)) {
        return FLOW_FAULT;
    }
    return bmi_result(cpu, insn, ~a & b, false);
}

enum flow exec_bextr(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v, control;
    if (!insn_read(cpu, insn, 1, &v) || !insn_read(cpu, insn, 2, &control)) {
        return FLOW_FAULT;
    }
    unsigned start = control & 0xff, length = control >> 8 & 0xff;
    uint64_t r = start >= 64 ? 0 : v >> start & bits_mask(length);
    bmi_result(cpu, insn, r, false);
    flags_change(cpu, RFLAGS_AF | RFLAGS_SF, RFLAGS_AF); /* undefined; so on the hardware */
    return FLOW_NEXT;
}

enum flow exec_blsi(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    return insn_read(cpu, insn, 1, &v) ? bmi_result(cpu, insn, v & (0 - v), v != 0) : FLOW_FAULT;
}

enum flow exec_blsmsk(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    return insn_read(cpu, insn, 1, &v) ? bmi_result(cpu, insn, v ^ (v - 1), v == 0) : FLOW_FAULT;
}

enum flow exec_blsr(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v;
    return insn_read(cpu, insn, 1, &v) ? bmi_result(cpu, insn, v & (v - 1), v == 0) : FLOW_FAULT;
}

/* ---- BMI2 ---- */

enum flow exec_bzhi(struct cpu *cpu, const struct insn *insn)
{
    uint64_t v, index;
    if (!insn_read(cpu, insn, 1, &v) || !insn_read(cpu, insn, 2, &index)) {
        return FLOW_FAULT;
    }
    unsigned n = index & 0xff, w = insn_bits(insn, 0);
    return bmi_result(cpu, insn, v & bits_mask(n), n >= w);
}

static uint64_t deposit(uint64_t v, uint64_t mask)
{
    uint64_t r = 0;
    for (; mask != 0; mask &= mask - 1, v >>= 1) {
        r |= v & 1 ? mask & (0 - mask) : 0;
    }
    return r;
}

static uint64_t extract(uint64_t v, uint64_t mask)
{
    uint64_t r = 0;
    for (unsigned k = 0; mask != 0; mask &= mask - 1, k++) {
        r |= (uint64_t)((v & mask & (0 - mask)) != 0) << k;
    }
    return r;
}

static enum flow parallel(struct cpu *cpu, const struct insn *insn, uint64_t (*fn)(uint64_t, uint64_t))
{
    uint64_t v, mask;
    if (!insn_read(cpu, insn, 1, &v) || !insn_read(cpu, insn, 2, &mask)) {
        return FLOW_FAULT;
    }
    insn_write(cpu, insn, 0, fn(v, mask));
    return FLOW_NEXT;
}

enum flow exec_pdep(struct cpu *cpu, const struct insn *insn)
{
    return parallel(cpu, insn, deposit);
}

enum flow exec_pext(struct cpu *cpu, const struct insn *insn)
{
    return parallel(cpu, insn, extract);
}

typedef uint64_t shift_fn(struct cpu *cpu, uint64_t a, uint64_t count, unsigned w, bool flags);

/* Shifts and rotates that leave the flags alone. */
static enum flow shift_x(struct cpu *cpu, const struct insn *insn, shift_fn *sem)
{
    uint64_t v, count;
    if (!insn_read(cpu, insn, 1, &v) || !insn_read(cpu, insn, 2, &count)) {
        return FLOW_FAULT;
    }
    insn_write(cpu, insn, 0, sem(cpu, v, count, insn_bits(insn, 0), false));
    return FLOW_NEXT;
}

enum flow exec_rorx(struct cpu *cpu, const struct insn *insn)
{
    return shift_x(cpu, insn, sem_ror);
}

enum flow exec_shlx(struct cpu *cpu, const struct insn *insn)
{
    return shift_x(cpu, insn, sem_shl);
}

enum flow exec_shrx(struct cpu *cpu, const struct insn *insn)
{
    return shift_x(cpu, insn, sem_shr);
}

enum flow exec_sarx(struct cpu *cpu, const struct insn *insn)
{
    return shift_x(cpu, insn, sem_sar);
}
