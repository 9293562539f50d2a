#ifndef OS_PROGRAMS_KBENCH_KBENCH_H
#define OS_PROGRAMS_KBENCH_KBENCH_H

/* What the measurements share: rows of samples on the console, places, processes that help. */

#include <stdbool.h>

#include "lib/orrery.h"

#define PAGE           4096u
#define SAMPLES_MAX    976u
#define NO_PATIENCE    0u
#define STATUS_BROKEN  99
#define PROTECT_BOTH   (PROTECT_READ | PROTECT_WRITE)
#define EVERY_WORD_TAG 8u /* eight words, no handles, no label */

/* A measurement: `argument` is the number behind its name on the command line. True: it worked. */
struct measurement {
    const char *name;
    bool (*run)(uint64_t argument);
};

/* Samples of one row, in the order in which they were taken: cycles, or what the row's name says. */
struct row {
    const char *name;
    unsigned count;
    uint64_t samples[SAMPLES_MAX];
};

/* What stamped_message tells: time before and after, first word of what came back. */
struct stamped {
    uint64_t before;
    uint64_t after;
    uint64_t word;
};

/* A page that all processes of a measurement share. */
struct board {
    volatile uint64_t stamp;
    volatile uint64_t writer;
    volatile uint64_t ready;
    volatile uint64_t stop;
    volatile uint64_t counts[64];
    volatile uint64_t stops[64];
};

int64_t stamped_message(uint64_t number, handle_t handle, uint64_t tag, struct stamped *out);
int64_t stamped_nothing(uint64_t number, handle_t handle, uint64_t tag, struct stamped *out);

/* What two readings of the counter cost: the pair of cycles(), the pair in stamped_message. */
extern uint64_t cycles_cost;
extern uint64_t stamped_cost;

/* A row in memory of its own, which the forks that are measured do not have to copy; null: no memory. */
struct row *row_make(const char *name);

/* Writes to the memory of an empty row, so that no sample has a page fault between its readings. */
void row_touch(struct row *row);

/* Adds a length without what its readings cost. */
void row_add(struct row *row, uint64_t value, uint64_t cost);

/* Prints a row and empties it. Pieces of a row stay together when no other process prints meanwhile. */
void row_print(struct row *row);

/* Keeps the calling process on one CPU. */
bool pin(unsigned cpu);

/* Tells who watches from outside that the part to be watched begins, or ends. */
void mark(void);

/* A shared page mapped at the same place in all children; null: no memory. handle: of its region, or null. */
struct board *board_create(handle_t *handle);

/* Maps `pages` of a region for reading and writing; null when that fails. */
volatile uint64_t *map_whole(handle_t region, uint64_t pages, uint64_t flags);

/* Waits for a child; true when it ended well. */
bool ended_well(int64_t pid);

extern const struct measurement message_measurements[];
extern const unsigned message_measurement_count;
extern const struct measurement memory_measurements[];
extern const unsigned memory_measurement_count;
extern const struct measurement system_measurements[];
extern const unsigned system_measurement_count;
extern const struct measurement process_measurements[];
extern const unsigned process_measurement_count;

#endif
