/*
 * One job or block: prepared, warmed, and sampled until enough samples lie between two calibrations that agree within half a
 * percent. All samples are handed out; who reads them rejects by the same rule.
 */
#include "task.h"

#define SEEDS 8 /* of a program, so that no predictor learns its input by heart */

struct outcome task_outcome;

uint32_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return (uint32_t)(x >> 32);
}

/* Ticks of CHAIN_CYCLES core cycles; the additions have run once, so that they are cached. */
static uint32_t calibrate(void)
{
    (void)calibrated(1);
    return (uint32_t)calibrated(1);
}

static int agree(uint32_t a, uint32_t b)
{
    uint32_t distance = a > b ? a - b : b - a;
    return distance * 200ull <= a;
}

/* Whether another sample is wanted, when so many of them were good. */
static int wants_more(uint64_t wanted, uint64_t good)
{
    return good < wanted && task_outcome.samples < MAX_SAMPLES && task_outcome.samples < 4 * wanted + 16;
}

static void run_program(const struct job *job, void *memory, uint64_t samples)
{
    for (uint32_t i = 0; i < job->warm; i++) {
        (void)timed(i, memory, 0);
    }
    for (uint64_t good = 0; wants_more(samples, good);) {
        uint32_t seed = task_outcome.samples % SEEDS;
        struct sample *s = &task_outcome.sample[task_outcome.samples++];
        s->before = calibrate();
        s->once = (uint32_t)timed(seed, memory, 0);
        s->twice = 0;
        s->after = calibrate();
        task_outcome.result = seed ? task_outcome.result : timed_result;
        good += (uint64_t)agree(s->before, s->after);
    }
}

static void run_kernel(const struct job *job, void *memory, uint64_t value, uint64_t samples)
{
    uint32_t once = job->repetitions;
    for (uint32_t i = 0; i < job->warm; i++) {
        (void)timed(once * (i % 2 + 1), memory, value);
    }
    for (uint64_t good = 0; wants_more(samples, good);) {
        struct sample *s = &task_outcome.sample[task_outcome.samples++];
        s->before = calibrate();
        s->once = (uint32_t)timed(once, memory, value);
        s->twice = (uint32_t)timed(2 * once, memory, value);
        s->after = calibrate();
        good += (uint64_t)agree(s->before, s->after);
    }
}

static void run_job(const struct job *job, uint64_t samples)
{
    void *memory = (void *)(uintptr_t)(job->large ? LARGE_BASE : SMALL_BASE);
    uint64_t value = 0;
    if (job->prepare) {
        value = ((uint64_t(*)(const struct job *, void *))(uintptr_t)job->prepare)(job, memory);
    }
    aim(job->code);
    if (job->repetitions) {
        run_kernel(job, memory, value, samples);
    } else {
        run_program(job, memory, samples);
    }
}

/* Copies of a block one after another, then the way back. */
static void unroll(uint64_t form, const struct block *b, unsigned copies)
{
    const unsigned char *bytes = (const unsigned char *)(b + 1);
    unsigned char *to = (unsigned char *)(uintptr_t)form;
    for (unsigned i = 0; i < copies; i++) {
        for (unsigned k = 0; k < b->bytes; k++) {
            *to++ = bytes[k];
        }
    }
    *to++ = 0xe9; /* jmp */
    uint32_t distance = (uint32_t)((uintptr_t)block_end - ((uintptr_t)to + sizeof distance));
    __builtin_memcpy(to, &distance, sizeof distance);
}

/* The time of a form from the state every block begins in, the second time, when its code is in the first cache. */
static uint64_t block_time(uint64_t (*form)(void))
{
    volatile uint64_t *page = (volatile uint64_t *)(uintptr_t)BLOCK_PAGE;
    uint64_t time = 0;
    for (unsigned turn = 0; turn < 2 && time != UINT64_MAX; turn++) {
        for (unsigned i = 0; i < 512; i++) {
            page[i] = BLOCK_WORD;
        }
        time = form();
    }
    return time;
}

static void run_block(const struct block *b, uint64_t samples)
{
    unroll(FORM_ONCE, b, b->copies);
    unroll(FORM_TWICE, b, 2u * b->copies);
    if (block_time(block_once) == UINT64_MAX || block_time(block_twice) == UINT64_MAX) {
        task_outcome.given_up = 1;
        return;
    }
    for (uint64_t good = 0; wants_more(samples, good);) {
        struct sample *s = &task_outcome.sample[task_outcome.samples++];
        s->before = calibrate();
        s->once = (uint32_t)block_time(block_once);
        s->twice = (uint32_t)block_time(block_twice);
        s->after = calibrate();
        good += (uint64_t)agree(s->before, s->after);
    }
}

void task_run(uint64_t index, uint64_t samples)
{
    const struct task_header *header = (const struct task_header *)(uintptr_t)TASK_BASE;
    task_outcome.samples = 0;
    task_outcome.given_up = 0;
    task_outcome.result = 0;
    if (index < header->job_count) {
        run_job((const struct job *)(uintptr_t)header->jobs + index, samples);
        return;
    }
    const unsigned char *at = (const unsigned char *)&task_blocks + sizeof task_blocks;
    for (uint64_t i = header->job_count; i < index; i++) {
        at += (sizeof(struct block) + ((const struct block *)(const void *)at)->bytes + 3) & ~3ul;
    }
    run_block((const struct block *)(const void *)at, samples);
}
