#ifndef OS_KERNEL_TEST_FRAME_MODEL_H
#define OS_KERNEL_TEST_FRAME_MODEL_H

/*
 * A slow model of the frame manager's figures. It has a bit for each frame that is free in its zone, and the frames of the
 * calling CPU's cache; what a free group is it finds by looking for the largest aligned power of two of free blocks. It says
 * which zone must serve a request, or that none can, and works out what each counter must then be: it never reads one after
 * frame_model_begin. Of the frame manager's choices it takes two as they come, and checks that they are allowed: which run of
 * a zone a request gets, and how many frames a cache is refilled with.
 *
 * Between begin and end interrupts are off and nobody else uses the frame manager. What returns false has seen the frame
 * manager do what the model does not allow; frame_model_wrong() says what.
 */

#include "mm/frame.h"

#define FRAME_MODEL_LIMIT (1u << 20) /* frames: 4 GiB */

/* Empties the caches and takes frames, marks and figures as they are. False: more memory than a model has place for. */
bool frame_model_begin(void);
void frame_model_end(void);

/* A call, and the model's after it. flags: FRAME_DMA, _STRICT, _CRITICAL, FRAME_NODE. *got: whether there were frames. */
bool frame_model_alloc(uint64_t n, uint32_t flags, pfn_t *pfn, bool *got);
bool frame_model_free(pfn_t pfn, uint64_t n);
bool frame_model_drain(void);

/* Every figure of every zone, node and CPU, both histograms, and the sums are the model's. */
bool frame_model_agrees(void);

/* What has come by since the begin, as the model counts it. */
struct frame_model_seen {
    uint64_t failures;
    uint64_t fallbacks;
    uint64_t remote;
    uint64_t splits;
    uint64_t merges;
    uint64_t refills;
    uint64_t spills;
    uint64_t drains;
    uint64_t timed[2]; /* allocations, frees */
};

void frame_model_seen(struct frame_model_seen *out);

const char *frame_model_wrong(void);

#endif
