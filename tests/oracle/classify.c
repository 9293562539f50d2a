/* Sections 9 and 10: class, sources and destinations of an instruction. Zydis gives lengths, operands and flags. */

#include "oracle.h"

#include <Zydis/Zydis.h>
#include <fnmatch.h>
#include <string.h>

struct class_row {
    const char *name;
    char kind;
    const char *patterns;
};

static const struct class_row rows[CLASSES] = {
#define CLASS(name, kind, patterns) {#name, kind, patterns},
#include "classes.def"
#undef CLASS
};

struct decoded {
    ZydisDecodedInstruction i;
    ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
    unsigned explicit_count;
    const char *name;
};

const char *class_name(enum insn_class c)
{
    return rows[c].name;
}

static bool is_one_of(const char *name, const char *patterns)
{
    char word[64];
    while (*patterns != '\0') {
        const size_t n = strcspn(patterns, " ");
        if (n > 0 && n < sizeof(word)) {
            memcpy(word, patterns, n);
            word[n] = '\0';
            if (fnmatch(word, name, 0) == 0) {
                return true;
            }
        }
        patterns += n + (patterns[n] == ' ');
    }
    return false;
}

static bool is_memory(const struct decoded *d, unsigned op)
{
    return op < d->explicit_count && d->op[op].type == ZYDIS_OPERAND_TYPE_MEMORY &&
           d->op[op].mem.type != ZYDIS_MEMOP_TYPE_AGEN;
}

static ZydisRegisterClass register_class(const struct decoded *d, unsigned op)
{
    return op < d->explicit_count && d->op[op].type == ZYDIS_OPERAND_TYPE_REGISTER
               ? ZydisRegisterGetClass(d->op[op].reg.value)
               : ZYDIS_REGCLASS_INVALID;
}

static bool is_xmm(const struct decoded *d, unsigned op)
{
    return register_class(d, op) == ZYDIS_REGCLASS_XMM;
}

static bool is_wide_general(const struct decoded *d, unsigned op)
{
    const ZydisRegisterClass c = register_class(d, op);
    return c == ZYDIS_REGCLASS_GPR32 || c == ZYDIS_REGCLASS_GPR64;
}

static bool is_general(const struct decoded *d, unsigned op)
{
    const ZydisRegisterClass c = register_class(d, op);
    return is_wide_general(d, op) || c == ZYDIS_REGCLASS_GPR8 || c == ZYDIS_REGCLASS_GPR16;
}

static bool has_class(const struct decoded *d, ZydisRegisterClass class)
{
    return register_class(d, 0) == class || register_class(d, 1) == class || register_class(d, 2) == class;
}

static bool same_register(const struct decoded *d)
{
    return register_class(d, 0) != ZYDIS_REGCLASS_INVALID && register_class(d, 1) != ZYDIS_REGCLASS_INVALID &&
           d->op[0].reg.value == d->op[1].reg.value;
}

/* Rule 1: LOCKED and what is serial; CLASSES: neither. */
static enum insn_class rule_1(const struct decoded *d, bool keeps)
{
    const bool locked = (d->i.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0;
    if (locked || (strcmp(d->name, "xchg") == 0 && (is_memory(d, 0) || is_memory(d, 1)))) {
        return CLASS_LOCKED;
    }
    if (d->i.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR && is_one_of(d->name, "jmp call ret")) {
        return CLASS_FAR;
    }
    if (strcmp(d->name, "mov") == 0) {
        if (register_class(d, 0) == ZYDIS_REGCLASS_CONTROL && d->op[0].reg.value == ZYDIS_REGISTER_CR3) {
            return keeps ? CLASS_CR3_KEEP : CLASS_CR3;
        }
        if (has_class(d, ZYDIS_REGCLASS_CONTROL) || has_class(d, ZYDIS_REGCLASS_DEBUG) ||
            register_class(d, 0) == ZYDIS_REGCLASS_SEGMENT) {
            return CLASS_SYSTEM;
        }
    }
    if (strcmp(d->name, "pop") == 0 && register_class(d, 0) == ZYDIS_REGCLASS_SEGMENT) {
        return CLASS_SYSTEM;
    }
    for (unsigned c = 0; c < CLASSES && rows[c].kind == 'S'; c++) {
        if (is_one_of(d->name, rows[c].patterns)) {
            return (enum insn_class)c;
        }
    }
    return CLASSES;
}

/* Rules 2 and 3: idioms and moves between registers. */
static enum insn_class rules_2_3(const struct decoded *d)
{
    if (same_register(d)) {
        if (is_wide_general(d, 0) && is_one_of(d->name, "xor sub")) {
            return CLASS_ZERO;
        }
        if (is_xmm(d, 0) && is_one_of(d->name, "pxor xorps xorpd psub[bwdq] pcmpgt[bwdq]")) {
            return CLASS_ZERO;
        }
    }
    if (strcmp(d->name, "mov") == 0 && is_wide_general(d, 0) && is_wide_general(d, 1)) {
        return CLASS_MOVE;
    }
    if (is_one_of(d->name, "movaps movapd movdqa movups movupd movdqu") && is_xmm(d, 0) && is_xmm(d, 1)) {
        return CLASS_VMOVE;
    }
    return CLASSES;
}

/* Rules 4 and 5: moves from and to memory. */
static enum insn_class rules_4_5(const struct decoded *d)
{
    if (has_class(d, ZYDIS_REGCLASS_MMX)) {
        return CLASS_MMX;
    }
    if (is_one_of(d->name, "mov movzx movsx movsxd movbe movnti")) {
        return is_memory(d, 1) ? CLASS_LOAD : is_memory(d, 0) ? CLASS_STORE : CLASSES;
    }
    if (strcmp(d->name, "leave") == 0) {
        return CLASS_LOAD;
    }
    if (strcmp(d->name, "pop") == 0) {
        return is_memory(d, 0) ? CLASS_STORE : CLASS_LOAD;
    }
    if (strcmp(d->name, "push") == 0) {
        return CLASS_STORE;
    }
    if (is_one_of(d->name, "movaps movapd movups movupd movdqa movdqu movss movsd movq movd lddqu movntdq "
                           "movntdqa movntps movntpd movntss movntsd")) {
        return is_memory(d, 1) ? CLASS_VLOAD : is_memory(d, 0) ? CLASS_VSTORE : CLASSES;
    }
    return is_one_of(d->name, "movlps movlpd movhps movhpd") && is_memory(d, 0) ? CLASS_VSTORE : CLASSES;
}

/* Rules 6 to 8. */
static enum insn_class rules_6_8(const struct decoded *d)
{
    if (strcmp(d->name, "lea") == 0) {
        const ZydisDecodedOperandMem *m = &d->op[1].mem;
        const bool three =
            m->base != ZYDIS_REGISTER_NONE && m->index != ZYDIS_REGISTER_NONE && m->disp.value != 0;
        return three || (m->index != ZYDIS_REGISTER_NONE && m->scale > 1) ? CLASS_LEA_SLOW : CLASS_LEA;
    }
    if (is_one_of(d->name, "mul imul") && d->explicit_count == 1) {
        return CLASS_MUL_WIDE;
    }
    if (is_one_of(d->name, "div idiv")) {
        switch (d->op[0].size) {
        case 8:
            return CLASS_DIV8;
        case 16:
            return CLASS_DIV16;
        case 32:
            return CLASS_DIV32;
        default:
            return CLASS_DIV64;
        }
    }
    if (is_one_of(d->name, "jmp call") && d->op[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        return *d->name == 'j' ? CLASS_INDIRECT : CLASS_CALL_INDIRECT;
    }
    return CLASSES;
}

/* Rule 9, and what the rows of vectors say of operands. */
static enum insn_class rule_9(const struct decoded *d)
{
    if (is_one_of(d->name, "movd movq") && (is_general(d, 0) || is_general(d, 1))) {
        return CLASS_VMASK;
    }
    if (is_one_of(d->name, "pinsr*") && is_memory(d, 1)) {
        return CLASS_VSHUFFLE;
    }
    for (unsigned c = 0; c < CLASSES; c++) {
        if (is_one_of(d->name, rows[c].patterns)) {
            return (enum insn_class)c;
        }
    }
    return CLASSES;
}

static enum insn_class classify(const struct decoded *d, bool keeps)
{
    if (d->i.meta.category == ZYDIS_CATEGORY_STRINGOP) {
        return CLASS_STRING;
    }
    enum insn_class c = rule_1(d, keeps);
    c = c == CLASSES ? rules_2_3(d) : c;
    c = c == CLASSES ? rules_4_5(d) : c;
    c = c == CLASSES ? rules_6_8(d) : c;
    return c == CLASSES ? rule_9(d) : c;
}

/* The slot of a register as a mask; 0: it has none. */
static u64 slot_of(const struct decoded *d, ZydisRegister r)
{
    const ZydisRegisterClass c = ZydisRegisterGetClass(r);
    if (c == ZYDIS_REGCLASS_XMM) {
        return SLOT(SLOT_XMM + (unsigned)ZydisRegisterGetId(r));
    }
    if (c != ZYDIS_REGCLASS_GPR8 && c != ZYDIS_REGCLASS_GPR16 && c != ZYDIS_REGCLASS_GPR32 &&
        c != ZYDIS_REGCLASS_GPR64) {
        return 0;
    }
    return SLOT((unsigned)ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(d->i.machine_mode, r)));
}

static void register_operand(const struct decoded *d, const ZydisDecodedOperand *op, struct insn *in)
{
    u64 slot = slot_of(d, op->reg.value);
    if (slot == SLOT(SLOT_RSP) && op->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT &&
        is_one_of(d->name, "push pop call ret pushf pushfd pushfq")) {
        return; /* the front end moves it */
    }
    if ((op->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0) {
        in->sources |= slot;
    }
    if ((op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
        in->targets |= slot;
        const bool narrow = slot < SLOT(SLOT_XMM) && op->size < 32;
        const bool may_keep =
            (op->actions & ZYDIS_OPERAND_ACTION_CONDWRITE) != 0 || is_one_of(d->name, "bsf bsr");
        if (narrow || may_keep) {
            in->sources |= slot;
        }
    }
}

static void memory_operand(const struct decoded *d, const ZydisDecodedOperand *op, struct insn *in)
{
    const bool xlat = strcmp(d->name, "xlat") == 0;
    const u64 base = slot_of(d, op->mem.base);
    const u64 index = xlat ? SLOT(SLOT_RAX) : slot_of(d, op->mem.index);
    if (op->mem.type == ZYDIS_MEMOP_TYPE_AGEN) {
        in->sources |= base | index;
        return;
    }
    in->address |= base | index;
    const bool plain =
        op->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT && !is_one_of(d->name, "push pop call ret");
    const int64_t displacement = op->mem.disp.value;
    if (plain && base != 0 && op->mem.index == ZYDIS_REGISTER_NONE && displacement >= -(INT64_C(1) << 26) &&
        displacement < INT64_C(1) << 26) {
        in->can_rename = true;
        in->base = base;
        in->displacement = displacement;
    }
}

static void flags(const struct decoded *d, struct insn *in)
{
    const u64 rest =
        ZYDIS_CPUFLAG_PF | ZYDIS_CPUFLAG_AF | ZYDIS_CPUFLAG_ZF | ZYDIS_CPUFLAG_SF | ZYDIS_CPUFLAG_OF;
    const ZydisAccessedFlags *f = d->i.cpu_flags;
    if (f == NULL) {
        return;
    }
    const u64 read = f->tested, written = f->modified | f->set_0 | f->set_1 | f->undefined;
    in->sources |= (read & ZYDIS_CPUFLAG_CF) != 0 ? SLOT(SLOT_C) : 0;
    in->sources |= (read & rest) != 0 ? SLOT(SLOT_Z) : 0;
    in->targets |= (written & ZYDIS_CPUFLAG_CF) != 0 ? SLOT(SLOT_C) : 0;
    in->targets |= (written & rest) != 0 ? SLOT(SLOT_Z) : 0;
}

/* Scalar results that are merged into the old register (10). */
static bool merges(const struct decoded *d)
{
    if (!is_xmm(d, 0)) {
        return false;
    }
    return is_one_of(d->name,
                     "sqrts[sd] rounds[sd] rcpss rsqrtss cvtss2sd cvtsd2ss cvtsi2s[sd] movlps movlpd movhps "
                     "movhpd movhlps movlhps pinsr* insertps") ||
           (is_one_of(d->name, "movss movsd") && is_xmm(d, 1));
}

static void registers(const struct decoded *d, struct insn *in)
{
    for (unsigned i = 0; i < d->i.operand_count; i++) {
        if (d->op[i].type == ZYDIS_OPERAND_TYPE_REGISTER) {
            register_operand(d, &d->op[i], in);
        } else if (d->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            memory_operand(d, &d->op[i], in);
        }
    }
    flags(d, in);
    if (merges(d)) {
        in->sources |= slot_of(d, d->op[0].reg.value);
    }
    if (in->class == CLASS_MMX || in->class == CLASS_X87 || in->class == CLASS_X87_DIV ||
        in->class == CLASS_X87_TRANS || in->class == CLASS_FPSTATE) {
        in->sources |= SLOT(SLOT_X);
        in->targets |= SLOT(SLOT_X);
    }
    if (in->class == CLASS_ZERO || in->class == CLASS_NOP) {
        in->sources = 0;
        in->address = 0;
    }
}

static void string_registers(const struct decoded *d, struct insn *in)
{
    in->repeated =
        (d->i.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0;
    in->moves_string = is_one_of(d->name, "movs[bwdq]");
    in->stores_string = is_one_of(d->name, "stos[bwdq]");
    in->compares_string = is_one_of(d->name, "cmps[bwdq]");
    u64 pointers = is_one_of(d->name, "stos* scas*") ? 0 : SLOT(SLOT_RSI);
    pointers |= is_one_of(d->name, "lods*") ? 0 : SLOT(SLOT_RDI);
    const u64 counter = in->repeated ? SLOT(SLOT_RCX) : 0;
    in->sources = (in->sources & ~(SLOT(SLOT_RCX) | SLOT(SLOT_C) | SLOT(SLOT_Z))) | pointers | counter;
    in->targets &= ~(SLOT(SLOT_RSI) | SLOT(SLOT_RDI) | SLOT(SLOT_RCX));
}

static void leave_registers(struct insn *in)
{
    in->leave = true;
    in->address = SLOT(SLOT_RBP);
    in->sources = 0;
    in->targets = SLOT(SLOT_RBP);
}

static bool drains(const struct decoded *d, const struct insn *in)
{
    if (in->class == CLASS_SYSTEM && strcmp(d->name, "mov") == 0) {
        return register_class(d, 0) != ZYDIS_REGCLASS_SEGMENT; /* CRx, DRx, from and to */
    }
    return in->class == CLASS_LOCKED || in->class == CLASS_IO || in->class == CLASS_IRET ||
           in->class == CLASS_CR3 || in->class == CLASS_CR3_KEEP || in->class == CLASS_CPUID ||
           in->class == CLASS_INVLPG ||
           is_one_of(d->name, "mfence mwait lmsw lgdt lidt lldt ltr invd wbinvd");
}

static enum branch branch_of(const struct decoded *d, enum insn_class c)
{
    switch ((int)c) {
    case CLASS_BRANCH:
        return strcmp(d->name, "jmp") == 0 ? BRANCH_JUMP : BRANCH_COND;
    case CLASS_CALL:
        return BRANCH_CALL;
    case CLASS_INDIRECT:
        return BRANCH_IND;
    case CLASS_CALL_INDIRECT:
        return BRANCH_CALL_IND;
    case CLASS_RET:
        return BRANCH_RET;
    default:
        return BRANCH_NONE;
    }
}

bool insn_is_vector(const struct insn *in)
{
    return in->kind == 'V' || in->kind == 'v';
}

bool insn_decode(const struct line *l, struct insn *in)
{
    struct decoded d;
    ZydisDecoder decoder;
    const ZydisMachineMode mode = l->mode == 64   ? ZYDIS_MACHINE_MODE_LONG_64
                                  : l->mode == 32 ? ZYDIS_MACHINE_MODE_LEGACY_32
                                                  : ZYDIS_MACHINE_MODE_LEGACY_16;
    const ZydisStackWidth width = l->mode == 64   ? ZYDIS_STACK_WIDTH_64
                                  : l->mode == 32 ? ZYDIS_STACK_WIDTH_32
                                                  : ZYDIS_STACK_WIDTH_16;
    memset(in, 0, sizeof(*in));
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, mode, width)) ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, l->bytes, l->length, &d.i, d.op)) ||
        d.i.length != l->length) {
        return false;
    }
    d.name = ZydisMnemonicGetString(d.i.mnemonic);
    d.explicit_count = d.i.operand_count_visible;
    if (is_one_of(d.name, "mul imul div idiv")) {
        for (d.explicit_count = 0; d.explicit_count < d.i.operand_count; d.explicit_count++) {
            if (d.op[d.explicit_count].visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT) {
                break;
            }
        }
    }
    in->name = d.name;
    in->class = classify(&d, l->keeps);
    if (in->class == CLASSES) {
        return false;
    }
    in->kind = rows[in->class].kind;
    in->branch = branch_of(&d, in->class);
    registers(&d, in);
    if (in->class == CLASS_STRING) {
        string_registers(&d, in);
    }
    if (strcmp(d.name, "leave") == 0) {
        leave_registers(in);
    }
    in->drains = drains(&d, in);
    in->raises = is_one_of(d.name, "int int1 int3 into");
    return true;
}
