#ifndef FIDELITY_H
#define FIDELITY_H

/*
 * What the task, which measures, and its two hosts, which only give it memory and print what it found, agree on. The task
 * is one flat image at TASK_BASE: the same bytes run as a process of Linux (host.c) and in ring 3 of a bare guest
 * (guest/guest.c).
 */

#define TASK_BASE      0x20000000 /* the image, TASK_SPACE bytes, readable, writable, executable */
#define TASK_SPACE     0x00400000
#define CODE_BASE      0x24000000 /* where unrolled blocks are put, executable */
#define CODE_SPACE     0x00010000
#define FORM_ONCE      CODE_BASE
#define FORM_TWICE     (CODE_BASE + 0x4000)
#define STACK_TOP      0x28010000 /* of a guest's task; 64 KiB below */
#define BLOCK_PAGE     0x12345000 /* of blocks: where their registers point; all pages they touch are this page */
#define BLOCK_WORD     0x12345600 /* what registers and memory of a block begin with */
#define BLOCK_LOWEST   0x01000000 /* a block that touches memory outside these is given up */
#define BLOCK_HIGHEST  0x700000000000
#define BLOCK_FAULTS   8
#define SMALL_BASE     0x1000000000 /* memory in pages of 4 KiB */
#define LARGE_BASE     0x2000000000 /* memory in pages of 2 MiB, where they are to be had */
#define TASK_MAGIC     0x79746964656c6966
#define MAX_SAMPLES    1024
#define CHAIN_CYCLES   2304 /* of a calibration */
#define JOB_NAME_BYTES 40

#ifndef __ASSEMBLER__
#include <stdint.h>

struct job {
    uint64_t code;    /* the kernel: code(repetitions, memory, value) */
    uint64_t prepare; /* prepare(job, memory) before all, or 0; its result is the kernel's value */
    uint64_t bytes;   /* of memory; what else the job is about */
    uint32_t tier;
    uint32_t large; /* 1: memory at LARGE_BASE */
    uint32_t
        repetitions; /* a sample is the kernel with so many, and with twice as many; 0: a program, once, with a seed */
    uint32_t operations; /* in one repetition */
    uint32_t warm;       /* calls before the first sample */
    uint32_t parameter;  /* for prepare */
    char name[JOB_NAME_BYTES];
};

/* Ticks of the time-stamp counter: the calibration before and after, the kernel once and twice. */
struct sample {
    uint32_t before, once, twice, after;
};

struct outcome {
    uint32_t samples;  /* all that were taken, calibrated well or not */
    uint32_t given_up; /* a block did what it must not */
    uint64_t result;   /* what a program computed */
    struct sample sample[MAX_SAMPLES];
};

struct task_header {
    uint64_t magic;
    uint64_t
        run; /* run(index, samples): a job or, behind the jobs, a block; until so many samples are calibrated well */
    uint64_t finished; /* where run returns to in a guest */
    uint64_t give_up;  /* where its host sends a block that does what it must not */
    uint64_t jobs;
    uint64_t job_count;
    uint64_t blocks; /* where their number stands; they follow it */
    uint64_t outcome;
};

/* What is to be run: so many of a tier from the first on, if they need no more memory than the arena has. */
struct chosen {
    uint64_t tier, first, count, arena;
};

static inline uint64_t block_count(const struct task_header *header)
{
    return *(const uint64_t *)(uintptr_t)header->blocks;
}

/* Jobs of their tiers; blocks, which follow them, are tier 3. */
static inline void run_jobs(const struct task_header *header, const struct chosen *c, uint64_t samples,
                            void (*run)(uint64_t index, uint64_t samples))
{
    const struct job *jobs = (const struct job *)(uintptr_t)header->jobs;
    uint64_t total = header->job_count + block_count(header);
    for (uint64_t i = 0, seen = 0; i < total; i++) {
        uint64_t tier = i < header->job_count ? jobs[i].tier : 3;
        if (tier == c->tier && seen++ >= c->first && seen <= c->first + c->count &&
            (tier == 3 || jobs[i].bytes <= c->arena)) {
            run(i, samples);
        }
    }
}

/* A basic block: its bytes follow, then the next at a multiple of 4. */
struct block {
    uint16_t bytes;
    uint16_t copies; /* of the shorter of its two unrolled forms */
};
#endif

#endif
