#ifndef ORRERY_CPU_OP_JUMP_H
#define ORRERY_CPU_OP_JUMP_H

/*
 * Bodies of the near branches that end a block, for the handlers of a branch alone (op_branch.c) and of what is before
 * it and the branch (op_neighbour.c). A branch whose target is not found has changed nothing and takes the plain way.
 */

#include "cpu/op_body.h"

/* Declares to and left: the block at target and the cycles left in it. */
#define OP_FIND_TARGET(target)                                         \
    uint64_t to_rip = (target);                                        \
    const struct jump_entry *jump = &cpu->jumps[op_jump_slot(to_rip)]; \
    if (OP_UNLIKELY(!op_jump_known(cpu, jump, to_rip))) {              \
        OP_GOTO(op_generic_end);                                       \
    }                                                                  \
    const struct block *to = jump->block;                              \
    int64_t left = cpu->left_cycles - to->cost_cycles;                 \
    if (OP_UNLIKELY(left < 0)) {                                       \
        OP_GOTO(op_generic_end);                                       \
    }                                                                  \
    op_jump_latch(cpu, to);

#define OP_RET                             \
    OP_HOST_READ_END(p, cpu->gpr[RSP], 64) \
    OP_FIND_TARGET(op_load(p, 64))         \
    cpu->gpr[RSP] += 8;                    \
    OP_ENTER(to, left);

/* Declares stack, where the return address goes, and top, the stack pointer then. */
#define OP_PUSH_RETURN                \
    uint64_t top = cpu->gpr[RSP] - 8; \
    OP_HOST_WRITE_END(stack, top, 64)

#define OP_CALL                                                     \
    OP_PUSH_RETURN                                                  \
    op_store(stack, op->target + (uint64_t)(int64_t)op->delta, 64); \
    cpu->gpr[RSP] = top;                                            \
    OP_ENTER_LINK(op);

/* imm64 is the return address. */
#define OP_CALL_R                     \
    OP_PUSH_RETURN                    \
    OP_FIND_TARGET(cpu->gpr[op->src]) \
    op_store(stack, op->imm64, 64);   \
    cpu->gpr[RSP] = top;              \
    OP_ENTER(to, left);

#endif
