/* The command line: parsing and help. */

#include "main/options.h"

#include "main/lookup.h"
#include "observe/profile.h"
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

_Static_assert(OPTION_COUNT <= 32, "a bit for each in options.given");

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    *out = v;
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0;
}

static void parse_serial(struct options *o, const char *text)
{
    o->given_serial = true;
    o->serial = strcmp(text, "stdio") == 0  ? SERIAL_STDIO
                : strcmp(text, "none") == 0 ? SERIAL_NONE
                                            : SERIAL_FILE;
    o->serial_file = o->serial == SERIAL_FILE ? text : NULL;
}

/* Only a scenario's own parameters are many; --trace adds up. */
static bool may_repeat(enum option option)
{
    return option == OPTION_SET || option == OPTION_TRACE;
}

/* What an argument is: a row of names_options.def or, else, a parameter of the machine. */
struct known_option {
    int option, parameter; /* -1: not one */
    const char *argument;
};

static bool find_option(const char *word, char group, struct known_option *out)
{
    *out = (struct known_option){lookup_option(word), -1, ""};
    if (out->option >= 0) {
        out->argument = option_rows[out->option].argument;
        return strchr(option_rows[out->option].groups, group) != NULL;
    }
    out->parameter = strncmp(word, "--", 2) == 0 ? sim_parameter_find(word + 2) : -1;
    if ((group == 'I' && out->parameter != PARAMETER_MACHINE) ||
        (group == 'P' && out->parameter != PARAMETER_DISK)) {
        out->parameter = -1;
    }
    if (out->parameter >= 0) {
        out->argument = sim_parameter_argument((enum sim_parameter)out->parameter);
    }
    return out->parameter >= 0;
}

static bool set_parameter(struct options *o, enum sim_parameter p, const char *text, struct error *e)
{
    struct error why;
    return sim_config_set(&o->config, p, text, &why) || error_set(e, "--%s", why.text);
}

static bool add_set(struct options *o, const char *text, struct error *e)
{
    size_t key = strcspn(text, "=");
    if (o->set_count == OPTIONS_SETS_MAX || !text[key] || key == 0) {
        return false;
    }
    for (unsigned i = 0; i < o->set_count; i++) {
        if (strncmp(o->sets[i], text, key + 1) == 0) {
            return error_set(e, "--set %.*s is given twice", (int)key, text);
        }
    }
    o->sets[o->set_count++] = text;
    return true;
}

static bool parse_own(struct options *o, enum option option, const char *text, struct error *e)
{
    enum profile_format format;
    switch ((int)option) {
    case OPTION_TRACE:
        return trace_text_parse(text, &o->trace, e);
    case OPTION_TIMING_TRACE:
        o->timing_trace = text;
        return true;
    case OPTION_PROFILE:
        o->profile = text;
        return profile_format_of(text, &format) && !profile_is_table(format);
    case OPTION_PROFILE_COUNTERS:
        o->profile_counters = text;
        return profile_format_of(text, &format) && profile_is_table(format);
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
    case OPTION_UNTIL:
        return parse_number(text, &o->until);
    case OPTION_SET:
        return add_set(o, text, e);
    case OPTION_SERIAL:
        parse_serial(o, text);
        return true;
    case OPTION_HASH:
        o->hash = true;
        return true;
    case OPTION_STATS:
        o->stats = true;
        return true;
    case OPTION_FALSE_SHARING:
        o->false_sharing = true;
        return true;
    case OPTION_RECORD:
        o->record = text;
        return text[0] != 0;
    case OPTION_EMBED:
        o->embed = true;
        return true;
    case OPTION_GDB:
        o->gdb = text;
        return true;
    case OPTION_PARAMS:
        o->params = true;
        return true;
    default:
        o->help = true;
        return true;
    }
}

/* Has it been given before? */
static bool is_given(const struct options *o, const struct known_option *known)
{
    if (known->parameter >= 0) {
        enum sim_parameter p = (enum sim_parameter)known->parameter;
        return sim_config_given(&o->config, p) && !sim_parameter_is_files(p);
    }
    return (o->given & 1u << known->option) != 0 && !may_repeat((enum option)known->option);
}

static bool parse_argument(struct options *o, const struct known_option *known, const char *word,
                           const char *text, struct error *e)
{
    if (known->option >= 0) {
        o->given |= 1u << known->option;
    }
    if (known->parameter >= 0) {
        return set_parameter(o, (enum sim_parameter)known->parameter, text, e);
    }
    if (parse_own(o, (enum option)known->option, text, e)) {
        return true;
    }
    return e->text[0] ? false : error_set(e, "%s '%s': %s", word, text, option_rows[known->option].help);
}

/* A word of the command line as it is looked up: "--kernel=FILE" is "--kernel" with its text in the same argument. */
struct option_word {
    char word[32];
    const char *text; /* NULL: not in this argument */
};

static struct option_word split_word(const char *argument)
{
    struct option_word split = {.word = "", .text = NULL};
    size_t length = strncmp(argument, "--", 2) == 0 ? strcspn(argument, "=") : strlen(argument);
    if (length < sizeof split.word) {
        memcpy(split.word, argument, length);
        split.text = argument[length] ? argument + length + 1 : NULL;
    }
    return split;
}

/* The text of an option: in its own argument, or the next one, which is then consumed. */
static bool take_text(const struct known_option *known, const struct option_word *split, int argc,
                      char **argv, int *i, const char **text, struct error *e)
{
    *text = split->text ? split->text : "";
    if (split->text || !known->argument[0]) {
        return !split->text || known->argument[0] || error_set(e, "%s takes no value", split->word);
    }
    if (++*i == argc) {
        return error_set(e, "%s needs %s", split->word, known->argument);
    }
    *text = argv[*i];
    return true;
}

static bool parse_option(struct options *o, char group, int argc, char **argv, int *i, struct error *e)
{
    struct option_word split = split_word(argv[*i]);
    struct known_option known;
    if (!find_option(split.word, group, &known)) {
        return error_set(e, "unknown option '%s'", argv[*i]);
    }
    const char *text;
    if (!take_text(&known, &split, argc, argv, i, &text, e)) {
        return false;
    }
    if (is_given(o, &known)) {
        return error_set(e, "%s is given twice", split.word);
    }
    return parse_argument(o, &known, split.word, text, e);
}

bool options_parse(struct options *o, char group, int argc, char **argv, struct error *e)
{
    *o = (struct options){.max_cycles = UINT64_MAX, .until = UINT64_MAX};
    e->text[0] = 0;
    sim_config_init(&o->config);
    bool only_names = false; /* "--" has been seen */
    for (int i = 0; i < argc; i++) {
        if (!only_names && strcmp(argv[i], "--") == 0) {
            only_names = true;
        } else if (only_names || argv[i][0] != '-') {
            if (!strchr("RP", group) || o->file) {
                return error_set(e, "unexpected argument '%s'", argv[i]);
            }
            o->file = argv[i];
        } else if (!parse_option(o, group, argc, argv, &i, e)) {
            return false;
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
          "  --option=VALUE is --option VALUE; -- ends the options\n"
          "\nExit status: 0 passed, 1 an expectation failed, 2 wrong usage or unusable file,\n"
          "3 the guest crashed, 4 a limit was reached, 5 not modelled, 6 a replay diverged;\n"
          "boot: a debug exit with value v ends with (v << 1) | 1, as in QEMU.\n",
          out);
}

static enum command command_of(char group)
{
    return group == 'B'   ? COMMAND_BOOT
           : group == 'R' ? COMMAND_RUN
           : group == 'P' ? COMMAND_REPLAY
                          : COMMAND_INFO;
}

void options_help(FILE *out, char group)
{
    static const char *const synopses[] = {
#define NAME(word, value, synopsis, help) [value] = synopsis,
#include "main/names_commands.def"
#undef NAME
    };
    if (!group) {
        help_commands(out);
        return;
    }
    fprintf(out, "usage: orrery %s\n\n", synopses[command_of(group)]);
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &option_rows[i];
        if (strchr(row->groups, group)) {
            fprintf(out, "  %-16s %-12s %s\n", row->word, row->argument, row->help);
        }
    }
    if (group == 'I') {
        fprintf(out, "  %-16s %-12s %s\n", "--machine", sim_parameter_argument(PARAMETER_MACHINE),
                "the parameters of a machine");
        return;
    }
    if (group == 'P') {
        fprintf(out, "  %-16s %-12s %s\n", "--disk", sim_parameter_argument(PARAMETER_DISK),
                "where a disk's file is now; in their order");
        return;
    }
    fputs("\nThe machine:\n", out);
    for (unsigned i = 0; i < PARAMETER_COUNT; i++) {
        enum sim_parameter p = (enum sim_parameter)i;
        fprintf(out, "  --%-14s %-12s %s\n", sim_parameter_name(p), sim_parameter_argument(p),
                sim_parameter_help(p));
    }
}
