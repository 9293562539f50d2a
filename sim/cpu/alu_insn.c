/*
 * Two- and one-operand arithmetic and logic, and conversions between widths.
 * Source: APM vol. 3. Bodies are in sem.h.
 */

#include "cpu/int_insn.h"

typedef uint64_t binary_fn(struct cpu *cpu, uint64_t a, uint64_t b, unsigned w, bool flags);
typedef uint64_t unary_fn(struct cpu *cpu, uint64_t a, unsigned w, bool flags);

static inline enum flow binary(struct cpu *cpu, const struct insn *insn, binary_fn *sem)
{
    struct insn_rmw rmw;
    uint64_t b;
    if (!insn_read(cpu, insn, 1, &b) || !insn_rmw_begin(cpu, insn, 0, &rmw)) {
        return FLOW_FAULT;
    }
    insn_rmw_commit(cpu, insn, 0, &rmw, sem(cpu, rmw.old, b, insn_bits(insn, 0), true));
    return FLOW_NEXT;
}

/* CMP and TEST: flags only. */
static inline enum flow compare(struct cpu *cpu, const struct insn *insn, binary_fn *sem)
{
    uint64_t a, b;
    if (!insn_read(cpu, insn, 0, &a) || !insn_read(cpu, insn, 1, &b)) {
        return FLOW_FAULT;
    }
    sem(cpu, a, b, insn_bits(insn, 0), true);
    return FLOW_NEXT;
}

static inline enum flow unary(struct cpu *cpu, const struct insn *insn, unary_fn *sem)
{
    struct insn_rmw rmw;
    if (!insn_rmw_begin(cpu, insn, 0, &rmw)) {
        return FLOW_FAULT;
    }
    insn_rmw_commit(cpu, insn, 0, &rmw, sem(cpu, rmw.old, insn_bits(insn, 0), true));
    return FLOW_NEXT;
}

#define EXEC(name, shape, sem)                                      \
    enum flow exec_##name(struct cpu *cpu, const struct insn *insn) \
    {                                                               \
        return shape(cpu, insn, sem);                               \
    }

EXEC(add, binary, sem_add)
EXEC(or, binary, sem_or)
EXEC(adc, binary, sem_adc)
EXEC(sbb, binary, sem_sbb)
EXEC(and, binary, sem_and)
EXEC(sub, binary, sem_sub)
EXEC(xor, binary, sem_xor)
EXEC(cmp, compare, sem_sub)
EXEC(test, compare, sem_and)
EXEC(inc, unary, sem_inc)
EXEC(dec, unary, sem_dec)
EXEC(neg, unary, sem_neg)
EXEC(not, unary, sem_not)
EXEC(shl, binary, sem_shl)
EXEC(shr, binary, sem_shr)
EXEC(sar, binary, sem_sar)
EXEC(rol, binary, sem_rol)
EXEC(ror, binary, sem_ror)
EXEC(rcl, binary, sem_rcl)
EXEC(rcr, binary, sem_rcr)

/* ADCX and ADOX: addition with CF, or OF, as the only flag read and written. */
static enum flow add_with(struct cpu *cpu, const struct insn *insn, uint64_t flag)
{
    uint64_t a, b;
    if (!insn_read(cpu, insn, 0, &a) || !insn_read(cpu, insn, 1, &b)) {
        return FLOW_FAULT;
    }
    u128_t sum = (u128_t)a + b + ((flags_get(cpu) & flag) != 0);
    flags_change(cpu, flag, sum >> insn_bits(insn, 0) ? flag : 0);
    return insn_write(cpu, insn, 0, (uint64_t)sum) ? FLOW_NEXT : FLOW_FAULT;
}

enum flow exec_adcx(struct cpu *cpu, const struct insn *insn)
{
    return add_with(cpu, insn, RFLAGS_CF);
}

enum flow exec_adox(struct cpu *cpu, const struct insn *insn)
{
    return add_with(cpu, insn, RFLAGS_OF);
}

/* CBW, CWDE, CDQE: the lower half of the accumulator, sign-extended. */
enum flow exec_cbw(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->operand_size_bytes;
    gpr_write(cpu, RAX, bits_sext(cpu->gpr[RAX], 4 * size), size);
    return FLOW_NEXT;
}

/* CWD, CDQ, CQO: the sign of the accumulator, spread over rDX. */
enum flow exec_cwd(struct cpu *cpu, const struct insn *insn)
{
    unsigned size = insn->operand_size_bytes;
    bool negative = (cpu->gpr[RAX] >> (8 * size - 1) & 1) != 0;
    gpr_write(cpu, RDX, negative ? UINT64_MAX : 0, size);
    return FLOW_NEXT;
}
