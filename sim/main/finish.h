#ifndef ORRERY_MAIN_FINISH_H
#define ORRERY_MAIN_FINISH_H

/* The end of a run: result lines, the cause, the command that repeats it. */

#include "main/options.h"
#include "observe/profile.h"

/* The command line as it was typed, quoted for a shell. */
struct command_line {
    int argc;
    char **argv;
};

void finish_again(FILE *out, const struct command_line *c);

/* --hash and --stats. */
void finish_results(FILE *out, struct sim *s, const struct options *o);

/* Makes the files of --profile and --profile-counters, and sees whether that of --record can be made, before a long run turns out to be in vain. */
bool finish_reserve(const struct options *o, struct error *e);

/* Stops a profile and writes it; a file may be NULL. */
bool finish_profile(struct profile *p, const char *profile, const char *counters, struct error *e);

/* The exit status that a stop means, debug exit apart. */
enum exit_status finish_status(enum sim_stop stop);

#endif
