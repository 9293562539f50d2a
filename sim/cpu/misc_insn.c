/*
 * Atomic exchanges, flag instructions, BOUND, fences, cache line instructions, and the undefined ones.
 * Source: APM vol. 3. Deviations: cache line instructions only check the access, there is no cache to flush.
 */

#include "cpu/int_insn.h"
#include "cpu/segment.h"
#include "cpu/timed.h"

/* A failing CMPXCHG with memory writes the old value back: the access is a write either way. */
enum flow exec_cmpxchg(struct cpu *cpu, const struct insn *insn)
{
    struct insn_rmw rmw;
    uint64_t b;
    unsigned size = insn->op[0].size_bytes;
    if (!insn_read(cpu, insn, 1, &b) || !insn_rmw_begin(cpu, insn, 0, &rmw)) {
        return FLOW_FAULT;
    }
    uint64_t expected = gpr_read(cpu, RAX, size);
    bool equal = expected == rmw.old;
    sem_sub(cpu, expected, rmw.old, 8 * size, true);
    if (equal || insn->op[0].kind == OPERAND_MEM) {
        insn_rmw_commit(cpu, insn, 0, &rmw, equal ? b : rmw.old);
    }
    if (!equal) {
        gpr_write(cpu, RAX, rmw.old, size);
    }
    return FLOW_NEXT;
}

static bool pair_begin(struct cpu *cpu, const struct insn *insn, unsigned size, struct mem_rmw *rmw)
{
    lin_t a;
    bool locked = (insn->prefixes & PREFIX_LOCK) != 0;
    return insn_address(cpu, insn, size, true, &a) && mem_rmw_begin(cpu, a, size, locked, rmw);
}

/* EDX:EAX against m64; ECX:EBX is the new value. Only ZF changes. */
enum flow exec_cmpxchg8b(struct cpu *cpu, const struct insn *insn)
{
    struct mem_rmw rmw;
    if (!pair_begin(cpu, insn, 8, &rmw)) {
        return FLOW_FAULT;
    }
    uint64_t expected = cpu->gpr[RDX] << 32 | (uint32_t)cpu->gpr[RAX];
    bool equal = expected == rmw.old;
    mem_rmw_commit(cpu, &rmw, equal ? cpu->gpr[RCX] << 32 | (uint32_t)cpu->gpr[RBX] : rmw.old, 0);
    if (!equal) {
        gpr_write(cpu, RAX, rmw.old, 4);
        gpr_write(cpu, RDX, rmw.old >> 32, 4);
    }
    flags_change(cpu, RFLAGS_ZF, equal ? RFLAGS_ZF : 0);
    return FLOW_NEXT;
}

/* The same with 64-bit halves; the operand must be aligned to 16 bytes (#GP). */
enum flow exec_cmpxchg16b(struct cpu *cpu, const struct insn *insn)
{
    struct mem_rmw rmw;
    bool no_base = cpu->mode == MODE_LONG64 && insn->mem_seg < SEG_FS;
    uint64_t base = no_base ? 0 : cpu->seg[insn->mem_seg].base;
    if ((base + insn_offset(cpu, insn)) % 16 != 0) { /* before the address's own validity, which may be #SS */
        return cpu_fault_code(cpu, VECTOR_GP, 0);
    }
    if (!pair_begin(cpu, insn, 16, &rmw)) {
        return FLOW_FAULT;
    }
    bool equal = cpu->gpr[RAX] == rmw.old && cpu->gpr[RDX] == rmw.old2;
    mem_rmw_commit(cpu, &rmw, equal ? cpu->gpr[RBX] : rmw.old, equal ? cpu->gpr[RCX] : rmw.old2);
    if (!equal) {
        cpu->gpr[RAX] = rmw.old;
        cpu->gpr[RDX] = rmw.old2;
    }
    flags_change(cpu, RFLAGS_ZF, equal ? RFLAGS_ZF : 0);
    return FLOW_NEXT;
}

/* The source takes the old value first, so that XADD r, r leaves the sum. */
enum flow exec_xadd(struct cpu *cpu, const struct insn *insn)
{
    struct insn_rmw rmw;
    uint64_t b;
    if (!insn_read(cpu, insn, 1, &b) || !insn_rmw_begin(cpu, insn, 0, &rmw)) {
        return FLOW_FAULT;
    }
    uint64_t sum = sem_add(cpu, rmw.old, b, insn_bits(insn, 0), true);
    insn_write(cpu, insn, 1, rmw.old);
    insn_rmw_commit(cpu, insn, 0, &rmw, sum);
    return FLOW_NEXT;
}

/* ---- flags ---- */

enum flow exec_clc(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    flags_set_cf(cpu, false);
    return FLOW_NEXT;
}

enum flow exec_stc(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    flags_set_cf(cpu, true);
    return FLOW_NEXT;
}

enum flow exec_cmc(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    flags_set_cf(cpu, !flags_cf(cpu));
    return FLOW_NEXT;
}

enum flow exec_cld(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    cpu->rflags &= ~RFLAGS_DF;
    return FLOW_NEXT;
}

enum flow exec_std(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    cpu->rflags |= RFLAGS_DF;
    return FLOW_NEXT;
}

/* SALC: AL = CF ? ff : 0; undocumented, present everywhere outside 64-bit mode. */
enum flow exec_salc(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    gpr_write(cpu, RAX, flags_cf(cpu) ? 0xff : 0, 1);
    return FLOW_NEXT;
}

/* ---- the rest ---- */

/* The index must lie within the two signed bounds in memory, else #BR. */
enum flow exec_bound(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->op[0].size_bytes;
    lin_t a;
    uint64_t low, high;
    if (!insn_address(cpu, insn, size, false, &a) || !mem_read(cpu, a, size, &low) ||
        !insn_address_part(cpu, insn, size, size, false, &a) || !mem_read(cpu, a, size, &high)) {
        return FLOW_FAULT;
    }
    int64_t index = (int64_t)bits_sext(cpu->gpr[insn->op[0].reg], 8 * size);
    bool inside = index >= (int64_t)bits_sext(low, 8 * size) && index <= (int64_t)bits_sext(high, 8 * size);
    return inside ? FLOW_NEXT : cpu_fault(cpu, VECTOR_BR);
}

enum flow exec_undefined(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    return cpu_fault(cpu, VECTOR_UD);
}

/* LFENCE waits for loads, which are never late here. */
enum flow exec_lfence(struct cpu *cpu, const struct insn *insn)
{
    (void)cpu;
    (void)insn;
    return FLOW_NEXT;
}

/* SFENCE orders stores, which drain in order anyway. */
enum flow exec_sfence(struct cpu *cpu, const struct insn *insn)
{
    (void)cpu;
    (void)insn;
    return FLOW_NEXT;
}

enum flow exec_mfence(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (timed_wait_for_drain(cpu)) {
        return FLOW_FAULT;
    }
    mem_drain(cpu);
    return FLOW_NEXT;
}

/* CLFLUSH, CLFLUSHOPT and CLWB check a read of one byte. */
enum flow exec_cache_line(struct cpu *cpu, const struct insn *insn)
{
    lin_t a;
    return insn_address(cpu, insn, 1, false, &a) && mem_probe_read(cpu, a, 1) ? FLOW_NEXT : FLOW_FAULT;
}
