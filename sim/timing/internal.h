#ifndef ORRERY_TIMING_INTERNAL_H
#define ORRERY_TIMING_INTERNAL_H

/* What the files of the reference machine share (ahead.c, core.c, load.c, model.c, transaction.c). */

#include "timing/pipeline.h"

static inline uint32_t timing_value(const struct timing_core *c, enum timing_param p)
{
    return c->shared->params.value[p];
}

/* Notes that a line is in state M here, or no longer: what stores ask first. */
static inline void timing_note_owned(struct timing_core *c, uint64_t line)
{
    c->owned[line % TIMING_OWNED] = line + 1;
}

static inline void timing_forget_owned(struct timing_core *c, uint64_t line)
{
    uint64_t *o = &c->owned[line % TIMING_OWNED];
    *o = *o == line + 1 ? 0 : *o;
}

/* The line, which is owned here, is written: E becomes M. */
static inline void timing_write_line(struct timing_core *c, uint64_t line)
{
    if (timing_is_owned(c, line)) {
        return;
    }
    int64_t index = cache_find(&c->l2, line);
    if (index >= 0 && cache_state_owned(c->l2.states[index])) {
        c->l2.states[index] = CACHE_MODIFIED;
        timing_note_owned(c, line);
    }
}

/* ---- load.c ---- */

/* What translating the access cost; walk: the accesses before it that belong to it. key: of the step; start: when it begins. */
uint64_t timing_translate(struct timing_core *c, struct timing_tlb *tlb, const struct timing_access *walk,
                          unsigned walk_count, const struct timing_access *access, uint64_t key,
                          uint64_t start);

/* An access that does not ask the first-level TLB: where that has no such entry, accelerators may not, either. */
void timing_pass_by(struct timing_core *c, const struct timing_access *access);

/* A store's place in the queue and its commit time. whole: when it is known, and the bytes that its instruction stores in one
 * go; address: when its address is known; retired: of its instruction, or TIMING_FREE: an iteration that costs nothing, no gap. */
void timing_store_enter(struct timing_core *c, const struct uop *uop, const struct timing_access *access,
                        const struct timing_store *whole, uint64_t address, uint64_t retired, uint64_t key);

/* ---- transaction.c ---- */

/* The line comes into L2 and L1 for reading; returns the latency. */
uint64_t timing_read_line(struct timing_core *c, uint64_t line, bool instruction, uint64_t key,
                          uint64_t start);

/* The line becomes this vCPU's alone. *taken: others held it. */
uint64_t timing_own_line(struct timing_core *c, uint64_t line, uint64_t key, uint64_t start, bool *taken);

/* Is the line reserved at key? */
bool timing_is_reserved(const struct timing *t, uint64_t line, uint64_t key);

/* For a request of ownership that must not starve, for a line or two (the same one twice): the time at which they are there,
 * or at which its turn comes. */
uint64_t timing_reserve_lines(struct timing_core *c, const uint64_t lines[2], uint64_t key);

/* Does nobody else have the line, as the others see it? */
bool timing_owns(const struct timing_core *c, uint64_t line);

void timing_fill_l1(struct timing_core *c, uint64_t line, bool instruction);

/* ---- ahead.c ---- */

/* A transaction at key gives the vCPU a line. alone: no other vCPU has lost it by that, though copies may be leaving. */
void timing_note_transaction(struct timing_core *c, uint64_t line, uint64_t key, bool alone);

#endif
