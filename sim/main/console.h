#ifndef ORRERY_MAIN_CONSOLE_H
#define ORRERY_MAIN_CONSOLE_H

/* Where the first serial port's bytes go. */

#include "main/options.h"

struct console {
    FILE *out;     /* NULL: nowhere */
    bool own;      /* close it at the end */
    bool in_place; /* no temporary name: a device or a pipe */
};

/* Is it one of the files that the run reads? */
bool console_is_input(const struct options *o, const char *name);

/* Opens what the options ask for; fallback is what no --serial means. A file is written under a temporary name. */
bool console_open(struct console *c, const struct options *o, enum serial_kind fallback, struct error *e);
/* Closes; a file takes its real name now. False when it could not be written. */
bool console_close(struct console *c, const struct options *o, struct error *e);

/* A sim_output_fn: port 0 to the console, the debug console to it as well. */
void console_output(void *console, unsigned port, uint8_t byte, uint64_t now_cycles);

#endif
