#ifndef OS_PROGRAMS_SCHEDMIX_SCHEDMIX_H
#define OS_PROGRAMS_SCHEDMIX_SCHEDMIX_H

/* What the tests of the scheduler share: children that spin, and their figures. */

#include "lib/tap.h"

#define CHILDREN_MAX 256u
#define NS_PER_MS    1000000ull
#define SLICE_MS     (SCHED_SLICE_DEFAULT_NS / NS_PER_MS)
#define TICK_MS      10u

extern uint64_t measure_ms;     /* how long a test measures */
extern unsigned hotplug_events; /* how often CPUs go or come */
extern uint64_t cycles_per_ms;
extern unsigned cpus;
extern uint32_t children[CHILDREN_MAX];
extern unsigned child_count;
extern uint64_t spin_end; /* cycles; children spin until then */

extern const struct sched_params fair;
struct sched_params fifo(uint32_t level);

/* From now on children spin for that long. */
void spin_for(uint64_t ms);

void spin(void);
void yield_often(void);
void pause_ms(uint64_t ms);

/* A child that runs the function under these parameters on these CPUs. */
uint32_t start(void (*function)(void), struct sched_params params, uint64_t affinity);

struct sched_info info_of(uint32_t pid);
uint64_t run_cycles(uint32_t pid);
const struct system_stats *stats(void);
uint64_t all_cpus(void);

/* Waits for all children; false when one ended with another status than 0. */
bool all_end(void);

/* Ends those that would spin on, as if they had come to their end, and waits for them. */
bool end_all(void);

/* |value - wanted| <= tolerance */
bool near(uint64_t value, uint64_t wanted, uint64_t tolerance);

/* wake.c: need two CPUs, cpus.c: three. */
extern const struct tap_test wake_tests[];
extern const unsigned wake_test_count;
extern const struct tap_test several_tests[];
extern const unsigned several_test_count;
extern const struct tap_test long_tests[]; /* run only when asked for by name */
extern const unsigned long_test_count;

#endif
