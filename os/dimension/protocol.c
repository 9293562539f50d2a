/* The dimension server's side of a message: checked, then done. Deviations: none. */

#include "dimension/protocol.h"

#include "lib/string.h"

#define FIGURES (sizeof(struct dim_stats) / sizeof(uint64_t))

#define FAILURE 5u /* words of the answer to a change that failed */

static const struct operation {
    uint64_t label;
    uint32_t words;
    uint32_t answer;
    bool change;
    enum dim_region region;
} operations[] = {
#define DIM_OPERATION(number, id, words, answer, change, region, text) \
    {DIM_OP_##id, words, answer, change, DIM_REGION_##region},
#include "dimension/operations.def"
#undef DIM_OPERATION
};

#define DIM_OPERATION(number, id, words, answer, change, region, text)                           \
    _Static_assert((words) <= DIM_WORDS && (answer) >= 1 &&                                      \
                       (answer) + (DIM_REGION_##region != DIM_REGION_NONE ? 1 : 0) <= DIM_WORDS, \
                   #id ": a message has no room for its words, or for the capability behind them");
#include "dimension/operations.def"
#undef DIM_OPERATION

static const struct operation *find(uint64_t label)
{
    const struct operation *found = NULL;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        found = operations[i].label == label ? &operations[i] : found;
    }
    return found;
}

static status_t check(const struct operation *found, const struct dim_message *request, bool may_change)
{
    if (!found) {
        return STATUS_ERR_UNSUPPORTED;
    }
    if (request->count != found->words) {
        return STATUS_ERR_ARGUMENT;
    }
    for (uint32_t i = 0; i < found->words; i++) {
        if (request->words[i] > UINT16_MAX) {
            return STATUS_ERR_RANGE;
        }
    }
    return found->change && !may_change ? STATUS_ERR_PERMISSION : STATUS_OK;
}

static status_t info_of(struct dim_store *store, dim_id_t id, struct dim_info *info)
{
    if (id.number >= store->config.dimensions) {
        return STATUS_ERR_DIM_UNKNOWN;
    }
    return dim_store_info(store, id, info) ? STATUS_OK : STATUS_ERR_DIM_NOT_LOADED;
}

static status_t answer_info(struct dim_store *store, dim_id_t id, struct dim_message *answer)
{
    struct dim_info info;
    status_t status = info_of(store, id, &info);
    if (status == STATUS_OK) {
        answer->words[1] =
            info.layers | (info.simulated ? DIM_INFO_SIMULATED : 0) | (info.has_file ? DIM_INFO_FILE : 0);
        answer->words[2] = info.used_bytes;
        answer->words[3] = info.generation;
        memcpy(&answer->words[4], info.name, DIM_NAME_BYTES);
    }
    return status;
}

static status_t answer_open(struct dim_store *store, dim_id_t id, struct dim_message *answer)
{
    struct dim_info info;
    status_t status = info_of(store, id, &info);
    if (status == STATUS_OK) {
        answer->words[1] = info.used_bytes;
        answer->words[2] = info.generation;
    }
    return status;
}

static status_t answer_layer(struct dim_store *store, dim_id_t id, dim_layer_t layer,
                             struct dim_message *answer)
{
    struct dim_place place;
    status_t status = dim_store_place(store, id, layer, &place);
    if (status == STATUS_OK) {
        answer->words[1] = place.offset;
        answer->words[2] = place.bytes;
        answer->words[3] = place.generation;
    }
    return status;
}

static status_t answer_statistics(struct dim_store *store, uint64_t first, struct dim_message *answer)
{
    struct dim_stats stats;
    uint64_t figures[FIGURES];
    if (first >= FIGURES) {
        return STATUS_ERR_RANGE;
    }
    dim_store_stats(store, &stats);
    memcpy(figures, &stats, sizeof figures);
    uint32_t most = answer->count;
    for (answer->count = 1; answer->count < most && first < FIGURES; first++) {
        answer->words[answer->count++] = figures[first];
    }
    return STATUS_OK;
}

static status_t answer_list(struct dim_store *store, struct dim_message *answer)
{
    dim_id_t ids[DIM_MAX_DIMENSIONS];
    for (uint32_t i = 0, count = dim_store_list(store, ids); i < count; i++) {
        struct dim_info info;
        bool simulated = dim_store_info(store, ids[i], &info) && info.simulated;
        answer->words[1] |= UINT64_C(1) << ids[i].number;
        answer->words[2] |= (uint64_t)simulated << ids[i].number;
    }
    return STATUS_OK;
}

static status_t answer_change(struct dim_store *store, enum dim_operation operation, dim_id_t id,
                              struct dim_message *answer)
{
    struct dim_error error = {.dimension = id.number};
    status_t status;
    if (operation == DIM_OP_LOAD) {
        status = dim_store_load(store, id, NULL, &error);
    } else if (operation == DIM_OP_SWITCH) {
        status = dim_store_switch(store, id, NULL, &error);
    } else if (operation == DIM_OP_SIMULATE) {
        status = dim_store_simulate(store, id, &error);
    } else if (operation == DIM_OP_UNLOAD) {
        status = dim_store_unload(store, id, &error);
    } else if (operation == DIM_OP_CLOSE) {
        status = dim_store_close(store, &error);
    } else {
        status = dim_store_validate(store, &error);
    }
    if (status != STATUS_OK) {
        answer->words[1] = error.dimension;
        answer->words[2] = error.asked_bytes;
        answer->words[3] = error.used_bytes;
        answer->words[4] = error.limit_bytes;
    }
    return status;
}

/* The words behind the status; there are as many as the row says, unless the last figures are fewer. */
static status_t act(struct dim_store *store, const struct dim_message *request, struct dim_message *answer)
{
    enum dim_operation operation = (enum dim_operation)request->label;
    dim_id_t id = {(uint16_t)request->words[0]};
    switch (operation) {
    case DIM_OP_INFO:
        return answer_info(store, id, answer);
    case DIM_OP_OPEN:
        return answer_open(store, id, answer);
    case DIM_OP_LAYER:
        return answer_layer(store, id, (dim_layer_t){(uint16_t)request->words[1]}, answer);
    case DIM_OP_STATISTICS:
        return answer_statistics(store, request->words[0], answer);
    case DIM_OP_LIST:
        return answer_list(store, answer);
    case DIM_OP_BOARD:
        answer->words[1] = store->config.dimensions;
        return STATUS_OK;
    case DIM_OP_LOAD:
    case DIM_OP_SWITCH:
    case DIM_OP_UNLOAD:
    case DIM_OP_VALIDATE:
    case DIM_OP_SIMULATE:
    case DIM_OP_CLOSE:
        return answer_change(store, operation, id, answer);
    }
    return STATUS_ERR_UNSUPPORTED;
}

struct dim_effect dim_serve(struct dim_store *store, bool may_change, const struct dim_message *request,
                            struct dim_message *answer)
{
    struct dim_effect effect = {0};
    *answer = (struct dim_message){.label = request->label, .count = 1};
    const struct operation *found = find(request->label);
    status_t status = check(found, request, may_change);
    if (status == STATUS_OK) {
        struct dim_info info;
        dim_id_t id = {(uint16_t)request->words[0]};
        bool unload = request->label == DIM_OP_UNLOAD && dim_store_info(store, id, &info);
        answer->count = found->answer;
        status = act(store, request, answer);
        if (status == STATUS_OK) {
            effect.region = found->region;
        } else {
            answer->count = found->change ? FAILURE : 1;
        }
        effect.unloaded = unload && !dim_store_info(store, id, &info);
        effect.closed = request->label == DIM_OP_CLOSE;
    }
    answer->words[0] = (uint64_t)(int64_t)status;
    return effect;
}
