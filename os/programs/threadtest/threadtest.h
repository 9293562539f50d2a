#ifndef OS_PROGRAMS_THREADTEST_THREADTEST_H
#define OS_PROGRAMS_THREADTEST_THREADTEST_H

/* What the tests of threads and of synchronisation share. */

#include "lib/sync.h"
#include "lib/tap.h"
#include "lib/thread.h"

#define PAGE 4096u
#define MS   1000000ull

/* Once all who have ended are gone. */
uint64_t free_frames(void);

extern const struct tap_test sync_tests[];
extern const unsigned sync_test_count;

#endif
