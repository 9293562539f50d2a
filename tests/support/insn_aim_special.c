/* Operands of particular instructions: what a random value would hardly ever make interesting, or would make
 * dangerous. */

#include "insn_aim.h"
#include "insn_values.h"

#include "base/bits.h"

#include <string.h>

#define IMAGE_BYTES 576u /* of XRSTOR; FXRSTOR takes 512 of it */

uint64_t aim_code(struct aim *a)
{
    static const uint64_t wild[] = {CASE_CODE_AT + 0x2000,    CASE_DATA_AT + 0x100,         0,
                                    UINT64_C(0x800000000000), UINT64_C(0xffff800000020000), CASE_LOW_AT};
    if (chance(a->r, 12)) {
        return wild[draw(a->r, 6)] + draw(a->r, 4);
    }
    return CASE_LAND_AT + draw(a->r, 0x1000);
}

uint16_t aim_selector(struct aim *a)
{
    static const uint16_t selectors[] = {0x23, 0x2b, 0x33, 0x2b, 0x23, 0x33, 0,    3,    0x08,
                                         0x10, 0x18, 0x20, 0x28, 0x30, 0x04, 0x4f, 0x83, 0x29};
    return chance(a->r, 5) ? (uint16_t)(0x80 + draw(a->r, 0xff80)) : selectors[draw(a->r, 18)];
}

/* A near jump with an offset in it: to the instruction behind it, breakpoints behind the case or before it, or with 32
 * bits to the page of breakpoints and elsewhere. What comes between could be anything, and is not jumped to. */
static bool aim_relative(struct aim *a, struct insn_text *t, uint64_t at)
{
    uint64_t next = at + t->length;
    uint64_t behind = a->c->at + CASE_TEXT_MAX + 15;
    unsigned bits = t->z.raw.imm[0].size;
    uint64_t target = aim_code(a);
    if (bits == 8 || chance(a->r, 30)) {
        uint64_t room = next + 127 > behind ? next + 127 - behind : 1;
        target = chance(a->r, 20) ? next : behind + draw(a->r, (unsigned)room);
        if (bits == 8 && target - next > 127) {
            return false;
        }
        if (chance(a->r, 30) && a->c->at >= CASE_CODE_AT + 128 && next - a->c->at < 100) {
            target = a->c->at - 1 - draw(a->r, 128 - (unsigned)(next - a->c->at));
        }
    }
    text_patch(t, t->z.raw.imm[0].offset, bits, target - next);
    return true;
}

static bool aim_near(struct aim *a, struct insn_text *t, uint64_t at, uint64_t target)
{
    if (t->z.raw.imm[0].is_relative) {
        return aim_relative(a, t, at);
    }
    if (t->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER) {
        return aim_register(a, text_gpr(t, t->op[0].reg.value), aim_code(a));
    }
    if (target) {
        aim_plant_word(a, target, aim_code(a),
                       t->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? t->op[0].size / 8u : 8);
    }
    return target != 0;
}

/* Offset and selector of a far pointer: in the instruction, or in memory. */
static bool aim_far(struct aim *a, struct insn_text *t, uint64_t target)
{
    unsigned size = t->z.operand_width / 8u;
    bool low = (a->fixed & 1u << RSP) && (a->c->in.gpr[RSP] & UINT32_MAX) < CASE_PAGE;
    if (t->z.mnemonic == ZYDIS_MNEMONIC_CALL && (low || (a->written & 1u << RSP))) {
        return false; /* with ESP = 0 in compatibility mode the host under a hypervisor was seen to fault for ever */
    }
    if (t->op[0].type == ZYDIS_OPERAND_TYPE_POINTER) {
        text_patch(t, t->z.raw.imm[0].offset, t->z.raw.imm[0].size, aim_code(a));
        text_patch(t, t->z.raw.imm[1].offset, t->z.raw.imm[1].size, aim_selector(a));
        return true;
    }
    if (target) {
        aim_plant_word(a, target, aim_code(a), size);
        aim_plant_word(a, target + size, aim_selector(a), 2);
    }
    return target != 0;
}

static uint64_t flags_value(struct aim *a)
{
    uint64_t x = rng_next(a->r);
    return (x & 0x3e7cd5) | (x & RFLAGS_OF) | (chance(a->r, 10) ? RFLAGS_TF : 0) |
           (chance(a->r, 5) ? RFLAGS_AC : 0) | (chance(a->r, 5) ? RFLAGS_RF : 0);
}

/* What far returns find on the stack. */
static bool aim_frame(struct aim *a, const struct insn_text *t, bool interrupt)
{
    unsigned size = t->z.operand_width / 8u;
    uint64_t rsp = CASE_DATA_AT + 0x400 + draw(a->r, 0x100) * 8;
    if (!aim_register(a, RSP, rsp) && !(a->fixed & ~a->written & 1u << RSP)) {
        return false;
    }
    rsp = a->c->in.gpr[RSP];
    const uint64_t words[] = {aim_code(a), aim_selector(a), flags_value(a), CASE_DATA_AT + draw(a->r, 0x2000),
                              chance(a->r, 70) ? 0x2b : aim_selector(a)};
    for (unsigned i = 0; i < (interrupt ? 5u : 2u); i++) {
        aim_plant_word(a, rsp + i * size, words[i], size);
    }
    return true;
}

/* An image for FXRSTOR and XRSTOR, most of the time a valid one. */
static void plant_image(struct aim *a, uint64_t target)
{
    uint8_t image[IMAGE_BYTES];
    memset(image, 0, sizeof image);
    value_fx(a->r, image);
    store_le64(image + 512, draw(a->r, 4));
    store_le64(image + 520, chance(a->r, 70) ? 0 : UINT64_C(1) << 63 | draw(a->r, 4));
    for (unsigned n = chance(a->r, 20) ? 2 : 0; n; n--) {
        image[draw(a->r, 2) ? 24 + draw(a->r, 4) : 528 + draw(a->r, 48)] = (uint8_t)draw(a->r, 256);
    }
    image[26] &= 0xfd; /* MXCSR.MM: misaligned operands, which the host has */
    aim_plant(a, target, image, sizeof image);
}

static bool is_plantable(uint64_t at, unsigned bytes)
{
    unsigned offset;
    return case_memory_find(at, &offset) >= bytes;
}

static bool aim_state_area(struct aim *a, struct insn_text *t, uint64_t target)
{
    bool extended = t->z.mnemonic != ZYDIS_MNEMONIC_FXSAVE && t->z.mnemonic != ZYDIS_MNEMONIC_FXSAVE64 &&
                    t->z.mnemonic != ZYDIS_MNEMONIC_FXRSTOR && t->z.mnemonic != ZYDIS_MNEMONIC_FXRSTOR64;
    bool loads = (t->op[0].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0;
    bool segment = t->op[0].mem.segment == ZYDIS_REGISTER_FS || t->op[0].mem.segment == ZYDIS_REGISTER_GS;
    /* An instruction before might store state into the image that the host has enabled and we have not. */
    bool stored = loads && a->c->count > 0;
    if (!target || stored || (segment && a->rebased) ||
        (extended && !(aim_register(a, RAX, draw(a->r, 4)) && aim_register(a, RDX, 0)))) {
        return false;
    }
    if (loads || extended) {
        plant_image(a, target);
    }
    if (!loads) {
        a->c->approx |= CASE_SAVES_MASK;
        a->c->saved_mask_at = target + 28;
    }
    return true;
}

/* Dividend and divisor: the quotient fits often enough. */
static bool aim_division(struct aim *a)
{
    uint64_t low = value_integer(a->r);
    if (chance(a->r, 80)) {
        uint64_t high = chance(a->r, 50) ? 0 : chance(a->r, 60) ? 0 - (low >> 63) : draw(a->r, 100);
        aim_register(a, RDX, high);
    }
    aim_register(a, RAX, chance(a->r, 50) ? low >> draw(a->r, 64) : low);
    return true;
}

/* The comparison succeeds half of the time. */
static bool aim_exchange(struct aim *a, struct insn_text *t, uint64_t target)
{
    unsigned size = t->op[0].size / 8u;
    if (chance(a->r, 50)) {
        return true;
    }
    uint64_t low = value_integer(a->r);
    uint64_t high = value_integer(a->r);
    aim_register(a, RAX, low);
    bool pair = t->z.mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B || t->z.mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B;
    if (pair) {
        aim_register(a, RDX, high);
    }
    if (t->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER) {
        aim_register(a, text_gpr(t, t->op[0].reg.value), a->c->in.gpr[RAX]);
    } else if (target && pair) {
        aim_plant_word(a, target, a->c->in.gpr[RAX], size / 2);
        aim_plant_word(a, target + size / 2, a->c->in.gpr[RDX], size / 2);
    } else if (target) {
        aim_plant_word(a, target, a->c->in.gpr[RAX], size);
    }
    return true;
}

static bool aim_selector_operand(struct aim *a, struct insn_text *t, uint64_t target, unsigned n)
{
    if (t->op[n].type == ZYDIS_OPERAND_TYPE_REGISTER) {
        return aim_register(a, text_gpr(t, t->op[n].reg.value),
                            aim_selector(a) | (chance(a->r, 30) ? rng_next(a->r) << 16 : 0));
    }
    if (target) {
        aim_plant_word(a, target, aim_selector(a), 2);
    }
    return target != 0;
}

static bool is_segment_load(const struct insn_text *t)
{
    return t->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(t->op[0].reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

static bool aim_moves(struct aim *a, struct insn_text *t, uint64_t target)
{
    switch ((unsigned)t->z.mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
        return !is_segment_load(t) || aim_selector_operand(a, t, target, 1);
    case ZYDIS_MNEMONIC_POP:
        if (is_segment_load(t) && target) {
            aim_plant_word(a, target, aim_selector(a) | rng_next(a->r) << 16, t->z.operand_width / 8u);
        }
        return !is_segment_load(t) || target;
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPFQ:
        if (target) {
            aim_plant_word(a, target, flags_value(a), t->z.operand_width / 8u);
        }
        return target != 0;
    case ZYDIS_MNEMONIC_ENTER: /* reads as many frames as it is told to */
        text_patch(t, t->z.raw.imm[0].offset, 16, draw(a->r, 0x200));
        return true;
    default:
        return true;
    }
}

static bool aim_system(struct aim *a, struct insn_text *t, uint64_t target)
{
    switch ((unsigned)t->z.mnemonic) {
    case ZYDIS_MNEMONIC_INT:
        return t->insn.imm != 0x80; /* the host's system calls */
    case ZYDIS_MNEMONIC_LAR:
    case ZYDIS_MNEMONIC_LSL:
        return aim_selector_operand(a, t, target, 1);
    case ZYDIS_MNEMONIC_VERR:
    case ZYDIS_MNEMONIC_VERW:
        return aim_selector_operand(a, t, target, 0);
    case ZYDIS_MNEMONIC_LDS:
    case ZYDIS_MNEMONIC_LES:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
    case ZYDIS_MNEMONIC_LSS:
        if (target) {
            aim_plant_word(a, target + t->z.operand_width / 8u, aim_selector(a), 2);
        }
        return target != 0;
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
        return aim_frame(a, t, true);
    case ZYDIS_MNEMONIC_WRFSBASE:
    case ZYDIS_MNEMONIC_WRGSBASE:
        aim_register(a, text_gpr(t, t->op[0].reg.value),
                     chance(a->r, 50) ? CASE_DATA_AT : value_integer(a->r));
        return true;
    default:
        return true;
    }
}

static bool aim_rest(struct aim *a, struct insn_text *t, uint64_t target)
{
    switch ((unsigned)t->z.mnemonic) {
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
        return aim_division(a);
    case ZYDIS_MNEMONIC_CMPXCHG:
    case ZYDIS_MNEMONIC_CMPXCHG8B:
    case ZYDIS_MNEMONIC_CMPXCHG16B:
        return aim_exchange(a, t, target);
    case ZYDIS_MNEMONIC_BT: /* the bit number moves the address */
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
        if (t->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY && t->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
            aim_register(a, text_gpr(t, t->op[1].reg.value), draw(a->r, 4096) - 1024u);
        }
        return true;
    case ZYDIS_MNEMONIC_PCMPESTRI:
    case ZYDIS_MNEMONIC_PCMPESTRM:
        aim_register(a, RAX, draw(a->r, 40) - 20u);
        aim_register(a, RDX, draw(a->r, 40) - 20u);
        return true;
    case ZYDIS_MNEMONIC_LDMXCSR:
        if (is_plantable(target, 4)) {
            aim_plant_word(a, target, chance(a->r, 80) ? value_mxcsr(a->r) : rng_next(a->r) & 0xfffdffff, 4);
        }
        return is_plantable(target, 4); /* else MXCSR.MM might be set, which the machine lacks */
    default:
        return true;
    }
}

static bool is_state_area(const struct insn_text *t)
{
    switch ((unsigned)t->z.mnemonic) {
    case ZYDIS_MNEMONIC_FXSAVE:
    case ZYDIS_MNEMONIC_FXSAVE64:
    case ZYDIS_MNEMONIC_FXRSTOR:
    case ZYDIS_MNEMONIC_FXRSTOR64:
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEC:
    case ZYDIS_MNEMONIC_XSAVEC64:
    case ZYDIS_MNEMONIC_XSAVEOPT:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
    case ZYDIS_MNEMONIC_XRSTOR:
    case ZYDIS_MNEMONIC_XRSTOR64:
        return true;
    default:
        return false;
    }
}

/* With addresses shorter than registers, no junk above them: the host's repeated MOVS (A4, A5) was seen to compare whole
 * registers when they look for overlaps. */
static bool is_clean(const struct aim *a, const struct insn_text *t, unsigned reg)
{
    unsigned bits = t->z.address_width;
    bool whole = bits == (t->compat ? 32 : 64);
    bool known = (a->fixed & ~a->written & 1u << reg) != 0;
    return whole || (known && (a->c->in.gpr[reg] & (t->compat ? UINT32_MAX : UINT64_MAX)) >> bits == 0);
}

bool aim_special(struct aim *a, struct insn_text *t, uint64_t at, uint64_t target)
{
    bool repeats =
        (insn_rows[t->insn.row].flags & INSN_REP) && (t->insn.prefixes & (PREFIX_REP | PREFIX_REPNE));
    if (repeats && !aim_register(a, RCX, draw(a->r, 4) ? draw(a->r, 8) : draw(a->r, 70))) {
        return false;
    }
    if (repeats && t->insn.opcode >> 1 == 0x52 && (!is_clean(a, t, RSI) || !is_clean(a, t, RDI))) {
        return false;
    }
    if (is_state_area(t)) {
        return aim_state_area(a, t, target);
    }
    if (t->z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
        return t->z.meta.category == ZYDIS_CATEGORY_RET && t->z.mnemonic == ZYDIS_MNEMONIC_RET
                   ? aim_frame(a, t, false)
               : t->z.mnemonic == ZYDIS_MNEMONIC_JMP || t->z.mnemonic == ZYDIS_MNEMONIC_CALL
                   ? aim_far(a, t, target)
                   : aim_system(a, t, target);
    }
    if (t->z.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE) {
        return aim_near(a, t, at, target);
    }
    return aim_moves(a, t, target) && aim_system(a, t, target) && aim_rest(a, t, target);
}
