/* Loops of servers. Deviations: none. */
#include "lib/serve.h"

/* What an answer was to give up, and nobody took, has come back under other names. */
static void drop_returned(const struct ipc_registers *answer, const struct ipc_registers *returned)
{
    unsigned words = ipc_tag_words(answer->tag);
    for (unsigned i = words - ipc_tag_handles(answer->tag); i < words; i++) {
        if ((answer->words[i] & IPC_MOVE) != 0 && (int64_t)returned->words[i] > 0) {
            (void)sys_cap_delete(returned->words[i]);
        }
    }
}

int64_t serve_next(handle_t endpoint, struct ipc_registers *message)
{
    struct ipc_registers next = *message;
    int64_t status = sys_ipc_reply_receive(endpoint, &next);
    if (status == STATUS_ERR_STATE || status == STATUS_ERR_PEER) { /* there is nobody to answer */
        drop_returned(message, &next);
        next = (struct ipc_registers){.time = message->time};
        status = sys_ipc_receive(endpoint, &next);
    }
    *message = next;
    return status;
}

void serve_drop_handles(const struct ipc_registers *message)
{
    unsigned words = ipc_tag_words(message->tag);
    for (unsigned i = words - ipc_tag_handles(message->tag); i < words; i++) {
        if ((int64_t)message->words[i] > 0) {
            (void)sys_cap_delete(message->words[i]);
        }
    }
}
