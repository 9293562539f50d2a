#ifndef ORRERY_OBSERVE_PROFILE_H
#define ORRERY_OBSERVE_PROFILE_H

/*
 * Where the cycles go: each one belongs to the instruction that retires at its end, with its source line, its function and
 * those that called it (docs/profile.md). An observer: it counts every step and changes nothing.
 */

#include "base/status.h"
#include "observe/program.h"

#include <stdio.h>

enum profile_format {
    PROFILE_FOLDED,     /* a line a stack: cpu0;program;function;...;file:line cycles */
    PROFILE_SPEEDSCOPE, /* JSON for speedscope.app, a profile for each vCPU */
    PROFILE_TABLE,      /* functions and their counters: tab-separated, a row for each vCPU */
    PROFILE_MARKDOWN    /* the same as a table for people, of all vCPUs */
};

/* Formats of a profile, and of counters, by how a file's name ends: .folded, .json; .tsv, .md. False: another ending. */
bool profile_format_of(const char *name, enum profile_format *out);
bool profile_is_table(enum profile_format format);

struct profile;

/* Begins at the machine's present position. tables: also counts what tables need. What files says is only read here. */
struct profile *profile_start(struct sim *s, const struct guest_files *files, bool tables);
/* Ends counting: as much as the vCPUs' clocks are on by now belongs to it. Nothing is counted any more. */
void profile_stop(struct profile *p);
void profile_free(struct profile *p); /* stops; NULL is none */

/* Writes what was counted so far; of tables only where they were asked for. */
void profile_write(const struct profile *p, enum profile_format format, FILE *out);
/* Makes the file, empty, before a long run turns out to be in vain. */
bool profile_reserve(const char *name, struct error *e);
bool profile_save(const struct profile *p, const char *name, struct error *e);

#endif
