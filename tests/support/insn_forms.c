/* Finds the encodings of each row of the instruction table by asking the decoders. */

#include "insn_forms.h"

#include "cpu/insn.h"

#include <stdlib.h>
#include <string.h>

enum class { CLASS_ROW, CLASS_ABSENT, CLASS_UNKNOWN, CLASS_COUNT };

/* A list that grows. */
struct bag {
    struct insn_form_bytes *form;
    unsigned count, room;
};

/* What is being collected: the forms of one opcode start at mark. */
struct finder {
    bool compat;
    struct bag bag[CLASS_COUNT];
    unsigned mark[CLASS_COUNT];
};

static const struct {
    const char *row, *reason;
} excluded[] = {
#define EXCLUDED(row, reason) {row, reason},
#define ALWAYS_FAULTS(row, form)
#define PARTIAL(row)
#define AMD_ONLY(row, form, reason)
#include "insn_excluded.def"
#undef EXCLUDED
#undef ALWAYS_FAULTS
#undef PARTIAL
#undef AMD_ONLY
};

static const struct {
    const char *row;
    enum insn_form form;
} faulting[] = {
#define EXCLUDED(row, reason)
#define ALWAYS_FAULTS(row, form) {row, FORM_##form},
#define PARTIAL(row)
#define AMD_ONLY(row, form, reason)
#include "insn_excluded.def"
#undef EXCLUDED
#undef ALWAYS_FAULTS
#undef PARTIAL
#undef AMD_ONLY
};

/* Is it the row of that name in that form? */
static bool is_row(unsigned row, const char *name, enum insn_form form)
{
    return strcmp(insn_rows[row].name, name) == 0 && insn_row_find(insn_rows[row].mnemonic, form) == row;
}

static const char *const partial[] = {
#define EXCLUDED(row, reason)
#define ALWAYS_FAULTS(row, form)
#define PARTIAL(row) row,
#define AMD_ONLY(row, form, reason)
#include "insn_excluded.def"
#undef EXCLUDED
#undef ALWAYS_FAULTS
#undef PARTIAL
#undef AMD_ONLY
};

static const struct {
    const char *row;
    enum insn_form form;
    const char *reason;
} amd_only[] = {
#define EXCLUDED(row, reason)
#define ALWAYS_FAULTS(row, form)
#define PARTIAL(row)
#define AMD_ONLY(row, form, reason) {row, FORM_##form, reason},
#include "insn_excluded.def"
#undef EXCLUDED
#undef ALWAYS_FAULTS
#undef PARTIAL
#undef AMD_ONLY
};

const char *insn_amd_only(unsigned row)
{
    for (unsigned i = 0; i < sizeof amd_only / sizeof amd_only[0]; i++) {
        if (is_row(row, amd_only[i].row, amd_only[i].form)) {
            return amd_only[i].reason;
        }
    }
    return NULL;
}

bool insn_is_partial(unsigned row)
{
    for (unsigned i = 0; i < sizeof partial / sizeof partial[0]; i++) {
        if (strcmp(insn_rows[row].name, partial[i]) == 0) {
            return true;
        }
    }
    return false;
}

const char *insn_excluded(unsigned row)
{
    for (unsigned i = 0; i < sizeof excluded / sizeof excluded[0]; i++) {
        if (strcmp(insn_rows[row].name, excluded[i].row) == 0) {
            return excluded[i].reason;
        }
    }
    return NULL;
}

bool insn_always_faults(unsigned row)
{
    bool found = (insn_rows[row].flags & INSN_CPL0) != 0;
    for (unsigned i = 0; i < sizeof faulting / sizeof faulting[0]; i++) {
        found |= is_row(row, faulting[i].row, faulting[i].form);
    }
    return found;
}

const ZydisDecoder *insn_decoder(bool compat)
{
    static ZydisDecoder decoders[2];
    static bool made;
    if (!made) {
        ZydisDecoderInit(&decoders[0], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        ZydisDecoderInit(&decoders[1], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
        for (unsigned i = 0; i < 2; i++) {
            ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
            ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
            ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
            ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
        }
        made = true;
    }
    return &decoders[compat];
}

/* ---- one encoding ---- */

/* Bytes of a form with a ModRM byte; zeros follow. */
static void form_bytes(const struct insn_form_bytes *f, bool compat, uint8_t modrm, uint8_t out[24])
{
    uint8_t *p = out;
    memset(out, 0, 24);
    if (f->vex) {
        uint8_t prefix = f->prefix == 0x66 ? 1 : f->prefix == 0xf3 ? 2 : f->prefix == 0xf2 ? 3 : 0;
        *p++ = 0xc4;
        *p++ = (uint8_t)(0xe0 | f->map);
        *p++ = (uint8_t)((f->w ? 0x80 : 0) | 0x78 | (f->vex_l ? 4 : 0) | prefix);
    } else {
        static const uint8_t escapes[4] = {0, 0, 0x38, 0x3a};
        if (f->address) {
            *p++ = 0x67;
        }
        if (f->prefix) {
            *p++ = f->prefix;
        }
        if (f->w && !compat) {
            *p++ = 0x48;
        }
        if (f->map) {
            *p++ = 0x0f;
        }
        if (f->map > 1) {
            *p++ = escapes[f->map];
        }
    }
    *p++ = f->opcode;
    *p = modrm;
}

/* Which class an encoding belongs to; the row, and whether it has a ModRM byte. */
static enum class classify(const struct insn_form_bytes *f, bool compat, uint8_t modrm, unsigned *row,
                           bool *has_modrm) {
    uint8_t bytes[24]; struct insn insn; ZydisDecodedInstruction z; form_bytes(f, compat, modrm, bytes);
    enum decode_result result = insn_decode(compat ? MODE_PROT32 : MODE_LONG64, bytes, 15, &insn);
    bool known = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(insn_decoder(compat), NULL, bytes, 15, &z));
    *has_modrm = known && (z.attributes & ZYDIS_ATTRIB_HAS_MODRM);
    *row = result == DECODE_OK ? insn.row : INSN_ROW_NONE;
    return result == DECODE_OK ? CLASS_ROW
           : known             ? CLASS_ABSENT
                               : CLASS_UNKNOWN;
}

static bool same_form(const struct insn_form_bytes *a, const struct insn_form_bytes *b, unsigned row,
                      bool has_modrm)
{
    return a->row == row && a->opcode == b->opcode && a->map == b->map && a->prefix == b->prefix &&
           a->w == b->w && a->vex == b->vex && a->vex_l == b->vex_l && a->address == b->address &&
           a->has_modrm == has_modrm;
}

/* The form of this opcode, class and row; made when it is new. */
static struct insn_form_bytes *find_form(struct finder *f, enum class class,
                                         const struct insn_form_bytes *opcode, unsigned row, bool has_modrm)
{
    struct bag *bag = &f->bag[class];
    for (unsigned i = f->mark[class]; i < bag->count; i++) {
        if (same_form(&bag->form[i], opcode, row, has_modrm)) {
            return &bag->form[i];
        }
    }
    if (bag->count == bag->room) {
        bag->room = bag->room ? 2 * bag->room : 1024;
        bag->form = realloc(bag->form, bag->room * sizeof bag->form[0]);
        if (!bag->form) {
            abort();
        }
    }
    struct insn_form_bytes *made = &bag->form[bag->count++];
    *made = *opcode;
    made->row = (uint16_t)row;
    made->has_modrm = has_modrm;
    return made;
}

static void add_modrm(struct finder *f, const struct insn_form_bytes *opcode, uint8_t modrm)
{
    unsigned row;
    bool has_modrm;
    enum class class = classify(opcode, f->compat, modrm, &row, &has_modrm);
    struct insn_form_bytes *form = find_form(f, class, opcode, row, has_modrm || class == CLASS_UNKNOWN);
    if (modrm >> 6 == 3) {
        form->registers |= UINT64_C(1) << (modrm & 63);
    } else {
        form->memory |= (uint8_t)(1u << (modrm >> 3 & 7));
    }
}

static void add_opcode(struct finder *f, const struct insn_form_bytes *opcode)
{
    unsigned row_0, row_3;
    bool has_0, has_3;
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        f->mark[i] = f->bag[i].count;
    }
    enum class class_0 = classify(opcode, f->compat, 0, &row_0, &has_0);
    enum class class_3 = classify(opcode, f->compat, 0xc0, &row_3, &has_3);
    if (class_0 != CLASS_UNKNOWN && class_3 != CLASS_UNKNOWN && !has_0 && !has_3) {
        find_form(f, class_0, opcode, row_0, false);
        return;
    }
    for (unsigned reg = 0; reg < 8; reg++) {
        add_modrm(f, opcode, (uint8_t)(reg << 3));
        for (unsigned rm = 0; rm < 8; rm++) {
            add_modrm(f, opcode, (uint8_t)(0xc0 | reg << 3 | rm));
        }
    }
}

/* ---- all of them ---- */

/* Prefixes and escapes are no opcodes; nor is what leads to VEX and EVEX in 64-bit mode. */
static bool is_opcode(const struct finder *f, unsigned map, unsigned opcode)
{
    if (map == 0) {
        bool prefix = (opcode & 0xe7) == 0x26 || (opcode >= 0x64 && opcode <= 0x67) || opcode == 0xf0 ||
                      opcode == 0xf2 || opcode == 0xf3 || opcode == 0x0f;
        bool rex_or_vex = (opcode & 0xf0) == 0x40 || opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62;
        return !prefix && !(rex_or_vex && !f->compat);
    }
    return map != 1 || (opcode != 0x38 && opcode != 0x3a && opcode != 0x0f);
}

static void find_all(struct finder *f)
{
    static const uint8_t prefixes[] = {0, 0x66, 0xf3, 0xf2};
    for (unsigned n = 0; n < 4 * 4 * 2 * 2 * 2 * 2; n++) {
        struct insn_form_bytes opcode = {.map = (uint8_t)(n & 3),
                                         .prefix = prefixes[n >> 2 & 3],
                                         .w = n >> 4 & 1,
                                         .vex = n >> 5 & 1,
                                         .vex_l = n >> 6 & 1,
                                         .address = n >> 7 & 1};
        bool sensible = opcode.vex ? opcode.map != 0 : !opcode.vex_l && !(opcode.w && f->compat);
        sensible = sensible && !(opcode.address && (opcode.map || opcode.prefix || opcode.w || opcode.vex));
        for (unsigned byte = 0; sensible && byte < 256; byte++) {
            opcode.opcode = (uint8_t)byte;
            if (opcode.vex || is_opcode(f, opcode.map, byte)) {
                add_opcode(f, &opcode);
            }
        }
    }
}

/* The forms in the order of their rows, those of a row in the order in which they were found. */
static void sort_by_row(struct insn_form_list *list, struct bag *rows)
{
    unsigned *next = calloc(insn_row_count + 1, sizeof *next);
    struct insn_form_bytes *sorted = calloc(rows->count, sizeof *sorted);
    list->first = calloc(insn_row_count + 1, sizeof list->first[0]);
    if (!next || !sorted || !list->first) {
        abort();
    }
    for (unsigned i = 0; i < rows->count; i++) {
        list->first[rows->form[i].row + 1]++;
    }
    for (unsigned row = 0; row < insn_row_count; row++) {
        list->first[row + 1] += list->first[row];
        next[row + 1] = list->first[row + 1];
    }
    for (unsigned i = 0; i < rows->count; i++) {
        sorted[next[rows->form[i].row]++] = rows->form[i];
    }
    free(next);
    free(rows->form);
    list->form = sorted;
    list->count = rows->count;
}

static void make_list(struct insn_form_list *list, bool compat)
{
    struct finder f = {.compat = compat};
    find_all(&f);
    *list = (struct insn_form_list){.absent = f.bag[CLASS_ABSENT].form,
                                    .absent_count = f.bag[CLASS_ABSENT].count,
                                    .unknown = f.bag[CLASS_UNKNOWN].form,
                                    .unknown_count = f.bag[CLASS_UNKNOWN].count};
    sort_by_row(list, &f.bag[CLASS_ROW]);
}

const struct insn_form_list *insn_forms(bool compat)
{
    static struct insn_form_list lists[2];
    if (!lists[compat].form) {
        make_list(&lists[compat], compat);
    }
    return &lists[compat];
}

unsigned insn_extension(unsigned row)
{
    for (unsigned compat = 0; compat < 2; compat++) {
        const struct insn_form_list *list = insn_forms(compat);
        if (list->first[row] != list->first[row + 1]) {
            const struct insn_form_bytes *f = &list->form[list->first[row]];
            uint8_t bytes[24];
            uint8_t modrm = (uint8_t)(f->memory      ? __builtin_ctz(f->memory) << 3
                                      : f->registers ? 0xc0 | __builtin_ctzll(f->registers)
                                                     : 0);
            ZydisDecodedInstruction z;
            form_bytes(f, compat, modrm, bytes);
            ZydisDecoderDecodeInstruction(insn_decoder(compat), NULL, bytes, 15, &z);
            return z.meta.isa_ext;
        }
    }
    return ZYDIS_ISA_EXT_INVALID;
}
