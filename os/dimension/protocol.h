#ifndef OS_DIMENSION_PROTOCOL_H
#define OS_DIMENSION_PROTOCOL_H

/*
 * Messages between a dimension server and its clients: eight words and a label, as this system's messages have them. A
 * client opens a dimension once, maps its region read-only, and reads there without the server. A dimension's generation
 * changes with each load and switch; a region once opened stays as it is, and a client that learns of a new generation
 * opens again when it likes.
 *
 * The words of answers; word 0 is always a status:
 *
 *     INFO        1: layers in bits 0..31, DIM_INFO_*   2: bytes used   3: generation   4..7: name, zero padded
 *     OPEN        1: bytes of the file   2: generation   and a capability of the region, which the server adds
 *     LAYER       1: offset in the region   2: bytes   3: generation
 *     STATISTICS  1..: figures of struct dim_stats in their order, from the one asked for
 *     BOARD       1: dimensions of the store   and a capability of the page, which the server adds
 *     LIST        1: loaded dimensions   2: those of them that are simulated; bit N is dimension N
 *     changes     1: dimension that the failure is about, 2: bytes asked, 3: bytes used, 4: limit, of STATUS_ERR_LIMIT
 */

#include "dimension/store.h"

enum dim_operation {
#define DIM_OPERATION(number, id, words, answer, change, region, text) DIM_OP_##id = (number),
#include "dimension/operations.def"
#undef DIM_OPERATION
};

#define DIM_WORDS 8u

/* The capability that goes with a good answer, as its last word. */
enum dim_region {
    DIM_REGION_NONE,
    DIM_REGION_DIMENSION, /* of the region of dimension request->words[0] */
    DIM_REGION_BOARD,     /* of the page of generations */
};

/* Names of the endpoints: for all that changes nothing, and for everything. */
#define DIM_SERVICE         "dimstore"
#define DIM_SERVICE_CHANGES "dimstore-changes"

/* The page of BOARD: word N is the generation of dimension N, 0 while it is not loaded. Written before the change is answered. */
#define DIM_BOARD_BYTES 4096u

#define DIM_INFO_SIMULATED (UINT64_C(1) << 32)
#define DIM_INFO_FILE      (UINT64_C(1) << 33)

struct dim_message {
    uint64_t label; /* enum dim_operation; an answer has its request's */
    uint32_t count; /* words that count, at most DIM_WORDS */
    uint32_t reserved;
    uint64_t words[DIM_WORDS];
};

/*
 * What the server has to do about a request besides the answer. A refused request has no effect; one that was carried out
 * and could not give everything back has its effect, and a status that says so.
 */
struct dim_effect {
    enum dim_region region; /* goes with the answer, which has room for it */
    bool unloaded;          /* the dimension request->words[0] was taken out: nobody keeps a mapping of it */
    bool closed;            /* the store is closed: nobody keeps any mapping, and the server ends */
};

/*
 * Answers a request; whatever it holds, there is an answer: STATUS_ERR_UNSUPPORTED for an unknown label,
 * STATUS_ERR_ARGUMENT for a wrong number of words, STATUS_ERR_RANGE for a number above 65535 or a figure that there is
 * not, STATUS_ERR_PERMISSION for a change that did not come by the endpoint for changes, else the store's statuses.
 */
struct dim_effect dim_serve(struct dim_store *store, bool may_change, const struct dim_message *request,
                            struct dim_message *answer);

#endif
