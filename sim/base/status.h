#ifndef ORRERY_BASE_STATUS_H
#define ORRERY_BASE_STATUS_H

/* Exit statuses of the program, and the one form of a host error: a message built where it happened. */

#include <stdbool.h>
#include <stddef.h>

enum exit_status {
    EXIT_PASSED = 0,
    EXIT_EXPECTATION = 1,  /* an expectation failed or a bug was found */
    EXIT_USAGE = 2,        /* wrong usage, or a file that cannot be used */
    EXIT_GUEST_CRASH = 3,  /* triple fault, panic, no progress possible */
    EXIT_LIMIT = 4,        /* a limit was reached */
    EXIT_NOT_MODELLED = 5, /* legal by the manual, not built */
    EXIT_DIVERGED = 6      /* a replay diverged */
};

/* A host error: one line, "file: what: where". Empty text means no error. */
struct error {
    char text[512];
};

/* Formats a message into e (truncated to fit; e may be NULL) and returns false, so that a failing function
 * can `return error_set(e, ...)`. */
bool error_set(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
