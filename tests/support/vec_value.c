/* Values, descriptors and segments in the text of vectors. All numbers are hexadecimal. */

#include "vec.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void vec_error(const struct vec *v, const char *what, const char *text)
{
    fprintf(stderr, "%s:%u: %s: '%s'\n", v->file, v->line, what, text);
    exit(1);
}

static const struct {
    const char *name;
    uint64_t value;
} constants[] = {{"gdt", VEC_GDT},       {"ldt", VEC_LDT},     {"idt", VEC_IDT},   {"tss", VEC_TSS},
                 {"pml4", VEC_PML4},     {"pdpt", VEC_PDPT},   {"code", VEC_CODE}, {"handler", VEC_HANDLER},
                 {"rsp0", VEC_RSP0},     {"rsp1", VEC_RSP1},   {"rsp2", VEC_RSP2}, {"ist1", VEC_IST1},
                 {"data", VEC_DATA},     {"stack", VEC_STACK}, {"port", VEC_PORT}, {"clock", VEC_START_TIME},
                 {"noncanon", BIT(47)},  {"high", BIT(63)},    {"cf", RFLAGS_CF},  {"zf", RFLAGS_ZF},
                 {"tf", RFLAGS_TF},      {"if", RFLAGS_IF},    {"df", RFLAGS_DF},  {"of", RFLAGS_OF},
                 {"iopl3", RFLAGS_IOPL}, {"nt", RFLAGS_NT},    {"rf", RFLAGS_RF},  {"ac", RFLAGS_AC},
                 {"vm", RFLAGS_VM},      {"id", RFLAGS_ID},    {"sf", RFLAGS_SF},  {"pf", RFLAGS_PF},
                 {"vif", RFLAGS_VIF},    {"vip", RFLAGS_VIP},  {"af", RFLAGS_AF},  {"iopl1", BIT(12)}};

static bool name_char(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == '_';
}

static uint64_t named(const struct vec *v, const char *name, size_t length)
{
    unsigned code_end = v->code_bytes;
    unsigned field = vec_field_find(name, length);
    uint64_t start = v->before.field[VEC_RIP];
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        if (strlen(constants[i].name) == length && strncmp(name, constants[i].name, length) == 0) {
            return constants[i].value;
        }
    }
    if (field < VEC_FIELD_COUNT) {
        return v->before.field[field];
    }
    if (length == 3 && strncmp(name, "end", 3) == 0) {
        return start + code_end;
    }
    if (length == 4 && strncmp(name, "last", 4) == 0) {
        return start + v->last_bytes;
    }
    vec_error(v, "no such name", name);
}

static uint64_t term(const struct vec *v, const char **text)
{
    const char *p = *text;
    uint64_t value;
    if (*p == '~') {
        *text = p + 1;
        return ~term(v, text);
    }
    if (isdigit((unsigned char)*p)) {
        char *end;
        value = strtoull(p, &end, 16);
        *text = end;
        return value;
    }
    while (name_char(*p)) {
        p++;
    }
    if (p == *text) {
        vec_error(v, "no value", *text);
    }
    value = named(v, *text, (size_t)(p - *text));
    *text = p;
    return value;
}

uint64_t vec_value(const struct vec *v, const char **text)
{
    uint64_t value = term(v, text);
    for (;;) {
        char op = **text;
        if (op != '+' && op != '-' && op != '&') {
            return value;
        }
        ++*text;
        uint64_t right = term(v, text);
        value = op == '+' ? value + right : op == '-' ? value - right : value & right;
    }
}

/* ---- descriptors ---- */

/* Values between slashes; those that are left out keep what values had. */
static void slashed(const struct vec *v, const char *text, uint64_t *values, unsigned count)
{
    for (unsigned i = 0; i < count && *text != '\0'; i++) {
        values[i] = vec_value(v, &text);
        if (*text == '/') {
            text++;
        }
    }
    if (*text != '\0') {
        vec_error(v, "bad descriptor", text);
    }
}

static void put_segment(const struct vec *v, struct vec_state *s, uint64_t at, const char *text, bool wide)
{
    uint64_t w[3] = {0, 0, 0xfffff}; /* attr, base, limit */
    slashed(v, text, w, 3);
    uint64_t raw = (w[2] & 0xffff) | (w[1] & 0xffffff) << 16 | (w[0] & 0xf0ff) << 40 |
                   (w[2] >> 16 & 15) << 48 | (w[1] >> 24 & 0xff) << 56;
    vec_poke(s, at, raw, 8);
    if (wide) {
        vec_poke(s, at + 8, w[1] >> 32, 8);
    }
}

static void put_gate(const struct vec *v, struct vec_state *s, uint64_t at, const char *text, bool wide)
{
    uint64_t w[4] = {0, 0, 0, 0}; /* attr, selector, offset, count or IST */
    slashed(v, text, w, 4);
    uint64_t raw = (w[2] & 0xffff) | (w[1] & 0xffff) << 16 | (w[3] & 0xff) << 32 | (w[0] & 0xff) << 40 |
                   (w[2] >> 16 & 0xffff) << 48;
    vec_poke(s, at, raw, 8);
    if (wide) {
        vec_poke(s, at + 8, w[2] >> 32, 8);
    }
}

void vec_descriptor(const struct vec *v, struct vec_state *s, uint64_t at, const char *text)
{
    if (strncmp(text, "gate:", 5) == 0) {
        put_gate(v, s, at, text + 5, false);
    } else if (strncmp(text, "gate64:", 7) == 0) {
        put_gate(v, s, at, text + 7, true);
    } else if (strncmp(text, "sys64:", 6) == 0) {
        put_segment(v, s, at, text + 6, true);
    } else {
        put_segment(v, s, at, text, false);
    }
}

void vec_idt_entry(const struct vec *v, struct vec_state *s, unsigned vector, const char *text)
{
    bool wide = vec_long_mode(s);
    put_gate(v, s, VEC_IDT + vector * (wide ? 16 : 8), text, wide);
}

void vec_load_segment(const struct vec *v, struct vec_state *s, unsigned first, uint64_t selector)
{
    uint64_t *f = &s->field[first];
    uint64_t at =
        (selector & SELECTOR_TI ? s->field[VEC_LDTR_BASE] : s->field[VEC_GDTR_BASE]) + (selector & ~7u);
    if (first < VEC_ES || first > VEC_TR) {
        vec_error(v, "not a segment register", vec_field_names[first]);
    }
    f[VEC_SEG_SELECTOR] = selector;
    if (!(s->field[VEC_CR0] & CR0_PE)) {
        f[VEC_SEG_BASE] = selector << 4;
        return;
    }
    if ((selector & 0xfffc) == 0) {
        f[VEC_SEG_BASE] = f[VEC_SEG_LIMIT] = f[VEC_SEG_ATTR] = 0;
        return;
    }
    uint64_t raw = vec_peek(s, at, 8);
    uint64_t limit = (raw & 0xffff) | (raw >> 32 & 0xf0000);
    f[VEC_SEG_BASE] = (raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000);
    f[VEC_SEG_ATTR] = raw >> 40 & 0xf0ff;
    f[VEC_SEG_LIMIT] = f[VEC_SEG_ATTR] & SEG_G ? limit << 12 | 0xfff : limit;
    if (f[VEC_SEG_ATTR] & SEG_S) {
        f[VEC_SEG_ATTR] |= 1;
    } else if (vec_long_mode(s)) {
        f[VEC_SEG_BASE] |= vec_peek(s, at + 8, 4) << 32;
    }
    if (first == VEC_TR) {
        f[VEC_SEG_ATTR] |= 2;
    }
}
