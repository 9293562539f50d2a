#ifndef ORRERY_OBSERVE_PROFILE_INTERNAL_H
#define ORRERY_OBSERVE_PROFILE_INTERNAL_H

/* Shared by profile.c and profile_text.c. */

#include "observe/call_stack.h"
#include "observe/profile.h"

/* What a row counts besides cycles and instructions; without a model only what comes before its counters. */
#define PROFILE_INTERRUPTS   0u /* taken where the function was */
#define PROFILE_MASKED       1u
#define PROFILE_TIMING_FIRST 2u
#define PROFILE_TIMING       ((unsigned)COUNTER_TIMING_LAST - (unsigned)COUNTER_TIMING_FIRST + 1u)
#define PROFILE_SHARING      (PROFILE_TIMING_FIRST + PROFILE_TIMING)
#define PROFILE_COUNTERS     (PROFILE_SHARING + 1u)

/* Functions that are none. */
enum profile_pseudo {
    PROFILE_IDLE,      /* waits for an interrupt, or for being started */
    PROFILE_STALL,     /* the clock was moved from outside */
    PROFILE_INTERRUPT, /* its delivery, and the caller of what it calls */
    PROFILE_EXCEPTION,
    PROFILE_DEEP, /* callers that are too many */
    PROFILE_PSEUDO_COUNT
};

/* A function, or what of it was inlined into another one: then it is one for each that it is in. */
struct profile_function {
    uint32_t program; /* INDEX_NONE: none */
    const char *name, *file;
    int line;       /* of its first instruction, or where it begins; 0: not known */
    uint32_t outer; /* the function that it was inlined into; INDEX_NONE: it is there as such */
};

/* A line of a function. */
struct profile_location {
    uint32_t function;
    const char *file;
    int line; /* 0: not known */
};

/* Where a vCPU was, and for how long. */
struct profile_cell {
    uint32_t caller, location, cpu;
    uint64_t cycles;
};

struct profile_row {
    uint32_t function, cpu;
    uint64_t cycles, instructions, counters[PROFILE_COUNTERS];
};

/* A cell that was used lately, by the instruction's address. */
struct profile_recent {
    uint64_t pc;
    uint32_t program, caller, cell;
};

#define PROFILE_RECENT 2048u

struct profile_cpu {
    struct call_place place;
    struct space space;  /* the last of user mode */
    uint64_t root, page; /* it was looked at for this page; page 1: for none */
    uint64_t clock, stack, next;
    uint8_t privilege;
    uint64_t counters[PROFILE_COUNTERS];
    struct profile_recent recent[PROFILE_RECENT];
};

struct profile {
    struct sim *sim;
    bool running, tables;
    struct programs programs;
    struct call_stacks stacks;
    struct profile_function *functions;
    struct profile_location *locations;
    struct profile_cell *cells;
    struct profile_row *rows;
    size_t function_count, location_count, cell_count, row_count;
    struct index function_of, location_of, line_of, cell_of, row_of;
    struct profile_cpu *cpus;
};

/* profile_table.c */
void profile_write_table(const struct profile *p, bool markdown, FILE *out);

#endif
