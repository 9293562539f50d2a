#ifndef ORRERY_TIMING_PREDICT_H
#define ORRERY_TIMING_PREDICT_H

/* Branch prediction (docs/timing.md, section 11): direction, targets, returns. Predicts and learns in one call. */

#include "base/visit.h"
#include "timing/params.h"

#include <stdbool.h>
#include <stdint.h>

struct predictor_entry {
    uint16_t tag;
    uint8_t counter, useful;
    bool valid;
};

struct predictor_target {
    uint64_t pc, target;
};

/* Some bits of the history, folded to fewer; moved along with it. */
struct predictor_fold {
    uint64_t value;
    uint8_t length, bits, leaves; /* leaves: where the oldest bit stands in the fold when it goes */
};

struct predictor_table {
    struct predictor_entry *entries;
    struct predictor_fold index, tag;
};

struct predictor {
    uint64_t history;
    uint8_t *base;
    struct predictor_table tagged[2];
    struct predictor_fold indirect_fold;
    struct predictor_target *btb;
    uint64_t *indirect;
    uint64_t *returns;
    uint32_t base_bits, tagged_bits, btb_bits, indirect_bits, return_count, return_top;
};

void predictor_init(struct predictor *p, const struct timing_params *params);
void predictor_deinit(struct predictor *p);
void predictor_visit(struct predictor *p, struct visitor *v);

/* A conditional branch at pc went one way: true if that was predicted. */
bool predictor_direction(struct predictor *p, uint64_t pc, bool taken);

/* A taken direct branch: true if the BTB had it. */
bool predictor_direct(struct predictor *p, uint64_t pc, uint64_t target);

/* An indirect branch: true if the target was predicted. */
bool predictor_indirect(struct predictor *p, uint64_t pc, uint64_t target);

void predictor_call(struct predictor *p, uint64_t return_address);
/* A return: true if the target was predicted. */
bool predictor_return(struct predictor *p, uint64_t target);

#endif
