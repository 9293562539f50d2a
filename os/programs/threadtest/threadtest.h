#ifndef OS_PROGRAMS_THREADTEST_THREADTEST_H
#define OS_PROGRAMS_THREADTEST_THREADTEST_H

/* What the tests of threads share: of synchronisation, of reports of errors, of pages that move, of what has ended. */

#include "lib/sync.h"
#include "lib/tap.h"
#include "lib/thread.h"

#define PAGE 4096u
#define MS   1000000ull

extern const struct tap_test sync_tests[];
extern const unsigned sync_test_count;
extern const struct tap_test error_tests[];
extern const unsigned error_test_count;
extern const struct tap_test page_tests[];
extern const unsigned page_test_count;
extern const struct tap_test stale_tests[]; /* run only when asked for by name */
extern const unsigned stale_test_count;

#endif
