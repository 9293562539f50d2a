#ifndef ORRERY_MAIN_OPTIONS_H
#define ORRERY_MAIN_OPTIONS_H

/* The parsed command line of a subcommand. */

#include "machine/sim.h"

#include <stdio.h>

#define OPTIONS_SETS_MAX 64u

enum serial_kind { SERIAL_STDIO, SERIAL_NONE, SERIAL_FILE };

struct options {
    struct sim_config config;
    const char *kernel, *initrd, *append;
    const char *file;    /* the positional argument: run's scenario, replay's recording */
    uint64_t max_cycles; /* UINT64_MAX: none */
    uint64_t until;      /* the same, of a replay */
    const char *sets[OPTIONS_SETS_MAX];
    unsigned set_count;
    enum serial_kind serial;
    const char *serial_file, *timing_trace, *profile, *profile_counters, *record, *gdb;
    uint32_t given; /* a bit for each enum option */
    bool given_serial, hash, stats, false_sharing, embed, params, help;
    uint32_t trace; /* bits of sim_on_trace */
};

/* Parses what follows the subcommand; group is its letter in names_options.def. False: the message is a usage error. */
bool options_parse(struct options *o, char group, int argc, char **argv, struct error *e);

/* Writes the help text of a subcommand, or of the program (group 0). */
void options_help(FILE *out, char group);

#endif
