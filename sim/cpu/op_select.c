/*
 * From decoded instructions to the operations of a block: which handler, with which operands.
 */

#include "cpu/op.h"

static bool ends_block(const struct insn *insn)
{
    unsigned flags = insn_rows[insn->row].flags;
    bool repeated = (flags & INSN_REP) && (insn->prefixes & (PREFIX_REP | PREFIX_REPNE));
    return repeated || (flags & (INSN_END | INSN_EXACT)) != 0;
}

void op_build(struct block *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        struct op *op = &b->ops[i];
        op->number = (uint16_t)i;
        op->run = ends_block(&b->insns[i]) ? op_generic_end : op_generic;
    }
    struct op *last = &b->ops[b->count];
    last->number = (uint16_t)b->count;
    last->run = op_leave;
    last->target = b->rip + b->size_bytes;
}
