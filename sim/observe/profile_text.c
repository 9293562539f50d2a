/*
 * Profiles as folded stacks and for speedscope. Nothing here follows the order in which things happened to be counted: frames
 * and stacks are sorted by what they say. Source of the format: speedscope, "file-format-spec".
 */

#include "observe/profile_internal.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

#define LINE_BYTES 128u

/* Behind the name of a frame that was inlined into the one before it. Source: FlameGraph, stackcollapse-perf.pl. */
#define INLINED_MARK "_[i]"

struct frame {
    const char *name, *file; /* file: "" if not known */
    int line;
    bool inlined;
};

/* Frames of one stack: numbers of frames, outermost first. */
struct stack {
    uint32_t cpu, count;
    size_t first; /* in view.numbers */
    uint64_t cycles;
};

struct view {
    const struct profile *p;
    struct frame *frames; /* sorted, without doubles */
    size_t frame_count;
    uint32_t *of_program, *of_function,
        *of_location; /* which frame; of a location without a line: INDEX_NONE */
    char (*lines)[LINE_BYTES];
    struct stack *stacks;
    size_t stack_count;
    uint32_t *numbers;
    size_t number_count, number_capacity;
};

/* ---- frames ---- */

static int compare_frames(const void *a, const void *b)
{
    const struct frame *x = a, *y = b;
    int names = strcmp(x->name, y->name), files = strcmp(x->file, y->file);
    if (names || x->inlined != y->inlined) {
        return names ? names : x->inlined - y->inlined;
    }
    return files ? files : (x->line > y->line) - (x->line < y->line);
}

static struct frame frame_of_function(const struct profile_function *f)
{
    return (struct frame){f->name, f->file ? f->file : "", f->line, f->outer != INDEX_NONE};
}

static struct frame frame_of_program(const struct program *p)
{
    return (struct frame){p->name, "", 0, false};
}

static struct frame frame_of_line(const struct view *w, size_t location)
{
    const struct profile_location *l = &w->p->locations[location];
    return (struct frame){w->lines[location], l->file, l->line, false};
}

static uint32_t find_frame(const struct view *w, struct frame f)
{
    const struct frame *found = bsearch(&f, w->frames, w->frame_count, sizeof f, compare_frames);
    return (uint32_t)(found - w->frames);
}

static bool has_line(const struct profile_location *l)
{
    return l->file != NULL && l->line > 0;
}

static void write_lines(struct view *w)
{
    const struct profile *p = w->p;
    w->lines = alloc_zeroed(p->location_count, LINE_BYTES);
    for (size_t i = 0; i < p->location_count; i++) {
        const struct profile_location *l = &p->locations[i];
        const char *slash = l->file ? strrchr(l->file, '/') : NULL;
        if (has_line(l)) {
            snprintf(w->lines[i], LINE_BYTES, "%s:%d", slash ? slash + 1 : l->file, l->line);
        }
    }
}

static void sort_frames(struct view *w)
{
    size_t kept = 0;
    qsort(w->frames, w->frame_count, sizeof *w->frames, compare_frames);
    for (size_t i = 0; i < w->frame_count; i++) {
        if (kept == 0 || compare_frames(&w->frames[kept - 1], &w->frames[i]) != 0) {
            w->frames[kept++] = w->frames[i];
        }
    }
    w->frame_count = kept;
}

static void make_frames(struct view *w)
{
    const struct profile *p = w->p;
    size_t count = p->programs.count + p->function_count + p->location_count;
    w->frames = alloc_zeroed(count, sizeof *w->frames);
    write_lines(w);
    for (uint32_t i = 0; i < p->programs.count; i++) {
        w->frames[w->frame_count++] = frame_of_program(&p->programs.programs[i]);
    }
    for (size_t i = 0; i < p->function_count; i++) {
        w->frames[w->frame_count++] = frame_of_function(&p->functions[i]);
    }
    for (size_t i = 0; i < p->location_count; i++) {
        if (has_line(&p->locations[i])) {
            w->frames[w->frame_count++] = frame_of_line(w, i);
        }
    }
    sort_frames(w);
    w->of_program = alloc_zeroed(p->programs.count, sizeof *w->of_program);
    w->of_function = alloc_zeroed(p->function_count, sizeof *w->of_function);
    w->of_location = alloc_zeroed(p->location_count, sizeof *w->of_location);
    for (uint32_t i = 0; i < p->programs.count; i++) {
        w->of_program[i] = find_frame(w, frame_of_program(&p->programs.programs[i]));
    }
    for (size_t i = 0; i < p->function_count; i++) {
        w->of_function[i] = find_frame(w, frame_of_function(&p->functions[i]));
    }
    for (size_t i = 0; i < p->location_count; i++) {
        w->of_location[i] = has_line(&p->locations[i]) ? find_frame(w, frame_of_line(w, i)) : INDEX_NONE;
    }
}

/* ---- stacks ---- */

static void push_number(struct view *w, uint32_t number)
{
    if (w->number_count == w->number_capacity) {
        w->number_capacity = w->number_capacity ? w->number_capacity * 2 : 4096;
        w->numbers = realloc(w->numbers, w->number_capacity * sizeof *w->numbers);
        CHECK(w->numbers, "out of memory: %zu frames", w->number_capacity);
    }
    w->numbers[w->number_count++] = number;
}

/* A function, and then those that it was inlined into. */
static void push_outward(struct view *w, uint32_t function)
{
    for (; function != INDEX_NONE; function = w->p->functions[function].outer) {
        push_number(w, w->of_function[function]);
    }
}

static void reverse_numbers(uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        uint32_t number = numbers[i];
        numbers[i] = numbers[count - 1 - i];
        numbers[count - 1 - i] = number;
    }
}

static void add_stack(struct view *w, const struct profile_cell *c)
{
    const struct profile *p = w->p;
    const struct profile_location *l = &p->locations[c->location];
    struct stack s = {.cpu = c->cpu, .first = w->number_count, .cycles = c->cycles};
    uint32_t outermost = l->function;
    push_outward(w, l->function);
    for (uint32_t n = c->caller; n != CALL_ROOT; n = p->stacks.nodes[n].caller) {
        outermost = p->stacks.nodes[n].function;
        push_outward(w, outermost);
    }
    if (p->functions[outermost].program != INDEX_NONE) {
        push_number(w, w->of_program[p->functions[outermost].program]);
    }
    reverse_numbers(w->numbers + s.first, w->number_count - s.first);
    if (w->of_location[c->location] != INDEX_NONE) {
        push_number(w, w->of_location[c->location]);
    }
    s.count = (uint32_t)(w->number_count - s.first);
    w->stacks[w->stack_count++] = s;
}

/* For the comparison of stacks, which only knows their places. */
struct sorted {
    const uint32_t *numbers;
    struct stack stack;
};

static int compare_stacks(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    if (x->stack.cpu != y->stack.cpu) {
        return x->stack.cpu < y->stack.cpu ? -1 : 1;
    }
    for (uint32_t i = 0; i < x->stack.count && i < y->stack.count; i++) {
        if (x->numbers[i] != y->numbers[i]) {
            return x->numbers[i] < y->numbers[i] ? -1 : 1;
        }
    }
    return (x->stack.count > y->stack.count) - (x->stack.count < y->stack.count);
}

static void sort_stacks(struct view *w)
{
    struct sorted *sorted = alloc_zeroed(w->stack_count + 1, sizeof *sorted);
    size_t kept = 0;
    for (size_t i = 0; i < w->stack_count; i++) {
        sorted[i] = (struct sorted){w->numbers + w->stacks[i].first, w->stacks[i]};
    }
    qsort(sorted, w->stack_count, sizeof *sorted, compare_stacks);
    for (size_t i = 0; i < w->stack_count; i++) {
        if (i > 0 && compare_stacks(&sorted[i - 1], &sorted[i]) == 0) {
            w->stacks[kept - 1].cycles += sorted[i].stack.cycles;
        } else {
            w->stacks[kept++] = sorted[i].stack;
        }
    }
    w->stack_count = kept;
    free(sorted);
}

static void view_open(struct view *w, const struct profile *p)
{
    *w = (struct view){.p = p};
    make_frames(w);
    w->stacks = alloc_zeroed(p->cell_count + 1, sizeof *w->stacks);
    for (size_t i = 0; i < p->cell_count; i++) {
        if (p->cells[i].cycles != 0) {
            add_stack(w, &p->cells[i]);
        }
    }
    sort_stacks(w);
}

static void view_close(struct view *w)
{
    free(w->frames);
    free(w->of_program);
    free(w->of_function);
    free(w->of_location);
    free(w->lines);
    free(w->stacks);
    free(w->numbers);
}

/* ---- folded ---- */

/* A name without what divides frames and lines. */
static void put_plain(FILE *out, const char *text)
{
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        fputc(c == ';' ? ':' : c < 0x20 || c == 0x7f ? '?' : c, out);
    }
}

static void write_folded(const struct view *w, FILE *out)
{
    for (size_t i = 0; i < w->stack_count; i++) {
        const struct stack *s = &w->stacks[i];
        fprintf(out, "cpu%u", s->cpu);
        for (uint32_t n = 0; n < s->count; n++) {
            fputc(';', out);
            const struct frame *f = &w->frames[w->numbers[s->first + n]];
            put_plain(out, f->name);
            fputs(f->inlined ? INLINED_MARK : "", out);
        }
        fprintf(out, " %llu\n", (unsigned long long)s->cycles);
    }
}

/* ---- speedscope ---- */

/* Bytes that are no ASCII become '?': names are the guest's, and need not be UTF-8. */
static void put_json(FILE *out, const char *text, const char *mark)
{
    fputc('"', out);
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        if (c == '"' || c == '\\') {
            fputc('\\', out);
        }
        fputc(c < 0x20 || c >= 0x7f ? '?' : c, out);
    }
    fputs(mark, out);
    fputc('"', out);
}

static void write_frames(const struct view *w, FILE *out)
{
    for (size_t i = 0; i < w->frame_count; i++) {
        const struct frame *f = &w->frames[i];
        fputs(i ? ",\n{\"name\":" : "\n{\"name\":", out);
        put_json(out, f->name, f->inlined ? INLINED_MARK : "");
        if (f->file[0]) {
            fputs(",\"file\":", out);
            put_json(out, f->file, "");
        }
        if (f->line > 0) {
            fprintf(out, ",\"line\":%d", f->line);
        }
        fputc('}', out);
    }
}

/* The stacks first..end - 1 are those of a vCPU. */
static void write_profile(const struct view *w, unsigned cpu, size_t first, size_t end, FILE *out)
{
    uint64_t sum = 0;
    for (size_t i = first; i < end; i++) {
        sum += w->stacks[i].cycles;
    }
    fprintf(out,
            "{\"type\":\"sampled\",\"name\":\"cpu%u\",\"unit\":\"none\",\"startValue\":0,\"endValue\":%llu,"
            "\"samples\":[",
            cpu, (unsigned long long)sum);
    for (size_t i = first; i < end; i++) {
        const struct stack *s = &w->stacks[i];
        fputs(i > first ? ",\n" : "\n", out);
        for (uint32_t n = 0; n < s->count; n++) {
            fprintf(out, "%c%u", n ? ',' : '[', w->numbers[s->first + n]);
        }
        fputc(']', out);
    }
    fputs("],\n\"weights\":[", out);
    for (size_t i = first; i < end; i++) {
        fprintf(out, "%s%llu", i > first ? "," : "", (unsigned long long)w->stacks[i].cycles);
    }
    fputs("]}", out);
}

static void write_speedscope(const struct view *w, FILE *out)
{
    fputs("{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\n"
          "\"exporter\":\"orrery\",\"name\":\"cycles\",\"activeProfileIndex\":0,\n\"shared\":{\"frames\":[",
          out);
    write_frames(w, out);
    fputs("]},\n\"profiles\":[", out);
    size_t at = 0;
    for (unsigned cpu = 0; cpu < sim_get_config(w->p->sim)->cpus; cpu++) {
        size_t first = at;
        while (at < w->stack_count && w->stacks[at].cpu == cpu) {
            at++;
        }
        fputs(cpu ? ",\n" : "\n", out);
        write_profile(w, cpu, first, at, out);
    }
    fputs("]}\n", out);
}

/* ---- files ---- */

static bool ends_with(const char *name, const char *end)
{
    size_t a = strlen(name), b = strlen(end);
    return a > b && strcmp(name + a - b, end) == 0;
}

bool profile_format_of(const char *name, enum profile_format *out)
{
    static const char *const endings[] = {[PROFILE_FOLDED] = ".folded",
                                          [PROFILE_SPEEDSCOPE] = ".json",
                                          [PROFILE_TABLE] = ".tsv",
                                          [PROFILE_MARKDOWN] = ".md"};
    for (unsigned i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (ends_with(name, endings[i])) {
            *out = (enum profile_format)i;
            return true;
        }
    }
    return false;
}

bool profile_is_table(enum profile_format format)
{
    return format == PROFILE_TABLE || format == PROFILE_MARKDOWN;
}

void profile_write(const struct profile *p, enum profile_format format, FILE *out)
{
    if (profile_is_table(format)) {
        profile_write_table(p, format == PROFILE_MARKDOWN, out);
        return;
    }
    struct view w;
    view_open(&w, p);
    (format == PROFILE_FOLDED ? write_folded : write_speedscope)(&w, out);
    view_close(&w);
}

bool profile_reserve(const char *name, struct error *e)
{
    FILE *out = fopen(name, "w");
    if (out == NULL) {
        return error_set(e, "%s: %s", name, strerror(errno));
    }
    fclose(out);
    return true;
}

bool profile_save(const struct profile *p, const char *name, struct error *e)
{
    enum profile_format format;
    CHECK(profile_format_of(name, &format), "format of %s", name);
    FILE *out = fopen(name, "w");
    if (out == NULL) {
        return error_set(e, "%s: %s", name, strerror(errno));
    }
    profile_write(p, format, out);
    bool good = ferror(out) == 0;
    good = fclose(out) == 0 && good;
    return good || error_set(e, "%s: not all of it could be written", name);
}
