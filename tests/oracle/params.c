/* A parameter file: lines "key = value"; '#' begins a comment. Every parameter of the page has to be there. */

#include "oracle.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX_LENGTH 512

static char *trimmed(char *s)
{
    s += strspn(s, " \t");
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r\n", s[n - 1]) != NULL) {
        s[--n] = '\0';
    }
    return s;
}

/* The index of a name in a list of names, which it joins when it is new; -1: no room. */
static int name_index(char names[][32], unsigned *count, const char *name)
{
    for (unsigned i = 0; i < *count; i++) {
        if (strcmp(names[i], name) == 0) {
            return (int)i;
        }
    }
    if (*count == PORTS_MAX || strlen(name) > 31) {
        return -1;
    }
    strcpy(names[*count], name);
    return (int)(*count)++;
}

static bool port_set(struct params *p, char *value, u64 *mask)
{
    *mask = 0;
    if (strcmp(value, "none") == 0) {
        return true;
    }
    for (char *word = strtok(value, " ,\t"); word != NULL; word = strtok(NULL, " ,\t")) {
        const int group = name_index(p->port_names, &p->ports, word);
        if (group < 0) {
            return false;
        }
        *mask |= UINT64_C(1) << group;
    }
    return true;
}

static bool number(const char *value, u64 *out)
{
    char *end = NULL;
    *out = strtoull(value, &end, 0);
    return *value >= '0' && *value <= '9' && *end == '\0';
}

static bool class_value(struct params *p, char *rest, char *value)
{
    static const char *const names[] = {
#define CLASS(name, kind, patterns) #name,
#include "classes.def"
#undef CLASS
    };
    char *const field = strchr(rest, '.');
    if (field == NULL) {
        return false;
    }
    *field = '\0';
    for (unsigned i = 0; i < CLASSES; i++) {
        struct class_params *c = &p->class[i];
        if (strcmp(names[i], rest) != 0) {
            continue;
        }
        if (strcmp(field + 1, "ops") == 0) {
            return number(value, &c->ops) && c->ops >= 1;
        }
        if (strcmp(field + 1, "latency") == 0) {
            return number(value, &c->latency);
        }
        if (strcmp(field + 1, "occupy") == 0) {
            return number(value, &c->occupy);
        }
        if (strcmp(field + 1, "ports") == 0) {
            return port_set(p, value, &c->ports);
        }
        if (strcmp(field + 1, "unit") == 0) {
            const bool none = *value == '\0' || strcmp(value, "none") == 0;
            c->unit = none ? -1 : name_index(p->unit_names, &p->units, value);
            return none || c->unit >= 0;
        }
    }
    return false;
}

/* What no stamp follows from: messages arrive when the trace says so. A key that is not known is a rule that is not here. */
static bool is_of_no_stamp(const char *key)
{
    return strcmp(key, "machine") == 0 || strcmp(key, "ipi_cycles") == 0 || strcmp(key, "ioapic_cycles") == 0;
}

static bool set(struct params *p, bool given[], char *key, char *value)
{
    unsigned i = 0;
#define PARAM(name)                     \
    if (strcmp(key, #name) == 0) {      \
        given[i] = true;                \
        return number(value, &p->name); \
    }                                   \
    i++;
#include "params.def"
#undef PARAM
    if (strcmp(key, "memory_model") == 0) {
        p->sc = strcmp(value, "sc") == 0;
        return p->sc || strcmp(value, "tso") == 0;
    }
    if (strcmp(key, "load_ports") == 0 || strcmp(key, "store_ports") == 0) {
        return port_set(p, value, key[0] == 'l' ? &p->load_ports : &p->store_ports);
    }
    if (strncmp(key, "port.", 5) == 0) {
        const int group = name_index(p->port_names, &p->ports, key + 5);
        return group >= 0 && number(value, &p->capacity[group]);
    }
    if (strncmp(key, "class.", 6) == 0) {
        return class_value(p, key + 6, value);
    }
    return is_of_no_stamp(key);
}

static bool power_of_two(u64 n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

static bool check(const struct params *p, const bool given[])
{
    unsigned i = 0;
    bool all = true;
#define PARAM(name)                                          \
    if (!given[i++]) {                                       \
        fprintf(stderr, "oracle: no parameter " #name "\n"); \
        all = false;                                         \
    }
#include "params.def"
#undef PARAM
    for (unsigned g = 0; g < p->ports; g++) {
        if (p->capacity[g] == 0) {
            fprintf(stderr, "oracle: port group %s has no capacity\n", p->port_names[g]);
            all = false;
        }
    }
    const u64 sizes[] = {p->l1d_sets, p->l1d_ways, p->l1i_sets, p->l1i_ways,
                         p->l2_sets,  p->l2_ways,  p->l3_sets,  p->l3_ways};
    for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        if (!power_of_two(sizes[s])) {
            fprintf(stderr, "oracle: sets and ways have to be powers of two\n");
            return false;
        }
    }
    if (p->dram_channels * p->dram_banks * p->dram_row_lines * p->dispatch_width * p->retire_width *
            p->reorder_buffer * p->return_stack ==
        0) {
        fprintf(stderr, "oracle: a size is 0\n");
        all = false;
    }
    return all;
}

bool params_read(const char *path, struct params *p)
{
    char text[LINE_MAX_LENGTH];
    bool given[128] = {false}, good = true;
    long at = 0;
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        perror(path);
        return false;
    }
    memset(p, 0, sizeof(*p));
    for (unsigned i = 0; i < CLASSES; i++) {
        p->class[i] = (struct class_params){.ops = 1, .unit = -1};
    }
    while (fgets(text, sizeof(text), f) != NULL) {
        at++;
        text[strcspn(text, "#\n")] = '\0';
        char *const equals = strchr(text, '=');
        if (*trimmed(text) == '\0') {
            continue;
        }
        if (equals != NULL) {
            *equals = '\0';
        }
        if (equals == NULL || !set(p, given, trimmed(text), trimmed(equals + 1))) {
            fprintf(stderr, "%s:%ld: not understood\n", path, at);
            good = false;
        }
    }
    fclose(f);
    return check(p, given) && good;
}
