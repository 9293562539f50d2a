#ifndef ORRERY_CPU_TRANSLATE_H
#define ORRERY_CPU_TRANSLATE_H

/*
 * The translator: machine code for the blocks that run most, put together from stencils. It is the second back end of the same
 * operations: the code of a block does what its handlers do, keeps the guest's registers in registers, and comes back to the
 * handlers before anything that it has no stencil for. docs/translator.md tells how.
 *
 * A run is the same with and without it: what is translated, and when, never shows.
 */

#include "cpu/op.h"

#if defined(__x86_64__) && defined(__linux__)
#define TRANSLATE_HOST 1
#else
#define TRANSLATE_HOST 0
#endif

/* NULL: this host cannot run machine code that is made while we run. `arena` is where blocks lie; heat: times that a block runs
 * before it is translated, 0: the usual. */
struct translator *translate_create(struct block_cache *c, const uint8_t *arena, unsigned heat);
void translate_destroy(struct translator *t);

/* All blocks are gone. */
void translate_flush(struct translator *t);

/* The operations of b have been built: it is counted, and translated once it is hot. */
void translate_watch(const struct translator *t, struct block *b);
/* b dies: its code is not entered any more. Its links are gone already. */
void translate_forget(const struct translator *t, struct block *b);

/* The link `from` of block b now leads to `to`, or nowhere (NULL). */
void translate_link(const struct translator *t, struct block *b, const struct op *from,
                    const struct block *to);

/* Number of blocks translated so far, for tests. */
uint64_t translate_count(const struct translator *t);

#endif
