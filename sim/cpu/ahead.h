#ifndef ORRERY_CPU_AHEAD_H
#define ORRERY_CPU_AHEAD_H

/*
 * Look-ahead (docs/timing.md, 8.1): instructions that run before their turn, on lines that the vCPU has. What an instruction
 * may not do is asked before it does anything; then it is left for its turn. Own stores that are due wait for theirs: each is
 * to a line that the vCPU sees as its own, so nothing depends on when it drains.
 */

#include "cpu/block.h"
#include "cpu/cpu.h"
#include "timing/pipeline.h"

bool ahead_reads_lines(const struct cpu *cpu, uint64_t first, uint64_t last);
bool ahead_writes_lines(const struct cpu *cpu, uint64_t first, uint64_t last);

/* May the instruction access size_bytes at p, a host address of RAM? */
static inline bool ahead_read(const struct cpu *cpu, const uint8_t *p, unsigned size_bytes)
{
    uint64_t at = (uint64_t)(p - cpu->bus->ram.base);
    uint64_t first = at >> TIMING_LINE_SHIFT, last = (at + size_bytes - 1) >> TIMING_LINE_SHIFT;
    return (first == last && cache_is_recent(&cpu->timing->l1d, first)) ||
           ahead_reads_lines(cpu, first, last);
}

static inline bool ahead_write(const struct cpu *cpu, const uint8_t *p, unsigned size_bytes)
{
    uint64_t at = (uint64_t)(p - cpu->bus->ram.base);
    uint64_t first = at >> TIMING_LINE_SHIFT, last = (at + size_bytes - 1) >> TIMING_LINE_SHIFT;
    return (first == last && timing_is_owned(cpu->timing, first)) || ahead_writes_lines(cpu, first, last);
}

/* May the block run: are its lines here? */
bool ahead_fetch(const struct cpu *cpu, const struct block *b);

/* Begins and ends a stretch that runs ahead; the first says how far it may go, deadline_cycles at the most. */
uint64_t ahead_begin(struct cpu *cpu, uint64_t deadline_cycles);
void ahead_end(struct cpu *cpu);

/* Within it: the oldest store is due, and is not looked at any more. */
void ahead_pass_due(struct cpu *cpu);

#endif
