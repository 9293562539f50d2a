#ifndef ORRERY_TESTS_INSN_VALUES_H
#define ORRERY_TESTS_INSN_VALUES_H

/* Numbers worth trying: the edges of every format, and what lies between them. */

#include "base/rng.h"

#include "insn_case.h"

#include <stdbool.h>

/* A cheap draw: bound is small, so the bias does not matter. */
static inline unsigned draw(struct rng *r, unsigned bound)
{
    return (unsigned)(((rng_next(r) >> 32) * bound) >> 32);
}

static inline bool chance(struct rng *r, unsigned percent)
{
    return draw(r, 100) < percent;
}

uint64_t value_integer(struct rng *r);
uint32_t value_float32(struct rng *r);
uint64_t value_float64(struct rng *r);
/* The ten bytes of an extended number; unnormals, pseudo-denormals and the like among them. */
void value_float80(struct rng *r, uint8_t *out);
void value_bcd(struct rng *r, uint8_t *out); /* ten bytes */
/* Sixteen bytes: four or two floating-point numbers, integers, text with zeros in it. */
void value_vector(struct rng *r, uint8_t *out);
uint32_t value_mxcsr(struct rng *r);
/* An FXSAVE64 image of CASE_FX_BYTES. */
void value_fx(struct rng *r, uint8_t *out);

/* What memory holds before anything is put there: one image for all cases. */
void value_memory(uint8_t *out, unsigned size_bytes, uint64_t stream);

#endif
