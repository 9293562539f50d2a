#ifndef OS_PROGRAMS_DIMQUERY_DIMQUERY_H
#define OS_PROGRAMS_DIMQUERY_DIMQUERY_H

/* What the parts of dimquery share: its options, the readers, the server it starts. */

#include <stdbool.h>

#include "lib/dimclient.h"
#include "lib/orrery.h"

#define PATIENCE_NS 30000000000ull

struct options {
    unsigned clients;  /* reading processes */
    unsigned threads;  /* of each */
    unsigned queries;  /* of each thread, at least */
    unsigned rounds;   /* of switches meanwhile */
    unsigned pause_ns; /* between two rounds */
};

extern struct options options;

static inline dim_id_t id_of(unsigned number)
{
    return (dim_id_t){(uint16_t)number};
}

static inline dim_layer_t layer_of(unsigned number)
{
    return (dim_layer_t){(uint16_t)number};
}

/* ---- readers.c: processes that read concurrently ---- */

/* What all readers have done together. */
struct reader_totals {
    uint64_t queries;  /* layers found in a mapped view, checked whole */
    uint64_t messages; /* layers asked of the server */
    uint64_t opened;   /* views */
    uint64_t absent;   /* queries of dimensions that were not loaded */
    uint64_t find_cycles;
    uint64_t message_cycles;
    uint64_t elapsed_cycles; /* from the common start to the last end */
};

/* Makes what readers share. False: no memory for it. */
bool readers_prepare(void);

/* Starts options.clients processes of options.threads readers; returns when all of them are connected and have begun together. */
bool readers_start(void);

/* Readers that have done their queries go on until this. */
void readers_stop(void);

/* Waits for all; true when each found everything as it should be. */
bool readers_wait(struct reader_totals *totals);

/* The totals on the console. */
void readers_print(const struct reader_totals *totals);

/* ---- server.c ---- */

/* Starts dimstore with these options (null terminated) and connects to it, with the endpoint for changes. */
bool server_start(const char *const *arguments, struct dim_client *client);

/* Closes the store and waits for the server's end; true when it ended well. */
bool server_stop(struct dim_client *client);

/* The status of a change; *answer may be null. */
status_t server_change(const struct dim_client *client, enum dim_operation operation, unsigned dimension,
                       struct dim_message *answer);

/* All figures of the store. */
bool server_stats(const struct dim_client *client, struct dim_stats *stats);

#endif
