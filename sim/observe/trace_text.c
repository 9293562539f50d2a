/* The readable log of trace points. */

#include "observe/trace_text.h"

#include <string.h>

#define ITEM_BYTES_MAX 64u

static bool is_code(const char *field)
{
    return strcmp(field, "rip") == 0 || strcmp(field, "target") == 0;
}

static void write_field(const struct trace_text *t, const char *name, uint64_t value)
{
    fprintf(t->out, " %s %s%llx", name, value > 9 ? "0x" : "", (unsigned long long)value);
    if (t->symbols && is_code(name)) {
        char text[256];
        symbols_describe(t->symbols, value, text, sizeof text);
        fprintf(t->out, " %s", text);
    }
}

void trace_text_write(void *target, const struct trace_record *r)
{
    const struct trace_text *t = target;
    const struct trace_row *row = trace_row(r->point);
    fprintf(t->out, "%12llu cpu%-2u %-17s", (unsigned long long)r->now_cycles, r->cpu, row->name);
    for (unsigned i = 0; i < TRACE_FIELDS && row->field[i][0]; i++) {
        write_field(t, row->field[i], r->field[i]);
    }
    fputc('\n', t->out);
}

bool trace_text_parse(const char *items, uint32_t *wanted, struct error *e)
{
    *wanted = 0;
    for (const char *at = items;; at++) {
        char word[ITEM_BYTES_MAX];
        size_t length = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        int c = sim_counter_find(word);
        if (strcmp(word, "all") == 0) {
            *wanted = (UINT32_C(1) << TRACE_POINT_COUNT) - 1;
        } else if (length >= sizeof word || c < (int)COUNTER_TRACE_FIRST) {
            return error_set(e, "--trace: unknown item '%s'; orrery info lists them", word);
        } else {
            *wanted |= UINT32_C(1) << (c - (int)COUNTER_TRACE_FIRST);
        }
        at += length;
        if (!*at) {
            return true;
        }
    }
}
