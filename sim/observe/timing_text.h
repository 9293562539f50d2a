#ifndef ORRERY_OBSERVE_TIMING_TEXT_H
#define ORRERY_OBSERVE_TIMING_TEXT_H

/* The trace of the timing model as text, which the oracle reads (docs/timing.md, section 14). */

#include "base/status.h"
#include "machine/sim.h"

#include <stdio.h>

/* Opens the file and attaches it to the machine, which has not run yet. NULL: the message says why. */
FILE *timing_text_open(const char *name, struct sim *s, struct error *e);

/* Detaches and closes; out may be NULL. False: not everything could be written. */
bool timing_text_close(FILE *out, const char *name, struct sim *s, struct error *e);

#endif
