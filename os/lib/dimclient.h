#ifndef OS_LIB_DIMCLIENT_H
#define OS_LIB_DIMCLIENT_H

/*
 * Clients of the dimension server (docs/dimension-store.md): a message opens a dimension, after that its layers are read in
 * place, without the server. A view is one generation of a dimension and never changes; the board tells without a
 * message whether there is a newer one.
 */

#include "dimension/file.h"
#include "dimension/protocol.h"
#include "lib/orrery.h"

struct dim_client {
    handle_t server;
    handle_t changes;      /* 0: none asked for */
    handle_t board_region; /* of the board */
    uint32_t dimensions;
    const uint64_t *board; /* generations, written by the server */
};

/* A dimension, mapped read-only. */
struct dim_view {
    dim_id_t id;
    uint64_t generation; /* 0: not open */
    uint64_t bytes;
    const uint8_t *file; /* a plain file of the binary form */
    handle_t region;
};

/*
 * Finds the server, waiting at most so long until it is there; with its endpoint for changes when wanted. A failure leaves
 * nothing open. STATUS_ERR_TIMEOUT, else the statuses of name_wait, ipc_call and region_map.
 */
MUST_CHECK status_t dim_client_connect(struct dim_client *client, bool changes, uint64_t patience_ns);

void dim_client_close(struct dim_client *client);

/*
 * Asks for one operation (protocol.h), of as many words as its row says. The status of the message, else of the answer; the
 * answer's words are valid in the second case. A capability that comes is put into *region (0: none came); null: deleted.
 */
MUST_CHECK status_t dim_client_ask(const struct dim_client *client, enum dim_operation operation,
                                   uint64_t first, uint64_t second, struct dim_message *answer,
                                   handle_t *region);

/*
 * Opens and maps what is loaded now. STATUS_ERR_DIM_UNKNOWN, STATUS_ERR_DIM_NOT_LOADED, STATUS_ERR_DIM_TABLE: what came is no
 * dimension file of that size; those of dim_client_ask and region_map. *view is closed after a failure.
 */
MUST_CHECK status_t dim_client_open(const struct dim_client *client, dim_id_t id, struct dim_view *view);

/* Whether the dimension is still loaded and no newer generation of it is. Reads one word. */
static inline bool dim_view_is_current(const struct dim_client *client, const struct dim_view *view)
{
    return view->generation != 0 &&
           __atomic_load_n(&client->board[view->id.number], __ATOMIC_ACQUIRE) == view->generation;
}

/* The record of a layer, null when the view has none of this number. Reads the file's table. */
const struct dim_file_record *dim_view_record(const struct dim_view *view, dim_layer_t layer);

/*
 * A layer where it lies; valid until the view is closed or the server takes the dimension out. STATUS_ERR_DIM_LAYER,
 * STATUS_ERR_DIM_TABLE: its record points outside of the view.
 */
MUST_CHECK status_t dim_view_layer(const struct dim_view *view, dim_layer_t layer, struct dim_slice *slice);

/* Unmaps it and gives the capability up; a view that is not open is left alone. */
void dim_view_close(struct dim_view *view);

#endif
