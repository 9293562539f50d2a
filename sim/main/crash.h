#ifndef ORRERY_MAIN_CRASH_H
#define ORRERY_MAIN_CRASH_H

/* What a crashed guest leaves behind, for people: registers, back-trace with symbols, position. */

#include "machine/sim.h"
#include "observe/symbols.h"

#include <stdio.h>

/* symbols may be NULL. */
void crash_print(FILE *out, const struct sim *s, const struct symbols *symbols, unsigned cpu);

#endif
