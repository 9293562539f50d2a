/* Makes cases. */

#include "insn_gen.h"

#include "base/bits.h"
#include "host_vendor.h"
#include "insn_aim.h"
#include "insn_native.h"
#include "insn_text.h"
#include "insn_values.h"

#include <stdlib.h>
#include <string.h>

#define TRIES         30u
#define ROWS_MAX      2048u
#define ABSENT_SHARE  3u /* percent of the cases */
#define UNKNOWN_SHARE 2u
#define COMPAT_SHARE  25u

static struct {
    uint16_t rows[2][ROWS_MAX]; /* by mode */
    unsigned count[2];
    bool has[ROWS_MAX], lacks[ROWS_MAX];
    uint8_t memory[CASE_MEMORY_BYTES];
} gen;

void gen_init(void)
{
    value_memory(gen.memory, sizeof gen.memory, 0);
    for (unsigned row = 1; row < insn_row_count && row < ROWS_MAX; row++) {
        unsigned extension = insn_extension(row);
        gen.lacks[row] = !native_has(extension) || (!host_is_amd() && insn_amd_only(row));
        for (unsigned compat = 0; compat < 2; compat++) {
            const struct insn_form_list *list = insn_forms(compat);
            bool any = list->first[row] != list->first[row + 1];
            if (any && !gen.lacks[row] && !insn_excluded(row)) {
                gen.rows[compat][gen.count[compat]++] = (uint16_t)row;
                gen.has[row] = true;
            }
        }
    }
}

bool gen_has_row(unsigned row)
{
    return gen.has[row];
}

bool gen_host_lacks(unsigned row)
{
    return gen.lacks[row];
}

/* ---- registers ---- */

static uint64_t segment_base(struct rng *r, bool compat)
{
    uint64_t base = 0;
    switch (draw(r, 8)) {
    case 0:
        base = CASE_DATA_AT + draw(r, 0x1000);
        break;
    case 1:
        base = (uint64_t)draw(r, 64) - 32;
        break;
    case 2:
        base = (uint64_t)((int64_t)(value_integer(r) << 16) >> 16); /* canonical */
        break;
    default:
        break;
    }
    return compat ? base & 0xffffffff : base;
}

static void choose_state(struct rng *r, struct insn_case *c)
{
    static const uint16_t data[] = {0x2b, 0x2b, 0x2b, 0x2b, 0x2b, 0x2b, 0, 0};
    struct insn_state *in = &c->in;
    uint64_t x = rng_next(r);
    in->selector[SEG_ES] = data[c->compat && chance(r, 70) ? 0 : draw(r, 8)];
    in->selector[SEG_DS] = data[c->compat && chance(r, 90) ? 0 : draw(r, 8)];
    in->selector[SEG_CS] = c->compat ? 0x23 : 0x33;
    in->selector[SEG_SS] = 0x2b;
    in->selector[SEG_FS] = data[draw(r, 8)];
    in->selector[SEG_GS] = data[draw(r, 8)];
    in->fs_base = segment_base(r, c->compat);
    in->gs_base = segment_base(r, c->compat);
    in->rflags = RFLAGS_ONE | RFLAGS_IF | (x & RFLAGS_STATUS) | (chance(r, 25) ? RFLAGS_DF : 0) |
                 (chance(r, 2) ? RFLAGS_AC : 0) | (chance(r, 1) ? RFLAGS_TF : 0);
    value_fx(r, in->fx);
}

/* The registers that no instruction's operands asked for. Compatibility mode has no upper halves: what becomes of them is
 * not defined. */
static void choose_rest(struct aim *a)
{
    struct insn_case *c = a->c;
    uint64_t stack = CASE_DATA_AT + 0x200 + draw(a->r, 0x180) * 8;
    a->written = 0;
    aim_register(a, RSP, chance(a->r, 90) ? stack : stack + 1 + draw(a->r, 0x1000));
    for (unsigned n = 0; n < 16; n++) {
        aim_register(a, n, chance(a->r, 80) ? value_integer(a->r) : CASE_DATA_AT + draw(a->r, 0x2000));
        if (c->compat) {
            c->in.gpr[n] = n < 8 ? c->in.gpr[n] & 0xffffffff : 0;
        }
    }
}

/* Where the instructions stand: anywhere, sometimes across a page boundary or at the end of all. */
static uint64_t choose_place(struct rng *r)
{
    unsigned what = draw(r, 100);
    if (what < 5) {
        return CASE_CODE_AT + CASE_PAGE - draw(r, 40);
    }
    if (what < 7) {
        return CASE_CODE_AT + CASE_CODE_BYTES - draw(r, 24) - 1;
    }
    return CASE_CODE_AT + draw(r, 0xf00);
}

/* ---- instructions ---- */

static const struct insn_form_bytes *choose_form(struct rng *r, bool compat)
{
    const struct insn_form_list *list = insn_forms(compat);
    unsigned row = gen.rows[compat][draw(r, gen.count[compat])];
    unsigned first = list->first[row];
    return &list->form[first + draw(r, list->first[row + 1] - first)];
}

/* Instructions after which nothing may follow: they leave results that are not compared bit for bit. */
static unsigned approximation(const struct insn_text *t)
{
    switch ((unsigned)t->z.mnemonic) {
    case ZYDIS_MNEMONIC_RCPPS:
    case ZYDIS_MNEMONIC_RCPSS:
    case ZYDIS_MNEMONIC_RSQRTPS:
    case ZYDIS_MNEMONIC_RSQRTSS:
        return CASE_APPROX_XMM;
    case ZYDIS_MNEMONIC_F2XM1:
    case ZYDIS_MNEMONIC_FYL2X:
    case ZYDIS_MNEMONIC_FYL2XP1:
    case ZYDIS_MNEMONIC_FPTAN:
    case ZYDIS_MNEMONIC_FPATAN:
    case ZYDIS_MNEMONIC_FSIN:
    case ZYDIS_MNEMONIC_FCOS:
    case ZYDIS_MNEMONIC_FSINCOS:
        return CASE_APPROX_X87;
    default:
        return 0;
    }
}

/* Destinations that the manual leaves undefined. */
static bool undefined_destination(const struct insn_text *t)
{
    if (t->z.mnemonic == ZYDIS_MNEMONIC_BSWAP) {
        return t->z.operand_width == 16;
    }
    return false;
}

static void note_approximation(struct insn_case *c, const struct insn_text *t)
{
    c->approx |= approximation(t);
    if (c->approx & CASE_APPROX_XMM) {
        c->approx_xmm = (uint8_t)ZydisRegisterGetId(t->op[0].reg.value);
    }
    if (undefined_destination(t)) {
        c->approx |= CASE_UNDEFINED_DST;
        c->undefined_gpr = (uint8_t)text_gpr(t, t->op[0].reg.value);
    }
}

static void append(struct insn_case *c, struct aim *a, const struct insn_text *t)
{
    unsigned n = c->count;
    memcpy(c->text + c->bytes, t->bytes, t->length);
    c->bytes += t->length;
    c->row[n] = t->insn.row;
    c->offset[n + 1] = c->bytes;
    c->undefined[n + 1] = (c->undefined[n] & ~text_flags_written(t)) | text_undefined(t);
    c->count = n + 1;
    bool jumps = t->z.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE || t->z.meta.category == ZYDIS_CATEGORY_RET;
    c->first_jump = jumps && c->first_jump == n ? n : c->first_jump + (c->first_jump == n);
    a->written |= text_registers_written(t);
    a->rebased |= text_changes_base(t);
    a->stepped |= text_loads_flags(t);
    note_approximation(c, t);
}

/* AMD's alone, in rows that others are compared of: near branches of 16 bits in 64-bit mode; pushes of selectors that write more
 * than 16 bits; what is PAUSE but for REX.B; MOVSXD of 16 bits, which reads 32; 32-bit addresses of strings, of which a count of
 * zero clears the upper halves. */
static bool is_amds_alone(const struct insn_text *t)
{
    unsigned mnemonic = t->z.mnemonic, branch = t->z.meta.branch_type;
    bool near = branch == ZYDIS_BRANCH_TYPE_NEAR || branch == ZYDIS_BRANCH_TYPE_SHORT;
    bool narrow = (near && !t->compat) || mnemonic == ZYDIS_MNEMONIC_MOVSXD;
    bool push = mnemonic == ZYDIS_MNEMONIC_PUSH && t->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                text_gpr(t, t->op[0].reg.value) == 16;
    bool pause = mnemonic == ZYDIS_MNEMONIC_PAUSE && t->z.raw.rex.B != 0;
    bool string = t->z.meta.category == ZYDIS_CATEGORY_STRINGOP && !t->compat && t->z.address_width == 32;
    return !host_is_amd() && ((narrow && t->insn.operand_size_bytes == 2) || push || pause || string);
}

/* One more instruction; false: none was found. */
static bool add_insn(struct insn_case *c, struct aim *a)
{
    for (unsigned i = 0; i < TRIES; i++) {
        struct insn_text t;
        const struct insn_form_bytes *form = choose_form(a->r, c->compat);
        if (text_make(a->r, c->compat, form, &t) && gen_has_row(t.insn.row) && !is_amds_alone(&t) &&
            (text_flags_read(&t) & c->undefined[c->count]) == 0 && aim_insn(a, &t, c->at + c->bytes)) {
            append(c, a, &t);
            return true;
        }
    }
    return false;
}

/* Unknown encodings that the host must not be shown: it may be lax about bits that a manual reserves in AVX, and a
 * hypervisor may answer to 0F 01. */
static bool may_run(const struct insn_form_bytes *f)
{
    bool vex = f->vex || (f->map == 0 && (f->opcode == 0x62 || f->opcode == 0xc4 || f->opcode == 0xc5));
    return !vex && !(f->map == 1 && f->opcode == 0x01);
}

static void add_absent(struct insn_case *c, struct rng *r, bool unknown)
{
    const struct insn_form_list *list = insn_forms(c->compat);
    const struct insn_form_bytes *form = unknown         ? &list->unknown[draw(r, list->unknown_count)]
                                         : chance(r, 30) ? NULL
                                                         : &list->absent[draw(r, list->absent_count)];
    struct insn insn;
    do {
        memset(c->text, 0, sizeof c->text);
        c->bytes = text_make_absent(r, c->compat, form, c->text);
    } while (insn_decode(c->compat ? MODE_PROT32 : MODE_LONG64, c->text, TEXT_MAX, &insn) == DECODE_OK);
    /* What Zydis knows after all, the host may have. */
    ZydisDecodedInstruction z;
    bool known =
        ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(insn_decoder(c->compat), NULL, c->text, TEXT_MAX, &z));
    c->absent = !unknown || known || !may_run(form);
    c->count = 1;
    c->offset[1] = c->bytes;
}

void gen_case(uint64_t seed, uint64_t number, struct insn_case *c)
{
    struct rng r;
    struct aim a = {.r = &r, .c = c};
    rng_init(&r, seed, number);
    memset(c, 0, offsetof(struct insn_case, in));
    memcpy(c->in.memory, gen.memory, sizeof gen.memory);
    memset(c->text, CASE_INT3, sizeof c->text);
    c->seed = seed;
    c->number = number;
    c->compat = chance(&r, COMPAT_SHARE);
    c->at = c->in.rip = choose_place(&r);
    choose_state(&r, c);
    a.stepped = (c->in.rflags & RFLAGS_TF) != 0;
    unsigned what = draw(&r, 100);
    if (what < ABSENT_SHARE + UNKNOWN_SHARE && c->at > CASE_CODE_AT + CASE_CODE_BYTES / 2) {
        c->at = c->in.rip = CASE_CODE_AT; /* how much of it is fetched, is not known */
    }
    if (what < ABSENT_SHARE + UNKNOWN_SHARE) {
        add_absent(c, &r, what >= ABSENT_SHARE);
    } else {
        unsigned want = chance(&r, 50) ? 1 : 2 + draw(&r, CASE_INSNS_MAX - 1);
        while (c->count < want && c->approx == 0 && add_insn(c, &a)) {
        }
    }
    choose_rest(&a);
}
