#ifndef ORRERY_TIMING_PREDICT_DIRECTION_H
#define ORRERY_TIMING_PREDICT_DIRECTION_H

/* The prediction of directions (docs/timing.md, section 11), in line: one in five instructions asks for it. Directions and the
 * history of them are a gamble for the host, too: a branch on one costs more than a mask. */

#include "timing/predict.h"

/* All bits, or none. */
static inline uint64_t predictor_all_if(bool condition)
{
    return -(uint64_t)condition;
}

/* The folds after the history h has moved up and bit has come in. */
static inline void predictor_move_folds(struct predictor_folds *f, uint64_t h, uint64_t bit)
{
    predictor_fields v = f->value << 1 | (f->ones & predictor_all_if(bit));
    v ^= f->leaves[0] & predictor_all_if(h & f->oldest[0]);
    v ^= f->leaves[1] & predictor_all_if(h & f->oldest[1]);
    predictor_fields index = v & f->above_index, tag = v & f->above_tag;
    f->value = v ^ index ^ index >> f->index_bits ^ tag ^ tag >> PREDICTOR_TAG_BITS;
}

static inline void predictor_move_history(struct predictor *p, uint64_t bit)
{
    predictor_move_folds(&p->folds, p->history, bit);
    p->history = p->history << 1 | bit;
}

/* Up or down by one, to 0 and `most`. */
static inline void predictor_count(uint8_t *counter, bool up, uint8_t most)
{
    static const uint8_t next[2][2][8] = {
        {{0, 0, 1, 2}, {1, 2, 3, 3}},
        {{0, 0, 1, 2, 3, 4, 5, 6}, {1, 2, 3, 4, 5, 6, 7, 7}},
    };
    *counter = next[most == 7][up][*counter];
}

#define PREDICTOR_RIGHT    1u
#define PREDICTOR_ALLOCATE 2u /* predictor_allocate has to follow */

/* A conditional branch at site went one way: how it was predicted. */
static inline __attribute__((always_inline)) unsigned
predictor_direction(struct predictor *p, const struct predictor_site *site, bool taken)
{
    const predictor_fields at = p->at = p->folds.value ^ site->tagged;
    struct predictor_entry *lower = predictor_entry(p, at, 0), *upper = predictor_entry(p, at, 1);
    bool first = lower->tag == predictor_tag(at, 0), second = upper->tag == predictor_tag(at, 1);
    uint8_t *base = &p->base[site->base];
    bool predicted = *base >= 2, below = predicted;
    if (first) {
        predicted = lower->counter >= 4;
    }
    if (second) {
        below = predicted;
        predicted = upper->counter >= 4;
    }
    bool right = predicted == taken;
    if (first || second) {
        struct predictor_entry *e = second ? upper : lower;
        if (predicted != below) {
            predictor_count(&e->useful, right, 3);
        }
        predictor_count(&e->counter, taken, 7);
    } else {
        predictor_count(base, taken, 3);
    }
    predictor_move_history(p, taken);
    return right ? PREDICTOR_RIGHT : second ? 0 : PREDICTOR_ALLOCATE;
}

#endif
