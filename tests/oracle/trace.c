/* The trace (14). '#' begins a comment, so that traces can be written by hand. */

#define _POSIX_C_SOURCE 200809L

#include "oracle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *path;
    long number;
};

static bool bad(const struct reader *r, const char *what)
{
    fprintf(stderr, "%s:%ld: %s\n", r->path, r->number, what);
    return false;
}

static bool hex(const char *s, u64 *out)
{
    char *end = NULL;
    if (s == NULL || *s == '\0' || *s == '-') {
        return false;
    }
    *out = strtoull(s, &end, 16);
    return *end == '\0';
}

static bool decimal(const char *s, u64 *out)
{
    char *end = NULL;
    if (s == NULL || *s < '0' || *s > '9') {
        return false;
    }
    *out = strtoull(s, &end, 10);
    return *end == '\0';
}

static bool read_bytes(const char *s, struct line *l)
{
    l->length = 0;
    if (strcmp(s, "-") == 0) {
        return true;
    }
    for (; s[0] != '\0' && s[1] != '\0' && l->length < 15; s += 2) {
        const char two[3] = {s[0], s[1], '\0'};
        u64 byte = 0;
        if (!hex(two, &byte)) {
            return false;
        }
        l->bytes[l->length++] = (uint8_t)byte;
    }
    return *s == '\0' && l->length > 0;
}

static bool read_number(const char *s, u64 *out)
{
    if (s != NULL && strcmp(s, "-") == 0) {
        *out = NUMBER_NONE;
        return true;
    }
    return decimal(s, out);
}

static bool read_size(const char *s, u64 *out)
{
    return decimal(s, out) && *out > 0 && *out <= 64;
}

static bool read_item(char *s, struct item *i)
{
    char *field[4] = {NULL};
    unsigned n = 0;
    memset(i, 0, sizeof(*i));
    for (char *at = s; at != NULL && n < 4; n++) {
        field[n] = at;
        at = strchr(at, ':');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    if (field[0][0] == '\0' || field[0][1] != '\0') {
        return false;
    }
    i->what = field[0][0];
    switch (i->what) {
    case 't':
        return n == 2 && read_number(field[1], &i->number);
    case 'w':
    case 'u':
    case 'L':
    case 'S':
        return n == 2 && hex(field[1], &i->physical);
    case 'f':
        return n == 3 && hex(field[1], &i->physical) && read_size(field[2], &i->size);
    case 'l':
    case 's':
        return n == 4 && hex(field[1], &i->physical) && read_size(field[2], &i->size) &&
               read_number(field[3], &i->number);
    default:
        return false;
    }
}

/* l:PHYSICAL, l:PHYSICAL:PHYSICAL or u:PHYSICAL */
static bool read_wait_lines(char *what, struct line *l)
{
    char *second = strchr(what + 2, ':');
    l->wait_lines = second != NULL ? 2 : 1;
    if (second != NULL) {
        *second++ = '\0';
    }
    return (second == NULL || (l->wait == 'l' && hex(second, &l->wait_at[1]))) &&
           hex(what + 2, &l->wait_at[0]);
}

/* T cpu what = R */
static bool read_wait(const struct reader *r, struct line *l)
{
    char *what = strtok(NULL, " \t\n");
    const char *equals = strtok(NULL, " \t\n");
    if (what == NULL || equals == NULL || strcmp(equals, "=") != 0 ||
        !hex(strtok(NULL, " \t\n"), &l->stamps[STAMP_R])) {
        return bad(r, "not a wait");
    }
    l->wait = *what;
    if (strncmp(what, "l:", 2) == 0 || strncmp(what, "u:", 2) == 0) {
        return read_wait_lines(what, l) || bad(r, "not a line");
    }
    return strcmp(what, "q") == 0 || strcmp(what, "r") == 0 || bad(r, "not a wait");
}

/* S cpu kind mode pc bytes next flags item... = D E C R W F */
static bool read_step(const struct reader *r, struct line *l)
{
    const char *kind = strtok(NULL, " \t\n"), *mode = strtok(NULL, " \t\n"), *pc = strtok(NULL, " \t\n");
    const char *bytes = strtok(NULL, " \t\n"), *next = strtok(NULL, " \t\n"), *flags = strtok(NULL, " \t\n");
    u64 bits = 0;
    if (flags == NULL || strlen(kind) != 1 || strchr("iren", *kind) == NULL) {
        return bad(r, "not a step");
    }
    if (!decimal(mode, &bits) || (bits != 16 && bits != 32 && bits != 64) || !hex(pc, &l->pc) ||
        !hex(next, &l->next) || !read_bytes(bytes, l)) {
        return bad(r, "mode, pc, bytes or next");
    }
    l->kind = *kind;
    l->mode = (unsigned)bits;
    l->df = strchr(flags, 'd') != NULL;
    l->keeps = strchr(flags, 'k') != NULL;
    char *word = strtok(NULL, " \t\n");
    for (; word != NULL && strcmp(word, "=") != 0; word = strtok(NULL, " \t\n")) {
        l->items = realloc(l->items, (l->item_count + 1) * sizeof(*l->items));
        if (l->items == NULL || !read_item(word, &l->items[l->item_count++])) {
            return bad(r, "an item");
        }
    }
    for (unsigned i = 0; i < STAMPS; i++) {
        if (word == NULL || !hex(strtok(NULL, " \t\n"), &l->stamps[i])) {
            return bad(r, "not six stamps");
        }
    }
    return true;
}

static bool read_line(const struct reader *r, char *text, struct line *l)
{
    const char *what = strtok(text, " \t\n"), *cpu = strtok(NULL, " \t\n");
    u64 number = 0;
    if (what == NULL || strlen(what) != 1 || strchr("STPKXC", *what) == NULL || !decimal(cpu, &number) ||
        number > 255) {
        return bad(r, "not a line of a trace");
    }
    l->number = r->number;
    l->what = *what;
    l->cpu = (unsigned)number;
    if (l->what == 'S') {
        return read_step(r, l);
    }
    if (l->what == 'T') {
        return read_wait(r, l);
    }
    return l->what == 'X' || hex(strtok(NULL, " \t\n"), &l->time) || bad(r, "no time");
}

bool trace_read(const char *path, struct trace *t)
{
    struct reader r = {path, 0};
    char *text = NULL;
    size_t room = 0, lines = 0;
    bool good = true;
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        perror(path);
        return false;
    }
    memset(t, 0, sizeof(*t));
    while (good && getline(&text, &room, f) >= 0) {
        r.number++;
        text[strcspn(text, "#\n")] = '\0';
        if (text[strspn(text, " \t\r")] == '\0') {
            continue;
        }
        if (t->count == lines) {
            lines = lines * 2 + 64;
            t->lines = realloc(t->lines, lines * sizeof(*t->lines));
            if (t->lines == NULL) {
                abort();
            }
        }
        struct line *l = &t->lines[t->count++];
        memset(l, 0, sizeof(*l));
        good = read_line(&r, text, l);
        t->cpus = l->cpu + 1 > t->cpus ? l->cpu + 1 : t->cpus;
    }
    free(text);
    fclose(f);
    return good;
}
