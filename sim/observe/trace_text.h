#ifndef ORRERY_OBSERVE_TRACE_TEXT_H
#define ORRERY_OBSERVE_TRACE_TEXT_H

/* The readable log of trace points: one line each, "cycle cpuN item field value ... [symbol]". */

#include "base/status.h"
#include "machine/sim.h"
#include "observe/symbols.h"

#include <stdio.h>

struct trace_text {
    FILE *out;
    const struct symbols *symbols; /* or NULL: code addresses stay numbers */
};

/* A trace_fn; target is the struct trace_text. */
void trace_text_write(void *target, const struct trace_record *r);

/* "page-walks,ipis" or "all" to the bits of sim_on_trace. False: the message names the unknown item. */
bool trace_text_parse(const char *items, uint32_t *wanted, struct error *e);

#endif
