/*
 * Specialised handlers of near branches in 64-bit mode, with a 64-bit operand.
 *
 * A direct branch is a link (op.h). Behind a conditional jump stands the link of its fall-through. An
 * indirect branch or a return finds its block through the jump table; when that fails it has changed nothing
 * and takes the plain way, which ends in the run loop.
 */

#include "cpu/op_jump.h"
#include "cpu/op_table.h"

#define EACH_CC(DO) \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)

#define JCC(cc)                         \
    OP_HANDLER(op_jcc_##cc)             \
    {                                   \
        if (flags_condition(cpu, cc)) { \
            OP_ENTER_LINK(op);          \
        }                               \
        OP_ENTER_LINK(op + 1);          \
    }
EACH_CC(JCC)

#define JCC_ENTRY(cc) op_jcc_##cc,

op_fn *op_find_jcc(unsigned cc)
{
    static op_fn *const table[16] = {EACH_CC(JCC_ENTRY)};
    return table[cc];
}

const struct op *op_jmp(struct cpu *cpu, const struct op *op)
{
    OP_ENTER_LINK(op);
}

const struct op *op_call(struct cpu *cpu, const struct op *op)
{
    OP_CALL
}

const struct op *op_ret(struct cpu *cpu, const struct op *op)
{
    OP_RET
}

const struct op *op_jmp_r(struct cpu *cpu, const struct op *op)
{
    OP_FIND_TARGET(cpu->gpr[op->src])
    OP_ENTER(to, left);
}

#define JMP_MEMORY(ea)                                                   \
    const struct op *op_jmp_m_##ea(struct cpu *cpu, const struct op *op) \
    {                                                                    \
        OP_HOST_READ_END(p, op_address_##ea(cpu, op), 64)                \
        OP_FIND_TARGET(op_load(p, 64))                                   \
        OP_ENTER(to, left);                                              \
    }
JMP_MEMORY(b)
JMP_MEMORY(x)

/* The return address of a call through memory is the end of its block. */
static inline uint64_t return_address(const struct op *op)
{
    const struct block *b = op_block(op);
    return b->rip + b->size_bytes;
}

const struct op *op_call_r(struct cpu *cpu, const struct op *op){OP_CALL_R}

#define CALL_MEMORY(ea)                                                   \
    const struct op *op_call_m_##ea(struct cpu *cpu, const struct op *op) \
    {                                                                     \
        OP_HOST_READ_END(p, op_address_##ea(cpu, op), 64)                 \
        OP_PUSH_RETURN                                                    \
        OP_FIND_TARGET(op_load(p, 64))                                    \
        op_store(stack, return_address(op), 64);                          \
        cpu->gpr[RSP] = top;                                              \
        OP_ENTER(to, left);                                               \
    }
CALL_MEMORY(b) CALL_MEMORY(x)
