/*
 * The operations that every block can be made of: the plain execution function of an instruction, and
 * leaving.
 */

#include "cpu/op.h"
#include "cpu/pending.h"

/* Dearer than any deadline is far, and no overflow when cycles are overdrawn. */
const struct block op_unlinked = {.cost_cycles = INT64_C(1) << 62};

/* Gives back what the block was charged for instruction `number` and all after it. */
static void refund(struct cpu *cpu, const struct block *b, unsigned number)
{
    cpu->left_cycles += b->cold[number].refund_cycles;
    cpu->retired -= b->count - number;
}

static bool is_step_block(const struct block *b)
{
    return b->mode >> 2 == BLOCK_STEP;
}

/* The next short slice begins at op of a step block, whose rip is given. */
static void stand_at(struct cpu *cpu, const struct op *op, uint64_t rip)
{
    cpu->step_block = op_block(op);
    cpu->step_number = op->number;
    cpu->step_rip = rip;
}

/* The boundary before op of a step block that is left in sequence: the link at its end, once it is known, leads on. */
static void go_to_step(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    if (b->dead) {
        return;
    }
    if (op->number < b->count) {
        stand_at(cpu, op, cpu->rip);
    } else if (op->link != &op_unlinked) {
        stand_at(cpu, op->link->ops, op->target);
    } else {
        cpu->link_from = op;
    }
}

/* The run loop has to look: asked for, an interrupt came up, a first store was queued and sets a new limit, or the
 * block wrote over itself. */
static bool must_leave(const struct cpu *cpu, const struct block *b)
{
    bool queued = cpu->stores.count != 0 && !cpu->drain_limited;
    return cpu->chain_break || cpu->chain_cut || b->dead || queued || cpu_interrupt_waits(cpu);
}

/* Executes the instruction of op with the clock at its beginning. */
static enum flow execute(struct cpu *cpu, const struct block *b, const struct op *op)
{
    const struct block_cold *cold = &b->cold[op->number];
    cpu->rip = b->rip + cold->offset_bytes;
    cpu->refund_cycles = cold->refund_cycles;
    enum flow flow = insn_execute(cpu, &b->insns[op->number]);
    cpu->refund_cycles = 0;
    op_refresh(cpu);
    return flow;
}

/* The boundary after the instruction of op: not FLOW_NEXT, or somebody wants it seen. */
static const struct op *leave_after(struct cpu *cpu, const struct block *b, const struct op *op,
                                    enum flow flow)
{
    bool done = flow == FLOW_NEXT || flow == FLOW_JUMP;
    cpu->exit_flow = (uint8_t)flow;
    cpu->exit_insn = &b->insns[op->number];
    if (flow == FLOW_NEXT) {
        cpu->rip = insn_next_rip(cpu, &b->insns[op->number]);
        if (is_step_block(b)) {
            go_to_step(cpu, op + 1);
        }
    }
    if (flow == FLOW_REPEAT) {
        /* The iteration is paid for, the instruction not yet counted. It ends its block. */
        cpu->retired--;
    } else {
        refund(cpu, b, op->number + done);
    }
    return NULL;
}

static inline const struct op *plain(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    enum flow flow = execute(cpu, b, op);
    if (__builtin_expect(flow != FLOW_NEXT || must_leave(cpu, b), 0)) {
        return leave_after(cpu, b, op, flow);
    }
    return op_behind(op, 1);
}

const struct op *op_plain(struct cpu *cpu, const struct op *op)
{
    return plain(cpu, op);
}

const struct op *op_generic(struct cpu *cpu, const struct op *op)
{
    const struct op *next = plain(cpu, op);
    if (next == NULL) {
        return NULL;
    }
    OP_DISPATCH(next);
}

const struct op *op_generic_end(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    return leave_after(cpu, b, op, execute(cpu, b, op));
}

const struct op *op_stop(struct cpu *cpu, const struct op *op)
{
    const struct block *b = op_block(op);
    refund(cpu, b, op->number);
    cpu->rip = b->rip + b->cold[op->number].offset_bytes;
    cpu->exit_flow = FLOW_JUMP;
    stand_at(cpu, op, cpu->rip);
    return NULL;
}

const struct op *op_leave(struct cpu *cpu, const struct op *op)
{
    cpu->rip = op->target;
    cpu->exit_flow = FLOW_JUMP;
    return NULL;
}

const struct op *op_leave_link(struct cpu *cpu, const struct op *op)
{
    if (op->link != &op_unlinked) {
        if (is_step_block(op->link)) {
            stand_at(cpu, op->link->ops, op->target);
        }
        return op_leave(cpu, op);
    }
    bool far = ((op->target ^ cpu->fetch.lin_page) & ~(uint64_t)PAGE_MASK_BITS) != 0;
    const struct jump_entry *j = &cpu->jumps[op_jump_slot(op->target)];
    if (far && op_jump_known(cpu, j, op->target) && j->block->cost_cycles <= cpu->left_cycles) {
        op_jump_latch(cpu, j->block);
        OP_ENTER(j->block, cpu->left_cycles - j->block->cost_cycles);
    }
    cpu->link_from = op;
    return op_leave(cpu, op);
}
