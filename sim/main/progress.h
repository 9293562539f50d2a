#ifndef ORRERY_MAIN_PROGRESS_H
#define ORRERY_MAIN_PROGRESS_H

/* A line on the terminal that says how far a run is. */

#include "machine/sim.h"

struct progress_line {
    uint64_t instructions; /* when it was last written */
    bool on_screen;
};

/* May it be written: standard error is a terminal, and nothing else writes parts of lines there? */
bool progress_wanted(bool console_on_stdout, uint32_t trace);

/* For sim_on_progress, with a struct progress_line. */
void progress_show(void *line, const struct sim *s, bool running);

#endif
