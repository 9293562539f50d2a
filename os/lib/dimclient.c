/* Clients of the dimension server. Deviations: none. */
#include "lib/dimclient.h"

#include "lib/names.h"

#define STEP_NS 1000000ull /* between two looks for a generation */
#define TRIES   2000u      /* to open a dimension whose generations change meanwhile: about two seconds */
#define HASTY   8u         /* of them without a sleep */

/* What an answer carries besides words; deleted unless wanted. */
static void take_region(const struct ipc_registers *m, handle_t *region)
{
    unsigned words = ipc_tag_words(m->tag), handles = ipc_tag_handles(m->tag);
    for (unsigned i = words - handles; i < words; i++) {
        int64_t came = (int64_t)m->words[i];
        if (came > 0 && region != NULL && *region == 0) {
            *region = (handle_t)came;
        } else if (came > 0) {
            (void)sys_cap_delete((handle_t)came);
        }
    }
}

#define DIM_OPERATION(number, id, words, answer, change, region, text) \
    _Static_assert((words) <= 2, #id ": dim_client_ask has words for two");
#include "dimension/operations.def"
#undef DIM_OPERATION

static unsigned words_of(enum dim_operation operation, bool *change)
{
    static const struct {
        uint16_t operation;
        uint8_t words;
        bool change;
    } rows[] = {
#define DIM_OPERATION(number, id, words, answer, change, region, text) {DIM_OP_##id, words, change},
#include "dimension/operations.def"
#undef DIM_OPERATION
    };
    unsigned words = 0;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].operation == operation) {
            words = rows[i].words;
            *change = rows[i].change;
        }
    }
    return words;
}

status_t dim_client_ask(const struct dim_client *client, enum dim_operation operation, uint64_t first,
                        uint64_t second, struct dim_message *answer, handle_t *region)
{
    bool change = false;
    unsigned words = words_of(operation, &change);
    struct ipc_registers m = {
        .words = {first, second}, .tag = ipc_tag(operation, words, 0), .time = IPC_FOREVER};
    int64_t status = sys_ipc_call(change ? client->changes : client->server, &m);
    if (region != NULL) {
        *region = 0;
    }
    if (status != STATUS_OK) {
        return (status_t)status;
    }
    take_region(&m, region);
    *answer = (struct dim_message){.label = ipc_tag_label(m.tag), .count = ipc_tag_words(m.tag)};
    memcpy(answer->words, m.words, sizeof answer->words);
    return answer->count == 0 ? STATUS_ERR_NO_ANSWER : (status_t)(int64_t)answer->words[0];
}

/* A capability that came, or was still to come, has been taken away: a newer generation is there. */
static bool was_taken(status_t status)
{
    return status == STATUS_ERR_AGAIN || status == STATUS_ERR_CAP_REVOKED ||
           status == STATUS_ERR_CAP_INVALID || status == STATUS_ERR_CAP_GENERATION;
}

static status_t find(const char *name, uint64_t patience_ns, handle_t *out)
{
    int64_t found = name_wait(name, patience_ns);
    *out = found > 0 ? (handle_t)found : 0;
    return found > 0 ? STATUS_OK : (status_t)found;
}

static status_t open_board(struct dim_client *client)
{
    struct dim_message answer;
    status_t status = dim_client_ask(client, DIM_OP_BOARD, 0, 0, &answer, &client->board_region);
    if (status != STATUS_OK) {
        return status;
    }
    int64_t at = sys_region_map(client->board_region, 0, DIM_BOARD_BYTES, 0, PROTECT_READ);
    if (at < 0) {
        return (status_t)at;
    }
    client->board = (const uint64_t *)(uintptr_t)at;
    client->dimensions =
        answer.words[1] <= DIM_MAX_DIMENSIONS ? (uint32_t)answer.words[1] : DIM_MAX_DIMENSIONS;
    return STATUS_OK;
}

status_t dim_client_connect(struct dim_client *client, bool changes, uint64_t patience_ns)
{
    *client = (struct dim_client){0};
    status_t status = find(DIM_SERVICE, patience_ns, &client->server);
    if (status == STATUS_OK && changes) {
        status = find(DIM_SERVICE_CHANGES, patience_ns, &client->changes);
    }
    status = status == STATUS_OK ? open_board(client) : status;
    if (status != STATUS_OK) {
        dim_client_close(client);
    }
    return status;
}

static void delete (handle_t handle)
{
    if (handle != 0) {
        (void)sys_cap_delete(handle);
    }
}

void dim_client_close(struct dim_client *client)
{
    if (client->board != NULL) {
        (void)sys_unmap((uint64_t)(uintptr_t)client->board, DIM_BOARD_BYTES);
    }
    delete (client->board_region);
    delete (client->changes);
    delete (client->server);
    *client = (struct dim_client){0};
}

static bool is_file(const struct dim_view *view)
{
    const struct dim_file_header *h = (const struct dim_file_header *)(const void *)view->file;
    return view->bytes >= DIM_FILE_HEADER_BYTES && memcmp(h->magic, DIM_FILE_MAGIC, sizeof h->magic) == 0 &&
           h->file_bytes == view->bytes && h->dimension == view->id.number &&
           h->layer_count <= DIM_MAX_LAYERS &&
           DIM_FILE_HEADER_BYTES + (uint64_t)h->layer_count * DIM_FILE_RECORD_BYTES <= view->bytes;
}

static status_t open_once(const struct dim_client *client, dim_id_t id, struct dim_view *view)
{
    struct dim_message answer;
    *view = (struct dim_view){.id = id};
    status_t status = dim_client_ask(client, DIM_OP_OPEN, id.number, 0, &answer, &view->region);
    if (status != STATUS_OK || view->region == 0) {
        return status != STATUS_OK ? status : STATUS_ERR_AGAIN;
    }
    int64_t at = sys_region_map(view->region, 0, answer.words[1], 0, PROTECT_READ);
    if (at < 0) {
        delete (view->region);
        *view = (struct dim_view){.id = id};
        return (status_t)at;
    }
    view->file = (const uint8_t *)(uintptr_t)at;
    view->bytes = answer.words[1];
    view->generation = answer.words[2];
    /*
     * The server forgets an old generation that nobody maps, after it has written the board. So what is mapped while the board
     * still has it is kept; anything else may go at any moment, and is not touched.
     */
    if (!dim_view_is_current(client, view)) {
        dim_view_close(view);
        return STATUS_ERR_AGAIN;
    }
    if (!is_file(view)) {
        dim_view_close(view);
        return STATUS_ERR_DIM_TABLE;
    }
    return STATUS_OK;
}

status_t dim_client_open(const struct dim_client *client, dim_id_t id, struct dim_view *view)
{
    status_t status = open_once(client, id, view);
    for (unsigned i = 1; i < TRIES && was_taken(status); i++) {
        (void)(i < HASTY ? sys_yield() : sys_sleep(STEP_NS));
        status = open_once(client, id, view);
    }
    return status;
}

const struct dim_file_record *dim_view_record(const struct dim_view *view, dim_layer_t layer)
{
    const struct dim_file_header *h = (const struct dim_file_header *)(const void *)view->file;
    const struct dim_file_record *records = dim_file_records(view->file);
    uint32_t low = 0, high = h->layer_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (records[middle].number == layer.number) {
            return &records[middle];
        }
        if (records[middle].number < layer.number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

status_t dim_view_layer(const struct dim_view *view, dim_layer_t layer, struct dim_slice *slice)
{
    const struct dim_file_record *record = dim_view_record(view, layer);
    if (record == NULL) {
        return STATUS_ERR_DIM_LAYER;
    }
    if (record->offset > view->bytes || record->content_bytes > view->bytes - record->offset) {
        return STATUS_ERR_DIM_TABLE;
    }
    *slice = (struct dim_slice){view->file + record->offset, record->content_bytes};
    return STATUS_OK;
}

void dim_view_close(struct dim_view *view)
{
    if (view->file != NULL) {
        (void)sys_unmap((uint64_t)(uintptr_t)view->file, view->bytes);
    }
    delete (view->region);
    *view = (struct dim_view){.id = view->id};
}
