#ifndef ORRERY_BASE_CHECK_H
#define ORRERY_BASE_CHECK_H

/* CHECK: an invariant of the simulator itself. On in every build. Guest and user mistakes never come here. */

/* Called once before the abort, to print where the run stands. */
typedef void check_context_fn(const void *arg);

enum check_context_kind {
    CHECK_MACHINE,   /* seed, vCPU, cycle and rip of the machine that is running */
    CHECK_FRONT_END, /* the command that does it again */
    CHECK_CONTEXTS
};

/* Sets the printer of a kind; NULL removes it. */
void check_set_context(enum check_context_kind kind, check_context_fn *fn, const void *arg);

_Noreturn void check_failed(const char *file, int line, const char *expression, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define CHECK(expression, ...)                                          \
    do {                                                                \
        if (__builtin_expect(!(expression), 0)) {                       \
            check_failed(__FILE__, __LINE__, #expression, __VA_ARGS__); \
        }                                                               \
    } while (0)

#endif
