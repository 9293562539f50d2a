#ifndef ORRERY_TIMING_BRANCH_H
#define ORRERY_TIMING_BRANCH_H

/* What near branches do to prediction and fetch (docs/timing.md, section 11), in line. */

#include "timing/pipeline.h"
#include "timing/predict_direction.h"

/* A branch whose direction and target are known at end; right: they were predicted; known: the BTB had it. */
TIMING_INLINE void timing_redirect(struct timing_core *c, bool right, bool known, bool taken, uint64_t end)
{
    const uint32_t *v = c->shared->params.value;
    uint64_t after = 0;
    if (!right) {
        timing_count(c, TIMING_COUNT_MISPREDICTS);
        after = end + v[TIMING_mispredict_cycles];
    } else if (!known) {
        timing_count(c, TIMING_COUNT_DECODE_REDIRECTS);
        after = c->dispatch + v[TIMING_decode_redirect_cycles];
    } else if (taken) {
        after = c->dispatch + c->taken_bubble;
    }
    c->fetch_ready = later_of(c->fetch_ready, after);
    if (taken) {
        c->fetched_line = 0;
    }
}

/* What the prediction of a conditional one was, in bits above those of predictor_direction. */
#define TIMING_BRANCH_KNOWN 4u
#define TIMING_BRANCH_TAKEN 8u

/* A conditional one is predicted, and the predictors learn, but for predictor_allocate. */
TIMING_INLINE unsigned timing_predict(struct timing_core *c, const struct predictor_site *site, bool taken,
                                      uint64_t target)
{
    timing_count(c, TIMING_COUNT_BRANCHES);
    unsigned branch = predictor_direction(&c->predictor, site, taken);
    bool known = !taken || predictor_direct(&c->predictor, site, target);
    return branch | (known ? TIMING_BRANCH_KNOWN : 0) | (taken ? TIMING_BRANCH_TAKEN : 0);
}

/* Its direction is known at end. */
TIMING_INLINE void timing_predicted(struct timing_core *c, unsigned branch, uint64_t end)
{
    timing_redirect(c, branch & PREDICTOR_RIGHT, branch & TIMING_BRANCH_KNOWN, branch & TIMING_BRANCH_TAKEN,
                    end);
}

#endif
