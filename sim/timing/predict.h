#ifndef ORRERY_TIMING_PREDICT_H
#define ORRERY_TIMING_PREDICT_H

/* Branch prediction (docs/timing.md, section 11): direction, targets, returns. Predicts and learns in one call. */

#include "base/bits.h"
#include "base/visit.h"
#include "timing/params.h"

#include <stdbool.h>
#include <stdint.h>

#define PREDICTOR_NO_TAG UINT16_MAX /* tags have 9 bits */

struct predictor_entry {
    uint16_t tag; /* PREDICTOR_NO_TAG: not valid */
    uint8_t counter, useful;
};

struct predictor_target {
    uint64_t pc, target;
};

/* Pieces of the history, folded to fewer bits and moved along with it: fields of 16 bits. What a field needs to be moved stands
 * in masks: the oldest bit of the history that is in it, where that one stands in the field when it goes, and the bit above the
 * field's, which comes back at its bottom `bits` lower. */
struct predictor_folds {
    uint64_t value;
    uint64_t oldest[2], leaves[2]; /* of the lower and the upper two fields */
    uint64_t above[2], bits[2];    /* of the even fields and the odd ones */
    uint64_t ones;                 /* bit 0 of each field that there is */
};

struct predictor {
    uint64_t history;
    uint8_t *base;
    struct predictor_entry *tagged[2];
    struct predictor_folds folds; /* index and tag of the first table, index and tag of the second */
    struct predictor_target *btb;
    uint64_t *indirect;
    uint64_t *returns;
    uint32_t lengths[2], base_bits, tagged_bits, btb_bits, indirect_bits, return_count, return_top;
};

static inline uint64_t predictor_hash(uint64_t pc, unsigned bits)
{
    return (pc ^ pc >> bits) & bits_mask(bits);
}

void predictor_init(struct predictor *p, const struct timing_params *params);
void predictor_deinit(struct predictor *p);
void predictor_visit(struct predictor *p, struct visitor *v);

/* A conditional branch at pc went one way: true if that was predicted. */
bool predictor_direction(struct predictor *p, uint64_t pc, bool taken);

/* A taken direct branch: true if the BTB had it. */
static inline bool predictor_direct(struct predictor *p, uint64_t pc, uint64_t target)
{
    struct predictor_target *e = &p->btb[predictor_hash(pc, p->btb_bits)];
    bool known = e->pc == pc;
    *e = (struct predictor_target){pc, target};
    return known;
}

/* An indirect branch: true if the target was predicted. */
bool predictor_indirect(struct predictor *p, uint64_t pc, uint64_t target);

void predictor_call(struct predictor *p, uint64_t return_address);
/* A return: true if the target was predicted. */
bool predictor_return(struct predictor *p, uint64_t target);

#endif
