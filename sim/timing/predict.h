#ifndef ORRERY_TIMING_PREDICT_H
#define ORRERY_TIMING_PREDICT_H

/* Branch prediction (docs/timing.md, section 11): direction, targets, returns. Predicts and learns in one call. */

#include "base/bits.h"
#include "base/visit.h"
#include "timing/params.h"

#include <stdbool.h>
#include <stdint.h>

#define PREDICTOR_TAG_BITS   9u
#define PREDICTOR_NO_TAG     UINT16_MAX
#define PREDICTOR_FIELD_BITS 16u

struct predictor_entry {
    uint16_t tag; /* PREDICTOR_NO_TAG: not valid */
    uint8_t counter, useful;
};

struct predictor_target {
    uint64_t pc, target;
};

/* Fields of 16 bits: index and tag of the lower tagged table, index and tag of the upper one. */
typedef uint64_t predictor_fields;

/* Pieces of the history, folded to fewer bits and moved along with it. What a field needs to be moved stands in masks: the
 * oldest bit of the history that is in it, where that one stands in the field when it goes, and the bit above the field's, which
 * comes back at its bottom. */
struct predictor_folds {
    predictor_fields value;
    predictor_fields oldest[2], leaves[2];   /* by table */
    predictor_fields above_index, above_tag; /* of the indexes, which have index_bits, and of the tags */
    predictor_fields ones;                   /* bit 0 of each field */
    uint32_t index_bits;
};

/* What the tables know a branch by; it follows from its address. */
struct predictor_site {
    uint64_t pc;
    predictor_fields tagged; /* before the history */
    uint32_t base, btb;      /* where in the first table, and in the BTB */
};

struct predictor {
    uint64_t history;
    predictor_fields at; /* of the last conditional branch; no state */
    uint8_t *base;
    struct predictor_entry *tagged[2];
    struct predictor_folds folds;
    struct predictor_target *btb;
    uint64_t *indirect;
    uint64_t *returns;
    uint32_t lengths[2], base_bits, tagged_bits, btb_bits, indirect_bits, return_count, return_top;
};

static inline uint64_t predictor_hash(uint64_t pc, unsigned bits)
{
    return (pc ^ pc >> bits) & ((UINT64_C(1) << bits) - 1);
}

void predictor_init(struct predictor *p, const struct timing_params *params);
void predictor_deinit(struct predictor *p);
void predictor_visit(struct predictor *p, struct visitor *v);

struct predictor_site predictor_site(const struct predictor *p, uint64_t pc);

/* Where in a tagged table (0 lower, 1 upper) a branch is now, and the tag that the entry should have. */
static inline struct predictor_entry *predictor_entry(const struct predictor *p, predictor_fields at,
                                                      unsigned table)
{
    return &p->tagged[table][(uint16_t)(at >> (2 * PREDICTOR_FIELD_BITS * table))];
}

static inline uint16_t predictor_tag(predictor_fields at, unsigned table)
{
    return (uint16_t)(at >> ((2 * table + 1) * PREDICTOR_FIELD_BITS));
}

/* After predictor_direction has said so: an entry for the branch in a table above those that have foretold wrongly. */
void predictor_allocate(const struct predictor *p, bool taken);

/* A taken direct branch: true if the BTB had it. */
static inline bool predictor_direct(struct predictor *p, const struct predictor_site *site, uint64_t target)
{
    struct predictor_target *e = &p->btb[site->btb];
    bool known = e->pc == site->pc;
    *e = (struct predictor_target){site->pc, target};
    return known;
}

/* An indirect branch: true if the target was predicted. */
bool predictor_indirect(struct predictor *p, uint64_t pc, uint64_t target);

void predictor_call(struct predictor *p, uint64_t return_address);
/* A return: true if the target was predicted. */
bool predictor_return(struct predictor *p, uint64_t target);

#endif
