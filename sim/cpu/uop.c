/*
 * Classes and registers of instructions for the timing model. Source: docs/timing.md, sections 9 and 10; which registers an
 * instruction reads and writes, implicit ones too, is Zydis's word.
 */

#include "cpu/uop.h"

#include "base/check.h"

/* ---- classes ---- */

static bool is_memory(const struct insn *in, unsigned n)
{
    return n < in->operand_count && in->op[n].kind == OPERAND_MEM;
}

static bool has_memory(const struct insn *in)
{
    return is_memory(in, 0) || is_memory(in, 1) || is_memory(in, 2);
}

static bool is_kind(const struct insn *in, unsigned n, enum operand_kind kind)
{
    return n < in->operand_count && in->op[n].kind == kind;
}

static bool is_self(const struct insn *in)
{
    return in->operand_count >= 2 && in->op[0].kind == in->op[1].kind && in->op[0].reg == in->op[1].reg;
}

/* XOR and the like of a register with itself. */
static bool makes_zero(const struct insn *in)
{
    if (!is_self(in)) {
        return false;
    }
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_SUB:
        return in->op[0].kind == OPERAND_GPR && in->op[0].size_bytes >= 4;
    case ZYDIS_MNEMONIC_PXOR:
    case ZYDIS_MNEMONIC_XORPS:
    case ZYDIS_MNEMONIC_XORPD:
    case ZYDIS_MNEMONIC_PSUBB:
    case ZYDIS_MNEMONIC_PSUBW:
    case ZYDIS_MNEMONIC_PSUBD:
    case ZYDIS_MNEMONIC_PSUBQ:
    case ZYDIS_MNEMONIC_PCMPGTB:
    case ZYDIS_MNEMONIC_PCMPGTW:
    case ZYDIS_MNEMONIC_PCMPGTD:
    case ZYDIS_MNEMONIC_PCMPGTQ:
        return in->op[0].kind == OPERAND_XMM;
    default:
        return false;
    }
}

static bool touches_mmx(const struct insn *in)
{
    return is_kind(in, 0, OPERAND_MM) || is_kind(in, 1, OPERAND_MM);
}

static unsigned class_of_divide(const struct insn *in)
{
    switch (in->op[0].size_bytes) {
    case 1:
        return COST_DIV8;
    case 2:
        return COST_DIV16;
    case 4:
        return COST_DIV32;
    default:
        return COST_DIV64;
    }
}

static unsigned class_of_lea(const struct insn *in)
{
    bool base = in->mem_base != REG_NONE, index = in->mem_index != REG_NONE;
    return in->mem_scale > 1 || (base && index && in->disp != 0) ? COST_LEA_SLOW : COST_LEA;
}

static unsigned class_of_branch(const struct insn *in, unsigned class)
{
    bool direct = in->op[0].kind == OPERAND_REL;
    if (in->mnemonic == ZYDIS_MNEMONIC_CALL) {
        return direct ? COST_CALL : COST_CALL_INDIRECT;
    }
    return in->mnemonic == ZYDIS_MNEMONIC_JMP && !direct ? COST_INDIRECT : class;
}

/* MOV and its kind, PUSH, POP, LEAVE: class ALU unless memory or a whole register says otherwise. */
static unsigned class_of_move(const struct insn *in)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
        if (is_kind(in, 0, OPERAND_GPR) && is_kind(in, 1, OPERAND_GPR) && in->op[0].size_bytes >= 4) {
            return COST_MOVE;
        }
        break;
    case ZYDIS_MNEMONIC_PUSH:
        return COST_STORE;
    case ZYDIS_MNEMONIC_POP:
        return has_memory(in) ? COST_STORE : COST_LOAD;
    case ZYDIS_MNEMONIC_LEAVE:
        return COST_LOAD;
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
    case ZYDIS_MNEMONIC_MOVBE:
        break;
    default:
        return COST_CLASS_COUNT;
    }
    return is_memory(in, 0) ? COST_STORE : is_memory(in, 1) ? COST_LOAD : COST_ALU;
}

static unsigned class_of_vector_move(const struct insn *in, unsigned class)
{
    bool whole = false;
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_MOVNTI:
        return COST_STORE;
    case ZYDIS_MNEMONIC_MOVAPS:
    case ZYDIS_MNEMONIC_MOVAPD:
    case ZYDIS_MNEMONIC_MOVDQA:
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
        whole = true;
        break;
    case ZYDIS_MNEMONIC_MOVNTPS:
    case ZYDIS_MNEMONIC_MOVNTPD:
    case ZYDIS_MNEMONIC_MOVNTDQ:
    case ZYDIS_MNEMONIC_MOVNTDQA:
    case ZYDIS_MNEMONIC_LDDQU:
    case ZYDIS_MNEMONIC_MOVSS:
    case ZYDIS_MNEMONIC_MOVNTSS:
    case ZYDIS_MNEMONIC_MOVNTSD:
    case ZYDIS_MNEMONIC_MOVSD:
    case ZYDIS_MNEMONIC_MOVD:
    case ZYDIS_MNEMONIC_MOVQ:
        break;
    case ZYDIS_MNEMONIC_MOVLPS:
    case ZYDIS_MNEMONIC_MOVLPD:
    case ZYDIS_MNEMONIC_MOVHPS:
    case ZYDIS_MNEMONIC_MOVHPD:
        return is_memory(in, 0) ? COST_VSTORE : class;
    default:
        return class;
    }
    if (is_memory(in, 0) || is_memory(in, 1)) {
        return is_memory(in, 0) ? COST_VSTORE : COST_VLOAD;
    }
    bool general = is_kind(in, 0, OPERAND_GPR) || is_kind(in, 1, OPERAND_GPR);
    return whole ? COST_VMOVE : general ? COST_VMASK : class;
}

static bool is_insert_from_memory(const struct insn *in)
{
    bool insert = in->mnemonic == ZYDIS_MNEMONIC_PINSRB || in->mnemonic == ZYDIS_MNEMONIC_PINSRW ||
                  in->mnemonic == ZYDIS_MNEMONIC_PINSRD || in->mnemonic == ZYDIS_MNEMONIC_PINSRQ;
    return insert && is_memory(in, 1);
}

static bool loads_cr3(const struct insn *in)
{
    return in->mnemonic == ZYDIS_MNEMONIC_MOV && is_kind(in, 0, OPERAND_CR) && in->op[0].reg == 3;
}

static unsigned class_of(const struct insn *in)
{
    unsigned class = insn_rows[in->row].cost;
    if ((in->prefixes & PREFIX_LOCK) || (in->mnemonic == ZYDIS_MNEMONIC_XCHG && has_memory(in))) {
        return COST_LOCKED;
    }
    if (timing_class_kinds[class] == TIMING_SERIAL) {
        return loads_cr3(in) ? COST_CR3 : class;
    }
    if (makes_zero(in)) {
        return COST_ZERO;
    }
    if (touches_mmx(in)) {
        return COST_MMX;
    }
    if (is_insert_from_memory(in)) {
        return COST_VSHUFFLE;
    }
    switch (class) {
    case COST_LEA:
        return class_of_lea(in);
    case COST_DIV64:
        return class_of_divide(in);
    case COST_MUL:
        return in->mnemonic == ZYDIS_MNEMONIC_IMUL && in->operand_count == 1 ? COST_MUL_WIDE : class;
    case COST_BRANCH:
    case COST_CALL:
        return class_of_branch(in, class);
    case COST_VSHUFFLE:
    case COST_VMASK:
    case COST_VALU:
        return class_of_vector_move(in, class);
    default:
        break;
    }
    unsigned move = class_of_move(in);
    return move != COST_CLASS_COUNT ? move : class;
}

/* ---- registers ---- */

/* The slot of a register, or TIMING_READY: it has none. */
static unsigned slot_of(ZydisRegister reg)
{
    ZyanI8 id = ZydisRegisterGetId(reg);
    switch ((unsigned)ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8: /* 4..7: AH CH DH BH; 8 on: SPL and so on */
        return TIMING_GPR + (unsigned)(id < 4 ? id : id - 4);
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        return TIMING_GPR + (unsigned)id;
    case ZYDIS_REGCLASS_XMM:
        return TIMING_XMM + (unsigned)id;
    case ZYDIS_REGCLASS_MMX:
    case ZYDIS_REGCLASS_X87:
        return TIMING_X87;
    default:
        return TIMING_READY;
    }
}

/* Adds a slot to a list of four, once; what is too much is left out. */
static void add_slot(uint8_t list[4], unsigned slot, uint8_t empty)
{
    for (unsigned i = 0; i < 4; i++) {
        if (list[i] == slot) {
            return;
        }
        if (list[i] == empty) {
            list[i] = (uint8_t)slot;
            return;
        }
    }
}

static void add_source(struct uop *u, unsigned slot)
{
    if (slot != TIMING_READY) {
        add_slot(u->source, slot, TIMING_READY);
    }
}

static void add_result(struct uop *u, unsigned slot)
{
    if (slot != TIMING_READY) {
        add_slot(u->result, slot, TIMING_SINK);
    }
}

/* An instruction whose vector destination keeps a part. */
static bool merges_vector(const struct insn *in)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_MOVSS:
    case ZYDIS_MNEMONIC_MOVSD:
        return is_kind(in, 0, OPERAND_XMM) && is_kind(in, 1, OPERAND_XMM);
    case ZYDIS_MNEMONIC_SQRTSS:
    case ZYDIS_MNEMONIC_SQRTSD:
    case ZYDIS_MNEMONIC_ROUNDSS:
    case ZYDIS_MNEMONIC_ROUNDSD:
    case ZYDIS_MNEMONIC_RCPSS:
    case ZYDIS_MNEMONIC_RSQRTSS:
    case ZYDIS_MNEMONIC_CVTSS2SD:
    case ZYDIS_MNEMONIC_CVTSD2SS:
    case ZYDIS_MNEMONIC_CVTSI2SS:
    case ZYDIS_MNEMONIC_CVTSI2SD:
    case ZYDIS_MNEMONIC_MOVLPS:
    case ZYDIS_MNEMONIC_MOVLPD:
    case ZYDIS_MNEMONIC_MOVHPS:
    case ZYDIS_MNEMONIC_MOVHPD:
    case ZYDIS_MNEMONIC_MOVHLPS:
    case ZYDIS_MNEMONIC_MOVLHPS:
    case ZYDIS_MNEMONIC_PINSRB:
    case ZYDIS_MNEMONIC_PINSRW:
    case ZYDIS_MNEMONIC_PINSRD:
    case ZYDIS_MNEMONIC_PINSRQ:
    case ZYDIS_MNEMONIC_INSERTPS:
        return is_kind(in, 0, OPERAND_XMM);
    default:
        return false;
    }
}

static bool moves_stack_pointer(const struct insn *in)
{
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_PUSH:
    case ZYDIS_MNEMONIC_POP:
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_RET:
    case ZYDIS_MNEMONIC_LEAVE:
    case ZYDIS_MNEMONIC_PUSHF:
    case ZYDIS_MNEMONIC_PUSHFD:
    case ZYDIS_MNEMONIC_PUSHFQ:
        return true;
    default:
        return false;
    }
}

/* The stack pointer, which the front end moves along. */
static bool is_stack_engine(const struct insn *in, const ZydisDecodedOperand *z, unsigned slot)
{
    bool implicit = slot == TIMING_RSP && z->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT;
    return implicit && moves_stack_pointer(in);
}

/* Pointers and counter of a string instruction: nobody waits for what it makes of them. */
static bool is_counter(const struct insn *in, unsigned slot)
{
    bool counter = slot == TIMING_GPR + RSI || slot == TIMING_GPR + RDI || slot == TIMING_GPR + RCX;
    return (insn_rows[in->row].flags & INSN_REP) && counter;
}

static void add_register(struct insn *in, const ZydisDecodedOperand *z)
{
    struct uop *u = &in->uop;
    unsigned slot = slot_of(z->reg.value);
    if (is_stack_engine(in, z, slot)) {
        return;
    }
    bool merges = slot < TIMING_XMM && z->size < 32;
    merges = merges || (z->actions & ZYDIS_OPERAND_ACTION_CONDWRITE) != 0 ||
             in->mnemonic == ZYDIS_MNEMONIC_BSF ||
             in->mnemonic == ZYDIS_MNEMONIC_BSR; /* to Zydis, they always write */
    if ((z->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 && !is_counter(in, slot)) {
        add_result(u, slot);
        if (merges) {
            add_source(u, slot);
        }
    }
    if ((z->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0) {
        add_source(u, slot);
    }
}

static void add_flags(struct uop *u, const ZydisDecodedInstruction *z)
{
    const ZydisAccessedFlagsMask status =
        ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF | ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF;
    const ZydisAccessedFlags *f = z->cpu_flags;
    if (f == NULL) {
        return;
    }
    ZydisAccessedFlagsMask written = f->modified | f->set_0 | f->set_1 | f->undefined;
    ZydisAccessedFlagsMask read =
        u->class == COST_STRING ? 0 : f->tested; /* REPE asks what it has made itself */
    if (read & ZYDIS_CPUFLAG_CF) {
        add_source(u, TIMING_CARRY);
    }
    if (read & status) {
        add_source(u, TIMING_STATUS);
    }
    if (written & ZYDIS_CPUFLAG_CF) {
        add_result(u, TIMING_CARRY);
    }
    if (written & status) {
        add_result(u, TIMING_STATUS);
    }
}

/* PUSH, POP and CALL with an operand in memory have two operands there, of base and index, and RSP. */
static void add_address_register(struct uop *u, unsigned slot)
{
    unsigned n = 0;
    while (n < TIMING_ADDRESSES && u->address[n] != TIMING_READY) {
        n++;
    }
    if (slot != TIMING_READY) {
        CHECK(n < TIMING_ADDRESSES, "an instruction with more than %u address registers", TIMING_ADDRESSES);
        u->address[n] = (uint8_t)slot;
    }
}

static void add_address(struct insn *in, const ZydisDecodedOperandMem *m)
{
    struct uop *u = &in->uop;
    unsigned base = m->base == ZYDIS_REGISTER_NONE ? TIMING_READY : slot_of(m->base);
    unsigned index = m->index == ZYDIS_REGISTER_NONE ? TIMING_READY : slot_of(m->index);
    if (m->type == ZYDIS_MEMOP_TYPE_AGEN) {
        if (insn_rows[in->row].cost == COST_LEA) {
            add_source(u, base);
            add_source(u, index);
        }
        return;
    }
    add_address_register(u, base);
    add_address_register(u, index);
}

#define RENAMING_DISPLACEMENT (INT64_C(1) << 26) /* displacements below it, either way */

/* Implicit operands of the stack are not known by base and displacement. */
static void add_renaming(struct insn *in)
{
    bool stack = in->uop.class == COST_CALL_INDIRECT || in->mnemonic == ZYDIS_MNEMONIC_PUSH ||
                 in->mnemonic == ZYDIS_MNEMONIC_POP;
    bool near = in->disp >= -RENAMING_DISPLACEMENT && in->disp < RENAMING_DISPLACEMENT;
    if (has_memory(in) && !stack && near && in->mem_index == REG_NONE && in->mem_base < GPR_COUNT) {
        in->uop.renaming = 1 + (uint32_t)((in->disp + RENAMING_DISPLACEMENT) << 4) + in->mem_base;
    }
}

static uint8_t branch_flags(const struct insn *in)
{
    switch (in->uop.class) {
    case COST_BRANCH:
        return in->mnemonic == ZYDIS_MNEMONIC_JMP ? UOP_DIRECT : UOP_CONDITION;
    case COST_INDIRECT:
        return UOP_INDIRECT;
    case COST_CALL:
        return UOP_DIRECT | UOP_CALL;
    case COST_CALL_INDIRECT:
        return UOP_INDIRECT | UOP_CALL;
    case COST_RET:
        return UOP_RETURN;
    default:
        return 0;
    }
}

static uint8_t other_flags(const struct insn *in)
{
    bool one_way = in->uop.class == COST_STRING || in->uop.class == COST_CALL_INDIRECT;
    bool repeated = in->uop.class == COST_STRING && (in->prefixes & (PREFIX_REP | PREFIX_REPNE));
    bool bulk =
        in->opcode == 0xa4 || in->opcode == 0xa5 || in->opcode == 0xaa || in->opcode == 0xab; /* MOVS, STOS */
    unsigned extra = one_way ? 0 : UOP_EXTRA, leave = in->mnemonic == ZYDIS_MNEMONIC_LEAVE ? UOP_LEAVE : 0;
    return (uint8_t)(extra | leave | (repeated && bulk ? UOP_BULK : 0));
}

void uop_fill(struct insn *in, const ZydisDecodedInstruction *z, const ZydisDecodedOperand *operands)
{
    struct uop *u = &in->uop;
    *u = (struct uop){
        .source = {TIMING_READY, TIMING_READY, TIMING_READY, TIMING_READY},
        .result = {TIMING_SINK, TIMING_SINK, TIMING_SINK, TIMING_SINK},
        .address = {TIMING_READY, TIMING_READY, TIMING_READY},
    };
    u->class = (uint8_t)class_of(in);
    u->flags = (uint8_t)(branch_flags(in) | other_flags(in));
    bool zero = u->class == COST_ZERO;
    for (unsigned i = 0; i < z->operand_count; i++) {
        if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            add_address(in, &operands[i].mem);
        } else if (operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
            add_register(in, &operands[i]);
        }
    }
    add_flags(u, z);
    if (u->class == COST_STRING) {
        add_source(u, u->address[0]);
        add_source(u, u->address[1]);
    }
    if (zero || u->class == COST_NOP) {
        memset(u->source, TIMING_READY, sizeof u->source);
    }
    if (merges_vector(in)) {
        add_source(u, (unsigned)TIMING_XMM + in->op[0].reg);
    }
    if (u->class == COST_MMX || u->class == COST_X87 || u->class == COST_X87_DIV ||
        u->class == COST_X87_TRANS) {
        add_source(u, TIMING_X87);
        add_result(u, TIMING_X87);
    }
    if (u->flags & UOP_LEAVE) {
        u->address[0] = TIMING_RBP;
        u->address[1] = TIMING_READY;
        memset(u->source, TIMING_READY, sizeof u->source);
    }
    add_renaming(in);
}
