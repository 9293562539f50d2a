/* Counters of functions, as tables. Rows are sorted by what they say. */

#include "observe/profile_internal.h"

#include "base/alloc.h"

#include <string.h>

#define MARKDOWN_ROWS 40u

struct row {
    uint32_t cpu;
    const char *program, *name, *file;
    uint64_t cycles, instructions;
    uint64_t sums[PROFILE_COUNTERS];
};

static int compare_names(const struct row *x, const struct row *y)
{
    int programs = strcmp(x->program, y->program), names = strcmp(x->name, y->name);
    return programs ? programs : names ? names : strcmp(x->file, y->file);
}

static int by_cpu(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return x->cpu != y->cpu ? (x->cpu > y->cpu) - (x->cpu < y->cpu) : compare_names(x, y);
}

static int by_cycles(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return x->cycles != y->cycles ? (x->cycles < y->cycles) - (x->cycles > y->cycles) : compare_names(x, y);
}

/* Sorts, and adds up rows that say the same. */
static size_t merge(struct row *rows, size_t count)
{
    size_t kept = 0;
    qsort(rows, count, sizeof *rows, by_cpu);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || by_cpu(&rows[kept - 1], &rows[i]) != 0) {
            rows[kept++] = rows[i];
            continue;
        }
        struct row *r = &rows[kept - 1];
        r->cycles += rows[i].cycles;
        r->instructions += rows[i].instructions;
        for (unsigned n = 0; n < PROFILE_COUNTERS; n++) {
            r->sums[n] += rows[i].sums[n];
        }
    }
    return kept;
}

static struct row *make_rows(const struct profile *p, bool together, size_t *count)
{
    struct row *rows = alloc_zeroed(p->row_count + 1, sizeof *rows);
    for (size_t i = 0; i < p->row_count; i++) {
        const struct profile_row *from = &p->rows[i];
        const struct profile_function *f = &p->functions[from->function];
        rows[i] = (struct row){
            .cpu = together ? 0 : from->cpu,
            .program = f->program == INDEX_NONE ? "-" : p->programs.programs[f->program].name,
            .name = f->name,
            .file = f->file ? f->file : "-",
            .cycles = from->cycles,
            .instructions = from->instructions,
        };
        memcpy(rows[i].sums, from->counters, sizeof rows[i].sums);
    }
    *count = merge(rows, p->row_count);
    return rows;
}

static const char *counter_name(unsigned n)
{
    switch (n) {
    case PROFILE_INTERRUPTS:
        return sim_counter_name((enum sim_counter)(COUNTER_TRACE_FIRST + TRACE_INTERRUPT));
    case PROFILE_MASKED:
        return sim_counter_name(COUNTER_MASKED);
    case PROFILE_SHARING:
        return sim_counter_name(COUNTER_FALSE_SHARING);
    default:
        return sim_counter_name((enum sim_counter)(COUNTER_TIMING_FIRST + n - PROFILE_TIMING_FIRST));
    }
}

static unsigned counters_of(const struct profile *p)
{
    return sim_timing_counters(p->sim, 0) != NULL ? PROFILE_COUNTERS : PROFILE_TIMING_FIRST;
}

static void write_tsv(const struct profile *p, FILE *out)
{
    size_t count;
    struct row *rows = make_rows(p, false, &count);
    unsigned counters = counters_of(p);
    fputs("cpu\tprogram\tfunction\tfile\tcycles\tinstructions", out);
    for (unsigned n = 0; n < counters; n++) {
        fprintf(out, "\t%s", counter_name(n));
    }
    fputc('\n', out);
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        fprintf(out, "%u\t%s\t%s\t%s\t%llu\t%llu", r->cpu, r->program, r->name, r->file,
                (unsigned long long)r->cycles, (unsigned long long)r->instructions);
        for (unsigned n = 0; n < counters; n++) {
            fprintf(out, "\t%llu", (unsigned long long)r->sums[n]);
        }
        fputc('\n', out);
    }
    free(rows);
}

/* The functions that take most cycles. */
static void write_markdown(const struct profile *p, FILE *out)
{
    size_t count;
    struct row *rows = make_rows(p, true, &count);
    unsigned counters = counters_of(p);
    qsort(rows, count, sizeof *rows, by_cycles);
    fputs("| Function | Program | cycles | instructions |", out);
    for (unsigned n = 0; n < counters; n++) {
        fprintf(out, " %s |", counter_name(n));
    }
    fputs("\n|---|---|---|---|", out);
    for (unsigned n = 0; n < counters; n++) {
        fputs("---|", out);
    }
    fputc('\n', out);
    for (size_t i = 0; i < count && i < MARKDOWN_ROWS; i++) {
        const struct row *r = &rows[i];
        fprintf(out, "| `%s` | %s | %llu | %llu |", r->name, r->program, (unsigned long long)r->cycles,
                (unsigned long long)r->instructions);
        for (unsigned n = 0; n < counters; n++) {
            fprintf(out, " %llu |", (unsigned long long)r->sums[n]);
        }
        fputc('\n', out);
    }
    free(rows);
}

void profile_write_table(const struct profile *p, bool markdown, FILE *out)
{
    (markdown ? write_markdown : write_tsv)(p, out);
}
