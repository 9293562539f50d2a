/* The command line: parsing and help. */

#include "main/options.h"

#include "main/lookup.h"
#include "observe/trace_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct option_row {
    const char *word, *argument, *groups, *help;
};

static const struct option_row option_rows[OPTION_COUNT] = {
#define NAME(word, value, argument, groups, help) [value] = {word, argument, groups, help},
#include "main/names_options.def"
#undef NAME
};

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    *out = v;
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0;
}

bool options_size(const char *text, uint64_t *bytes)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    end += shift != 0;
    *bytes = (uint64_t)v << shift;
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0 && *bytes >> shift == v;
}

static bool parse_count(const char *text, unsigned *out)
{
    uint64_t v;
    bool ok = parse_number(text, &v) && v <= 0xffff;
    *out = ok ? (unsigned)v : 0;
    return ok;
}

static bool one_of(const char *text, int a, int b, int *out)
{
    int v = lookup_value(text);
    *out = v;
    return v == a || v == b;
}

static void parse_serial(struct options *o, const char *text)
{
    int v = lookup_value(text);
    o->given_serial = true;
    o->serial = v == VALUE_STDIO ? SERIAL_STDIO : v == VALUE_NONE ? SERIAL_NONE : SERIAL_FILE;
    o->serial_file = o->serial == SERIAL_FILE ? text : NULL;
}

/* Options that describe the machine; *known tells whether the option was one. */
static bool parse_machine(struct options *o, enum option option, const char *text, bool *known)
{
    struct sim_config *c = &o->config;
    int word = -1;
    bool ok = true;
    *known = true;
    switch ((int)option) {
    case OPTION_CPUS:
        o->given_cpus = true;
        return parse_count(text, &c->cpus);
    case OPTION_MEMORY:
        o->given_memory = true;
        return options_size(text, &c->memory_bytes);
    case OPTION_NUMA:
        o->given_numa = true;
        return parse_count(text, &c->numa_nodes);
    case OPTION_BOARD:
        o->given_board = true;
        ok = one_of(text, VALUE_PC, VALUE_MICROVM, &word);
        c->board = word == VALUE_MICROVM ? BOARD_MICROVM : BOARD_PC;
        return ok;
    case OPTION_ENGINE:
        o->given_engine = true;
        ok = one_of(text, VALUE_FAST, VALUE_TIMED, &word);
        c->engine = word == VALUE_TIMED ? ENGINE_TIMED : ENGINE_FAST;
        return ok;
    case OPTION_MEMORY_MODEL:
        o->given_memory_model = true;
        ok = one_of(text, VALUE_SC, VALUE_TSO, &word);
        c->memory_model = word == VALUE_TSO ? MODEL_TSO : MODEL_SC;
        return ok;
    case OPTION_CPU:
        o->given_cpu = true;
        c->cpu_model = text;
        return true;
    case OPTION_BLOCKS:
        ok = one_of(text, VALUE_WHOLE, VALUE_SINGLE, &word);
        c->single_step_blocks = word == VALUE_SINGLE;
        return ok;
    case OPTION_SEED:
        return parse_number(text, &c->seed);
    default:
        *known = false;
        return true;
    }
}

static bool parse_other(struct options *o, enum option option, const char *text, struct error *e)
{
    switch ((int)option) {
    case OPTION_TRACE:
        return trace_text_parse(text, &o->trace, e);
    case OPTION_KERNEL:
        o->kernel = text;
        return true;
    case OPTION_INITRD:
        o->initrd = text;
        return true;
    case OPTION_APPEND:
        o->append = text;
        return true;
    case OPTION_MAX_CYCLES:
        return parse_number(text, &o->max_cycles);
    case OPTION_SET:
        if (o->set_count == OPTIONS_SETS_MAX || !strchr(text, '=') || text[0] == '=') {
            return false;
        }
        o->sets[o->set_count++] = text;
        return true;
    case OPTION_SERIAL:
        parse_serial(o, text);
        return true;
    case OPTION_HASH:
        o->hash = true;
        return true;
    case OPTION_STATS:
        o->stats = true;
        return true;
    default:
        o->help = true;
        return true;
    }
}

bool options_parse(struct options *o, char group, int argc, char **argv, struct error *e)
{
    *o = (struct options){.max_cycles = UINT64_MAX};
    e->text[0] = 0;
    sim_config_init(&o->config);
    for (int i = 0; i < argc; i++) {
        if (argv[i][0] != '-') {
            if (group != 'R' || o->scenario) {
                return error_set(e, "unexpected argument '%s'", argv[i]);
            }
            o->scenario = argv[i];
            continue;
        }
        int option = lookup_option(argv[i]);
        if (option < 0 || !strchr(option_rows[option].groups, group)) {
            return error_set(e, "unknown option '%s'", argv[i]);
        }
        const struct option_row *row = &option_rows[option];
        const char *text = "";
        if (row->argument[0]) {
            if (++i == argc) {
                return error_set(e, "%s needs %s", row->word, row->argument);
            }
            text = argv[i];
        }
        bool known;
        bool ok = parse_machine(o, (enum option)option, text, &known);
        if (!known) {
            ok = parse_other(o, (enum option)option, text, e);
        }
        if (!ok) {
            return e->text[0] ? false : error_set(e, "%s '%s': %s", row->word, text, row->help);
        }
    }
    return true;
}

static void help_commands(FILE *out)
{
    fputs("Orrery: a deterministic, cycle-level x86-64 machine.\n\n", out);
#define NAME(word, value, synopsis, help) fprintf(out, "  orrery %-36s %s\n", synopsis, help);
#include "main/names_commands.def"
#undef NAME
    fputs("\n  orrery COMMAND --help                       the options of a command\n"
          "\nExit status: 0 passed, 1 an expectation failed, 2 wrong usage or unusable file,\n"
          "3 the guest crashed, 4 a limit was reached, 5 not modelled, 6 a replay diverged;\n"
          "boot: a debug exit with value v ends with (v << 1) | 1, as in QEMU.\n",
          out);
}

void options_help(FILE *out, char group)
{
    if (!group) {
        help_commands(out);
        return;
    }
    fprintf(out, "usage: orrery %s\n\n",
            group == 'B'   ? "boot --kernel FILE [OPTION]..."
            : group == 'R' ? "run SCENARIO.lua [OPTION]..."
                           : "info");
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        if (strchr(row->groups, group)) {
            fprintf(out, "  %-14s %-10s %s\n", row->word, row->argument, row->help);
        }
    }
}
