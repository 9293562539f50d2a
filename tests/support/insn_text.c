/* Puts one instruction together, and says what it does to flags and registers. */

#include "insn_text.h"

#include "base/bits.h"
#include "insn_values.h"

#include <string.h>

/* Room for what comes out too long: it is then not taken. */
#define TEXT_ROOM 40u

struct writer {
    uint8_t bytes[TEXT_ROOM];
    unsigned n;
};

static void put(struct writer *w, unsigned byte)
{
    w->bytes[w->n++] = (uint8_t)byte;
}

static void put_legacy_prefixes(struct rng *r, struct writer *w, const struct insn_form_bytes *f)
{
    static const uint8_t segments[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x64, 0x65};
    bool lockable = (insn_rows[f->row].flags & INSN_LOCKABLE) != 0;
    bool late = chance(r, 50);
    if (f->prefix && !f->vex && !late) {
        put(w, f->prefix);
    }
    if (chance(r, 8)) {
        put(w, segments[draw(r, 8)]);
    }
    if (f->address || chance(r, 6)) {
        put(w, 0x67);
    }
    if (!f->vex && chance(r, 3)) {
        put(w, 0x66);
    }
    if (!f->vex && chance(r, lockable ? 15 : 1)) {
        put(w, 0xf0);
    }
    if (f->prefix && !f->vex && late) {
        put(w, f->prefix);
    }
    if (chance(r, 1)) {
        put(w, segments[draw(r, 8)]);
    }
}

static void put_vex(struct rng *r, struct writer *w, bool compat, const struct insn_form_bytes *f)
{
    unsigned x = (unsigned)rng_next(r);
    unsigned pp = f->prefix == 0x66 ? 1 : f->prefix == 0xf3 ? 2 : f->prefix == 0xf2 ? 3 : 0;
    unsigned rest = (f->vex_l ? 4u : 0) | pp | (chance(r, 50) ? 0x78 : x & 0x78) | (compat ? 0x40 : 0);
    if (f->map == 1 && !f->w && (x & 0x300) == 0) {
        put(w, 0xc5);
        put(w, rest | (compat ? 0x80 : x >> 16 & 0x80));
        return;
    }
    put(w, 0xc4);
    put(w, f->map | (compat ? 0xe0 : x >> 16 & 0xe0));
    put(w, rest | (f->w ? 0x80 : 0));
}

static void put_opcode(struct rng *r, struct writer *w, bool compat, const struct insn_form_bytes *f)
{
    if (f->vex) {
        put_vex(r, w, compat, f);
    } else {
        if (!compat && (f->w || chance(r, 50))) {
            put(w, 0x40 | (f->w ? 8u : 0) | (chance(r, 50) ? draw(r, 8) : 0));
        }
        if (f->map) {
            put(w, 0x0f);
        }
        if (f->map > 1) {
            put(w, f->map == 2 ? 0x38 : 0x3a);
        }
    }
    put(w, f->opcode);
}

/* ModRM with a memory operand, SIB and displacement. */
static void put_memory(struct rng *r, struct writer *w, bool compat, unsigned reg)
{
    unsigned mod = draw(r, 3);
    unsigned rm = draw(r, 8);
    unsigned sib = (unsigned)rng_next(r) & 0xff;
    if (chance(r, 20)) { /* an absolute address */
        mod = 0;
        rm = compat ? 5 : 4;
        sib = 0x25;
    } else if (!compat && chance(r, 8)) { /* relative to RIP */
        mod = 0;
        rm = 5;
    }
    put(w, mod << 6 | reg << 3 | rm);
    if (rm == 4) {
        put(w, sib);
    }
    uint32_t displacement = (uint32_t)((int32_t)value_integer(r) >> (mod == 1 ? 0 : 16 + draw(r, 16)));
    for (unsigned i = 0; i < 4 && mod != 0; i += mod == 1 ? 4 : 1) {
        put(w, displacement >> 8 * i & 0xff);
    }
}

static unsigned random_bit(struct rng *r, uint64_t mask)
{
    for (unsigned n = draw(r, (unsigned)__builtin_popcountll(mask)); n; n--) {
        mask &= mask - 1;
    }
    return (unsigned)__builtin_ctzll(mask);
}

static void put_modrm(struct rng *r, struct writer *w, bool compat, const struct insn_form_bytes *f)
{
    if (f->memory && (!f->registers || chance(r, 50))) {
        put_memory(r, w, compat, random_bit(r, f->memory));
    } else if (f->registers) {
        put(w, 0xc0 | random_bit(r, f->registers));
    }
}

static void assemble(struct rng *r, bool compat, const struct insn_form_bytes *f, struct writer *w)
{
    *w = (struct writer){.n = 0};
    put_legacy_prefixes(r, w, f);
    put_opcode(r, w, compat, f);
    if (f->has_modrm) {
        put_modrm(r, w, compat, f);
    }
    store_le64(w->bytes + w->n, rng_next(r));
    store_le64(w->bytes + w->n + 8, rng_next(r));
}

void text_patch(struct insn_text *t, unsigned offset, unsigned bits, uint64_t value)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    memcpy(t->bytes + offset, bytes, bits / 8);
}

/* Immediates at their edges. */
static void choose_immediates(struct rng *r, struct insn_text *t)
{
    static const uint8_t bytes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 255};
    for (unsigned i = 0; i < 2; i++) {
        unsigned bits = t->z.raw.imm[i].size;
        if (bits && chance(r, 60)) {
            uint64_t value = bits == 8 ? bytes[draw(r, sizeof bytes)] : value_integer(r);
            text_patch(t, t->z.raw.imm[i].offset, bits, value);
        }
    }
}

/* An address of 32 bits in 64-bit mode without a base, but with REX.B or VEX.B, which Zydis takes for R13: described
 * with the bit cleared. */
static bool decode_without_base(struct insn_text *t)
{
    uint8_t bytes[TEXT_MAX];
    memcpy(bytes, t->bytes, sizeof bytes);
    if (t->z.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
        bytes[t->z.raw.vex.offset + 1] |= 0x20;
    } else {
        bytes[t->z.raw.rex.offset] &= 0xfe;
    }
    return ZYAN_SUCCESS(ZydisDecoderDecodeFull(insn_decoder(t->compat), bytes, TEXT_MAX, &t->z, t->op)) &&
           t->z.length == t->length;
}

static bool decode(struct insn_text *t)
{
    if (insn_decode(t->compat ? MODE_PROT32 : MODE_LONG64, t->bytes, TEXT_MAX, &t->insn) != DECODE_OK ||
        t->insn.row == INSN_ROW_NONE) {
        return false;
    }
    t->length = t->insn.length;
    if (ZYAN_FAILED(ZydisDecoderDecodeFull(insn_decoder(t->compat), t->bytes, TEXT_MAX, &t->z, t->op))) {
        return false;
    }
    return t->z.length == t->length || decode_without_base(t);
}

bool text_make(struct rng *r, bool compat, const struct insn_form_bytes *form, struct insn_text *out)
{
    struct writer w;
    assemble(r, compat, form, &w);
    memcpy(out->bytes, w.bytes, TEXT_MAX);
    out->compat = compat;
    if (!decode(out)) {
        return false;
    }
    choose_immediates(r, out);
    return decode(out);
}

unsigned text_make_absent(struct rng *r, bool compat, const struct insn_form_bytes *form, uint8_t *out)
{
    struct writer w = {.n = 0};
    if (form) {
        assemble(r, compat, form, &w);
        w.n += 5;
    } else {
        bool evex = chance(r, 70);
        put(&w, evex ? 0x62 : 0x0f);
        put(&w, evex ? 0xf0 | (1 + draw(r, 3)) : 0x0f);
        for (unsigned i = 0; i < 9; i++) {
            put(&w, draw(r, 256));
        }
    }
    unsigned n = w.n < TEXT_MAX ? w.n : TEXT_MAX;
    memcpy(out, w.bytes, n);
    return n;
}

/* ---- flags and registers ---- */

#define TEXT_STATUS ((uint32_t)RFLAGS_STATUS)

static bool is_shift(const struct insn_text *t)
{
    return t->z.meta.category == ZYDIS_CATEGORY_SHIFT || t->z.meta.category == ZYDIS_CATEGORY_ROTATE;
}

/* The count of a shift, or 256 when it is in CL. */
static unsigned shift_count(const struct insn_text *t)
{
    unsigned mask = t->z.operand_width == 64 ? 63 : 31;
    if (t->insn.opcode_map == 0 && (t->insn.opcode == 0xd0 || t->insn.opcode == 0xd1)) {
        return 1;
    }
    return t->z.raw.imm[0].size ? (unsigned)t->insn.imm & mask : 256;
}

uint32_t text_undefined(const struct insn_text *t)
{
    uint32_t undefined = insn_rows[t->insn.row].undefined;
    if (is_shift(t) && undefined) {
        unsigned count = shift_count(t);
        return count == 0 ? 0 : count == 1 ? undefined & ~(uint32_t)RFLAGS_OF : undefined;
    }
    return undefined;
}

uint32_t text_flags_written(const struct insn_text *t)
{
    bool repeated =
        (insn_rows[t->insn.row].flags & INSN_REP) && (t->insn.prefixes & (PREFIX_REP | PREFIX_REPNE));
    if (!t->z.cpu_flags || repeated || is_shift(t)) {
        return 0;
    }
    return (t->z.cpu_flags->modified | t->z.cpu_flags->set_0 | t->z.cpu_flags->set_1) & TEXT_STATUS;
}

uint32_t text_flags_read(const struct insn_text *t)
{
    uint32_t all = t->z.mnemonic == ZYDIS_MNEMONIC_PUSHF || t->z.mnemonic == ZYDIS_MNEMONIC_PUSHFD ||
                           t->z.mnemonic == ZYDIS_MNEMONIC_PUSHFQ || t->z.mnemonic == ZYDIS_MNEMONIC_LAHF
                       ? TEXT_STATUS
                       : 0;
    return t->z.cpu_flags ? all | (t->z.cpu_flags->tested & TEXT_STATUS) : all;
}

unsigned text_gpr(const struct insn_text *t, ZydisRegister reg)
{
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(t->z.machine_mode, reg);
    unsigned class = (unsigned)ZydisRegisterGetClass(whole);
    bool is_gpr = class == ZYDIS_REGCLASS_GPR64 || class == ZYDIS_REGCLASS_GPR32;
    return is_gpr ? (unsigned)ZydisRegisterGetId(whole) : 16;
}

uint32_t text_registers_written(const struct insn_text *t)
{
    uint32_t mask = 0;
    if (insn_rows[t->insn.row].flags & INSN_REP) {
        mask |= 1u << RCX | 1u << RSI | 1u << RDI;
    }
    if (t->z.mnemonic == ZYDIS_MNEMONIC_PAUSE && t->insn.mnemonic != ZYDIS_MNEMONIC_PAUSE) {
        mask |= 1u << RAX | 1u << R8; /* an exchange, which Zydis does not know */
    }
    for (unsigned i = 0; i < t->z.operand_count; i++) {
        if (t->op[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
            (t->op[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) {
            unsigned n = text_gpr(t, t->op[i].reg.value);
            mask |= n < 16 ? 1u << n : 0;
        }
    }
    return mask;
}

bool text_changes_base(const struct insn_text *t)
{
    bool loads = t->insn.operand_count > 0 && t->insn.op[0].kind == OPERAND_SEG;
    switch ((unsigned)t->z.mnemonic) {
    case ZYDIS_MNEMONIC_WRFSBASE:
    case ZYDIS_MNEMONIC_WRGSBASE:
    case ZYDIS_MNEMONIC_LFS:
    case ZYDIS_MNEMONIC_LGS:
        return true;
    default:
        return loads;
    }
}

bool text_loads_flags(const struct insn_text *t)
{
    switch ((unsigned)t->z.mnemonic) {
    case ZYDIS_MNEMONIC_POPF:
    case ZYDIS_MNEMONIC_POPFD:
    case ZYDIS_MNEMONIC_POPFQ:
    case ZYDIS_MNEMONIC_IRET:
    case ZYDIS_MNEMONIC_IRETD:
    case ZYDIS_MNEMONIC_IRETQ:
        return true;
    default:
        return false;
    }
}

bool text_loads_ss(const struct insn_text *t)
{
    bool segment =
        t->insn.operand_count > 0 && t->insn.op[0].kind == OPERAND_SEG && t->insn.op[0].reg == SEG_SS;
    return segment || t->z.mnemonic == ZYDIS_MNEMONIC_LSS;
}
