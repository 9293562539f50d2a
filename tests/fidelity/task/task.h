#ifndef TASK_H
#define TASK_H

/* What the parts of the task know of each other. Kernels have no prototype of C: they keep no register. */

#include "../fidelity.h"

/* In measure.S. Times in ticks. */
void aim(uint64_t code);
uint64_t timed(uint64_t repetitions, void *memory, uint64_t value); /* of the kernel that aim was given */
uint64_t calibrated(uint64_t number);
uint64_t block_once(void); /* UINT64_MAX: was given up */
uint64_t block_twice(void);
extern uint64_t timed_result;
extern const char block_end[];

/* In blocks.S */
extern uint64_t task_blocks; /* how many; they follow */

/* In measure.c */
void task_run(uint64_t index, uint64_t samples);
extern struct outcome task_outcome;
uint32_t next_random(uint64_t *state);

/* In memory.c: prepare(job, memory). */
uint64_t prepare_page(const struct job *job, void *memory);
uint64_t prepare_chase(const struct job *job, void *memory);
uint64_t prepare_pages(const struct job *job, void *memory);
uint64_t prepare_pattern(const struct job *job, void *memory);
uint64_t prepare_chance(const struct job *job, void *memory);
uint64_t prepare_targets(const struct job *job, void *memory);
uint64_t prepare_lines(const struct job *job, void *memory);

/* In memory.S: loads each of which says where the next one is; goes on where it was. */
extern const char chase[];
extern uint64_t chase_at;
#endif
