#ifndef ORRERY_TESTS_FUZZ_H
#define ORRERY_TESTS_FUZZ_H

/*
 * What the fuzz targets share. A case is a function of one number; a target runs the cases first, first+1, ... and
 * prints the first number before it starts.
 *
 *   SEED=n     the first case (default 1)
 *   CASES=n    how many (default: what the target says)
 *   FUZZ_SECONDS=n  go on until so much time has passed, instead of counting
 *
 * Whatever goes wrong (a sanitizer's report, a failed CHECK, a hang, a difference) names the case and the command that
 * runs it alone. Include once, in the file that holds main.
 */

#define _DEFAULT_SOURCE /* so this header comes first */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rng.h"

#define FUZZ_WATCHDOG_SECONDS 120u

extern char *program_invocation_name; /* of the C library */

static char fuzz_command[512]; /* replays the case in progress */

/* Sanitizers abort, so that the handler below names the case; a case that eats memory ends. */
#define FUZZ_SANITIZER                                                                                       \
    "abort_on_error=1:handle_segv=2:handle_sigbus=2:handle_sigfpe=2:handle_sigill=2:hard_rss_limit_mb=3000:" \
    "allocator_may_return_null=1:print_stacktrace=1"

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
    return FUZZ_SANITIZER;
}

const char *__ubsan_default_options(void)
{
    return FUZZ_SANITIZER;
}

static void fuzz_on_signal(int number)
{
    static const char hang[] = "fuzz: the case hangs\n";
    static const char again[] = "fuzz: again with: ";
    ssize_t written = number == SIGALRM ? write(STDERR_FILENO, hang, sizeof hang - 1) : 0;
    written += write(STDERR_FILENO, again, sizeof again - 1);
    written += write(STDERR_FILENO, fuzz_command, strlen(fuzz_command));
    (void)written;
    signal(SIGABRT, SIG_DFL);
    raise(SIGABRT);
}

static uint64_t fuzz_number(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text && text[0] ? strtoull(text, NULL, 0) : otherwise;
}

typedef void fuzz_case_fn(struct rng *r, uint64_t seed, void *arg);

/* Names the case that runs now. */
static inline void fuzz_begin(const char *target, uint64_t seed)
{
    snprintf(fuzz_command, sizeof fuzz_command, "SEED=%llu CASES=1 ONLY=%s %s\n", (unsigned long long)seed,
             target, program_invocation_name);
    alarm(FUZZ_WATCHDOG_SECONDS);
}

/* Runs one target; the number of cases is the default. ONLY=target runs no other. */
static inline void fuzz_run(const char *target, uint64_t cases, fuzz_case_fn *fn, void *arg)
{
    uint64_t seed = fuzz_number("SEED", 1), seconds = fuzz_number("FUZZ_SECONDS", 0);
    const char *only = getenv("ONLY");
    time_t end = time(NULL) + (time_t)seconds;
    uint64_t done = 0;
    if (only && strcmp(only, target) != 0) {
        return;
    }
    cases = fuzz_number("CASES", cases);
    printf("%s: seed %llu\n", target, (unsigned long long)seed);
    fflush(stdout);
    signal(SIGABRT, fuzz_on_signal);
    signal(SIGALRM, fuzz_on_signal);
    for (; seconds ? time(NULL) < end : done < cases; done++) {
        struct rng r;
        rng_init(&r, seed + done, 0);
        fuzz_begin(target, seed + done);
        fn(&r, seed + done, arg);
    }
    alarm(0);
    printf("%s: %llu cases\n", target, (unsigned long long)done);
}

/* ---- choices ---- */

static inline unsigned fuzz_below(struct rng *r, unsigned bound)
{
    return (unsigned)rng_below(r, bound);
}

static inline bool fuzz_one_in(struct rng *r, unsigned n)
{
    return rng_below(r, n) == 0;
}

#define FUZZ_PICK(r, array) ((array)[fuzz_below((r), (unsigned)(sizeof(array) / sizeof(array)[0]))])

/* Numbers that sit at edges more often than not. */
static inline uint64_t fuzz_value(struct rng *r)
{
    static const uint64_t edges[] = {
        0,
        1,
        2,
        7,
        8,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0xffff,
        0x10000,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        UINT64_C(0x100000000),
        UINT64_C(0x7fffffffffff),
        UINT64_C(0x800000000000),
        UINT64_C(0xffff800000000000),
        UINT64_C(0x7fffffffffffffff),
        UINT64_C(0x8000000000000000),
        UINT64_MAX,
    };
    switch (fuzz_below(r, 4)) {
    case 0:
        return FUZZ_PICK(r, edges);
    case 1:
        return FUZZ_PICK(r, edges) + rng_below(r, 5) - 2;
    case 2:
        return UINT64_C(1) << rng_below(r, 64);
    default:
        return rng_next(r) >> rng_below(r, 64);
    }
}

static inline void fuzz_fill(struct rng *r, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)rng_next(r);
    }
}

/* Damages a file in place: bits, bytes, words at edges, copied and zeroed pieces, a cut; returns its new size. first
 * and span say where most of the damage goes. */
static inline size_t fuzz_damage(struct rng *r, uint8_t *bytes, size_t size, size_t first, size_t span)
{
    for (unsigned n = 1 + fuzz_below(r, 8); n > 0 && size > 16; n--) {
        size_t from = fuzz_one_in(r, 8) ? 0 : first, length = from == first ? span : size;
        size_t at = from + rng_below(r, length ? length : 1), piece = 1 + rng_below(r, 64);
        at = at < size - 8 ? at : size - 9;
        piece = piece < size - at ? piece : size - at;
        uint64_t v = fuzz_value(r);
        switch (fuzz_below(r, 8)) {
        case 0:
        case 1:
            bytes[at] = (uint8_t)(bytes[at] ^ 1u << fuzz_below(r, 8));
            break;
        case 2:
            bytes[at] = (uint8_t)v;
            break;
        case 3:
            memcpy(bytes + at, &v, 4);
            break;
        case 4:
            memcpy(bytes + at, &v, 8);
            break;
        case 5:
            memset(bytes + at, fuzz_one_in(r, 2) ? 0 : 0xff, piece);
            break;
        case 6:
            memmove(bytes + at, bytes + rng_below(r, size - piece + 1), piece);
            break;
        default:
            size = fuzz_one_in(r, 4) ? at + 1 : size;
            break;
        }
    }
    return size;
}

/* ---- files ---- */

struct fuzz_file {
    uint8_t *bytes;
    size_t size;
};

/* The file, or none (bytes NULL) when it is not there. */
static inline struct fuzz_file fuzz_read(const char *name)
{
    struct fuzz_file f = {NULL, 0};
    FILE *in = fopen(name, "rb");
    if (!in) {
        return f;
    }
    fseek(in, 0, SEEK_END);
    f.size = (size_t)ftell(in);
    rewind(in);
    f.bytes = malloc(f.size + 1);
    assert_non_null(f.bytes);
    assert_int_equal(fread(f.bytes, 1, f.size, in), f.size);
    f.bytes[f.size] = 0;
    fclose(in);
    return f;
}

/* A copy whose end is the end of its allocation, so that reading past it is seen. */
static inline uint8_t *fuzz_copy(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    return copy;
}

#endif
