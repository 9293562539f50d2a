/* Lines of vectors: KEY | modes | code | before | after | title. tests/vectors/README.md says what may stand there. */

#include "vec.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 6u

static char *trimmed(char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1])) {
        *--end = '\0';
    }
    return text;
}

static unsigned hex_bytes(const struct vec *v, const char *text, uint8_t *out, unsigned max)
{
    unsigned count = 0;
    while (*text != '\0') {
        if (isspace((unsigned char)*text)) {
            text++;
            continue;
        }
        unsigned byte;
        if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) || count == max ||
            sscanf(text, "%2x", &byte) != 1) {
            vec_error(v, "bad bytes", text);
        }
        out[count++] = (uint8_t)byte;
        text += 2;
    }
    return count;
}

static bool for_mode(const char *words, enum vec_mode mode)
{
    bool yes = false;
    while (*words != '\0') {
        size_t length = strcspn(words, " ");
        if (words[0] == '-') {
            yes = yes && !vec_mode_named(words + 1, length - 1, mode);
        } else {
            yes = yes || vec_mode_named(words, length, mode);
        }
        words += length + strspn(words + length, " ");
    }
    return yes;
}

/* ---- items ---- */

static void memory_item(const struct vec *v, struct vec_state *s, const char *p)
{
    p++;
    uint64_t at = vec_value(v, &p);
    if (strncmp(p, "]:", 2) == 0) {
        uint8_t bytes[256];
        unsigned n = hex_bytes(v, p + 2, bytes, sizeof bytes);
        for (unsigned i = 0; i < n; i++) {
            vec_poke(s, at + i, bytes[i], 1);
        }
        return;
    }
    if (strncmp(p, "].", 2) != 0 || strchr("12348", p[2]) == NULL || p[3] != '=') {
        vec_error(v, "bad memory item", p);
    }
    unsigned size_bytes = (unsigned)(p[2] - '0');
    p += 4;
    vec_poke(s, at, vec_value(v, &p), size_bytes);
}

static void table_item(const struct vec *v, struct vec_state *s, const char *item)
{
    const char *p = item + 4;
    uint64_t index = vec_value(v, &p);
    if (strncmp(p, "]=", 2) != 0) {
        vec_error(v, "bad descriptor item", item);
    }
    if (item[0] == 'i') {
        vec_idt_entry(v, s, (unsigned)index, p + 2);
    } else {
        vec_descriptor(v, s, (item[0] == 'g' ? VEC_GDT : VEC_LDT) + index, p + 2);
    }
}

static void push_item(const struct vec *v, struct vec_state *s, const char *item)
{
    unsigned size_bytes = (unsigned)(item[5] - '0');
    const char *p = item + 7;
    for (;;) {
        vec_push(s, vec_value(v, &p), size_bytes);
        if (*p != ',') {
            return;
        }
        p++;
    }
}

static void register_item(const struct vec *v, struct vec_state *s, const char *item)
{
    size_t length = strcspn(item, "=<");
    unsigned field = vec_field_find(item, length);
    const char *p = item + length + (item[length] == '<' ? 2 : 1);
    if (field == VEC_FIELD_COUNT) {
        vec_error(v, "no such register", item);
    }
    if (item[length] == '<') {
        vec_load_segment(v, s, field, vec_value(v, &p));
    } else {
        s->field[field] = vec_value(v, &p);
    }
    if (*p != '\0') {
        vec_error(v, "after a value", p);
    }
}

static void state_item(const struct vec *v, struct vec_state *s, const char *item)
{
    if (item[0] == '[') {
        memory_item(v, s, item);
    } else if (strncmp(item, "gdt[", 4) == 0 || strncmp(item, "ldt[", 4) == 0 ||
               strncmp(item, "idt[", 4) == 0) {
        table_item(v, s, item);
    } else if (strncmp(item, "push.", 5) == 0) {
        push_item(v, s, item);
    } else {
        register_item(v, s, item);
    }
}

static void after_item(struct vec *v, const char *item)
{
    static const struct {
        const char *name;
        enum cpu_activity activity;
    } activities[] = {{"halt", CPU_HALTED}, {"mwait", CPU_MWAIT}};
    for (size_t i = 0; i < sizeof activities / sizeof activities[0]; i++) {
        if (strcmp(item, activities[i].name) == 0) {
            v->after.field[VEC_ACTIVITY] = activities[i].activity;
            return;
        }
    }
    if (item[0] == '#' || item[0] == '$') {
        v->faults = v->faults || item[0] == '#';
        vec_event(v, &v->after, item);
    } else if (strcmp(item, "shutdown") == 0) {
        v->end = VEC_END_SHUTDOWN;
        v->faults = true;
    } else if (strcmp(item, "fault") == 0) {
        v->faults = true; /* through gates of the line's own, so that the items after it say what is there */
    } else if (strcmp(item, "stop") == 0) {
        v->end = VEC_END_NOT_MODELLED;
    } else if (strncmp(item, "steps=", 6) == 0) {
        v->steps = (unsigned)strtoul(item + 6, NULL, 16);
    } else {
        state_item(v, &v->after, item);
    }
}

static void before_item(struct vec *v, const char *item)
{
    state_item(v, &v->before, item);
}

static void each_item(struct vec *v, char *column, void (*item)(struct vec *, const char *))
{
    for (char *p = strtok(column, " \t"); p != NULL; p = strtok(NULL, " \t")) {
        item(v, p);
    }
}

/* ---- the line ---- */

/* How many bytes the code has before its last instruction, and how many instructions there are. */
static void measure(struct vec *v, enum cpu_mode mode)
{
    struct insn insn;
    unsigned at = 0;
    v->steps = 0;
    v->last_bytes = 0;
    while (at < v->code_bytes) {
        v->last_bytes = at;
        v->steps++;
        if (insn_decode(mode, v->code + at, v->code_bytes - at, &insn) != DECODE_OK) {
            return;
        }
        at += insn.length;
    }
}

static void begin_after(struct vec *v)
{
    v->after = v->before;
    v->after.field[VEC_RIP] += v->code_bytes;
    v->after.field[VEC_RFLAGS] &= ~RFLAGS_RF;
    v->after.field[VEC_SHADOW] = 0;
}

bool vec_parse(struct vec *v, const char *file, unsigned line, const char *line_text, enum vec_mode mode)
{
    static const uint8_t cpu_modes[] = {
#define VEC_MODE(id, name, cpu_mode, level, code, data) MODE_##cpu_mode,
#include "vec_mode.def"
#undef VEC_MODE
    };
    char copy[2048];
    char *column[COLUMNS];
    v->file = file;
    v->line = line;
    if (snprintf(copy, sizeof copy, "%s", line_text) >= (int)sizeof copy) {
        vec_error(v, "line too long", line_text);
    }
    char *p = copy;
    for (unsigned i = 0; i < COLUMNS; i++) {
        char *bar = strchr(p, '|');
        if ((bar == NULL) != (i == COLUMNS - 1)) {
            vec_error(v, "not six columns", line_text);
        }
        column[i] = p;
        if (bar != NULL) {
            *bar = '\0';
            p = bar + 1;
        }
        column[i] = trimmed(column[i]);
    }
    if (!for_mode(column[1], mode)) {
        return false;
    }
    v->mode = mode;
    v->faults = false;
    v->end = VEC_END_RUNS;
    snprintf(v->key, sizeof v->key, "%s", column[0]);
    snprintf(v->title, sizeof v->title, "%s", column[5]);
    v->code_bytes = hex_bytes(v, column[2], v->code, sizeof v->code);
    measure(v, cpu_modes[mode]);
    vec_mode_state(&v->before, mode);
    memcpy(v->before.ram + VEC_CODE, v->code, v->code_bytes);
    each_item(v, column[3], before_item);
    begin_after(v);
    each_item(v, column[4], after_item);
    return true;
}
