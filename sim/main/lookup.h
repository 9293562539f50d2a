#ifndef ORRERY_MAIN_LOOKUP_H
#define ORRERY_MAIN_LOOKUP_H

/* Words that people type on the command line, looked up in gperf tables made from the names_*.def rows. */

enum option {
#define NAME(word, value, argument, groups, help) value,
#include "main/names_options.def"
#undef NAME
    OPTION_COUNT
};

enum command {
#define NAME(word, value, synopsis, help) value,
#include "main/names_commands.def"
#undef NAME
    COMMAND_COUNT
};

/* Each returns the enum value, or -1. */
int lookup_option(const char *word);
int lookup_command(const char *word);

#endif
