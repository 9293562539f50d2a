/*
 * From decoded instructions to the operations of a block: which handler, with which operands.
 *
 * Flags that no one reads are not computed: going from the end of the block to its front, the flags are live
 * at the end, before a reader and before everything that can leave in the middle (a memory access, a plain
 * execution function), and dead before what overwrites all of them.
 */

#include "cpu/int_insn.h"
#include "cpu/op_body.h"
#include "cpu/op_table.h"

#include <Zydis/Mnemonic.h>

/* What an instruction becomes. */
enum flag_use {
    FLAGS_READ, /* reads them, or may leave the block: live before it */
    FLAGS_UNTOUCHED,
    FLAGS_KEPT,   /* writes some, or only sometimes: live before it if live after */
    FLAGS_WRITTEN /* writes all without reading */
};

struct choice {
    enum flag_use use;
    bool live;   /* are the flags live after it */
    bool leaves; /* has a memory operand: live before it whatever `use` says */
};

/* The parts of an instruction that choose among handlers. */
struct form {
    enum op_shape shape;
    enum op_width width;
    bool ok; /* false: no specialised handler for these operands */
};

static enum op_width width_of(unsigned size_bytes)
{
    return size_bytes == 1 ? WIDTH_8 : size_bytes == 2 ? WIDTH_16 : size_bytes == 4 ? WIDTH_32 : WIDTH_64;
}

static bool based_segment(const struct insn *in)
{
    return in->mem_seg == SEG_FS || in->mem_seg == SEG_GS;
}

/* The base of FS or GS takes the place of an index. */
static bool plain_memory(const struct insn *in)
{
    return in->address_size_bytes == 8 && !(based_segment(in) && in->mem_index != REG_NONE);
}

/* With FS or GS the offset must be canonical, too, which handlers do not look at: it must be known. */
static bool offset_is_sure(const struct insn *in, uint64_t next_rip)
{
    uint64_t offset = (uint64_t)in->disp + (in->mem_base == REG_RIP ? next_rip : 0);
    bool fixed = (in->mem_base == REG_RIP || in->mem_base == REG_NONE) && in->mem_index == REG_NONE;
    return !based_segment(in) ||
           (fixed && lin_is_canonical(lin(offset)) && lin_is_canonical(lin(offset + 7)));
}

static bool has_index(const struct insn *in)
{
    return in->mem_index != REG_NONE || based_segment(in);
}

/* The immediate fits the 32-bit field of an operation. */
static bool small_immediate(const struct insn *in)
{
    return (int64_t)in->imm == (int32_t)in->imm || in->operand_size_bytes <= 4;
}

/* Shape of a destination and a source operand. */
static struct form two_operands(const struct insn *in, unsigned dst, unsigned src)
{
    struct form f = {SHAPE_RR, width_of(in->op[dst].size_bytes), true};
    unsigned a = in->op[dst].kind, b = in->op[src].kind;
    bool index = has_index(in);
    if (a == OPERAND_GPR && b == OPERAND_GPR) {
        f.shape = SHAPE_RR;
    } else if (a == OPERAND_GPR && b == OPERAND_IMM) {
        f.shape = SHAPE_RI;
        f.ok = small_immediate(in);
    } else if (a == OPERAND_GPR && b == OPERAND_MEM) {
        f.shape = index ? SHAPE_RM_X : SHAPE_RM_B;
        f.ok = plain_memory(in);
    } else if (a == OPERAND_MEM && b == OPERAND_GPR) {
        f.shape = index ? SHAPE_MR_X : SHAPE_MR_B;
        f.ok = plain_memory(in);
    } else if (a == OPERAND_MEM && b == OPERAND_IMM) {
        f.shape = index ? SHAPE_MI_X : SHAPE_MI_B;
        f.ok = plain_memory(in) && small_immediate(in);
    } else {
        f.ok = false;
    }
    return f;
}

static bool has_memory(const struct insn *in)
{
    return in->op[0].kind == OPERAND_MEM || in->op[1].kind == OPERAND_MEM || in->op[2].kind == OPERAND_MEM;
}

/* ---- operands ---- */

static void put_address(struct op *op, const struct insn *in, uint64_t next_rip)
{
    op->disp = in->disp;
    op->base = in->mem_base == REG_NONE ? GPR_NONE : in->mem_base;
    if (in->mem_base == REG_RIP) {
        op->base = GPR_NONE;
        op->disp += (int64_t)next_rip;
    }
    op->index = in->mem_index == REG_NONE ? GPR_NONE : in->mem_index;
    op->scale = (uint8_t)__builtin_ctz(in->mem_scale);
    if (based_segment(in) && in->mnemonic != ZYDIS_MNEMONIC_LEA) {
        op->index = in->mem_seg == SEG_FS ? GPR_FS : GPR_GS;
        op->scale = 0;
    }
}

/* dst is operand d and src operand s; the memory operand and the immediate have fields of their own. */
static void put_operands(struct op *op, const struct insn *in, unsigned d, unsigned s, uint64_t next_rip)
{
    op->dst = in->op[d].reg;
    op->src = in->op[s].reg;
    op->imm = (int32_t)in->imm;
    if (has_memory(in)) {
        put_address(op, in, next_rip);
    }
}

/* ---- choosing ---- */

static int alu_of(unsigned mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_ADD:
        return ALU_ADD;
    case ZYDIS_MNEMONIC_OR:
        return ALU_OR;
    case ZYDIS_MNEMONIC_ADC:
        return ALU_ADC;
    case ZYDIS_MNEMONIC_SBB:
        return ALU_SBB;
    case ZYDIS_MNEMONIC_AND:
        return ALU_AND;
    case ZYDIS_MNEMONIC_SUB:
        return ALU_SUB;
    case ZYDIS_MNEMONIC_XOR:
        return ALU_XOR;
    case ZYDIS_MNEMONIC_CMP:
        return ALU_CMP;
    case ZYDIS_MNEMONIC_TEST:
        return ALU_TEST;
    default:
        return -1;
    }
}

static int unary_of(unsigned mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_INC:
        return UNARY_INC;
    case ZYDIS_MNEMONIC_DEC:
        return UNARY_DEC;
    case ZYDIS_MNEMONIC_NEG:
        return UNARY_NEG;
    case ZYDIS_MNEMONIC_NOT:
        return UNARY_NOT;
    default:
        return -1;
    }
}

static int shift_of(unsigned mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_SHL:
        return SHIFT_SHL;
    case ZYDIS_MNEMONIC_SHR:
        return SHIFT_SHR;
    case ZYDIS_MNEMONIC_SAR:
        return SHIFT_SAR;
    case ZYDIS_MNEMONIC_ROL:
        return SHIFT_ROL;
    case ZYDIS_MNEMONIC_ROR:
        return SHIFT_ROR;
    default:
        return -1;
    }
}

/* Jcc, SETcc, CMOVcc by their opcodes. */
static bool is_jcc(const struct insn *in)
{
    bool near = in->opcode_map == 0 ? (in->opcode & 0xf0) == 0x70
                                    : in->opcode_map == 0x0f && (in->opcode & 0xf0) == 0x80;
    return near && in->op[0].kind == OPERAND_REL && in->operand_size_bytes == 8;
}

static bool is_0f(const struct insn *in, unsigned row_of_opcodes)
{
    return in->opcode_map == 0x0f && (in->opcode & 0xf0u) == row_of_opcodes && in->op[0].kind == OPERAND_GPR;
}

/* Subtractions of an immediate, INC and DEC become additions when nobody reads their flags, so that fewer handlers do.
 */
static op_fn *choose_alu(struct op *op, const struct insn *in, uint64_t next_rip, struct choice *c)
{
    int alu = alu_of(in->mnemonic);
    struct form f = two_operands(in, 0, 1);
    bool high = in->op[0].kind == OPERAND_HIGH8 && in->op[1].kind == OPERAND_IMM;
    if (alu < 0 || !(f.ok || high)) {
        return NULL;
    }
    put_operands(op, in, 0, 1, next_rip);
    c->use = alu == ALU_ADC || alu == ALU_SBB ? FLAGS_READ : FLAGS_WRITTEN;
    if (alu == ALU_SUB && f.shape == SHAPE_RI && !high && !c->live && op->imm != INT32_MIN) {
        alu = ALU_ADD;
        op->imm = -op->imm;
    }
    return high ? op_find_alu_high((enum op_alu)alu)
                : op_find_alu((enum op_alu)alu, f.shape, f.width, c->live);
}

static op_fn *choose_unary(struct op *op, const struct insn *in, uint64_t next_rip, struct choice *c)
{
    int unary = unary_of(in->mnemonic);
    bool memory = in->op[0].kind == OPERAND_MEM && plain_memory(in);
    if (unary < 0 || !(memory || in->op[0].kind == OPERAND_GPR)) {
        return NULL;
    }
    c->use = unary == UNARY_NEG ? FLAGS_WRITTEN : unary == UNARY_NOT ? FLAGS_UNTOUCHED : FLAGS_KEPT;
    if (memory) {
        put_address(op, in, next_rip);
        return op_find_unary_memory((enum op_unary)unary, width_of(in->op[0].size_bytes), has_index(in));
    }
    op->dst = in->op[0].reg;
    enum op_width w = width_of(in->op[0].size_bytes);
    if (!c->live && (unary == UNARY_INC || unary == UNARY_DEC) && w != WIDTH_16) {
        op->imm = unary == UNARY_INC ? 1 : -1;
        return op_find_alu(ALU_ADD, SHAPE_RI, w, false);
    }
    return op_find_unary((enum op_unary)unary, w, c->live);
}

static op_fn *choose_shift(struct op *op, const struct insn *in, struct choice *c)
{
    int shift = shift_of(in->mnemonic);
    if (shift < 0 || in->op[0].kind != OPERAND_GPR) {
        return NULL;
    }
    bool by_cl = in->op[1].kind == OPERAND_GPR;
    bool always = !by_cl && (in->imm & (in->op[0].size_bytes == 8 ? 63 : 31)) != 0;
    op->dst = in->op[0].reg;
    op->imm = (int32_t)in->imm;
    c->use = always && shift < SHIFT_ROL ? FLAGS_WRITTEN : FLAGS_KEPT;
    return op_find_shift((enum op_shift)shift, by_cl, width_of(in->op[0].size_bytes), c->live);
}

static op_fn *choose_imul(struct op *op, const struct insn *in, uint64_t next_rip, struct choice *c)
{
    if (in->mnemonic != ZYDIS_MNEMONIC_IMUL || in->operand_count < 2) {
        return NULL;
    }
    bool three = in->operand_count == 3;
    struct form f = two_operands(in, 0, 1);
    if (!f.ok || (three && !small_immediate(in))) {
        return NULL;
    }
    put_operands(op, in, 0, 1, next_rip);
    c->use = FLAGS_KEPT;
    return op_find_imul(f.shape, three, f.width, c->live);
}

static op_fn *choose_mov(struct op *op, const struct insn *in, uint64_t next_rip)
{
    struct form f = two_operands(in, 0, 1);
    if (f.shape == SHAPE_RI) {
        op->dst = in->op[0].reg;
        op->imm64 = in->imm;
        return in->op[0].kind == OPERAND_GPR ? op_find_mov(SHAPE_RI, f.width) : NULL;
    }
    if (!f.ok) {
        return NULL;
    }
    put_operands(op, in, 0, 1, next_rip);
    return op_find_mov(f.shape, f.width);
}

static op_fn *choose_extend(struct op *op, const struct insn *in, uint64_t next_rip)
{
    bool sign = in->mnemonic != ZYDIS_MNEMONIC_MOVZX;
    struct form f = two_operands(in, 0, 1);
    if (in->op[1].kind == OPERAND_HIGH8 && !sign && in->op[0].size_bytes >= 4) {
        op->dst = in->op[0].reg;
        op->src = in->op[1].reg;
        return op_find_zero_high();
    }
    if (!f.ok) {
        return NULL;
    }
    put_operands(op, in, 0, 1, next_rip);
    return op_find_extend(sign, f.shape, width_of(in->op[1].size_bytes), f.width);
}

static op_fn *choose_lea(struct op *op, const struct insn *in, uint64_t next_rip)
{
    if (in->address_size_bytes != 8) {
        return NULL;
    }
    put_address(op, in, next_rip);
    op->dst = in->op[0].reg;
    return op_find_lea(in->mem_index != REG_NONE, width_of(in->op[0].size_bytes));
}

static op_fn *choose_push(struct op *op, const struct insn *in)
{
    if (in->operand_size_bytes != 8) {
        return NULL;
    }
    op->src = in->op[0].reg;
    op->imm = (int32_t)in->imm;
    return in->op[0].kind == OPERAND_GPR ? op_push_r : in->op[0].kind == OPERAND_IMM ? op_push_i : NULL;
}

static op_fn *choose_pop(struct op *op, const struct insn *in)
{
    op->dst = in->op[0].reg;
    return in->operand_size_bytes == 8 && in->op[0].kind == OPERAND_GPR ? op_pop_r : NULL;
}

/* Moves and the like: the flags are not touched. */
static op_fn *choose_move(struct op *op, const struct insn *in, uint64_t next_rip, struct choice *c)
{
    c->use = FLAGS_UNTOUCHED;
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
        return choose_mov(op, in, next_rip);
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
        return choose_extend(op, in, next_rip);
    case ZYDIS_MNEMONIC_LEA:
        return choose_lea(op, in, next_rip);
    case ZYDIS_MNEMONIC_PUSH:
        c->leaves = true;
        return choose_push(op, in);
    case ZYDIS_MNEMONIC_POP:
        c->leaves = true;
        return choose_pop(op, in);
    case ZYDIS_MNEMONIC_LEAVE:
        c->leaves = true;
        return in->operand_size_bytes == 8 ? op_leave_frame : NULL;
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_ENDBR64:
        return op_nop;
    case ZYDIS_MNEMONIC_CDQE:
        return op_cdqe;
    case ZYDIS_MNEMONIC_CDQ:
        return op_cdq;
    case ZYDIS_MNEMONIC_CQO:
        return op_cqo;
    default:
        return NULL;
    }
}

static op_fn *choose_conditional(struct op *op, const struct insn *in, struct choice *c)
{
    c->use = FLAGS_READ;
    op->dst = in->op[0].reg;
    op->src = in->op[1].reg;
    if (is_0f(in, 0x90)) {
        return op_find_setcc(in->opcode & 15);
    }
    if (is_0f(in, 0x40) && in->op[1].kind == OPERAND_GPR) {
        return op_find_cmov(in->opcode & 15, width_of(in->op[0].size_bytes));
    }
    return NULL;
}

/* The handler for an instruction in the middle of a block, or NULL. */
static op_fn *choose(struct op *op, const struct insn *in, uint64_t next_rip, struct choice *c)
{
    op_fn *run;
    if ((in->prefixes & PREFIX_LOCK) || !offset_is_sure(in, next_rip)) {
        return NULL;
    }
    c->leaves = has_memory(in) && in->mnemonic != ZYDIS_MNEMONIC_LEA && in->mnemonic != ZYDIS_MNEMONIC_NOP;
    if ((run = choose_move(op, in, next_rip, c)) != NULL || (run = choose_alu(op, in, next_rip, c)) != NULL ||
        (run = choose_unary(op, in, next_rip, c)) != NULL || (run = choose_shift(op, in, c)) != NULL ||
        (run = choose_imul(op, in, next_rip, c)) != NULL) {
        return run;
    }
    return choose_conditional(op, in, c);
}

/* ---- the end of the block ---- */

static void put_link(struct op *op, uint64_t target)
{
    op->link = &op_unlinked;
    op->target = target;
}

static bool is_canonical_target(uint64_t target)
{
    return lin_is_canonical(lin(target));
}

static op_fn *choose_indirect(struct op *op, const struct insn *in, uint64_t next_rip, bool call)
{
    op->src = in->op[0].reg;
    op->imm64 = next_rip;
    if (in->op[0].kind == OPERAND_GPR) {
        return call ? op_call_r : op_jmp_r;
    }
    if (in->op[0].kind != OPERAND_MEM || !plain_memory(in) || !offset_is_sure(in, next_rip)) {
        return NULL;
    }
    put_address(op, in, next_rip);
    if (has_index(in)) {
        return call ? op_call_m_x : op_jmp_m_x;
    }
    return call ? op_call_m_b : op_jmp_m_b;
}

static op_fn *choose_direct(struct op *op, const struct insn *in, uint64_t next_rip, bool call)
{
    uint64_t target = next_rip + in->imm;
    if (!is_canonical_target(target)) {
        return NULL;
    }
    put_link(op, target);
    op->delta = -(int32_t)in->imm;
    return call ? op_call : op_jmp;
}

/* The handler for a branch that ends a block, or NULL. Far transfers share the mnemonics but not the rows. */
static op_fn *choose_branch(struct op *op, const struct insn *in, uint64_t next_rip)
{
    if (in->operand_size_bytes != 8 || insn_rows[in->row].cost == COST_FAR) {
        return NULL;
    }
    if (is_jcc(in) && is_canonical_target(next_rip + in->imm)) {
        put_link(op, next_rip + in->imm);
        return op_find_jcc(in->opcode & 15);
    }
    bool call = in->mnemonic == ZYDIS_MNEMONIC_CALL;
    if (call || in->mnemonic == ZYDIS_MNEMONIC_JMP) {
        return in->op[0].kind == OPERAND_REL ? choose_direct(op, in, next_rip, call)
                                             : choose_indirect(op, in, next_rip, call);
    }
    return in->mnemonic == ZYDIS_MNEMONIC_RET && in->operand_count == 0 ? op_ret : NULL;
}

/* REP MOVS and REP STOS (either prefix repeats them), in bulk where time does not tell the iterations apart. */
static op_fn *choose_rep(const struct insn *in)
{
    exec_fn *exec = insn_rows[in->row].exec;
    bool movs = exec == exec_movs, stos = exec == exec_stos;
    if (OP_ONE_BY_ONE || (!movs && !stos) || in->address_size_bytes != 8 || based_segment(in)) {
        return NULL;
    }
    return op_find_rep(movs, width_of(in->operand_size_bytes));
}

/* ---- fusion ---- */

static op_fn *choose_fused(const struct insn *in, unsigned cc)
{
    int alu = alu_of(in->mnemonic), unary = unary_of(in->mnemonic);
    struct form f = two_operands(in, 0, 1);
    if (in->prefixes & PREFIX_LOCK) {
        return NULL;
    }
    if (alu >= 0 && f.ok) {
        return op_find_fused((enum op_alu)alu, f.shape, f.width, cc);
    }
    if (unary >= 0 && in->op[0].kind == OPERAND_GPR) {
        return op_find_fused_unary((enum op_unary)unary, width_of(in->op[0].size_bytes), cc);
    }
    return NULL;
}

/* What makes an operand of the fused comparison n of block b. */
static void fuse_maker(struct block *b, unsigned n, unsigned cc)
{
    int alu = alu_of(b->insns[n].mnemonic);
    struct form f = two_operands(&b->insns[n], 0, 1);
    if (n == 0 || alu < 0) {
        return;
    }
    struct op_compare compare = {(enum op_alu)alu, f.shape, f.width, cc};
    op_fn *run = op_find_compared(&b->ops[n - 1], &compare);
    if (run != NULL) {
        b->ops[n - 1].run = run;
    }
}

op_fn *op_find_last_pair(const struct block *b)
{
    unsigned n = (unsigned)b->count;
    if (n < 2 || !is_jcc(&b->insns[n - 1]) || b->ops[n - 1].run == op_generic_end ||
        b->ops[n - 2].run == op_generic) {
        return NULL;
    }
    return choose_fused(&b->insns[n - 2], b->insns[n - 1].opcode & 15);
}

static void fuse_last_pair(struct block *b)
{
    unsigned n = (unsigned)b->count;
    op_fn *run = op_find_last_pair(b);
    if (run != NULL) {
        b->ops[n - 2].run = run;
        fuse_maker(b, n - 2, b->insns[n - 1].opcode & 15);
    }
}

/* Pairs within the block. The pair of the last two, if it was fused, is no candidate: its handler is another. */
static void fuse_pairs(struct block *b)
{
    for (unsigned i = 0; i + 1 < b->count; i++) {
        op_fn *run = insn_ends_block(&b->insns[i + 1]) ? NULL : op_find_pair(&b->ops[i]);
        run = run != NULL ? run : op_find_neighbours(&b->ops[i]);
        if (run != NULL) {
            b->ops[i++].run = run;
        }
    }
}

/* ---- the whole block ---- */

static bool live_before(const struct choice *c)
{
    if (c->leaves || c->use == FLAGS_READ) {
        return true;
    }
    return c->use == FLAGS_WRITTEN ? false : c->live;
}

/* Operation i; live: are the flags read after it. Returns whether they are read before it. */
static bool build_one(struct block *b, unsigned i, bool live)
{
    struct op *op = &b->ops[i];
    const struct insn *in = &b->insns[i];
    uint64_t next_rip = b->rip + b->cold[i].offset_bytes + in->length;
    struct choice c = {.use = FLAGS_READ, .live = live, .leaves = false};
    op_fn *run;
    if (insn_ends_block(in)) {
        run = insn_rows[in->row].flags & INSN_REP ? choose_rep(in) : choose_branch(op, in, next_rip);
        op->run = run != NULL ? run : op_generic_end;
        return true;
    }
    run = choose(op, in, next_rip, &c);
    op->run = run != NULL ? run : op_generic;
    return run != NULL ? live_before(&c) : true;
}

static void build_generic(struct block *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        b->ops[i].run = insn_ends_block(&b->insns[i]) ? op_generic_end : op_generic;
    }
}

/* The exit op: a link to what follows. */
static void put_exit(struct block *b, uint64_t end, op_fn *run)
{
    put_link(&b->ops[b->count], end);
    b->ops[b->count].run = run;
    for (unsigned i = 0; i <= b->count; i++) {
        b->ops[i].number = (uint16_t)i;
    }
}

void op_build_plain(struct block *b)
{
    bool step = b->mode >> 2 == BLOCK_STEP, live = true;
    put_exit(b, b->rip + b->size_bytes, OP_BLOCK_EXIT);
    for (unsigned i = (unsigned)b->count; i-- > 0;) {
        live = build_one(b, i, live) || step;
    }
}

void op_build(struct block *b)
{
    if ((b->mode & 3) != MODE_LONG64) {
        put_exit(b, (uint32_t)(b->rip + b->size_bytes), OP_BLOCK_LEAVE);
        build_generic(b);
        return;
    }
    op_build_plain(b);
    if (b->mode >> 2 != BLOCK_STEP && !OP_ONE_BY_ONE) {
        fuse_last_pair(b);
        fuse_pairs(b);
    }
}
