/* The state of a vector: named words and the first RAM_BYTES of memory; the states that the modes begin with. */

#include "vec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const vec_field_names[VEC_FIELD_COUNT] = {
#define VEC_FIELD(id, name, where) name,
#include "vec_field.def"
#undef VEC_FIELD
};

const char *const vec_mode_names[VEC_MODE_COUNT] = {
#define VEC_MODE(id, name, cpu_mode, level, code, data) name,
#include "vec_mode.def"
#undef VEC_MODE
};

struct mode_row {
    uint8_t cpu_mode, level;
    uint16_t code, data;
};

static const struct mode_row mode_rows[VEC_MODE_COUNT] = {
#define VEC_MODE(id, name, cpu_mode, level, code, data) {MODE_##cpu_mode, level, code, data},
#include "vec_mode.def"
#undef VEC_MODE
};

/* The GDT of all vectors: attr (as in struct segment), limit; bases are 0. Selectors from 0x88 on are free, up to
 * 0x3f8. Accessed bits are set, so that a load writes nothing. */
static const struct gdt_row {
    uint16_t selector, attr;
    uint32_t limit;
} gdt_rows[] = {
    {0x08, 0xcf9b, 0xfffff}, /* 32-bit code, 0 */
    {0x10, 0xaf9b, 0xfffff}, /* 64-bit code, 0 */
    {0x18, 0xcf93, 0xfffff}, /* data, 0 */
    {0x20, 0xcffb, 0xfffff}, /* 32-bit code, 3 */
    {0x28, 0xcff3, 0xfffff}, /* data, 3 */
    {0x30, 0xaffb, 0xfffff}, /* 64-bit code, 3 */
    {0x58, 0x009b, 0xffff},  /* 16-bit code, 0 */
    {0x60, 0x0093, 0xffff},  /* 16-bit data, 0 */
    {0x68, 0x00fb, 0xffff},  /* 16-bit code, 3 */
    {0x70, 0x00f3, 0xffff},  /* 16-bit data, 3 */
    {0x78, 0xcfbb, 0xfffff}, /* 32-bit code, 1 */
    {0x80, 0xcfb3, 0xfffff}, /* data, 1 */
};

unsigned vec_field_find(const char *name, size_t length)
{
    for (unsigned i = 0; i < VEC_FIELD_COUNT; i++) {
        if (strlen(vec_field_names[i]) == length && strncmp(vec_field_names[i], name, length) == 0) {
            return i;
        }
    }
    return VEC_FIELD_COUNT;
}

void vec_poke(struct vec_state *s, uint64_t at, uint64_t value, unsigned size_bytes)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    if (at > VEC_RAM_BYTES - size_bytes) {
        fprintf(stderr, "vector writes to %llx, outside its memory\n", (unsigned long long)at);
        abort();
    }
    memcpy(s->ram + at, bytes, size_bytes);
}

uint64_t vec_peek(const struct vec_state *s, uint64_t at, unsigned size_bytes)
{
    uint8_t bytes[8] = {0};
    if (at <= VEC_RAM_BYTES - size_bytes) {
        memcpy(bytes, s->ram + at, size_bytes);
    }
    return load_le64(bytes);
}

bool vec_long_mode(const struct vec_state *s)
{
    return (s->field[VEC_EFER] & EFER_LMA) != 0;
}

bool vec_64bit(const struct vec_state *s)
{
    return vec_long_mode(s) && (s->field[VEC_CS_ATTR] & SEG_L);
}

static void put_descriptor(struct vec_state *s, unsigned selector, uint32_t limit, unsigned attr)
{
    uint64_t raw = (limit & 0xffff) | (uint64_t)(attr & 0xf0ff) << 40 | (uint64_t)(limit >> 16 & 15) << 48;
    vec_poke(s, VEC_GDT + selector, raw, 8);
}

static void set_segment(struct vec_state *s, unsigned first, uint64_t base, uint32_t limit, unsigned selector,
                        unsigned attr)
{
    s->field[first + VEC_SEG_SELECTOR] = selector;
    s->field[first + VEC_SEG_BASE] = base;
    s->field[first + VEC_SEG_LIMIT] = limit;
    s->field[first + VEC_SEG_ATTR] = attr & 0xf0ff;
}

static void set_flat_segment(struct vec_state *s, unsigned first, unsigned selector)
{
    for (size_t i = 0; i < sizeof gdt_rows / sizeof gdt_rows[0]; i++) {
        const struct gdt_row *row = &gdt_rows[i];
        if (row->selector == (selector & ~3u)) {
            set_segment(s, first, 0, row->attr & SEG_G ? UINT32_MAX : row->limit, selector, row->attr);
        }
    }
}

static void put_tss(struct vec_state *s, bool long_mode)
{
    static const uint32_t stacks[] = {VEC_RSP0, VEC_RSP1, VEC_RSP2};
    static const uint16_t selectors[] = {0x18, 0x81, 0};
    for (unsigned i = 0; i < 3; i++) {
        vec_poke(s, VEC_TSS + 4 + 8 * i, stacks[i], 8);
        if (!long_mode) {
            vec_poke(s, VEC_TSS + 8 + 8 * i, selectors[i], 2);
        }
    }
    if (long_mode) {
        vec_poke(s, VEC_TSS + 0x24, VEC_IST1, 8);
    }
    vec_poke(s, VEC_TSS + 0x66, 0x68, 2);
    memset(s->ram + VEC_TSS + 0x68, 0xff, 0x20);
    set_segment(s, VEC_TR, VEC_TSS, 0x87, 0x38, 0x8b);
    put_descriptor(s, 0x38, 0x87, 0x8b);
    vec_poke(s, VEC_GDT + 0x3a, VEC_TSS, 2);
    put_descriptor(s, 0x48, 0x3f, 0x82);
    vec_poke(s, VEC_GDT + 0x4a, VEC_LDT, 2);
    set_segment(s, VEC_LDTR, VEC_LDT, 0x3f, 0x48, 0x82);
}

static void put_tables(struct vec_state *s, bool long_mode)
{
    for (size_t i = 0; i < sizeof gdt_rows / sizeof gdt_rows[0]; i++) {
        put_descriptor(s, gdt_rows[i].selector, gdt_rows[i].limit, gdt_rows[i].attr);
    }
    put_tss(s, long_mode);
    s->field[VEC_GDTR_BASE] = VEC_GDT;
    s->field[VEC_GDTR_LIMIT] = 0x3ff;
    unsigned entry_bytes = long_mode ? 16 : 8;
    for (unsigned v = 0; v < 256; v++) {
        uint64_t gate =
            (VEC_HANDLER + 16 * v) | (uint64_t)(long_mode ? 0x10 : 0x08) << 16 | UINT64_C(0x8e) << 40;
        vec_poke(s, VEC_IDT + v * entry_bytes, gate, 8);
    }
    s->field[VEC_IDTR_BASE] = VEC_IDT;
    s->field[VEC_IDTR_LIMIT] = 256 * entry_bytes - 1;
}

static void set_real(struct vec_state *s)
{
    for (unsigned v = 0; v < 256; v++) {
        vec_poke(s, 4 * v, VEC_HANDLER + 16 * v, 4);
    }
    for (unsigned i = 0; i < 6; i++) {
        set_segment(s, VEC_ES + 4 * i, 0, 0xffff, 0, i == SEG_CS ? 0x9b : 0x93);
    }
    set_segment(s, VEC_LDTR, 0, 0xffff, 0, 0x82);
    set_segment(s, VEC_TR, 0, 0xffff, 0, 0x8b);
    s->field[VEC_GDTR_BASE] = VEC_GDT;
    s->field[VEC_GDTR_LIMIT] = 0x3ff;
    s->field[VEC_IDTR_LIMIT] = 0x3ff;
    s->field[VEC_CR0] = CR0_ET | CR0_NE;
}

static void set_protected(struct vec_state *s, enum vec_mode mode, bool long_mode)
{
    const struct mode_row *row = &mode_rows[mode];
    put_tables(s, long_mode);
    for (unsigned i = 0; i < 6; i++) {
        set_flat_segment(s, VEC_ES + 4 * i, i == SEG_CS ? row->code : row->data);
    }
    s->field[VEC_CPL] = row->level;
    s->field[VEC_CR0] = CR0_PE | CR0_ET | CR0_NE;
    if (long_mode) { /* the first GiB, identity mapped by one leaf, for everybody */
        vec_poke(s, VEC_PML4, VEC_PDPT | 0x27, 8);
        vec_poke(s, VEC_PDPT, 0xe7, 8);
        s->field[VEC_CR0] |= CR0_PG | CR0_WP;
        s->field[VEC_CR3] = VEC_PML4;
        s->field[VEC_CR4] = CR4_PAE;
        s->field[VEC_EFER] = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    }
}

void vec_mode_state(struct vec_state *s, enum vec_mode mode)
{
    const char *name = vec_mode_names[mode];
    bool bits64 = mode_rows[mode].cpu_mode == MODE_LONG64;
    memset(s, 0, sizeof *s);
    for (unsigned i = RAX; i <= R15; i++) { /* values that nobody takes for results */
        s->field[VEC_RAX + i] = (0x10 + i) * (bits64 ? UINT64_C(0x0101010101010101) : 0x01010101u);
        s->field[VEC_RAX + i] *= i < R8 || bits64;
    }
    if (mode == VEC_MODE_REAL) {
        set_real(s);
    } else {
        set_protected(s, mode, bits64 || name[0] == 'c');
    }
    memset(s->ram + VEC_HANDLER, 0xf4, 0x1000);
    s->field[VEC_RSP] = VEC_STACK;
    s->field[VEC_RIP] = VEC_CODE;
    s->field[VEC_RFLAGS] = RFLAGS_ONE;
    s->field[VEC_DR6] = 0xffff0ff0;
    s->field[VEC_DR7] = 0x400;
    s->field[VEC_XCR0] = 1;
    s->field[VEC_PAT] = UINT64_C(0x0007040600070406);
    s->field[VEC_MICROCODE] = 0x0a601203;
    s->field[VEC_HWCR] = 0x1000010;
    s->field[VEC_SMM_BASE] = 0x30000;
    s->field[VEC_DE_CFG] = 2;
    s->field[VEC_CLOCK] = VEC_START_TIME;
    s->field[VEC_APIC_BASE] = 0xfee00900;
}

/* Groups: all (every mode), prot (but real), pm (protected legacy), cm (compatibility), lm (cm and 64-bit),
 * leg (real and pm), n64 (all but 64-bit); each with .0 or .3 or without a level. */
bool vec_mode_named(const char *word, size_t length, enum vec_mode mode)
{
    const char *name = vec_mode_names[mode];
    if (strlen(name) == length && strncmp(name, word, length) == 0) {
        return true;
    }
    const struct mode_row *row = &mode_rows[mode];
    const char *dot = memchr(word, '.', length);
    size_t stem = dot ? (size_t)(dot - word) : length;
    if ((dot && dot[1] - '0' != row->level) || (!dot && row->level == 1)) {
        return false;
    }
    static const struct {
        const char *name, *first;
    } groups[] = {{"all", "rpcl"}, {"prot", "pcl"}, {"pm", "p"},   {"cm", "c"},
                  {"lm", "cl"},    {"leg", "rp"},   {"n64", "rpc"}};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        if (strlen(groups[i].name) == stem && strncmp(groups[i].name, word, stem) == 0) {
            return strchr(groups[i].first, name[0]) != NULL;
        }
    }
    return false;
}
