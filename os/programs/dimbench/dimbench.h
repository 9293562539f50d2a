#ifndef OS_PROGRAMS_DIMBENCH_DIMBENCH_H
#define OS_PROGRAMS_DIMBENCH_DIMBENCH_H

/* What the parts of dimbench share: a store with files to load, and threads that begin together. */

#include <stdbool.h>

#include "dimension/store.h"
#include "dimension/system/system_platform.h"
#include "lib/orrery.h"

#define WORKERS_MAX 16u
#define SAMPLES_MAX 512u /* of each worker */

/* One of the threads that begin together. */
struct worker {
    unsigned number; /* from 0 */
    unsigned cpu;    /* the only one it runs on */
    int64_t tid;
    bool good;
    uint64_t count; /* operations done, where they are counted */
    unsigned sample_count;
    uint64_t samples[SAMPLES_MAX]; /* cycles, in the order in which they were taken */
};

extern struct worker workers[WORKERS_MAX];

/* Does a worker's work; begins with start_together. False: it failed. */
typedef bool (*worker_function)(struct worker *worker);

/* Runs a function on `count` threads, the i-th on CPU i mod cpus, and waits for them. True: all were good. */
bool run_workers(unsigned count, unsigned cpus, worker_function function);

/* Returns in all workers at the same moment, which it returns: a reading of the time-stamp counter. */
uint64_t start_together(void);

/* Adds a length of time without what reading the counter costs. */
void add_sample(struct worker *worker, uint64_t spent);

extern struct dim_store store;
extern struct system_platform system_memory;
extern struct dim_platform platform;
extern struct dim_error error;

/* Makes the files (once) and a store of the standard configuration with nothing loaded. */
bool open_store(void);

/* Loads the file of every dimension: DIM_LAYERS layers of a page each. */
bool load_all(void);

/* Closes the store; nothing of it may be left. */
bool close_store(void);

/* Layer 0 of files "A" and "B" of dimension 0, and "C" and "D" of dimension 1, are full of that letter; its length
 * differs in each. 0: no such letter. */
uint64_t letter_bytes(uint8_t letter);

static inline dim_id_t id_of(unsigned number)
{
    return (dim_id_t){(uint16_t)number};
}

static inline dim_layer_t layer_of(unsigned number)
{
    return (dim_layer_t){(uint16_t)number};
}

/* A part of the program: `count` and `cpus` are the numbers behind its name. Returns whether it worked. */
struct part {
    const char *name;
    bool (*run)(unsigned count, unsigned cpus);
};

extern const struct part measure_parts[], race_parts[], failure_parts[];
extern const unsigned measure_part_count, race_part_count, failure_part_count;

#endif
