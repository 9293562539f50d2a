#ifndef OS_KERNEL_CONSOLE_H
#define OS_KERNEL_CONSOLE_H

/* Console text: one fact a line, no raw time stamps, so that runs on different machines can be compared. */

#include <stdarg.h>
#include <stddef.h>

/* Longest line of one call; what is longer is cut. */
#define CONSOLE_LINE 256u

/* Formats and writes; any context. Calls of different CPUs do not mix within one call. */
void console_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

void console_write(const char *text, size_t bytes);

/* Panic path: no lock, sent before it returns. */
void console_emergency_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line "stage: name", in the order that docs/boot.md lists, and the probe point of that name. */
void console_stage(const char *name);

#endif
