/* Models nothing: the abort path of a broken invariant of the simulator. */

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct check_context {
    check_context_fn *fn;
    void *arg;
};

/* The one writable global of sim/: an abort has no other way to find the machine it happened in. */
static struct check_context check_context;

void check_set_context(check_context_fn *fn, void *arg)
{
    check_context = (struct check_context){fn, arg};
}

void check_failed(const char *file, int line, const char *expression, const char *format, ...)
{
    struct check_context context = check_context;
    check_context.fn = NULL; /* a CHECK inside the printer must not recurse */
    va_list args;
    va_start(args, format);
    fprintf(stderr, "orrery: internal error at %s:%d: CHECK(%s): ", file, line, expression);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    if (context.fn) {
        context.fn(context.arg);
    }
    fflush(NULL);
    abort();
}
