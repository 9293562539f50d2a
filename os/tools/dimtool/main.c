/* dimtool: makes, converts, checks and shows dimension files. Deviations: none. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/dimtool/dimtool.h"

static const struct command {
    const char *name;
    int (*run)(const struct options *options);
    uint32_t least, most; /* paths */
    const char *flags;    /* letters of the options it takes */
    const char *usage;
} commands[] = {
    {"init", command_init, 2, 2, "sft", "init DIMENSIONS.json FOLDER [--seed N] [--fill BYTES] [--text]"},
    {"convert", command_convert, 2, 2, "sfc", "convert FROM TO [--seed N] [--fill BYTES] [--compress]"},
    {"validate", command_validate, 1, 16, "", "validate FILE..."},
    {"dump", command_dump, 1, 1, "", "dump FILE"},
    {"query", command_query, 1, 3, "sf", "query FOLDER [DIMENSION [LAYER]] [--seed N] [--fill BYTES]"},
};

#define COMMANDS (sizeof commands / sizeof commands[0])

static int usage(FILE *out, int status)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        fprintf(out, "%s dimtool %s\n", i ? "      " : "usage:", commands[i].usage);
    }
    fputs("convert goes by what FROM is and how TO ends: .json to a folder of files, a folder to .json, "
          ".odim to .txt,\n"
          ".txt to .odim. --fill full makes files as large as a region of 20 MiB holds; query prints so many "
          "bytes. The formats: "
          "docs/dimension-store.md\n",
          out);
    return status;
}

static bool wrong(const char *what, const char *argument)
{
    fprintf(stderr, "dimtool: %s: %s\n", argument, what);
    return false;
}

static bool number(const char *text, uint64_t *value)
{
    char *end = NULL;
    bool digits = text && text[0] >= '0' && text[0] <= '9';
    *value = digits ? strtoull(text, &end, 0) : 0;
    return digits && *end == '\0' && strlen(text) < 20;
}

/* One option at arguments[*at], perhaps with a value behind it. */
static bool option(const struct command *command, char **arguments, int *at, struct options *options)
{
    const char *name = arguments[*at];
    if (strcmp(name, "--text") == 0 && strchr(command->flags, 't')) {
        options->text = true;
        return true;
    }
    if (strcmp(name, "--compress") == 0 && strchr(command->flags, 'c')) {
        options->compress = true;
        return true;
    }
    const char *value = arguments[*at + 1];
    if (strcmp(name, "--seed") == 0 && strchr(command->flags, 's')) {
        ++*at;
        return number(value, &options->seed) || wrong("--seed takes a number", value ? value : name);
    }
    if (strcmp(name, "--fill") == 0 && strchr(command->flags, 'f')) {
        ++*at;
        options->fill_given = true;
        if (value && strcmp(value, "full") == 0) {
            options->fill_bytes = UINT64_MAX;
            return true;
        }
        return number(value, &options->fill_bytes) ||
               wrong("--fill takes bytes, or full", value ? value : name);
    }
    return wrong("no such option", name);
}

int main(int count, char **arguments)
{
    struct options options = {.seed = 1, .fill_bytes = 65536};
    if (count > 1 && strcmp(arguments[1], "--help") == 0) {
        return usage(stdout, 0);
    }
    const struct command *command = NULL;
    for (size_t i = 0; count > 1 && i < COMMANDS; i++) {
        command = strcmp(arguments[1], commands[i].name) == 0 ? &commands[i] : command;
    }
    if (!command) {
        return usage(stderr, 2);
    }
    for (int at = 2; at < count; at++) {
        if (arguments[at][0] == '-') {
            if (!option(command, arguments, &at, &options)) {
                return 2;
            }
        } else if (options.count == command->most) {
            return usage(stderr, 2);
        } else {
            options.paths[options.count++] = arguments[at];
        }
    }
    int status = options.count < command->least ? usage(stderr, 2) : command->run(&options);
    if (fflush(stdout) != 0) {
        wrong("cannot be written", "standard output");
        return 2;
    }
    return status;
}
