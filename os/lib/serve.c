/* Loops of servers. Deviations: none. */
#include "lib/serve.h"

int64_t serve_next(handle_t endpoint, struct ipc_registers *message)
{
    struct ipc_registers next = *message;
    int64_t status = sys_ipc_reply_receive(endpoint, &next);
    if (status == STATUS_ERR_STATE) { /* there is nobody to answer */
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
