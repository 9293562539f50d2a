/* The server that dimquery starts, and what it asks of it. */
#include "dimquery.h"

static int64_t server;

bool server_start(const char *const *arguments, struct dim_client *client)
{
    int old;
    if (server > 0 && sys_process_kill((unsigned)server, 1) == STATUS_OK) { /* of a test that failed */
        (void)sys_wait((unsigned)server, &old, 0);
    }
    server = sys_fork();
    if (server == 0) {
        static const char *const environment[] = {NULL};
        int64_t status = sys_exec("dimstore", arguments, environment);
        print("dimquery: dimstore: %s\n", status_text((status_t)status));
        sys_exit(127);
    }
    return server > 0 && dim_client_connect(client, true, PATIENCE_NS) == STATUS_OK;
}

bool server_stop(struct dim_client *client)
{
    int status = -1;
    status_t closed = server_change(client, DIM_OP_CLOSE, 0, NULL);
    dim_client_close(client);
    bool good = closed == STATUS_OK && sys_wait((unsigned)server, &status, 0) == server && status == 0;
    server = good ? 0 : server;
    return good;
}

status_t server_change(const struct dim_client *client, enum dim_operation operation, unsigned dimension,
                       struct dim_message *answer)
{
    struct dim_message own;
    return dim_client_ask(client, operation, dimension, 0, answer != NULL ? answer : &own, NULL);
}

bool server_stats(const struct dim_client *client, struct dim_stats *stats)
{
    uint64_t figures[sizeof *stats / sizeof(uint64_t)];
    uint64_t have = 0, want = sizeof figures / sizeof figures[0];
    while (have < want) {
        struct dim_message answer;
        if (dim_client_ask(client, DIM_OP_STATISTICS, have, 0, &answer, NULL) != STATUS_OK ||
            answer.count < 2) {
            return false;
        }
        for (unsigned i = 1; i < answer.count && have < want; i++) {
            figures[have++] = answer.words[i];
        }
    }
    memcpy(stats, figures, sizeof figures);
    return true;
}
