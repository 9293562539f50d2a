/* xoshiro256** 1.0 and splitmix64, after the public-domain descriptions at prng.di.unimi.it. */

#include "base/rng.h"

static uint64_t splitmix64(uint64_t *x)
{
    uint64_t z = *x += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t rotl64(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

void rng_init(struct rng *r, uint64_t seed, uint64_t stream)
{
    uint64_t x = seed;
    uint64_t y = splitmix64(&x) ^ stream * UINT64_C(0xd1342543de82ef95);
    for (unsigned i = 0; i < 4; i++) {
        r->s[i] = splitmix64(&y);
    }
}

uint64_t rng_next(struct rng *r)
{
    uint64_t result = rotl64(r->s[1] * 5, 7) * 9;
    uint64_t t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl64(r->s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t bound)
{
    uint64_t threshold = (0 - bound) % bound; /* values below it would favour small results */
    for (;;) {
        uint64_t v = rng_next(r);
        if (v >= threshold) {
            return v % bound;
        }
    }
}
