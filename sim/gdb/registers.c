/* GDB's registers: where each comes from, and what they are called. */

#include "gdb/registers.h"

#include "base/bits.h"
#include "base/check.h"

#include <string.h>

#define ENVIRONMENT_BYTES 28u
#define ST_BYTES          10u
#define EFFECT_RIP        16u /* numbers of the effect REGISTER */
#define EFFECT_RFLAGS     17u

enum kind {
    GPR,
    RIP,
    RFLAGS,
    SELECTOR,
    ST,
    FP_16,
    FP_32,
    FP_OPCODE,
    XMM,
    MXCSR,
    FS_BASE,
    GS_BASE,
    KERNEL_GS_BASE,
    CR0,
    CR2,
    CR3,
    CR4,
    CR8,
    EFER
};

static const struct row {
    const char *name;
    unsigned bits;
    const char *type, *feature;
    enum kind kind;
    unsigned index;
} rows[] = {
#define REGISTER(name, bits, type, feature, kind, index) {name, bits, type, feature, kind, index},
#include "gdb/registers.def"
#undef REGISTER
};

#define COUNT ((unsigned)(sizeof rows / sizeof rows[0]))

unsigned gdb_register_count(void)
{
    return COUNT;
}

unsigned gdb_register_bytes(unsigned number)
{
    CHECK(number < COUNT, "register %u of %u", number, COUNT);
    return rows[number].bits / 8;
}

static uint64_t number_of(const struct sim_regs *r, const struct row *row)
{
    switch ((int)row->kind) { /* others are not of this function */
    case GPR:
        return r->gpr[row->index];
    case RIP:
        return r->linear_rip; /* what GDB compares with addresses */
    case RFLAGS:
        return r->rflags;
    case SELECTOR:
        return r->selector[row->index];
    case FS_BASE:
        return r->fs_base;
    case GS_BASE:
        return r->gs_base;
    case KERNEL_GS_BASE:
        return r->kernel_gs_base;
    case CR0:
        return r->cr0;
    case CR2:
        return r->cr2;
    case CR3:
        return r->cr3;
    case CR4:
        return r->cr4;
    case CR8:
        return r->cr8;
    default:
        return r->efer;
    }
}

/* Of the x87 unit. */
static void get_fp(const struct sim_fp *fp, const struct row *row, uint8_t *bytes)
{
    const uint8_t *at = fp->image + row->index;
    switch ((int)row->kind) { /* others are not of this function */
    case ST:
        memcpy(bytes, fp->image + ENVIRONMENT_BYTES + ST_BYTES * row->index, ST_BYTES);
        return;
    case FP_16:
        store_le32(bytes, load_le16(at));
        return;
    case FP_32:
        store_le32(bytes, load_le32(at));
        return;
    case FP_OPCODE:
        store_le32(bytes, load_le16(at) & 0x7ffu);
        return;
    default:
        store_le32(bytes, fp->mxcsr);
    }
}

unsigned gdb_register_get(const struct sim *s, unsigned cpu, unsigned number,
                          uint8_t bytes[GDB_REGISTER_BYTES_MAX])
{
    unsigned size = gdb_register_bytes(number);
    const struct row *row = &rows[number];
    uint8_t value[8];
    if (row->kind == XMM) {
        sim_get_xmm(s, cpu, row->index, bytes);
    } else if (row->kind >= ST && row->kind <= MXCSR) {
        struct sim_fp fp;
        sim_get_fp(s, cpu, &fp);
        get_fp(&fp, row, bytes);
    } else {
        struct sim_regs r;
        sim_get_regs(s, cpu, &r);
        store_le64(value, number_of(&r, row));
        memcpy(bytes, value, size);
    }
    return size;
}

bool gdb_register_effect(unsigned cpu, unsigned number, const uint8_t *bytes, struct effect *out)
{
    const struct row *row = &rows[number];
    uint64_t value = row->kind == RFLAGS ? load_le32(bytes) : load_le64(bytes);
    unsigned of = row->kind == GPR ? row->index : row->kind == RIP ? EFFECT_RIP : EFFECT_RFLAGS;
    *out = (struct effect){.kind = EFFECT_REGISTER, .cpu = (uint16_t)cpu, .arg = {of, value}};
    return row->kind <= RFLAGS;
}

/* ---- the description ---- */

/* The bits that have names, the lowest first. */
static const char *const eflags_names[22] = {
    [0] = "CF",  [2] = "PF",  [4] = "AF",  [6] = "ZF",  [7] = "SF",  [8] = "TF",   [9] = "IF",   [10] = "DF",
    [11] = "OF", [14] = "NT", [16] = "RF", [17] = "VM", [18] = "AC", [19] = "VIF", [20] = "VIP", [21] = "ID",
};
static const char *const mxcsr_names[16] = {
    "IE", "DE", "ZE", "OE", "UE", "PE", "DAZ", "IM", "DM", "ZM", "OM", "UM", "PM", NULL, NULL, "FZ",
};

static void describe_flags(struct gdb_text *out, const char *id, const char *const *names, unsigned count)
{
    gdb_putf(out, "<flags id=\"%s\" size=\"4\">", id);
    for (unsigned i = 0; i < count; i++) {
        if (names[i]) {
            gdb_putf(out, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", names[i], i, i);
        }
    }
    gdb_put(out, "</flags>");
}

/* The type of vector registers, as GDB has it. */
static void describe_vectors(struct gdb_text *out)
{
    static const struct {
        const char *id, *type;
        unsigned count;
    } vectors[] = {{"v4f", "ieee_single", 4}, {"v2d", "ieee_double", 2}, {"v16i8", "int8", 16},
                   {"v8i16", "int16", 8},     {"v4i32", "int32", 4},     {"v2i64", "int64", 2}};
    static const char *const fields[] = {"v4_float", "v2_double", "v16_int8",
                                         "v8_int16", "v4_int32",  "v2_int64"};
    for (unsigned i = 0; i < 6; i++) {
        gdb_putf(out, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>", vectors[i].id, vectors[i].type,
                 vectors[i].count);
    }
    gdb_put(out, "<union id=\"vec128\">");
    for (unsigned i = 0; i < 6; i++) {
        gdb_putf(out, "<field name=\"%s\" type=\"%s\"/>", fields[i], vectors[i].id);
    }
    gdb_put(out, "<field name=\"uint128\" type=\"uint128\"/></union>");
}

static void describe_feature(struct gdb_text *out, const char *name, bool first)
{
    gdb_putf(out, "%s<feature name=\"%s\">", first ? "" : "</feature>", name);
    if (strcmp(name, "org.gnu.gdb.i386.core") == 0) {
        describe_flags(out, "i386_eflags", eflags_names, 22);
    } else if (strcmp(name, "org.gnu.gdb.i386.sse") == 0) {
        describe_vectors(out);
        describe_flags(out, "i386_mxcsr", mxcsr_names, 16);
    }
}

void gdb_describe(struct gdb_text *out)
{
    gdb_put(out, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\">"
                 "<architecture>i386:x86-64</architecture>");
    for (unsigned i = 0; i < COUNT; i++) {
        if (rows[i].feature) {
            describe_feature(out, rows[i].feature, i == 0);
        }
        gdb_putf(out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"%s/>", rows[i].name,
                 rows[i].bits, rows[i].type, i,
                 rows[i].kind >= ST && rows[i].kind <= FP_OPCODE ? " group=\"float\"" : "");
    }
    gdb_put(out, "</feature></target>");
}
