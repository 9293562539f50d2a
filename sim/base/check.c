/* Models nothing: the abort path of a broken invariant of the simulator. */

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct check_context {
    check_context_fn *fn;
    const void *arg;
};

/* The one writable global of sim/: an abort has no other way to find the machine it happened in. */
static struct check_context check_contexts[CHECK_CONTEXTS];

void check_set_context(enum check_context_kind kind, check_context_fn *fn, const void *arg)
{
    check_contexts[kind] = (struct check_context){fn, arg};
}

static void print_contexts(void)
{
    for (unsigned kind = 0; kind < CHECK_CONTEXTS; kind++) {
        struct check_context context = check_contexts[kind];
        check_contexts[kind].fn = NULL; /* a CHECK inside the printer must not recurse */
        if (context.fn) {
            context.fn(context.arg);
        }
    }
}

void check_failed(const char *file, int line, const char *expression, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "orrery: internal error at %s:%d: CHECK(%s): ", file, line, expression);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    print_contexts();
    fflush(NULL);
    abort();
}
