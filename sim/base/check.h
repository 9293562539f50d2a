#ifndef ORRERY_BASE_CHECK_H
#define ORRERY_BASE_CHECK_H

/* CHECK: an invariant of the simulator itself. On in every build. Guest and user mistakes never come here. */

/* Called once before the abort, to print where the run stands (seed, cpu, cycle, rip, replay command). */
typedef void check_context_fn(void *arg);

/* Sets the printer; NULL removes it. One machine a process is the intended use; the last one set wins. */
void check_set_context(check_context_fn *fn, void *arg);

_Noreturn void check_failed(const char *file, int line, const char *expression, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define CHECK(expression, ...)                                          \
    do {                                                                \
        if (__builtin_expect(!(expression), 0)) {                       \
            check_failed(__FILE__, __LINE__, #expression, __VA_ARGS__); \
        }                                                               \
    } while (0)

#endif
