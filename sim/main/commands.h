#ifndef ORRERY_MAIN_COMMANDS_H
#define ORRERY_MAIN_COMMANDS_H

/* The subcommands; each returns the exit status. line holds the whole command line. */

#include "main/finish.h"

int command_boot(const struct command_line *line);
int command_run(const struct command_line *line);
int command_replay(const struct command_line *line);
int command_info(const struct command_line *line);

/* Prints "orrery: message" and returns EXIT_USAGE. */
int command_usage(const struct error *e);

#endif
