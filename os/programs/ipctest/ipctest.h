#ifndef OS_PROGRAMS_IPCTEST_IPCTEST_H
#define OS_PROGRAMS_IPCTEST_IPCTEST_H

/* What the tests of messages and of regions share. */

#include "lib/tap.h"

#define PAGE   4096u
#define MS     1000000ull
#define SECOND 1000000000ull

extern handle_t endpoint; /* of the test that runs; its children have it too */

/* A new endpoint. */
bool make_endpoint(void);

struct ipc_registers message(uint64_t label, unsigned words, unsigned handles, uint64_t patience);

/* Id of the capability that a handle names, 0: none. */
uint64_t own_id(handle_t handle);

/* The kernel's counters of messages. */
struct ipc_stats counts(void);

/* Maps a region from its start; null: refused. */
volatile uint64_t *map_region(handle_t handle, uint64_t pages, uint64_t flags);

/* For a child: answers every call with its first word + 1, until label 99. */
int echo(void);

/* For another program in the process of one that has bound a name: 7 when nobody has. */
int finds_no(const char *name);

/* patience.c; tests of messages */
bool test_patience_runs_out(void);
bool test_a_call_without_patience_waits_for_no_answer(void);
bool test_a_caller_that_gave_up_is_gone(void);
bool test_what_an_answer_gives_up_is_told(void);

/* move.c; a test of regions */
bool test_a_moved_page_has_no_writer_left(void);

extern const struct tap_test short_tests[];
extern const unsigned short_test_count;

extern const struct tap_test storm_tests[];
extern const unsigned storm_test_count;

extern const struct tap_test name_tests[];
extern const unsigned name_test_count;

extern const struct tap_test life_tests[];
extern const unsigned life_test_count;

extern const struct tap_test going_tests[];
extern const unsigned going_test_count;

extern const struct tap_test region_tests[];
extern const unsigned region_test_count;

extern const struct tap_test node_tests[];
extern const unsigned node_test_count;

extern const struct tap_test handoff_tests[];
extern const unsigned handoff_test_count;

extern const struct tap_test hardware_tests[];
extern const unsigned hardware_test_count;

/* What getppid says to tests that tests/e2e/deeds.lua leads, which knows these numbers, too. */
#define TELLS 1000000 /* somebody tells what to do when */
#define STOP  1000001
#define TOLD  2000000 /* and what: a pid, or a deed */

#endif
