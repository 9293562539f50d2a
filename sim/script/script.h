#ifndef ORRERY_SCRIPT_SCRIPT_H
#define ORRERY_SCRIPT_SCRIPT_H

/* Running a scenario, and what came of it. */

#include "machine/sim.h"
#include "observe/profile.h"
#include "replay/recorder.h"

/* What the front end decides: defaults from the command line. */
struct script_defaults {
    struct sim_config config;  /* what the command line gave (sim_config_given) wins */
    bool echo;                 /* port 0 of every machine also goes to standard output */
    uint32_t trace;            /* trace points told on standard error (sim_on_trace) */
    sim_progress_fn *progress; /* told how far each machine is; or NULL */
    void *progress_arg;
    bool profile, profile_tables; /* every machine has one from its beginning */
    bool false_sharing;           /* the same */
    bool record, embed;           /* every machine is recorded; with its images */
    bool (*stop_wanted)(void);    /* with record: shall the scenario end? */
};

struct script_options {
    const char *path; /* of the scenario */
    const char *text;
    size_t size;
    const char *home;        /* the folder with the program's own scenarios/ and build/os/, or NULL */
    const char *const *sets; /* KEY=VALUE words */
    unsigned set_count;
    uint64_t instructions; /* budget of Lua instructions; 0: the usual one */
    struct script_defaults defaults;
};

struct lua_machine;

struct script_result {
    unsigned passed, failed;      /* tests */
    bool limit;                   /* the scenario used up its Lua instructions or its memory */
    struct error error;           /* one line: what ended the scenario outside a test; or empty */
    struct lua_machine *machines; /* newest first; script_result_deinit frees them */
};

/* Runs to the end, printing the report of its tests. False with a message only when Lua cannot start or the file is not Lua:
 * a usage error. */
bool script_run(const struct script_options *o, struct script_result *r, struct error *e);
void script_result_deinit(struct script_result *r);

/* The exit status of all: a machine's crash or what it met that is not modelled, before a limit, before a mistake in the
 * scenario (EXIT_USAGE), before a failed test. */
enum exit_status script_verdict(const struct script_result *r);

/* A machine of the scenario, and how it ended. */
struct script_machine {
    struct sim *sim;
    const struct symbols *symbols; /* or NULL */
    enum exit_status status;       /* EXIT_PASSED: nothing to tell */
    struct profile *profile;       /* that the defaults asked for, or NULL */
    struct recorder *recorder;     /* the same */
    unsigned cpu;                  /* the vCPU that it is about */
    char cause[256];               /* one line, when there is something */
};

unsigned script_machine_count(const struct script_result *r);

/* The n-th machine that the scenario made, from 0. */
struct script_machine script_machine_get(const struct script_result *r, unsigned n);

#endif
