/*
 * Near branches in 64-bit mode under the timing model: the same cases as op_branch.c, whose bodies cannot serve, since time is
 * taken between a branch and the block that it leads to.
 */

#define OP_TIMED 1

#include "cpu/op_body.h"
#include "cpu/op_table.h"
#include "cpu/timed.h"

#define EACH_CC(DO) \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)

#define JCC(cc)                                                                      \
    OP_HANDLER(op_timed_jcc_##cc)                                                    \
    {                                                                                \
        cpu->rip = flags_condition(cpu, cc) ? op->target : op_behind(op, 1)->target; \
        OP_GOTO(op_time_condition);                                                  \
    }
EACH_CC(JCC)

#define JCC_ENTRY(cc) op_timed_jcc_##cc,

op_fn *op_find_jcc(unsigned cc)
{
    static op_fn *const table[16] = {EACH_CC(JCC_ENTRY)};
    return table[cc];
}

const struct op *op_jmp(struct cpu *cpu, const struct op *op)
{
    cpu->rip = op->target;
    OP_GOTO(op_time_branch);
}

#define PUSH_RETURN(value)                                  \
    uint64_t top = cpu->gpr[RSP] - 8;                       \
    if (OP_UNLIKELY(cpu->stores.count > cpu->store_room)) { \
        OP_GOTO(op_timed_end);                              \
    }                                                       \
    OP_HOST_WRITE_END(stack, top, 64)                       \
    op_store(stack, value, 64);                             \
    cpu->gpr[RSP] = top;

const struct op *op_call(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    PUSH_RETURN(b->rip + b->size_bytes)
    cpu->rip = op->target;
    OP_GOTO(op_time_branch);
}

const struct op *op_ret(struct cpu *cpu, const struct op *op)
{
    OP_HOST_READ_END(p, cpu->gpr[RSP], 64)
    uint64_t target = op_load(p, 64);
    if (OP_UNLIKELY(!lin_is_canonical(lin(target)))) {
        timed_forget(cpu);
        OP_GOTO(op_timed_end);
    }
    cpu->gpr[RSP] += 8;
    cpu->rip = target;
    OP_GOTO(op_time_branch);
}

const struct op *op_jmp_r(struct cpu *cpu, const struct op *op)
{
    uint64_t target = cpu->gpr[op->src];
    if (OP_UNLIKELY(!lin_is_canonical(lin(target)))) {
        OP_GOTO(op_timed_end);
    }
    cpu->rip = target;
    OP_GOTO(op_time_branch);
}

const struct op *op_call_r(struct cpu *cpu, const struct op *op)
{
    uint64_t target = cpu->gpr[op->src];
    if (OP_UNLIKELY(!lin_is_canonical(lin(target)))) {
        OP_GOTO(op_timed_end);
    }
    PUSH_RETURN(op->imm64)
    cpu->rip = target;
    OP_GOTO(op_time_branch);
}

#define JMP_MEMORY(ea)                                                   \
    const struct op *op_jmp_m_##ea(struct cpu *cpu, const struct op *op) \
    {                                                                    \
        OP_HOST_READ_END(p, op_address_##ea(cpu, op), 64)                \
        uint64_t target = op_load(p, 64);                                \
        if (OP_UNLIKELY(!lin_is_canonical(lin(target)))) {               \
            timed_forget(cpu);                                           \
            OP_GOTO(op_timed_end);                                       \
        }                                                                \
        cpu->rip = target;                                               \
        OP_GOTO(op_time_branch);                                         \
    }
JMP_MEMORY(b)
JMP_MEMORY(x)

/* The return address is the end of the block. */
#define CALL_MEMORY(ea)                                                   \
    const struct op *op_call_m_##ea(struct cpu *cpu, const struct op *op) \
    {                                                                     \
        const struct block *b = op_block(op);                             \
        uint64_t top = cpu->gpr[RSP] - 8;                                 \
        OP_HOST_READ_END(p, op_address_##ea(cpu, op), 64)                 \
        if (OP_UNLIKELY(cpu->stores.count > cpu->store_room)) {           \
            OP_GOTO(op_timed_end);                                        \
        }                                                                 \
        OP_HOST_WRITE_END(stack, top, 64)                                 \
        uint64_t target = op_load(p, 64);                                 \
        if (OP_UNLIKELY(!lin_is_canonical(lin(target)))) {                \
            timed_forget(cpu);                                            \
            OP_GOTO(op_timed_end);                                        \
        }                                                                 \
        op_store(stack, b->rip + b->size_bytes, 64);                      \
        cpu->gpr[RSP] = top;                                              \
        cpu->rip = target;                                                \
        OP_GOTO(op_time_branch);                                          \
    }
CALL_MEMORY(b)
CALL_MEMORY(x)
