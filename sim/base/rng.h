#ifndef ORRERY_BASE_RNG_H
#define ORRERY_BASE_RNG_H

/* Seeded random numbers: xoshiro256** seeded through splitmix64 (Blackman and Vigna, public domain). */

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

/* Starts a stream; different (seed, stream) pairs give unrelated sequences. */
void rng_init(struct rng *r, uint64_t seed, uint64_t stream);

uint64_t rng_next(struct rng *r);

/* A value in 0 .. bound-1 without bias; bound >= 1. */
uint64_t rng_below(struct rng *r, uint64_t bound);

#endif
